/*
 * Virtio registers in memory (virtio 1.2, 4.2). Nothing on this bus can be asked what is there:
 * the command line says it, in the words that Linux takes, virtio_mmio.device=SIZE@ADDRESS:LINE.
 */
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/mmio.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/virtio.h"

/* 4.2.2, table 4.1 */
#define MAGIC            0x000
#define VERSION          0x004
#define DEVICE_ID        0x008
#define DEVICE_FEATURES  0x010
#define DEVICE_SELECT    0x014
#define DRIVER_FEATURES  0x020
#define DRIVER_SELECT    0x024
#define QUEUE_SELECT     0x030
#define QUEUE_SIZE_MAX   0x034
#define QUEUE_SIZE       0x038
#define QUEUE_READY      0x044
#define QUEUE_NOTIFY     0x050
#define INTERRUPT_STATUS 0x060
#define INTERRUPT_ACK    0x064
#define STATUS           0x070
#define QUEUE_DESC       0x080
#define QUEUE_AVAIL      0x090
#define QUEUE_USED       0x0a0
#define CONFIG           0x100

#define MAGIC_VALUE      0x74726976 /* "virt" */
#define MODERN           2

static uint8_t mmio_status(struct virtio *dev)
{
    return (uint8_t)mmio_read32(dev->regs + STATUS);
}

/* A device that still has work in hand may take its time to be reset (2.1.2). */
static void mmio_set_status(struct virtio *dev, uint8_t status)
{
    mmio_write32(dev->regs + STATUS, status);
    while (status == 0 && mmio_status(dev))
        ;
}

static uint64_t mmio_features(struct virtio *dev)
{
    uint32_t low;

    mmio_write32(dev->regs + DEVICE_SELECT, 0);
    low = mmio_read32(dev->regs + DEVICE_FEATURES);
    mmio_write32(dev->regs + DEVICE_SELECT, 1);
    return low | (uint64_t)mmio_read32(dev->regs + DEVICE_FEATURES) << 32;
}

static void mmio_set_features(struct virtio *dev, uint64_t features)
{
    mmio_write32(dev->regs + DRIVER_SELECT, 0);
    mmio_write32(dev->regs + DRIVER_FEATURES, (uint32_t)features);
    mmio_write32(dev->regs + DRIVER_SELECT, 1);
    mmio_write32(dev->regs + DRIVER_FEATURES, (uint32_t)(features >> 32));
}

static uint16_t mmio_queue_max(struct virtio *dev, uint16_t queue)
{
    mmio_write32(dev->regs + QUEUE_SELECT, queue);
    return (uint16_t)mmio_read32(dev->regs + QUEUE_SIZE_MAX);
}

static void write_address(uintptr_t reg, uint64_t address)
{
    mmio_write32(reg, (uint32_t)address);
    mmio_write32(reg + 4, (uint32_t)(address >> 32));
}

static void mmio_queue_enable(struct virtio *dev, uint16_t queue, uint16_t size, uint64_t desc,
                              uint64_t avail, uint64_t used)
{
    mmio_write32(dev->regs + QUEUE_SELECT, queue);
    mmio_write32(dev->regs + QUEUE_SIZE, size);
    write_address(dev->regs + QUEUE_DESC, desc);
    write_address(dev->regs + QUEUE_AVAIL, avail);
    write_address(dev->regs + QUEUE_USED, used);
    mmio_write32(dev->regs + QUEUE_READY, 1);
}

static bool mmio_queue_enabled(struct virtio *dev, uint16_t queue)
{
    mmio_write32(dev->regs + QUEUE_SELECT, queue);
    return mmio_read32(dev->regs + QUEUE_READY) != 0;
}

static void mmio_notify(struct virtio *dev, uint16_t queue)
{
    mmio_write32(dev->regs + QUEUE_NOTIFY, queue);
}

static uint32_t mmio_ack_interrupt(struct virtio *dev)
{
    uint32_t why = mmio_read32(dev->regs + INTERRUPT_STATUS);

    mmio_write32(dev->regs + INTERRUPT_ACK, why);
    return why;
}

static void mmio_route(struct virtio *dev, uint8_t vector)
{
    interrupt_route(dev->gsi, vector);
}

static const struct virtio_transport mmio_transport = {.name = "mmio",
                                                       .status = mmio_status,
                                                       .set_status = mmio_set_status,
                                                       .features = mmio_features,
                                                       .set_features = mmio_set_features,
                                                       .queue_max = mmio_queue_max,
                                                       .queue_enable = mmio_queue_enable,
                                                       .queue_enabled = mmio_queue_enabled,
                                                       .notify = mmio_notify,
                                                       .ack_interrupt = mmio_ack_interrupt,
                                                       .route = mmio_route};

/* SIZE@ADDRESS:LINE[:ID]. The size, a page or less, is not needed. */
static bool read_place(const char *text, struct virtio *dev)
{
    while (*text && *text != ' ' && *text != '@')
        text++;
    if (*text != '@')
        return false;
    dev->regs = (uintptr_t)string_number(text + 1, &text);
    if (*text != ':')
        return false;
    dev->gsi = (uint32_t)string_number(text + 1, &text);
    return true;
}

bool virtio_mmio_find(uint32_t type, unsigned nth, struct virtio *dev)
{
    const char *text;

    for (unsigned i = 0; (text = cmdline_nth("virtio_mmio.device", i)); i++) {
        memset(dev, 0, sizeof(*dev));
        dev->transport = &mmio_transport;
        dev->type = type;
        /* A place may be empty: its device number is 0 then (4.2.3.1.1). */
        if (!read_place(text, dev) || mmio_read32(dev->regs + MAGIC) != MAGIC_VALUE ||
            mmio_read32(dev->regs + VERSION) != MODERN ||
            mmio_read32(dev->regs + DEVICE_ID) != type)
            continue;
        dev->config = dev->regs + CONFIG;
        if (nth-- == 0)
            return true;
    }
    return false;
}
