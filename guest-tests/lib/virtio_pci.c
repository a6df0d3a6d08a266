/*
 * Virtio registers in the BARs of a PCI function (virtio 1.2, 4.1). Vendor capabilities say in
 * which BAR, and where in it, each group of registers lies.
 */
#include "guest-tests/lib/apic.h"
#include "guest-tests/lib/mmio.h"
#include "guest-tests/lib/paging.h"
#include "guest-tests/lib/pci.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/virtio.h"

#define VENDOR    0x1af4
#define MODERN_ID 0x1040 /* and the device type: 4.1.2.1 */

/* cfg_type and the fields of struct virtio_pci_cap (4.1.4) */
#define CAP_COMMON   1
#define CAP_NOTIFY   2
#define CAP_ISR      3
#define CAP_DEVICE   4
#define CAP_TYPE     3
#define CAP_BAR      4
#define CAP_OFFSET   8
#define CAP_MULTIPLY 16 /* of the notification capability */

/* struct virtio_pci_common_cfg (4.1.4.3) */
#define DEVICE_SELECT   0x00
#define DEVICE_FEATURES 0x04
#define DRIVER_SELECT   0x08
#define DRIVER_FEATURES 0x0c
#define CONFIG_VECTOR   0x10
#define STATUS          0x14
#define QUEUE_SELECT    0x16
#define QUEUE_SIZE      0x18
#define QUEUE_VECTOR    0x1a
#define QUEUE_ENABLE    0x1c
#define QUEUE_NOTIFY    0x1e
#define QUEUE_DESC      0x20
#define QUEUE_AVAIL     0x28
#define QUEUE_USED      0x30

/* PCI 3.0, 6.8.2: the capability, and an entry of its table */
#define MSIX_CONTROL 2
#define MSIX_TABLE   4
#define MSIX_ENABLE  0x8000
#define ENTRY_LOW    0
#define ENTRY_HIGH   4
#define ENTRY_DATA   8
#define ENTRY_MASK   12
#define MSI_ADDRESS  0xfee00000u /* SDM volume 3, 11.11: destination in bits 12 to 19 */

static uint8_t pci_status(struct virtio *dev)
{
    return mmio_read8(dev->regs + STATUS);
}

static void pci_set_status(struct virtio *dev, uint8_t status)
{
    mmio_write8(dev->regs + STATUS, status);
    while (status == 0 && pci_status(dev))
        ;
}

static uint64_t pci_features(struct virtio *dev)
{
    uint32_t low;

    mmio_write32(dev->regs + DEVICE_SELECT, 0);
    low = mmio_read32(dev->regs + DEVICE_FEATURES);
    mmio_write32(dev->regs + DEVICE_SELECT, 1);
    return low | (uint64_t)mmio_read32(dev->regs + DEVICE_FEATURES) << 32;
}

static void pci_set_features(struct virtio *dev, uint64_t features)
{
    mmio_write32(dev->regs + DRIVER_SELECT, 0);
    mmio_write32(dev->regs + DRIVER_FEATURES, (uint32_t)features);
    mmio_write32(dev->regs + DRIVER_SELECT, 1);
    mmio_write32(dev->regs + DRIVER_FEATURES, (uint32_t)(features >> 32));
}

static uint16_t pci_queue_max(struct virtio *dev, uint16_t queue)
{
    mmio_write16(dev->regs + QUEUE_SELECT, queue);
    return mmio_read16(dev->regs + QUEUE_SIZE);
}

static void write_address(uintptr_t reg, uint64_t address)
{
    mmio_write32(reg, (uint32_t)address);
    mmio_write32(reg + 4, (uint32_t)(address >> 32));
}

static void pci_queue_enable(struct virtio *dev, uint16_t queue, uint16_t size, uint64_t desc,
                             uint64_t avail, uint64_t used)
{
    mmio_write16(dev->regs + QUEUE_SELECT, queue);
    mmio_write16(dev->regs + QUEUE_SIZE, size);
    if (dev->msix)
        mmio_write16(dev->regs + QUEUE_VECTOR, 0);
    write_address(dev->regs + QUEUE_DESC, desc);
    write_address(dev->regs + QUEUE_AVAIL, avail);
    write_address(dev->regs + QUEUE_USED, used);
    mmio_write16(dev->regs + QUEUE_ENABLE, 1);
}

static bool pci_queue_enabled(struct virtio *dev, uint16_t queue)
{
    mmio_write16(dev->regs + QUEUE_SELECT, queue);
    return mmio_read16(dev->regs + QUEUE_ENABLE) != 0;
}

/* 4.1.4.4: each queue says how many multiples into the area its bell hangs. */
static void pci_notify(struct virtio *dev, uint16_t queue)
{
    uint32_t offset;

    mmio_write16(dev->regs + QUEUE_SELECT, queue);
    offset = mmio_read16(dev->regs + QUEUE_NOTIFY) * dev->notify_multiplier;
    mmio_write16(dev->notify + offset, queue);
}

/* Reading it clears it (4.1.4.5). */
static uint32_t pci_ack_interrupt(struct virtio *dev)
{
    return mmio_read8(dev->isr);
}

/* Entry 0 of the table serves all; queues are given it when they are enabled. */
static void pci_route(struct virtio *dev, uint8_t vector)
{
    unsigned cap = pci_capability(dev->pci, PCI_CAP_MSIX, 0);

    if (!dev->msix)
        return;
    mmio_write32(dev->msix + ENTRY_LOW, MSI_ADDRESS | apic_id() << 12);
    mmio_write32(dev->msix + ENTRY_HIGH, 0);
    mmio_write32(dev->msix + ENTRY_DATA, vector);
    mmio_write32(dev->msix + ENTRY_MASK, 0);
    pci_write16(dev->pci, cap + MSIX_CONTROL, MSIX_ENABLE);
    mmio_write16(dev->regs + CONFIG_VECTOR, 0);
}

static const struct virtio_transport pci_transport = {.name = "pci",
                                                      .status = pci_status,
                                                      .set_status = pci_set_status,
                                                      .features = pci_features,
                                                      .set_features = pci_set_features,
                                                      .queue_max = pci_queue_max,
                                                      .queue_enable = pci_queue_enable,
                                                      .queue_enabled = pci_queue_enabled,
                                                      .notify = pci_notify,
                                                      .ack_interrupt = pci_ack_interrupt,
                                                      .route = pci_route};

/* The address of what lies at `offset` in a BAR, mapped if it is above 4 GiB. */
static uintptr_t in_bar(uint32_t function, unsigned bar, uint32_t offset)
{
    uint64_t at = pci_bar(function, bar);

    if (!at || (at >> 32 && !paging_map_identity(at + offset)))
        return 0;
    return (uintptr_t)(at + offset);
}

static void read_capability(struct virtio *dev, unsigned cap)
{
    uint32_t offset = pci_read32(dev->pci, cap + CAP_OFFSET);
    uintptr_t at = in_bar(dev->pci, pci_read8(dev->pci, cap + CAP_BAR), offset);

    switch (pci_read8(dev->pci, cap + CAP_TYPE)) {
    case CAP_COMMON:
        dev->regs = at;
        break;
    case CAP_NOTIFY:
        dev->notify = at;
        dev->notify_multiplier = pci_read32(dev->pci, cap + CAP_MULTIPLY);
        break;
    case CAP_ISR:
        dev->isr = at;
        break;
    case CAP_DEVICE:
        dev->config = at;
        break;
    default: /* the window in configuration space, shared memory: not needed */
        break;
    }
}

static void find_msix(struct virtio *dev)
{
    unsigned cap = pci_capability(dev->pci, PCI_CAP_MSIX, 0);
    uint32_t table;

    if (!cap)
        return;
    table = pci_read32(dev->pci, cap + MSIX_TABLE);
    dev->msix = in_bar(dev->pci, table & 7, table & ~7u);
}

/* Reads where everything is; false if a part that a driver cannot do without is missing. */
static bool open_function(struct virtio *dev)
{
    pci_write16(dev->pci, PCI_COMMAND,
                PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_NO_INTX);
    for (unsigned cap = 0; (cap = pci_capability(dev->pci, PCI_CAP_VENDOR, cap)) != 0;)
        read_capability(dev, cap);
    find_msix(dev);
    return dev->regs && dev->notify && dev->isr;
}

bool virtio_pci_find(uint32_t type, unsigned nth, struct virtio *dev)
{
    if (!pci_present())
        return false;
    for (uint32_t function = 0; function < 256; function += 8) {
        if (pci_read32(function, PCI_ID) != ((MODERN_ID + type) << 16 | VENDOR))
            continue;
        memset(dev, 0, sizeof(*dev));
        dev->transport = &pci_transport;
        dev->type = type;
        dev->pci = function;
        if (open_function(dev) && nth-- == 0)
            return true;
    }
    return false;
}
