/*
 * What a driver finds of a virtio device in PCI configuration space (virtio 1.2, 4.1.2 and 4.1.4):
 * ids, the BAR, and capabilities that say where in it each structure lies. Called by pci.c once,
 * when the device is made; main thread.
 */
#include "devices/core/util.h"
#include "devices/virtio/pci.h"
#include "devices/virtio/pci_internal.h"

#define VENDOR      0x1af4
#define DEVICE_BASE 0x1040
#define SUBSYSTEM   0x0040 /* 4.1.2.1: those of non-transitional devices start here */

/* Capabilities (4.1.4): vendor-specific, with a type. */
#define CAP_VENDOR   0x09
#define CAP_COMMON   1
#define CAP_NOTIFY   2
#define CAP_ISR      3
#define CAP_DEVICE   4
#define CAP_ACCESS   5

#define CAP_SIZE     16u /* without what some types append */
#define CAP_LEN      2
#define CAP_TYPE     3
#define CAP_MULTIPLE 16 /* notify_off_multiplier */

/* A structure's capability. Returns its offset. */
static unsigned add_cap(struct virtio_pci *p, uint8_t type, uint32_t offset, uint32_t length,
                        unsigned size)
{
    unsigned at = pci_add_capability(&p->f, CAP_VENDOR, size);
    uint8_t *cap = p->f.config + at;

    cap[CAP_LEN] = (uint8_t)size;
    cap[CAP_TYPE] = type;
    cap[CAP_BAR] = BAR;
    store_le32(cap + CAP_OFFSET, offset);
    store_le32(cap + CAP_LENGTH, length);
    return at;
}

/* 4.1.4.9: a way into the BAR for software that has configuration accesses only. */
static void add_access_cap(struct virtio_pci *p)
{
    uint8_t *writable;

    p->access_cap = add_cap(p, CAP_ACCESS, 0, 0, CAP_SIZE + 4);
    writable = p->f.writable + p->access_cap;
    writable[CAP_BAR] = 0xff;
    store_le32(writable + CAP_OFFSET, UINT32_MAX);
    store_le32(writable + CAP_LENGTH, UINT32_MAX);
    store_le32(writable + CAP_DATA, UINT32_MAX);
}

static void add_caps(struct virtio_pci *p)
{
    unsigned at;

    add_cap(p, CAP_COMMON, BAR_COMMON, COMMON_SIZE, CAP_SIZE);
    add_cap(p, CAP_ISR, BAR_ISR, 1, CAP_SIZE);
    if (p->v->config_len) /* 4.1.4.6: for devices that have one */
        add_cap(p, CAP_DEVICE, BAR_DEVICE, p->v->config_len, CAP_SIZE);
    at = add_cap(p, CAP_NOTIFY, BAR_NOTIFY, NOTIFY_STEP * p->v->queue_count, CAP_SIZE + 4);
    store_le32(p->f.config + at + CAP_MULTIPLE, NOTIFY_STEP);
    add_access_cap(p);
}

/* What it is to a guest that has no driver for it (PCI Code and ID Assignment 1.11). */
static uint32_t class_of(uint16_t id)
{
    switch (id) {
    case 1: /* network */
        return 0x020000;
    case 2: /* block: SCSI storage */
        return 0x010000;
    case 3: /* console: other communication */
        return 0x078000;
    default:
        return 0xff0000; /* of no class */
    }
}

void virtio_pci_describe(struct virtio_pci *p, const struct dev_ops *dev_ops,
                         const struct pci_function_ops *ops, const struct msi_port *msi)
{
    const struct msix_place place = {.bar = BAR, .table = BAR_MSIX_TABLE, .pending = BAR_MSIX_BITS};
    const uint16_t type = p->v->ops->id;
    const struct pci_id id = {.vendor = VENDOR,
                              .device = (uint16_t)(DEVICE_BASE + type),
                              .subsystem_vendor = VENDOR,
                              .subsystem = (uint16_t)(SUBSYSTEM + type),
                              .class_code = class_of(type),
                              .revision = 1};

    pci_function_init(&p->f, dev_ops, ops, &id);
    pci_add_bar(&p->f, BAR, BAR_SIZE, true);
    add_caps(p);
    msix_init(&p->msix, &p->f, VIRTIO_PCI_VECTORS(p->v->queue_count), &place, msi);
}
