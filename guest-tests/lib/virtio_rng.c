/* A virtio entropy source's driver, the smallest there is; see virtio_rng.h. */
#include "guest-tests/lib/virtio_rng.h"

#define QUEUE_SIZE 16

bool virtio_rng_open(struct virtio_rng *rng, unsigned nth)
{
    if (!virtio_find(VIRTIO_ID_RNG, nth, &rng->dev) || !virtio_start(&rng->dev, 0) ||
        !virtq_setup(&rng->queue, &rng->dev, 0, QUEUE_SIZE))
        return false;
    virtio_driver_ok(&rng->dev);
    return true;
}

uint32_t virtio_rng_read(struct virtio_rng *rng, void *buffer, uint32_t size)
{
    struct virtq_part part = {buffer, size, true};
    uint16_t token;
    uint32_t written;

    if (virtq_add(&rng->queue, &part, 1) == VIRTQ_NO_TOKEN)
        return 0;
    virtq_publish(&rng->queue);
    return virtq_wait(&rng->queue, &token, &written) ? written : 0;
}
