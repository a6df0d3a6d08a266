/* The guest's side of a virtio device on PCI, for tests: see pci_guest.h. */
#include "devices/test/pci_guest.h"

#include <stdlib.h>
#include <string.h>

#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/virtio/pci.h"

struct pci_guest pg;

static int toy_activate(struct virtio *v)
{
    container_of(v, struct pg_toy, v)->activated++;
    return 0;
}

static void toy_kick(struct virtio *v, unsigned queue)
{
    struct pg_toy *t = container_of(v, struct pg_toy, v);
    static struct virtq_chain chain;
    uint8_t fill[64];
    bool pushed = false;
    int got;

    t->kicks++;
    memset(fill, 0xa5, sizeof(fill));
    while ((got = virtq_pop(&v->queue[queue], &chain)) == 1) {
        size_t n = virtq_chain_write(&chain, 0, fill, sizeof(fill));

        if (t->hold) {
            virtio_busy(v, queue);
            return;
        }
        virtq_push(&v->queue[queue], &chain, (uint32_t)n);
        pushed = true;
    }
    if (got < 0)
        virtio_broken(v, "bad ring");
    else if (pushed)
        virtio_notify(v, queue);
}

static void toy_config_write(struct virtio *v, unsigned offset, unsigned size, const uint8_t *data)
{
    for (unsigned i = 0; i < size; i++)
        if (offset + i < 4) /* the rest is read-only */
            v->config[offset + i] = data[i];
}

static void toy_destroy(struct virtio *v)
{
    free(container_of(v, struct pg_toy, v));
}

static const struct virtio_ops toy_ops = {
    .name = "toy",
    .id = PG_TOY_ID,
    .activate = toy_activate,
    .kick = toy_kick,
    .config_write = toy_config_write,
    .destroy = toy_destroy,
};

static struct virtio *toy_create(void)
{
    struct pg_toy *t = calloc(1, sizeof(*t));

    ck_assert_ptr_nonnull(t);
    virtio_init(&t->v, &toy_ops, PG_QUEUES, 64, 0);
    t->v.config_len = PG_TOY_CFG;
    for (unsigned i = 0; i < PG_TOY_CFG; i++)
        t->v.config[i] = (uint8_t)(0x10 + i);
    pg.toy = t;
    return &t->v;
}

static int msi_set(void *opaque, unsigned vector, bool on, uint64_t address, uint32_t data)
{
    (void)opaque;
    (void)address;
    (void)data;
    ck_assert_uint_lt(vector, PG_VECTORS);
    pg.on[vector] = on;
    return 0;
}

static void msi_send(void *opaque, unsigned vector)
{
    (void)opaque;
    ck_assert(pg.on[vector]);
    pg.sent[vector]++;
}

static int bell_add(void *opaque, uint64_t addr, unsigned size, uint32_t match, int fd)
{
    (void)opaque;
    (void)match;
    ck_assert_uint_eq(size, 0);
    if (pg.bell_error)
        return pg.bell_error;
    ck_assert_uint_lt(pg.bells, PG_MAX_BELL);
    pg.bell[pg.bells++] = (struct pg_bell){addr, fd};
    pg.adds++;
    return 0;
}

static void bell_remove(void *opaque, uint64_t addr, unsigned size, uint32_t match, int fd)
{
    (void)opaque;
    (void)match;
    ck_assert_uint_eq(size, 0);
    for (unsigned i = 0; i < pg.bells; i++) {
        if (pg.bell[i].addr == addr && pg.bell[i].fd == fd) {
            pg.bell[i] = pg.bell[--pg.bells];
            pg.removes++;
            return;
        }
    }
    ck_abort_msg("no such doorbell");
}

/* Guest accesses. */
uint64_t pg_peek(uint64_t addr, unsigned size)
{
    uint8_t data[8] = {0};

    bus_read(&pg.mmio, addr, size, data);
    return load_le64(data);
}

void pg_poke(uint64_t addr, unsigned size, uint64_t value)
{
    uint8_t data[8];

    store_le64(data, value);
    bus_write(&pg.mmio, addr, size, data);
}

uint64_t pg_cfg(unsigned offset, unsigned size)
{
    return pg_peek(PG_ECAM + 0x8000 + offset, size);
}

void pg_cfg_set(unsigned offset, unsigned size, uint64_t value)
{
    pg_poke(PG_ECAM + 0x8000 + offset, size, value);
}

/* The capability of type `type` (4.1.4), or 0. */
unsigned pg_find_cap(unsigned type)
{
    for (unsigned at = (unsigned)pg_cfg(0x34, 1); at; at = (unsigned)pg_cfg(at + 1, 1))
        if (pg_cfg(at, 1) == 0x09 && pg_cfg(at + 3, 1) == type)
            return at;
    return 0;
}

unsigned pg_find_msix(void)
{
    unsigned at = (unsigned)pg_cfg(0x34, 1);

    while (at && pg_cfg(at, 1) != 0x11)
        at = (unsigned)pg_cfg(at + 1, 1);
    ck_assert_uint_ne(at, 0);
    return at;
}

uint64_t pg_cap_address(unsigned type)
{
    return pg.bar + pg_cfg(pg_find_cap(type) + 8, 4);
}

uint64_t pg_cc(unsigned offset, unsigned size)
{
    return pg_peek(pg_cap_address(1) + offset, size);
}

void pg_cc_set(unsigned offset, unsigned size, uint64_t value)
{
    pg_poke(pg_cap_address(1) + offset, size, value);
}

uint64_t pg_notify_address(unsigned queue)
{
    unsigned cap = pg_find_cap(2);

    pg_cc_set(PG_QSEL, 2, queue);
    return pg_cap_address(2) + pg_cc(PG_QOFF, 2) * pg_cfg(cap + 16, 4);
}

void pg_attach(int want)
{
    const struct dev_env env = {.mem = &pg.d.mem,
                                .loop = pg.d.loop,
                                .msi = {msi_set, msi_send, NULL},
                                .doorbell = {bell_add, bell_remove, NULL}};

    ck_assert_int_eq(virtio_pci_create(pg.host, &env, toy_create(), &pg.dev), want);
}

void pg_setup(void)
{
    memset(&pg, 0, sizeof(pg));
    driver_loop(&pg.d);
    fake_ram_create(&pg.d.ram, DRIVER_RAM);
    ck_assert_int_eq(gmem_add(&pg.d.mem, DRIVER_GPA, DRIVER_RAM, pg.d.ram.host), 0);
    pg.d.brk = DRIVER_GPA;
    ck_assert_int_eq(pci_host_create(PG_WINDOW, PG_SIZE, &pg.host), 0);
    ck_assert_int_eq(bus_add(&pg.mmio, PG_WINDOW, PG_SIZE, pci_host_window(pg.host)), 0);
    ck_assert_int_eq(bus_add(&pg.mmio, PG_ECAM, PCI_ECAM_SIZE, pci_host_ecam(pg.host)), 0);
    pg_attach(0);
    pg.bar = pg_cfg(PCI_BAR0, 8) & ~UINT64_C(15);
    pg_cfg_set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

void pg_teardown(void)
{
    dev_destroy(pg.dev);
    ck_assert_uint_eq(pg.bells, 0);
    dev_destroy(pci_host_window(pg.host));
    driver_destroy(&pg.d); /* has no device of its own */
}

/* MSI-X on, all vectors open; 0 for the configuration, then one a queue. */
void pg_enable_messages(void)
{
    unsigned cap = pg_find_msix();
    uint64_t table = pg.bar + (pg_cfg(cap + 4, 4) & ~7u);

    pg_cfg_set(cap + 2, 2, 0x8000);
    for (unsigned i = 0; i < PG_VECTORS; i++) {
        pg_poke(table + 16 * i, 4, 0xfee00000);
        pg_poke(table + 16 * i + 8, 4, 0x40 + i);
        pg_poke(table + 16 * i + 12, 4, 0);
    }
    pg_cc_set(PG_CFGVEC, 2, 0);
    for (unsigned i = 0; i < PG_QUEUES; i++) {
        pg_cc_set(PG_QSEL, 2, i);
        pg_cc_set(PG_QVEC, 2, i + 1);
        ck_assert_uint_eq(pg_cc(PG_QVEC, 2), i + 1);
    }
}

void pg_negotiate(uint64_t wanted)
{
    uint64_t offered;

    pg_cc_set(PG_STATUS, 1, 0);
    pg_cc_set(PG_STATUS, 1, 1);
    pg_cc_set(PG_STATUS, 1, 3);
    pg_cc_set(PG_DFSEL, 4, 0);
    offered = pg_cc(PG_DF, 4);
    pg_cc_set(PG_DFSEL, 4, 1);
    offered |= pg_cc(PG_DF, 4) << 32;
    pg.d.features = (wanted | VIRTIO_F_VERSION_1) & offered;
    for (unsigned i = 0; i < 2; i++) {
        pg_cc_set(PG_GFSEL, 4, i);
        pg_cc_set(PG_GF, 4, pg.d.features >> (32 * i) & 0xffffffff);
    }
    pg_cc_set(PG_STATUS, 1, 0x0b);
    ck_assert_uint_eq(pg_cc(PG_STATUS, 1), 0x0b);
}

void pg_set_queue(unsigned queue, uint16_t size)
{
    struct driver_queue *q = &pg.d.q[queue];

    memset(q, 0, sizeof(*q));
    q->size = size;
    q->avail_wrap = q->used_wrap = true;
    q->desc = driver_alloc(&pg.d, 16u * size);
    q->avail = driver_alloc(&pg.d, 6 + 2u * size);
    q->used = driver_alloc(&pg.d, 6 + 8u * size);
    pg_cc_set(PG_QSEL, 2, queue);
    pg_cc_set(PG_QSIZE, 2, size);
    pg_cc_set(PG_QDESC, 4, q->desc);
    pg_cc_set(PG_QDESC + 4, 4, 0);
    pg_cc_set(PG_QDRIVER, 8, q->avail);
    pg_cc_set(PG_QDEVICE, 8, q->used);
    pg_cc_set(PG_QEN, 2, 1);
}

void pg_start(uint64_t wanted)
{
    pg_negotiate(wanted);
    for (unsigned i = 0; i < PG_QUEUES; i++)
        pg_set_queue(i, 16);
    pg_cc_set(PG_STATUS, 1, 0x0f);
    ck_assert_uint_eq(pg_cc(PG_STATUS, 1), 0x0f);
    driver_run(&pg.d);
    pg.toy->kicks = 0; /* DRIVER_OK rings every queue */
}

/* Adds a buffer and notifies by an exit; it must come back. */
void pg_echo(unsigned queue)
{
    struct driver_buf buf = {driver_alloc(&pg.d, 32), 32, true};
    uint64_t at = pg_notify_address(queue);
    uint32_t len;
    uint16_t id;

    driver_add(&pg.d, queue, &buf, 1);
    pg_poke(at, 2, queue);
    ck_assert(driver_used(&pg.d, queue, 1000, &id, &len));
    ck_assert_uint_eq(len, 32);
    ck_assert_uint_eq(*(uint8_t *)driver_ptr(&pg.d, buf.gpa), 0xa5);
}
