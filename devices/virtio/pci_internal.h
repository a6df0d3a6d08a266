/* Shared by pci.c and pci_common.c alone: one virtio device as a PCI function. */
#ifndef HV_VIRTIO_PCI_INTERNAL_H
#define HV_VIRTIO_PCI_INTERNAL_H

#include "devices/pci/msix.h"
#include "devices/pci/pci.h"
#include "devices/virtio/virtio.h"

#define VIRTIO_MSI_NO_VECTOR 0xffff
#define COMMON_SIZE          60u /* bytes of the common configuration (4.1.4.3) */

struct virtio_pci {
    struct pci_function f;
    struct virtio *v; /* owned; its lock is f.dev.lock */
    struct msix msix;
    unsigned access_cap; /* offset of the capability for configuration accesses */
    struct doorbell_port doorbell;
    uint64_t bells;     /* a bit for each queue whose notification KVM takes... */
    uint64_t bell_base; /* ...with the BAR here */

    /* Registers of the common configuration that are the transport's own. */
    uint32_t device_feature_select, driver_feature_select;
    uint16_t config_vector, queue_select;
    uint16_t queue_vector[VIRTIO_MAX_QUEUES];
    uint8_t isr;
    uint8_t generation;       /* config_generation: steps when a change is first read... */
    uint32_t read_generation; /* ...after this one of the device's, so that it cannot wrap unseen */
};

/* Accesses to the common configuration, of any width at any offset; 0 behind its end. */
uint64_t virtio_pci_common_read(struct virtio_pci *p, uint64_t offset, unsigned size);
void virtio_pci_common_write(struct virtio_pci *p, uint64_t offset, unsigned size, uint64_t value);

/* The registers above as a device reset leaves them. */
void virtio_pci_common_reset(struct virtio_pci *p);

#endif
