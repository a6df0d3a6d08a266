/*
 * The configuration space of one function (PCI Local Bus 3.0, chapter 6): bytes, a mask of what a
 * guest may change, and where that puts the BARs. Called by host.c with the guest's accesses and by
 * device models that describe themselves.
 *
 * A BAR needs no code of its own when it is sized: its low bits are not writable, so all ones read
 * back as the size that 6.2.5.1 wants.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "devices/core/state.h"
#include "devices/core/util.h"
#include "devices/pci/pci.h"

#define BAR_FLAGS     0xfu
#define BAR_WIDE      0x4u
#define HEADER_END    0x40
#define CACHE_LINE    0x0c
#define FIRST_ADDRESS 16 /* 6.2.5.1: the smallest memory BAR */

/* Bits of the command register that mean something here; bus mastering is not enforced. */
#define COMMAND_BITS (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)

void pci_function_init(struct pci_function *f, const struct dev_ops *dev_ops,
                       const struct pci_function_ops *ops, const struct pci_id *id)
{
    uint8_t *c = f->config;

    dev_init(&f->dev, dev_ops);
    f->ops = ops;
    f->caps_end = HEADER_END;
    store_le16(c + PCI_VENDOR_ID, id->vendor);
    store_le16(c + PCI_DEVICE_ID, id->device);
    c[PCI_REVISION] = id->revision;
    c[PCI_CLASS] = (uint8_t)id->class_code;
    store_le16(c + PCI_CLASS + 1, (uint16_t)(id->class_code >> 8));
    store_le16(c + PCI_SUBSYSTEM, id->subsystem_vendor);
    store_le16(c + PCI_SUBSYSTEM + 2, id->subsystem);
    store_le16(f->writable + PCI_COMMAND, COMMAND_BITS);
    /* Kept for software that stores its notes there; nothing depends on them. */
    f->writable[CACHE_LINE] = 0xff;
    f->writable[PCI_INTERRUPT_LINE] = 0xff;
}

void pci_function_fini(struct pci_function *f)
{
    dev_fini(&f->dev);
}

void pci_add_bar(struct pci_function *f, unsigned bar, uint32_t size, bool wide)
{
    unsigned at = PCI_BAR0 + 4 * bar;

    assert(bar + wide < PCI_MAX_BARS && size >= FIRST_ADDRESS && !(size & (size - 1)));
    f->bar[bar] = (struct pci_bar){.size = size, .wide = wide};
    store_le32(f->config + at, wide ? BAR_WIDE : 0);
    store_le32(f->writable + at, ~(size - 1));
    if (wide)
        store_le32(f->writable + at + 4, UINT32_MAX);
}

unsigned pci_add_capability(struct pci_function *f, uint8_t id, unsigned size)
{
    unsigned at = (unsigned)align_up(f->caps_end, 4), link = PCI_CAPABILITIES;

    assert(size >= 2 && at + size <= PCI_CONFIG_SIZE);
    /* At the end of the chain, so that a guest finds them in the order in which they were added. */
    while (f->config[link])
        link = f->config[link] + 1u;
    f->config[link] = (uint8_t)at;
    f->config[at] = id;
    f->config[PCI_STATUS] |= PCI_STATUS_CAPS;
    f->caps_end = at + size;
    return at;
}

/*
 * A BAR answers while memory decoding is on and it lies in the window. It is aligned to its size,
 * so it lies there wholly or not at all.
 */
static void place_bars(struct pci_function *f)
{
    bool decode = f->config[PCI_COMMAND] & PCI_COMMAND_MEMORY;

    for (unsigned i = 0; i < PCI_MAX_BARS; i++) {
        struct pci_bar *bar = &f->bar[i];
        const uint8_t *at = f->config + PCI_BAR0 + 4 * i;

        if (!bar->size)
            continue;
        bar->base = (bar->wide ? load_le64(at) : load_le32(at)) & ~(uint64_t)BAR_FLAGS;
        bar->mapped = decode && bar->base >= f->window && bar->base - f->window < f->window_size;
    }
}

uint64_t pci_config_read(struct pci_function *f, unsigned offset, unsigned size)
{
    uint8_t data[8] = {0};

    assert(offset + size <= PCI_CONFIG_SIZE && size <= sizeof(data));
    if (f->ops->config_reading)
        f->ops->config_reading(f, offset, size);
    memcpy(data, f->config + offset, size);
    return load_le64(data);
}

void pci_config_write(struct pci_function *f, unsigned offset, unsigned size, uint64_t value)
{
    assert(offset + size <= PCI_CONFIG_SIZE && size <= 8);
    for (unsigned i = 0; i < size; i++) {
        uint8_t mask = f->writable[offset + i], byte = (uint8_t)(value >> (8 * i));

        f->config[offset + i] = (uint8_t)((f->config[offset + i] & ~mask) | (byte & mask));
    }
    place_bars(f);
    if (f->ops->config_written)
        f->ops->config_written(f, offset, size);
}

void pci_function_reset(struct pci_function *f)
{
    memcpy(f->config, f->initial, sizeof(f->config));
    place_bars(f);
}

void pci_function_save(const struct pci_function *f, struct state_writer *w)
{
    state_put_bytes(w, f->config, sizeof(f->config));
}

int pci_function_load(struct pci_function *f, struct state_reader *r)
{
    uint8_t config[PCI_CONFIG_SIZE];

    state_get_bytes(r, config, sizeof(config));
    if (r->error)
        return -EINVAL;
    for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++)
        if ((config[i] ^ f->initial[i]) & ~f->writable[i])
            return -EINVAL; /* a function that ours is not */
    memcpy(f->config, config, sizeof(config));
    place_bars(f);
    return 0;
}
