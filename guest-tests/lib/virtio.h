/*
 * A virtio device as its driver sees it (virtio 1.2): the status machine and the features here, the
 * split queue in virtq.h, the two ways to reach the registers in virtio_mmio.c and virtio_pci.c.
 *
 *     struct virtio dev;
 *     struct virtq queue;
 *
 *     if (!virtio_find(VIRTIO_ID_RNG, 0, &dev))
 *         skip("no virtio-rng");
 *     virtio_start(&dev, 0) && virtq_setup(&queue, &dev, 0, 64);
 *     virtio_driver_ok(&dev);
 *
 * One vCPU at a time uses a device or a queue. Nothing here takes an interrupt by itself.
 */
#ifndef GUEST_VIRTIO_H
#define GUEST_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

/* Device numbers (virtio 1.2, section 5). */
enum {
    VIRTIO_ID_NET = 1,
    VIRTIO_ID_BLOCK = 2,
    VIRTIO_ID_CONSOLE = 3,
    VIRTIO_ID_RNG = 4,
    VIRTIO_ID_BALLOON = 5
};

/* Status bits (2.1). */
enum {
    VIRTIO_ACKNOWLEDGE = 1,
    VIRTIO_DRIVER = 2,
    VIRTIO_DRIVER_OK = 4,
    VIRTIO_FEATURES_OK = 8,
    VIRTIO_NEEDS_RESET = 64,
    VIRTIO_FAILED = 128
};

/* Feature bits that belong to no device type (section 6). */
#define VIRTIO_F_INDIRECT_DESC (UINT64_C(1) << 28)
#define VIRTIO_F_EVENT_IDX     (UINT64_C(1) << 29)
#define VIRTIO_F_VERSION_1     (UINT64_C(1) << 32)
#define VIRTIO_F_RING_RESET    (UINT64_C(1) << 40)

struct virtio;

/* How the registers are reached. Each function is one or two register accesses. */
struct virtio_transport {
    const char *name; /* "mmio" or "pci" */
    uint8_t (*status)(struct virtio *dev);
    void (*set_status)(struct virtio *dev, uint8_t status); /* 0 resets; waits until it reads 0 */
    uint64_t (*features)(struct virtio *dev);
    void (*set_features)(struct virtio *dev, uint64_t features);
    uint16_t (*queue_max)(struct virtio *dev, uint16_t queue); /* 0: there is no such queue */
    void (*queue_enable)(struct virtio *dev, uint16_t queue, uint16_t size, uint64_t desc,
                         uint64_t avail, uint64_t used); /* guest-physical addresses */
    bool (*queue_enabled)(struct virtio *dev, uint16_t queue);
    void (*notify)(struct virtio *dev, uint16_t queue);
    uint32_t (*ack_interrupt)(struct virtio *dev); /* what the ISR said: 1 queue, 2 configuration */
    /* Sends all of the device's interrupts to this vector of this CPU: by the I/O APIC on mmio, by
     * one MSI-X entry on PCI. */
    void (*route)(struct virtio *dev, uint8_t vector);
};

struct virtio {
    const struct virtio_transport *transport;
    uint32_t type;
    uintptr_t regs;   /* mmio: the register block; pci: the common configuration */
    uintptr_t config; /* the device's own configuration */
    uintptr_t notify; /* pci: notification area */
    uint32_t notify_multiplier;
    uintptr_t isr;
    uintptr_t msix;    /* pci: the MSI-X table; 0: none */
    uint32_t pci;      /* pci: bus << 8 | device << 3 | function */
    uint32_t gsi;      /* mmio: its interrupt line */
    uint64_t features; /* negotiated */
};

/*
 * The nth device of that type. On mmio those that `virtio_mmio.device=` on the command line names
 * (hv --virtio cmdline, and QEMU's microvm, say so), on PCI those that a scan of bus 0 finds.
 * Returns false when there is none.
 */
bool virtio_find(uint32_t type, unsigned nth, struct virtio *dev);

/*
 * Reset, ACKNOWLEDGE, DRIVER, features (the device's & wanted, VERSION_1 always), FEATURES_OK
 * (3.1.1 steps 1 to 6). Returns whether the device agreed. Then queues, then virtio_driver_ok.
 */
bool virtio_start(struct virtio *dev, uint64_t wanted);
void virtio_driver_ok(struct virtio *dev);
void virtio_reset(struct virtio *dev);

/* The device's configuration space, of that width at that offset in bytes. */
uint8_t virtio_config8(const struct virtio *dev, unsigned offset);
uint16_t virtio_config16(const struct virtio *dev, unsigned offset);
uint32_t virtio_config32(const struct virtio *dev, unsigned offset);
uint64_t virtio_config64(const struct virtio *dev, unsigned offset);

/* For virtio_mmio.c: an edge on line `gsi` calls this CPU's handler of `vector`. ioapic.c; arm64's
 * gic.c, where a line's handler is its own. */
void interrupt_route(unsigned gsi, uint8_t vector);

/* For virtio_find alone. */
bool virtio_mmio_find(uint32_t type, unsigned nth, struct virtio *dev);
bool virtio_pci_find(uint32_t type, unsigned nth, struct virtio *dev);

#endif
