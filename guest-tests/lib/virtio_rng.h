/* Random numbers of the host (virtio 1.2, 5.4): one queue, to which empty buffers are given. */
#ifndef GUEST_VIRTIO_RNG_H
#define GUEST_VIRTIO_RNG_H

#include "guest-tests/lib/virtq.h"

struct virtio_rng {
    struct virtio dev;
    struct virtq queue;
};

/* The nth source, started. False when there is none. */
bool virtio_rng_open(struct virtio_rng *rng, unsigned nth);

/* Has the device fill the buffer, and waits. Returns the bytes it wrote, which may be fewer than
 * `size` (5.4.6.2); 0: no answer. */
uint32_t virtio_rng_read(struct virtio_rng *rng, void *buffer, uint32_t size);

#endif
