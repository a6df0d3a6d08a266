/* Registers of the two transports for the fuzzed machine: see transport.h. */
#include "devices/fuzz/transport.h"

#include <errno.h>
#include <stdlib.h>

#include "devices/core/util.h"
#include "devices/pci/pci.h"
#include "devices/virtio/mmio.h"
#include "devices/virtio/pci.h"
#include "devices/virtio/virtio.h"

#define MMIO_BASE   0xd0000000
#define WINDOW      0xe0000000u
#define WINDOW_SIZE 0x100000u
#define FUNCTION    1 /* number 0 is the host bridge */

/* Structures in the function's BAR (devices/virtio/pci_internal.h). */
#define BAR_COMMON 0x0000u
#define BAR_NOTIFY 0x3000u
#define BAR_SIZE   0x8000u

static const struct {
    uint16_t mmio, pci, pci_size;
} registers[] = {
    [REG_STATUS] = {0x70, 0x14, 1},       [REG_ACCEPT_SELECT] = {0x24, 0x08, 4},
    [REG_ACCEPT] = {0x20, 0x0c, 4},       [REG_QUEUE_SELECT] = {0x30, 0x16, 2},
    [REG_QUEUE_SIZE] = {0x38, 0x18, 2},   [REG_QUEUE_DESC] = {0x80, 0x20, 8},
    [REG_QUEUE_DRIVER] = {0x90, 0x28, 8}, [REG_QUEUE_DEVICE] = {0xa0, 0x30, 8},
    [REG_QUEUE_READY] = {0x44, 0x1c, 2},
};

static uint64_t dev_read(struct dev *dev, uint64_t offset, unsigned size)
{
    uint64_t value;

    pthread_mutex_lock(&dev->lock);
    value = dev->ops->read(dev, offset, size);
    pthread_mutex_unlock(&dev->lock);
    return value;
}

static void dev_write(struct dev *dev, uint64_t offset, unsigned size, uint64_t value)
{
    pthread_mutex_lock(&dev->lock);
    dev->ops->write(dev, offset, size, value);
    pthread_mutex_unlock(&dev->lock);
}

static uint64_t config_offset(unsigned offset)
{
    return FUNCTION * (UINT64_C(8) << 12) + offset;
}

/* Where the guest has put the BAR, as an offset into the window; false: outside. */
static bool find_bar(struct transport *t, uint64_t *offset)
{
    uint32_t base =
        (uint32_t)dev_read(pci_host_ecam(t->host), config_offset(PCI_BAR0), 4) & ~UINT32_C(15);

    *offset = base - WINDOW;
    return base >= WINDOW && range_fits(*offset, BAR_SIZE, WINDOW_SIZE);
}

static void write_bar(struct transport *t, uint64_t offset, unsigned size, uint64_t value)
{
    uint64_t bar;

    if (find_bar(t, &bar))
        dev_write(pci_host_window(t->host), bar + offset, size, value);
}

void transport_write(struct transport *t, enum transport_register reg, uint64_t value)
{
    bool wide = registers[reg].pci_size == 8;

    if (t->host) {
        write_bar(t, BAR_COMMON + registers[reg].pci, wide ? 4 : registers[reg].pci_size, value);
        if (wide)
            write_bar(t, BAR_COMMON + registers[reg].pci + 4, 4, value >> 32);
        return;
    }
    dev_write(t->dev, registers[reg].mmio, 4, (uint32_t)value);
    if (wide)
        dev_write(t->dev, registers[reg].mmio + 4u, 4, value >> 32);
}

void transport_notify(struct transport *t, unsigned queue)
{
    if (t->host)
        write_bar(t, BAR_NOTIFY + 4 * queue, 2, queue);
    else
        dev_write(t->dev, VIRTIO_MMIO_NOTIFY, 4, queue);
}

void transport_prepare(struct transport *t)
{
    if (!t->host)
        return;
    dev_write(pci_host_ecam(t->host), config_offset(PCI_BAR0), 4, WINDOW);
    dev_write(pci_host_ecam(t->host), config_offset(PCI_BAR0 + 4), 4, 0);
    dev_write(pci_host_ecam(t->host), config_offset(PCI_COMMAND), 2,
              PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

/* Configuration by ECAM or ports, or the window: mostly where something is. */
static struct dev *choose_pci(struct transport *t, uint8_t how, struct fuzz_input *in,
                              uint64_t *offset, uint64_t *limit)
{
    switch (how >> 4 & 3) {
    case 0:
        *offset = fuzz_u8(in) & 7;
        *limit = PCI_PORTS_SIZE;
        return pci_host_ports(t->host);
    case 1:
        *offset = config_offset(0) + fuzz_u8(in);
        if (how & 64)
            *offset = fuzz_u32(in) % PCI_ECAM_SIZE;
        *limit = PCI_ECAM_SIZE;
        return pci_host_ecam(t->host);
    default:
        if (!find_bar(t, offset))
            *offset = 0;
        *offset += fuzz_u16(in) & (how & 64 ? 0xffff : 0x503f);
        *limit = WINDOW_SIZE;
        return pci_host_window(t->host);
    }
}

void transport_access(struct transport *t, struct fuzz_input *in, bool write)
{
    uint8_t how = fuzz_u8(in);
    unsigned size = how & 8 ? 4 : 1u << (how & 3);
    uint64_t offset, limit = VIRTIO_MMIO_SIZE, value;
    struct dev *dev = t->dev;

    if (t->host)
        dev = choose_pci(t, how, in, &offset, &limit);
    else
        offset = how & 4 ? fuzz_u16(in) % VIRTIO_MMIO_SIZE : 4u * fuzz_u8(in);
    value = write ? fuzz_u32(in) | (uint64_t)(how >> 4) << 32 : 0;
    if (offset + size > limit)
        return;
    if (write)
        dev_write(dev, offset, size, value);
    else
        dev_read(dev, offset, size);
}

void transport_reset(struct transport *t)
{
    dev_reset(t->dev);
    if (t->host)
        dev_reset(pci_host_window(t->host));
}

void transport_save(struct transport *t, struct state_writer *w)
{
    dev_save(t->dev, w);
    if (t->host)
        dev_save(pci_host_window(t->host), w);
}

void transport_load(struct transport *t, struct state_reader *r)
{
    if (dev_load(t->dev, r) == 0 && t->host)
        dev_load(pci_host_window(t->host), r);
}

/* The interrupt controller and KVM, as far as a device could misuse them. */

static void check_vector(struct transport *t, unsigned vector)
{
    if (vector >= VIRTIO_PCI_VECTORS(t->v->queue_count))
        abort();
}

static int msi_set(void *opaque, unsigned vector, bool on, uint64_t address, uint32_t data)
{
    (void)on, (void)address, (void)data;
    check_vector(opaque, vector);
    return 0;
}

static void msi_send(void *opaque, unsigned vector)
{
    check_vector(opaque, vector);
}

static int doorbell_add(void *opaque, uint64_t addr, unsigned size, uint32_t match, int fd)
{
    struct transport *t = opaque;

    (void)addr, (void)size, (void)match, (void)fd;
    t->doorbells++;
    return 0;
}

static void doorbell_remove(void *opaque, uint64_t addr, unsigned size, uint32_t match, int fd)
{
    struct transport *t = opaque;

    (void)addr, (void)size, (void)match, (void)fd;
    if (t->doorbells-- == 0)
        abort();
}

int transport_create(struct transport *t, bool pci, const struct dev_env *env, struct virtio *v)
{
    struct dev_env own = *env;
    int err;

    *t = (struct transport){.v = v};
    own.msi = (struct msi_port){msi_set, msi_send, t};
    own.doorbell = (struct doorbell_port){doorbell_add, doorbell_remove, t};
    if (!pci)
        return virtio_mmio_create(&own, MMIO_BASE, v, &t->dev);
    err = pci_host_create(WINDOW, WINDOW_SIZE, &t->host);
    return err ? err : virtio_pci_create(t->host, &own, v, &t->dev);
}

void transport_destroy(struct transport *t)
{
    dev_destroy(t->dev);
    if (t->host)
        dev_destroy(pci_host_window(t->host));
    if (t->doorbells)
        abort(); /* KVM would keep them */
}
