/*
 * The host bridge: configuration accesses by ports (PCI Local Bus 3.0, 3.2.2.3.2) and by ECAM (PCI
 * Express Base 4.0, 7.2.2), and the window in which memory BARs lie. One bus, numbered 0; functions
 * other than 0 of a device do not exist. Called by the buses on vCPU threads.
 *
 * Everything of the guest's own making is looked up at each access: no access of it can change the
 * buses, which are frozen, and none can make a device call itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/state.h"
#include "devices/core/util.h"
#include "devices/pci/pci.h"

#define ADDRESS_ENABLE   (UINT32_C(1) << 31)
#define ADDRESS_WRITABLE (ADDRESS_ENABLE | 0x00fffffc)
#define DATA_PORT        4 /* offset of 0xcfc */

#define ECAM_FUNCTION    4096u /* bytes of ECAM */

/* "A generic PCI Express host bridge", which drivers know and leave alone. */
#define BRIDGE_VENDOR 0x1b36
#define BRIDGE_DEVICE 0x0008
#define BRIDGE_CLASS  0x060000

struct pci_host {
    struct dev window; /* its lock is the host's: protects what follows */
    struct dev ecam, ports;
    uint64_t base;
    uint32_t size, used; /* of the window; BARs are given addresses from its start on */
    struct pci_function *slot[PCI_SLOTS]; /* not owned; [0] is the bridge */
    unsigned slots;                       /* the first that is free */
    uint32_t address;                     /* CONFIG_ADDRESS */
    struct pci_function bridge;
};

/* NULL: nothing answers there. `where` is bus, device, function and register as ECAM has them. */
static struct pci_function *find_function(const struct pci_host *host, uint32_t where)
{
    return where >> 12 & 7 || where >> 20 ? NULL : host->slot[where >> 15 & 31];
}

/*
 * One access to a function's 4 KiB. The upper part, for extended capabilities, is empty. What
 * straddles the end of the lower part, and with it maybe of the function, is made byte by byte.
 */
static bool straddles(uint32_t where, unsigned size)
{
    return where % PCI_CONFIG_SIZE + size > PCI_CONFIG_SIZE;
}

static uint64_t config_read(struct pci_host *host, uint32_t where, unsigned size)
{
    struct pci_function *f = find_function(host, where);
    uint64_t value = 0;

    if (straddles(where, size)) {
        for (unsigned i = 0; i < size; i++)
            value |= config_read(host, where + i, 1) << (8 * i);
        return value;
    }
    if (!f)
        return size_mask(size);
    if (where % ECAM_FUNCTION >= PCI_CONFIG_SIZE)
        return 0;
    pthread_mutex_lock(&f->dev.lock);
    value = pci_config_read(f, where % PCI_CONFIG_SIZE, size);
    pthread_mutex_unlock(&f->dev.lock);
    return value;
}

static void config_write(struct pci_host *host, uint32_t where, unsigned size, uint64_t value)
{
    struct pci_function *f = find_function(host, where);

    if (straddles(where, size)) {
        for (unsigned i = 0; i < size; i++)
            config_write(host, where + i, 1, value >> (8 * i) & 0xff);
        return;
    }
    if (!f || where % ECAM_FUNCTION >= PCI_CONFIG_SIZE)
        return;
    pthread_mutex_lock(&f->dev.lock);
    pci_config_write(f, where % PCI_CONFIG_SIZE, size, value);
    pthread_mutex_unlock(&f->dev.lock);
}

static uint64_t ecam_read(struct dev *dev, uint64_t offset, unsigned size)
{
    struct pci_host *host = container_of(dev, struct pci_host, ecam);
    uint64_t value;

    pthread_mutex_lock(&host->window.lock);
    value = config_read(host, (uint32_t)offset, size);
    pthread_mutex_unlock(&host->window.lock);
    return value;
}

static void ecam_write(struct dev *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct pci_host *host = container_of(dev, struct pci_host, ecam);

    pthread_mutex_lock(&host->window.lock);
    config_write(host, (uint32_t)offset, size, value);
    pthread_mutex_unlock(&host->window.lock);
}

/* CONFIG_ADDRESS as ECAM has it, for the byte at `offset` of the data port. */
static uint32_t port_target(const struct pci_host *host, uint64_t offset)
{
    return (host->address & 0xffff00) << 4 |
           ((host->address & 0xfc) + (uint32_t)(offset - DATA_PORT));
}

/* CONFIG_ADDRESS is there for accesses of 4 bytes only; others pass it by, to nobody. */
static uint64_t ports_read(struct dev *dev, uint64_t offset, unsigned size)
{
    struct pci_host *host = container_of(dev, struct pci_host, ports);
    uint64_t value = size_mask(size);

    pthread_mutex_lock(&host->window.lock);
    if (offset == 0 && size == 4)
        value = host->address;
    else if (offset >= DATA_PORT && host->address & ADDRESS_ENABLE)
        value = config_read(host, port_target(host, offset), size);
    pthread_mutex_unlock(&host->window.lock);
    return value;
}

static void ports_write(struct dev *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct pci_host *host = container_of(dev, struct pci_host, ports);

    pthread_mutex_lock(&host->window.lock);
    if (offset == 0 && size == 4)
        host->address = (uint32_t)value & ADDRESS_WRITABLE;
    else if (offset >= DATA_PORT && host->address & ADDRESS_ENABLE)
        config_write(host, port_target(host, offset), size, value);
    pthread_mutex_unlock(&host->window.lock);
}

/* Whose BAR holds [gpa, gpa + size): the lowest device's and BAR's where they overlap, or NULL. */
static struct pci_function *find_bar(struct pci_host *host, uint64_t gpa, unsigned size,
                                     unsigned *bar)
{
    for (unsigned s = 0; s < host->slots; s++) {
        struct pci_function *f = host->slot[s];

        for (*bar = 0; *bar < PCI_MAX_BARS; ++*bar) {
            const struct pci_bar *b = &f->bar[*bar];

            if (b->mapped && gpa >= b->base && gpa - b->base < b->size &&
                size <= b->size - (gpa - b->base))
                return f;
        }
    }
    return NULL;
}

/*
 * The bus holds the host's lock around these; a function may wait for its host I/O (a device
 * reset), and others must not wait with it, so it is let go meanwhile. A BAR that is moved in that
 * moment is not a matter of safety: functions live as long as the machine.
 */
static uint64_t window_read(struct dev *dev, uint64_t offset, unsigned size)
{
    struct pci_host *host = container_of(dev, struct pci_host, window);
    uint64_t gpa = host->base + offset, value = 0;
    unsigned bar;
    struct pci_function *f = find_bar(host, gpa, size, &bar);

    if (!f && size > 1) {
        for (unsigned i = 0; i < size; i++)
            value |= window_read(dev, offset + i, 1) << (8 * i);
        return value;
    }
    if (!f)
        return size_mask(size);
    offset = gpa - f->bar[bar].base;
    pthread_mutex_unlock(&dev->lock);
    pthread_mutex_lock(&f->dev.lock);
    value = f->ops->bar_read(f, bar, offset, size);
    pthread_mutex_unlock(&f->dev.lock);
    pthread_mutex_lock(&dev->lock);
    return value;
}

static void window_write(struct dev *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct pci_host *host = container_of(dev, struct pci_host, window);
    uint64_t gpa = host->base + offset;
    unsigned bar;
    struct pci_function *f = find_bar(host, gpa, size, &bar);

    if (!f && size > 1) {
        for (unsigned i = 0; i < size; i++)
            window_write(dev, offset + i, 1, value >> (8 * i) & 0xff);
        return;
    }
    if (!f)
        return;
    offset = gpa - f->bar[bar].base;
    pthread_mutex_unlock(&dev->lock);
    pthread_mutex_lock(&f->dev.lock);
    f->ops->bar_write(f, bar, offset, size, value);
    pthread_mutex_unlock(&f->dev.lock);
    pthread_mutex_lock(&dev->lock);
}

static void host_reset(struct dev *dev)
{
    struct pci_host *host = container_of(dev, struct pci_host, window);

    host->address = 0;
    pci_function_reset(&host->bridge);
}

static void host_save(struct dev *dev, struct state_writer *w)
{
    struct pci_host *host = container_of(dev, struct pci_host, window);

    state_put_u32(w, host->address);
    pci_function_save(&host->bridge, w);
}

static int host_load(struct dev *dev, struct state_reader *r, uint16_t version)
{
    struct pci_host *host = container_of(dev, struct pci_host, window);
    uint32_t address = state_get_u32(r);

    (void)version;
    if (r->error || address & ~ADDRESS_WRITABLE)
        return -EINVAL;
    if (pci_function_load(&host->bridge, r))
        return -EINVAL;
    host->address = address;
    return 0;
}

static void host_destroy(struct dev *dev)
{
    struct pci_host *host = container_of(dev, struct pci_host, window);

    pci_function_fini(&host->bridge);
    dev_fini(&host->ports);
    dev_fini(&host->ecam);
    dev_fini(&host->window);
    free(host);
}

static const struct dev_ops window_ops = {
    .tag = "pci-host",
    .version = 1,
    .read = window_read,
    .write = window_write,
    .reset = host_reset,
    .save = host_save,
    .load = host_load,
    .destroy = host_destroy,
};

/* The other ways in have no state of their own. */
static const struct dev_ops ecam_ops = {.read = ecam_read, .write = ecam_write};
static const struct dev_ops ports_ops = {.read = ports_read, .write = ports_write};

/* The bridge is a function without BARs; its window is what the ACPI tables say. */
static const struct dev_ops bridge_dev_ops = {.tag = NULL};
static const struct pci_function_ops bridge_ops = {.bar_read = NULL};
static const struct pci_id bridge_id = {
    .vendor = BRIDGE_VENDOR, .device = BRIDGE_DEVICE, .class_code = BRIDGE_CLASS};

int pci_host_create(uint32_t window, uint32_t window_size, struct pci_host **out)
{
    struct pci_host *host = calloc(1, sizeof(*host));

    if (!host)
        return -ENOMEM;
    dev_init(&host->window, &window_ops);
    dev_init(&host->ecam, &ecam_ops);
    dev_init(&host->ports, &ports_ops);
    host->base = window;
    host->size = window_size;
    pci_function_init(&host->bridge, &bridge_dev_ops, &bridge_ops, &bridge_id);
    pci_host_add(host, &host->bridge); /* the first: there is room */
    *out = host;
    return 0;
}

struct dev *pci_host_window(struct pci_host *host)
{
    return &host->window;
}

struct dev *pci_host_ecam(struct pci_host *host)
{
    return &host->ecam;
}

struct dev *pci_host_ports(struct pci_host *host)
{
    return &host->ports;
}

/* Firmware's work: an address for each BAR, kept at reset. Decoding is left off, as at power-on. */
static int assign_bars(struct pci_host *host, struct pci_function *f)
{
    uint64_t used = host->used;

    for (unsigned i = 0; i < PCI_MAX_BARS; i++) {
        uint32_t size = f->bar[i].size;
        uint8_t *at = f->config + PCI_BAR0 + 4 * i;

        if (!size)
            continue;
        used = align_up(used, size);
        if (!range_fits(used, size, host->size))
            return -ENOSPC;
        /* The window lies below 4 GiB, so the upper half of a wide BAR is 0. */
        store_le32(at, load_le32(at) | (uint32_t)(host->base + used));
        used += size;
    }
    host->used = (uint32_t)used;
    return 0;
}

uint16_t pci_host_next_id(const struct pci_host *host)
{
    return (uint16_t)(host->slots << 3);
}

int pci_host_add(struct pci_host *host, struct pci_function *f)
{
    int err;

    if (host->slots == PCI_SLOTS)
        return -ENOSPC;
    err = assign_bars(host, f);
    if (err)
        return err;
    memcpy(f->initial, f->config, sizeof(f->initial));
    f->window = host->base;
    f->window_size = host->size;
    host->slot[host->slots++] = f;
    return 0;
}
