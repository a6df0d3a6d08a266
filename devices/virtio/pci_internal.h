/* Shared by pci.c, pci_caps.c and pci_common.c alone: one virtio device as a PCI function. */
#ifndef HV_VIRTIO_PCI_INTERNAL_H
#define HV_VIRTIO_PCI_INTERNAL_H

#include "devices/pci/msix.h"
#include "devices/pci/pci.h"
#include "devices/virtio/virtio.h"

#define VIRTIO_MSI_NO_VECTOR 0xffff
#define COMMON_SIZE          60u /* bytes of the common configuration (4.1.4.3) */

/* The one BAR: a page for each structure. Notifications have one of their own, since KVM may take
 * every write there. */
#define PAGE           0x1000u
#define BAR            0
#define BAR_SIZE       0x8000u
#define BAR_COMMON     0x0000u
#define BAR_ISR        0x1000u
#define BAR_DEVICE     0x2000u
#define BAR_NOTIFY     0x3000u
#define BAR_MSIX_TABLE 0x4000u
#define BAR_MSIX_BITS  0x5000u

#define NOTIFY_STEP    4u /* bytes from one queue's notification address to the next */

/* Fields of a virtio capability (4.1.4) that a driver may write in the one for configuration
 * accesses, by their offset. */
#define CAP_BAR    4
#define CAP_OFFSET 8
#define CAP_LENGTH 12
#define CAP_DATA   16 /* pci_cfg_data */

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

/* Makes the function what a driver finds: ids, BAR, capabilities. */
void virtio_pci_describe(struct virtio_pci *p, const struct dev_ops *dev_ops,
                         const struct pci_function_ops *ops, const struct msi_port *msi);

/* Accesses to the common configuration, of any width at any offset; 0 behind its end. */
uint64_t virtio_pci_common_read(struct virtio_pci *p, uint64_t offset, unsigned size);
void virtio_pci_common_write(struct virtio_pci *p, uint64_t offset, unsigned size, uint64_t value);

/* The registers above as a device reset leaves them. */
void virtio_pci_common_reset(struct virtio_pci *p);

#endif
