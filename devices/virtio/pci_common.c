/*
 * The common configuration of a virtio device on PCI (virtio 1.2, 4.1.4.3). Called by pci.c on vCPU
 * threads, under the function's lock.
 *
 * Drivers are to use each field's own width. Other accesses have a meaning all the same: a read
 * takes bytes out of all fields side by side, a write to a part of a field keeps the field's other
 * bytes, and one over several fields writes them from the lowest on.
 */
#include "devices/core/util.h"
#include "devices/virtio/pci_internal.h"

enum {
    DEVICE_FEATURE_SELECT = 0,
    DEVICE_FEATURE = 4,
    DRIVER_FEATURE_SELECT = 8,
    DRIVER_FEATURE = 12,
    CONFIG_VECTOR = 16,
    NUM_QUEUES = 18,
    DEVICE_STATUS = 20,
    CONFIG_GENERATION = 21,
    QUEUE_SELECT = 22,
    QUEUE_SIZE = 24,
    QUEUE_VECTOR = 26,
    QUEUE_ENABLE = 28,
    QUEUE_NOTIFY_OFF = 30,
    QUEUE_DESC = 32, /* each address is two fields of 4 bytes */
    QUEUE_DRIVER = 40,
    QUEUE_DEVICE = 48,
    QUEUE_NOTIFY_DATA = 56, /* of a feature that is not offered */
    QUEUE_RESET = 58,
};

struct field {
    uint8_t offset, size;
};

/* All of [0, COMMON_SIZE), ascending. */
static const struct field fields[] = {
    {DEVICE_FEATURE_SELECT, 4}, {DEVICE_FEATURE, 4},
    {DRIVER_FEATURE_SELECT, 4}, {DRIVER_FEATURE, 4},
    {CONFIG_VECTOR, 2},         {NUM_QUEUES, 2},
    {DEVICE_STATUS, 1},         {CONFIG_GENERATION, 1},
    {QUEUE_SELECT, 2},          {QUEUE_SIZE, 2},
    {QUEUE_VECTOR, 2},          {QUEUE_ENABLE, 2},
    {QUEUE_NOTIFY_OFF, 2},      {QUEUE_DESC, 4},
    {QUEUE_DESC + 4, 4},        {QUEUE_DRIVER, 4},
    {QUEUE_DRIVER + 4, 4},      {QUEUE_DEVICE, 4},
    {QUEUE_DEVICE + 4, 4},      {QUEUE_NOTIFY_DATA, 2},
    {QUEUE_RESET, 2},
};

/* The address that the field at `offset` is half of, or NULL. */
static uint64_t *address_of(struct virtq *q, unsigned offset)
{
    switch (offset & ~7u) {
    case QUEUE_DESC:
        return &q->desc;
    case QUEUE_DRIVER:
        return &q->driver;
    case QUEUE_DEVICE:
        return &q->device;
    default:
        return NULL;
    }
}

/* 4.1.4.3.1: for a queue that is not there the size reads 0, and so does the rest here, but that
 * no vector is mapped to it. */
static uint32_t read_queue(struct virtio_pci *p, unsigned offset)
{
    struct virtq *q = virtio_queue(p->v, p->queue_select);
    const uint64_t *address;

    if (!q)
        return offset == QUEUE_VECTOR ? VIRTIO_MSI_NO_VECTOR : 0;
    switch (offset) {
    case QUEUE_SIZE:
        return q->size;
    case QUEUE_VECTOR:
        return p->queue_vector[p->queue_select];
    case QUEUE_ENABLE:
        return q->enabled;
    case QUEUE_NOTIFY_OFF:
        return p->queue_select;
    case QUEUE_RESET:
        return virtio_queue_in_reset(p->v, p->queue_select);
    }
    address = address_of(q, offset);
    return address ? (uint32_t)(*address >> (offset & 4 ? 32 : 0)) : 0;
}

static uint32_t read_field(struct virtio_pci *p, unsigned offset)
{
    const struct virtio *v = p->v;

    switch (offset) {
    case DEVICE_FEATURE_SELECT:
        return p->device_feature_select;
    case DEVICE_FEATURE:
        return virtio_features(v, p->device_feature_select);
    case DRIVER_FEATURE_SELECT:
        return p->driver_feature_select;
    case DRIVER_FEATURE:
        return p->driver_feature_select < 2
                   ? (uint32_t)(v->accepted >> (32 * p->driver_feature_select))
                   : 0;
    case CONFIG_VECTOR:
        return p->config_vector;
    case NUM_QUEUES:
        return v->queue_count;
    case DEVICE_STATUS:
        return v->status;
    case CONFIG_GENERATION:
        return p->generation;
    case QUEUE_SELECT:
        return p->queue_select;
    default:
        return read_queue(p, offset);
    }
}

/* 4.1.5.1.2.1: a vector that there is not cannot be mapped, which the driver reads back. */
static uint16_t checked_vector(const struct virtio_pci *p, uint32_t vector)
{
    return vector < p->msix.count ? (uint16_t)vector : VIRTIO_MSI_NO_VECTOR;
}

static void set_half(uint64_t *address, bool high, uint32_t value)
{
    unsigned shift = high ? 32 : 0;

    *address = (*address & ~(UINT64_C(0xffffffff) << shift)) | (uint64_t)value << shift;
}

/* 4.1.4.3.1: with split rings the register never shows but a power of two or 0. A size that is not
 * taken is seen on reading back. */
static bool size_is_good(const struct virtio_pci *p, const struct virtq *q, uint32_t size)
{
    return size <= q->max && (virtio_has(p->v, VIRTIO_F_RING_PACKED) || !(size & (size - 1)));
}

/* What describes a queue may be changed only while it is not in use. */
static void describe_queue(struct virtio_pci *p, struct virtq *q, unsigned offset, uint32_t value)
{
    uint64_t *address = address_of(q, offset);

    if (!virtio_queue_open(p->v, p->queue_select))
        return;
    if (address)
        set_half(address, offset & 4, value);
    else if (offset == QUEUE_SIZE && size_is_good(p, q, value))
        q->size = (uint16_t)value;
}

static void write_queue(struct virtio_pci *p, unsigned offset, uint32_t value)
{
    struct virtq *q = virtio_queue(p->v, p->queue_select);

    if (!q)
        return;
    switch (offset) {
    case QUEUE_VECTOR:
        p->queue_vector[p->queue_select] = checked_vector(p, value);
        break;
    case QUEUE_ENABLE:
        if (value == 1 && q->size)
            virtio_queue_enable(p->v, p->queue_select);
        break;
    case QUEUE_RESET:
        if (value != 1 || !virtio_has(p->v, VIRTIO_F_RING_RESET))
            break;
        p->queue_vector[p->queue_select] = VIRTIO_MSI_NO_VECTOR;
        virtio_queue_reset(p->v, p->queue_select);
        break;
    default:
        describe_queue(p, q, offset, value);
    }
}

static void write_field(struct virtio_pci *p, unsigned offset, uint32_t value)
{
    switch (offset) {
    case DEVICE_FEATURE_SELECT:
        p->device_feature_select = value;
        break;
    case DRIVER_FEATURE_SELECT:
        p->driver_feature_select = value;
        break;
    case DRIVER_FEATURE:
        virtio_accept(p->v, p->driver_feature_select, value);
        break;
    case CONFIG_VECTOR:
        p->config_vector = checked_vector(p, value);
        break;
    case DEVICE_STATUS:
        virtio_set_status(p->v, (uint8_t)value);
        if (p->v->status == 0)
            virtio_pci_common_reset(p);
        break;
    case QUEUE_SELECT:
        p->queue_select = (uint16_t)value;
        break;
    default:
        write_queue(p, offset, value);
    }
}

uint64_t virtio_pci_common_read(struct virtio_pci *p, uint64_t offset, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
        const struct field *f = &fields[i];
        uint64_t end = offset + size;

        if (f->offset >= end || f->offset + f->size <= offset)
            continue;
        if (f->offset >= offset)
            value |= (uint64_t)read_field(p, f->offset) << (8 * (f->offset - offset));
        else
            value |= read_field(p, f->offset) >> (8 * (offset - f->offset));
    }
    return value & size_mask(size);
}

void virtio_pci_common_write(struct virtio_pci *p, uint64_t offset, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
        const struct field *f = &fields[i];
        uint8_t bytes[4];

        if (f->offset >= offset + size || f->offset + f->size <= offset)
            continue;
        store_le32(bytes, read_field(p, f->offset));
        for (unsigned b = 0; b < f->size; b++)
            if (f->offset + b >= offset && f->offset + b < offset + size)
                bytes[b] = (uint8_t)(value >> (8 * (f->offset + b - offset)));
        write_field(p, f->offset, load_le32(bytes) & (uint32_t)size_mask(f->size));
    }
}

void virtio_pci_common_reset(struct virtio_pci *p)
{
    p->device_feature_select = p->driver_feature_select = 0;
    p->queue_select = 0;
    p->config_vector = VIRTIO_MSI_NO_VECTOR;
    for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++)
        p->queue_vector[i] = VIRTIO_MSI_NO_VECTOR;
    p->isr = 0;
}
