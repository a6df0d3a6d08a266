/*
 * The memory-mapped transport of virtio devices (virtio 1.2, 4.2).
 */
#ifndef HV_VIRTIO_MMIO_H
#define HV_VIRTIO_MMIO_H

#include <stdint.h>

#include "devices/core/dev.h"

struct virtio;

#define VIRTIO_MMIO_SIZE   0x200u /* bytes of a device's window */
#define VIRTIO_MMIO_NOTIFY 0x050u /* the register that a driver writes a queue's number to */

/*
 * Puts `v`, which it owns from here on (on failure, too), behind a window at address `base`. Uses
 * env's irq line (edge triggered), memory, loop and doorbells. 0 or -errno. Main thread, before
 * vCPUs run.
 */
int virtio_mmio_create(const struct dev_env *env, uint64_t base, struct virtio *v,
                       struct dev **out);

#endif
