/*
 * The PCI transport (virtio 1.2, 4.1), modern only. One device a function, with one BAR that holds
 * all its structures, a page each, and an MSI-X vector for each queue and for the configuration; no
 * interrupt pin. Called by devices/pci/host.c on vCPU threads, under the function's lock.
 *
 * A queue's notification goes past hv (a doorbell) while the queue is enabled and the BAR answers;
 * the doorbells follow the BAR.
 */
#include "devices/virtio/pci.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "devices/core/state.h"
#include "devices/core/util.h"
#include "devices/virtio/pci_internal.h"

#define ISR_QUEUE  1
#define ISR_CONFIG 2

static struct virtio_pci *from_function(struct pci_function *f)
{
    return container_of(f, struct virtio_pci, f);
}

static struct virtio_pci *from_dev(struct dev *dev)
{
    return container_of(dev, struct virtio_pci, f.dev);
}

/* The device's wire. */
static void interrupt(void *opaque, uint32_t queue)
{
    struct virtio_pci *p = opaque;
    bool config = queue == VIRTIO_CONFIG_CHANGE;

    p->isr |= config ? ISR_CONFIG : ISR_QUEUE;
    msix_send(&p->msix, config ? p->config_vector : p->queue_vector[queue]);
}

static uint64_t notify_address(const struct virtio_pci *p, unsigned queue)
{
    return p->bell_base + BAR_NOTIFY + NOTIFY_STEP * queue;
}

static void remove_doorbell(struct virtio_pci *p, unsigned queue)
{
    uint64_t bit = UINT64_C(1) << queue;

    if (p->bells & bit)
        p->doorbell.remove(p->doorbell.opaque, notify_address(p, queue), 0, 0,
                           p->v->bell[queue].fd);
    p->bells &= ~bit;
}

/* Any size and value: what tells the queue is the address. A doorbell that cannot be had means an
 * exit for each notification, no more. */
static void add_doorbell(struct virtio_pci *p, unsigned queue)
{
    uint64_t bit = UINT64_C(1) << queue;

    if (!(p->bells & bit) && p->doorbell.add &&
        p->doorbell.add(p->doorbell.opaque, notify_address(p, queue), 0, 0, p->v->bell[queue].fd) ==
            0)
        p->bells |= bit;
}

/* After whatever may have moved the BAR, or enabled or reset a queue. */
static void place_doorbells(struct virtio_pci *p)
{
    const struct pci_bar *bar = &p->f.bar[BAR];
    bool stay = bar->mapped && bar->base == p->bell_base;

    for (unsigned i = 0; p->bells && i < p->v->queue_count; i++)
        if (!stay || !p->v->queue[i].enabled)
            remove_doorbell(p, i);
    p->bell_base = bar->base;
    for (unsigned i = 0; bar->mapped && i < p->v->queue_count; i++)
        if (p->v->queue[i].enabled)
            add_doorbell(p, i);
}

/* 4.1.4.5.1: reading takes the bits away. */
static uint64_t read_isr(struct virtio_pci *p, uint64_t offset)
{
    uint8_t isr = p->isr;

    if (offset != 0)
        return 0;
    p->isr = 0;
    return isr;
}

/* 4.1.4.3.1: the generation has changed once something new has been read. */
static uint64_t read_device(struct virtio_pci *p, uint64_t offset, unsigned size)
{
    uint8_t data[8] = {0};

    if (p->read_generation != p->v->generation)
        p->generation++;
    p->read_generation = p->v->generation;
    virtio_config_read(p->v, offset, size, data);
    return load_le64(data);
}

static void write_device(struct virtio_pci *p, uint64_t offset, unsigned size, uint64_t value)
{
    uint8_t data[8];

    store_le64(data, value);
    virtio_config_write(p->v, offset, size, data);
}

/* An access belongs to the page that it starts in; what reaches over its end hits nothing. */
static uint64_t bar_read(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size)
{
    struct virtio_pci *p = from_function(f);
    uint64_t within = offset % PAGE;

    (void)bar;
    switch (offset - within) {
    case BAR_COMMON:
        return virtio_pci_common_read(p, within, size);
    case BAR_ISR:
        return read_isr(p, within);
    case BAR_DEVICE:
        return read_device(p, within, size);
    case BAR_MSIX_TABLE:
        return msix_table_read(&p->msix, within, size);
    case BAR_MSIX_BITS:
        return msix_pending_read(&p->msix, within, size);
    default:
        return 0;
    }
}

static void bar_write(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size,
                      uint64_t value)
{
    struct virtio_pci *p = from_function(f);
    uint64_t within = offset % PAGE;

    (void)bar;
    switch (offset - within) {
    case BAR_COMMON:
        virtio_pci_common_write(p, within, size, value);
        place_doorbells(p);
        break;
    case BAR_DEVICE:
        write_device(p, within, size, value);
        break;
    case BAR_NOTIFY:
        virtio_ring(p->v, (uint32_t)(within / NOTIFY_STEP));
        break;
    case BAR_MSIX_TABLE:
        msix_table_write(&p->msix, within, size, value);
        break;
    }
}

/* Whether an access to [offset, offset + size) touches pci_cfg_data, the way into the BAR for who
 * has configuration accesses only (4.1.4.9). */
static bool is_access(const struct virtio_pci *p, unsigned offset, unsigned size)
{
    unsigned data = p->access_cap + CAP_DATA;

    return offset < data + 4 && offset + size > data;
}

/* 4.1.4.9.2 tells drivers which bar, offset and length to write; others do nothing. */
static bool access_is_good(const struct virtio_pci *p, uint32_t *offset, uint32_t *length)
{
    const uint8_t *cap = p->f.config + p->access_cap;

    *offset = load_le32(cap + CAP_OFFSET);
    *length = load_le32(cap + CAP_LENGTH);
    return cap[CAP_BAR] == BAR && (*length == 1 || *length == 2 || *length == 4) &&
           *offset % *length == 0 && range_fits(*offset, *length, BAR_SIZE);
}

/* 4.1.4.5.1: without MSI-X the status register shows an interrupt, although no pin carries it. */
static void show_interrupt(struct virtio_pci *p)
{
    p->f.config[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTERRUPT;
    if (p->isr && !msix_is_on(&p->msix))
        p->f.config[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
}

static void config_reading(struct pci_function *f, unsigned offset, unsigned size)
{
    struct virtio_pci *p = from_function(f);
    uint32_t where, length, value = 0;

    show_interrupt(p);
    if (!is_access(p, offset, size))
        return;
    if (access_is_good(p, &where, &length))
        value = (uint32_t)(bar_read(f, BAR, where, length) & size_mask(length));
    store_le32(f->config + p->access_cap + CAP_DATA, value);
}

static void config_written(struct pci_function *f, unsigned offset, unsigned size)
{
    struct virtio_pci *p = from_function(f);
    uint32_t where, length;

    if (is_access(p, offset, size) && access_is_good(p, &where, &length))
        bar_write(f, BAR, where, length,
                  load_le32(f->config + p->access_cap + CAP_DATA) & size_mask(length));
    msix_config_written(&p->msix);
    place_doorbells(p);
}

static const struct pci_function_ops function_ops = {
    .bar_read = bar_read,
    .bar_write = bar_write,
    .config_reading = config_reading,
    .config_written = config_written,
};

static void pci_reset(struct dev *dev)
{
    struct virtio_pci *p = from_dev(dev);

    virtio_reset(p->v);
    virtio_pci_common_reset(p);
    pci_function_reset(&p->f);
    msix_reset(&p->msix);
    place_doorbells(p);
}

static void pci_save(struct dev *dev, struct state_writer *w)
{
    struct virtio_pci *p = from_dev(dev);

    p->f.config[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTERRUPT; /* follows from the rest */
    pci_function_save(&p->f, w);
    msix_save(&p->msix, w);
    state_put_u32(w, p->device_feature_select);
    state_put_u32(w, p->driver_feature_select);
    state_put_u16(w, p->queue_select);
    state_put_u16(w, p->config_vector);
    for (unsigned i = 0; i < p->v->queue_count; i++)
        state_put_u16(w, p->queue_vector[i]);
    state_put_u8(w, p->isr);
    state_put_u8(w, p->generation);
    state_put_u32(w, p->read_generation);
    virtio_save(p->v, w);
}

static bool vector_is_possible(const struct virtio_pci *p, uint16_t vector)
{
    return vector < p->msix.count || vector == VIRTIO_MSI_NO_VECTOR;
}

static int load_registers(struct virtio_pci *p, struct state_reader *r)
{
    bool good;

    p->device_feature_select = state_get_u32(r);
    p->driver_feature_select = state_get_u32(r);
    p->queue_select = state_get_u16(r);
    p->config_vector = state_get_u16(r);
    good = vector_is_possible(p, p->config_vector);
    for (unsigned i = 0; i < p->v->queue_count; i++) {
        p->queue_vector[i] = state_get_u16(r);
        good = good && vector_is_possible(p, p->queue_vector[i]);
    }
    p->isr = state_get_u8(r);
    p->generation = state_get_u8(r);
    p->read_generation = state_get_u32(r);
    return r->error || !good || p->isr & ~(ISR_QUEUE | ISR_CONFIG) ? -EINVAL : 0;
}

/* What was loaded in part is reset: no mixture of two states stays. */
static int pci_load(struct dev *dev, struct state_reader *r, uint16_t version)
{
    struct virtio_pci *p = from_dev(dev);
    int err;

    (void)version;
    if ((err = pci_function_load(&p->f, r)) || (err = msix_load(&p->msix, r)) ||
        (err = load_registers(p, r)) || (err = virtio_load(p->v, r))) {
        pci_reset(dev);
        return err;
    }
    place_doorbells(p);
    return 0;
}

static void pci_destroy(struct dev *dev)
{
    struct virtio_pci *p = from_dev(dev);

    for (unsigned i = 0; p->bells && i < p->v->queue_count; i++)
        remove_doorbell(p, i);
    virtio_destroy(p->v);
    pci_function_fini(&p->f);
    free(p);
}

static const struct dev_ops dev_ops = {
    .tag = "virtio-pci",
    .version = 1,
    .reset = pci_reset,
    .save = pci_save,
    .load = pci_load,
    .destroy = pci_destroy,
};

int virtio_pci_create(struct pci_host *host, const struct dev_env *env, struct virtio *v,
                      struct dev **out)
{
    struct virtio_pci *p = calloc(1, sizeof(*p));
    const struct virtio_wire wire = {interrupt, p};
    int err;

    assert(env->msi.set && env->msi.send);
    if (!p) {
        virtio_destroy(v);
        return -ENOMEM;
    }
    p->v = v;
    p->doorbell = env->doorbell;
    virtio_pci_common_reset(p);
    virtio_pci_describe(p, &dev_ops, &function_ops, &env->msi);
    err = virtio_attach(v, env->loop, env->mem, &p->f.dev.lock, &wire);
    if (!err)
        err = pci_host_add(host, &p->f);
    if (err) {
        pci_destroy(&p->f.dev);
        return err;
    }
    *out = &p->f.dev;
    return 0;
}
