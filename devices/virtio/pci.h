/*
 * The PCI transport of virtio devices (virtio 1.2, 4.1), without the legacy interface.
 */
#ifndef HV_VIRTIO_PCI_H
#define HV_VIRTIO_PCI_H

#include "devices/core/dev.h"

struct pci_host;
struct virtio;

/* Messages that a device with so many queues can send: one each, and one for the configuration. */
#define VIRTIO_PCI_VECTORS(queues) ((queues) + 1u)

/*
 * Makes `v`, which it owns from here on (on failure, too), a function of `host`. Uses env's
 * messages (VIRTIO_PCI_VECTORS(v->queue_count) of them), memory, loop and doorbells. 0 or -errno;
 * -ENOSPC: the bus is full. Main thread, before vCPUs run. To be destroyed before `host`.
 */
int virtio_pci_create(struct pci_host *host, const struct dev_env *env, struct virtio *v,
                      struct dev **out);

#endif
