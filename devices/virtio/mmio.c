/*
 * The memory-mapped transport (virtio 1.2, 4.2), version 2. One device a window of 512 bytes, one
 * edge-triggered interrupt line. Called by the bus on vCPU threads, under dev.lock; the window is
 * announced to the guest by ACPI (firmware/acpi_dsdt.c) or on its command line.
 */
#include "devices/virtio/mmio.h"

#include <errno.h>
#include <stdlib.h>

#include "devices/core/log.h"
#include "devices/core/state.h"
#include "devices/core/util.h"
#include "devices/virtio/virtio.h"

/* Registers (4.2.2), byte offsets. */
#define MAGIC               0x000
#define VERSION             0x004
#define DEVICE_ID           0x008
#define VENDOR_ID           0x00c
#define DEVICE_FEATURES     0x010
#define DEVICE_FEATURES_SEL 0x014
#define DRIVER_FEATURES     0x020
#define DRIVER_FEATURES_SEL 0x024
#define QUEUE_SEL           0x030
#define QUEUE_SIZE_MAX      0x034
#define QUEUE_SIZE          0x038
#define QUEUE_READY         0x044
#define QUEUE_NOTIFY        VIRTIO_MMIO_NOTIFY
#define INTERRUPT_STATUS    0x060
#define INTERRUPT_ACK       0x064
#define STATUS              0x070
#define QUEUE_DESC_LOW      0x080
#define QUEUE_DESC_HIGH     0x084
#define QUEUE_DRIVER_LOW    0x090
#define QUEUE_DRIVER_HIGH   0x094
#define QUEUE_DEVICE_LOW    0x0a0
#define QUEUE_DEVICE_HIGH   0x0a4
#define SHM_LEN_LOW         0x0b0
#define SHM_BASE_HIGH       0x0bc
#define QUEUE_RESET         0x0c0
#define CONFIG_GENERATION   0x0fc
#define CONFIG              0x100

#define MAGIC_VALUE         0x74726976 /* "virt" */
#define VENDOR_VALUE        0x00007668 /* "hv" */

#define INTERRUPT_QUEUE     1
#define INTERRUPT_CONFIG    2

struct mmio {
    struct dev dev;
    struct virtio *v; /* owned */
    struct irq_line irq;
    struct doorbell_port doorbell;
    uint64_t base;      /* of the window, for the doorbells */
    unsigned doorbells; /* how many of the queues have one */
    uint32_t features_sel, accept_sel, queue_sel;
    uint32_t pending; /* InterruptStatus */
};

/* An edge: the line rests low. A second one while the first is not acknowledged is no loss, since
 * a driver looks at its rings after it has acknowledged. */
static void raise(struct mmio *m, uint32_t why)
{
    m->pending |= why;
    irq_set(&m->irq, true);
    irq_set(&m->irq, false);
}

static void interrupt(void *opaque, uint32_t queue)
{
    raise(opaque, queue == VIRTIO_CONFIG_CHANGE ? INTERRUPT_CONFIG : INTERRUPT_QUEUE);
}

static uint32_t read_queue(struct mmio *m, uint64_t offset)
{
    const struct virtq *q = virtio_queue(m->v, m->queue_sel);

    if (!q)
        return 0;
    if (offset == QUEUE_RESET)
        return virtio_queue_in_reset(m->v, m->queue_sel);
    return offset == QUEUE_SIZE_MAX ? q->max : q->enabled;
}

static uint32_t read_register(struct mmio *m, uint64_t offset)
{
    switch (offset) {
    case MAGIC:
        return MAGIC_VALUE;
    case VERSION:
        return 2;
    case DEVICE_ID:
        return m->v->ops->id;
    case VENDOR_ID:
        return VENDOR_VALUE;
    case DEVICE_FEATURES:
        return virtio_features(m->v, m->features_sel);
    case QUEUE_SIZE_MAX:
    case QUEUE_READY:
    case QUEUE_RESET:
        return read_queue(m, offset);
    case INTERRUPT_STATUS:
        return m->pending;
    case STATUS:
        return m->v->status;
    case CONFIG_GENERATION:
        return m->v->generation;
    default:
        /* 4.2.2.1: no shared memory region is there, which all ones in length and base say. */
        return offset >= SHM_LEN_LOW && offset <= SHM_BASE_HIGH ? UINT32_MAX : 0;
    }
}

/* 4.2.2.2: control registers are for aligned accesses of 4 bytes. */
static uint64_t mmio_read(struct dev *dev, uint64_t offset, unsigned size)
{
    struct mmio *m = container_of(dev, struct mmio, dev);
    uint8_t data[8] = {0};

    if (offset < CONFIG)
        return size == 4 && offset % 4 == 0 ? read_register(m, offset) : 0;
    virtio_config_read(m->v, offset - CONFIG, size, data);
    return load_le64(data);
}

static void set_half(uint64_t *field, bool high, uint32_t value)
{
    *field = high ? (*field & UINT32_MAX) | (uint64_t)value << 32
                  : (*field & ~(uint64_t)UINT32_MAX) | value;
}

/* 4.2.2.2: what describes a queue may be set only while it is not in use. */
static void write_queue(struct mmio *m, uint64_t offset, uint32_t value)
{
    struct virtq *q = virtio_queue(m->v, m->queue_sel);

    if (!q || !virtio_queue_open(m->v, m->queue_sel))
        return;
    switch (offset) {
    case QUEUE_SIZE:
        q->size = value > UINT16_MAX ? 0 : (uint16_t)value;
        break;
    case QUEUE_DESC_LOW:
    case QUEUE_DESC_HIGH:
        set_half(&q->desc, offset == QUEUE_DESC_HIGH, value);
        break;
    case QUEUE_DRIVER_LOW:
    case QUEUE_DRIVER_HIGH:
        set_half(&q->driver, offset == QUEUE_DRIVER_HIGH, value);
        break;
    case QUEUE_DEVICE_LOW:
    case QUEUE_DEVICE_HIGH:
        set_half(&q->device, offset == QUEUE_DEVICE_HIGH, value);
        break;
    }
}

static void write_register(struct mmio *m, uint64_t offset, uint32_t value)
{
    switch (offset) {
    case DEVICE_FEATURES_SEL:
        m->features_sel = value;
        break;
    case DRIVER_FEATURES:
        virtio_accept(m->v, m->accept_sel, value);
        break;
    case DRIVER_FEATURES_SEL:
        m->accept_sel = value;
        break;
    case QUEUE_SEL:
        m->queue_sel = value;
        break;
    case QUEUE_READY:
        /* 4.2.2.1: a queue that is not ready is left alone. */
        if (value & 1)
            virtio_queue_enable(m->v, m->queue_sel);
        else
            virtio_queue_disable(m->v, m->queue_sel);
        break;
    case QUEUE_NOTIFY:
        virtio_ring(m->v, value);
        break;
    case INTERRUPT_ACK:
        m->pending &= ~value;
        break;
    case STATUS:
        virtio_set_status(m->v, (uint8_t)value);
        if (m->v->status == 0)
            m->pending = 0;
        break;
    case QUEUE_RESET:
        if (value & 1)
            virtio_queue_reset(m->v, m->queue_sel);
        break;
    default:
        write_queue(m, offset, value);
    }
}

static void mmio_write(struct dev *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct mmio *m = container_of(dev, struct mmio, dev);
    uint8_t data[8];

    if (offset >= CONFIG) {
        store_le64(data, value);
        virtio_config_write(m->v, offset - CONFIG, size, data);
    } else if (size == 4 && offset % 4 == 0) {
        write_register(m, offset, (uint32_t)value);
    }
}

static void mmio_reset(struct dev *dev)
{
    struct mmio *m = container_of(dev, struct mmio, dev);

    virtio_reset(m->v);
    m->features_sel = m->accept_sel = m->queue_sel = m->pending = 0;
}

static void mmio_save(struct dev *dev, struct state_writer *w)
{
    struct mmio *m = container_of(dev, struct mmio, dev);

    state_put_u32(w, m->features_sel);
    state_put_u32(w, m->accept_sel);
    state_put_u32(w, m->queue_sel);
    state_put_u32(w, m->pending);
    virtio_save(m->v, w);
}

static int mmio_load(struct dev *dev, struct state_reader *r, uint16_t version)
{
    struct mmio *m = container_of(dev, struct mmio, dev);
    uint32_t reg[4];
    int err;

    (void)version;
    for (unsigned i = 0; i < ARRAY_SIZE(reg); i++)
        reg[i] = state_get_u32(r);
    if (r->error || reg[3] & ~(uint32_t)(INTERRUPT_QUEUE | INTERRUPT_CONFIG))
        return -EINVAL;
    err = virtio_load(m->v, r);
    if (err)
        return err;
    m->features_sel = reg[0];
    m->accept_sel = reg[1];
    m->queue_sel = reg[2];
    m->pending = reg[3];
    return 0;
}

static void mmio_destroy(struct dev *dev)
{
    struct mmio *m = container_of(dev, struct mmio, dev);

    for (unsigned i = 0; i < m->doorbells; i++)
        m->doorbell.remove(m->doorbell.opaque, m->base + QUEUE_NOTIFY, 4, i, m->v->bell[i].fd);
    virtio_destroy(m->v);
    dev_fini(dev);
    free(m);
}

static const struct dev_ops mmio_ops = {
    .tag = "virtio-mmio",
    .version = 1,
    .read = mmio_read,
    .write = mmio_write,
    .reset = mmio_reset,
    .save = mmio_save,
    .load = mmio_load,
    .destroy = mmio_destroy,
};

/* Each queue's notification gets past hv where KVM can do that; where not, it is an exit. */
static int add_doorbells(struct mmio *m)
{
    for (; m->doorbell.add && m->doorbells < m->v->queue_count; m->doorbells++) {
        unsigned i = m->doorbells;
        int err =
            m->doorbell.add(m->doorbell.opaque, m->base + QUEUE_NOTIFY, 4, i, m->v->bell[i].fd);

        if (err)
            return err == -ENOTSUP ? 0 : err;
    }
    return 0;
}

int virtio_mmio_create(const struct dev_env *env, uint64_t base, struct virtio *v, struct dev **out)
{
    struct mmio *m = calloc(1, sizeof(*m));
    const struct virtio_wire wire = {interrupt, m};
    int err;

    if (!m) {
        virtio_destroy(v);
        return -ENOMEM;
    }
    dev_init(&m->dev, &mmio_ops);
    m->v = v;
    m->irq = env->irq;
    m->doorbell = env->doorbell;
    m->base = base;
    err = virtio_attach(v, env->loop, env->mem, &m->dev.lock, &wire);
    if (!err)
        err = add_doorbells(m);
    if (err) {
        mmio_destroy(&m->dev);
        return err;
    }
    *out = &m->dev;
    return 0;
}
