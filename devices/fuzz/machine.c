/*
 * The machine that an input drives: see machine.h. An operation is one byte and what it needs;
 * several of them spare the fuzzer the long way to a running device, and all of them can be given
 * nonsense.
 */
#include "devices/fuzz/machine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "devices/core/dev.h"
#include "devices/core/gmem.h"
#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/state.h"
#include "devices/core/util.h"
#include "devices/fuzz/transport.h"
#include "devices/virtio/virtio.h"

/*
 * Guest memory: two regions with a hole between them. Rings that OP_START makes lie in the first
 * pages, RING_STRIDE bytes for each queue.
 */
#define PAGE        UINT64_C(4096)
#define RAM_GPA     (4 * PAGE)
#define RAM_BYTES   (48 * PAGE)
#define HIGH_GPA    (RAM_GPA + RAM_BYTES + PAGE)
#define HIGH_BYTES  (4 * PAGE)
#define RING_STRIDE 512
#define RING_SIZE   16
#define STEPS_MAX   20000 /* of the loop, for one operation */
#define OPS_MAX     400
#define STATE_MAX   (64 * 1024)

#define F_NEXT      1
#define F_WRITE     2
#define F_INDIRECT  4
#define F_AVAIL     0x80
#define F_USED      0x8000

/* The byte that an OP_CHAIN begins with. */
#define SHAPE_COUNT(s)    (1 + ((s)&7)) /* of buffers */
#define SHAPE_STRANGE     8             /* the last one's flags are changed */
#define SHAPE_INDIRECT    16
#define SHAPE_READABLE(s) ((s) >> 5) /* so many at the start; the others are writable */

struct buffer {
    uint64_t gpa;
    uint32_t len;
    uint16_t flags;
};

struct ring {
    uint16_t next, avail; /* the next descriptor to write, and available entry */
    bool wrap;
};

struct machine {
    const struct fuzz_target *target;
    struct fuzz_input in;
    struct loop *loop;
    struct transport transport;
    struct virtio *v;
    struct gmem mem;
    struct ring ring[VIRTIO_MAX_QUEUES];
    bool packed;
};

static uint8_t *ram, *high;

uint8_t fuzz_u8(struct fuzz_input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

uint16_t fuzz_u16(struct fuzz_input *in)
{
    uint8_t low = fuzz_u8(in);

    return (uint16_t)(low | fuzz_u8(in) << 8);
}

uint32_t fuzz_u32(struct fuzz_input *in)
{
    uint16_t low = fuzz_u16(in);

    return low | (uint32_t)fuzz_u16(in) << 16;
}

static void drop_line(void *opaque, enum log_level level, const char *line)
{
    (void)opaque;
    (void)level;
    (void)line;
}

/* Memory whose neighbours fault. */
static uint8_t *map_guarded(size_t size)
{
    uint8_t *p =
        mmap(NULL, size + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED || mprotect(p + PAGE, size, PROT_READ | PROT_WRITE))
        abort();
    return p + PAGE;
}

/* Runs what is ready. A device that always has more to do would keep the loop from all others. */
static void run_loop(struct machine *m)
{
    for (unsigned i = 0; loop_step(m->loop) > 0; i++)
        if (i == STEPS_MAX)
            abort();
}

/* The one thread cannot both wait for requests and complete them: they come to an end first. */
static void wait_until_idle(struct machine *m)
{
    uint64_t end = loop_now_ns() + UINT64_C(5000000000);

    while (m->v->busy > 0) {
        loop_step(m->loop);
        if (loop_now_ns() > end)
            abort(); /* a request that never ends */
    }
}

static void reg_write(struct machine *m, enum transport_register reg, uint64_t value)
{
    wait_until_idle(m);
    transport_write(&m->transport, reg, value);
}

/* Operations. */

static void op_access(struct machine *m, bool write)
{
    wait_until_idle(m);
    transport_access(&m->transport, &m->in, write);
}

/* Writes bytes anywhere into RAM, rings included. */
static void op_poke(struct machine *m)
{
    uint64_t at = fuzz_u16(&m->in) * UINT64_C(4) % RAM_BYTES;

    for (unsigned n = fuzz_u8(&m->in) % 64; n > 0 && at < RAM_BYTES; n--)
        ram[at++] = fuzz_u8(&m->in);
}

/* 3.1.1 as a good driver does it, with features of the input's choice. */
static void op_start(struct machine *m)
{
    uint8_t rings = fuzz_u8(&m->in);
    uint64_t features = fuzz_u32(&m->in) | VIRTIO_F_VERSION_1;

    features |= rings & 1 ? VIRTIO_F_RING_PACKED : 0;
    features |= rings & 2 ? VIRTIO_F_RING_RESET : 0;
    features &= m->v->offered;
    m->packed = features & VIRTIO_F_RING_PACKED;
    memset(m->ring, 0, sizeof(m->ring));
    transport_prepare(&m->transport);
    reg_write(m, REG_STATUS, 0);
    reg_write(m, REG_STATUS, 3);
    reg_write(m, REG_ACCEPT_SELECT, 0);
    reg_write(m, REG_ACCEPT, (uint32_t)features);
    reg_write(m, REG_ACCEPT_SELECT, 1);
    reg_write(m, REG_ACCEPT, features >> 32);
    reg_write(m, REG_STATUS, 11);
    for (unsigned i = 0; i < m->v->queue_count; i++) {
        uint64_t base = RAM_GPA + (uint64_t)i * RING_STRIDE;

        memset(ram + (size_t)i * RING_STRIDE, 0, RING_STRIDE);
        m->ring[i].wrap = true;
        reg_write(m, REG_QUEUE_SELECT, i);
        reg_write(m, REG_QUEUE_SIZE, RING_SIZE);
        reg_write(m, REG_QUEUE_DESC, base);
        reg_write(m, REG_QUEUE_DRIVER, base + 256);
        reg_write(m, REG_QUEUE_DEVICE, base + 320);
        reg_write(m, REG_QUEUE_READY, 1);
    }
    reg_write(m, REG_STATUS, 15);
    run_loop(m);
}

/* Mostly good places: page, offset within it and length; now and then any 64 bits. */
static uint64_t buffer_place(struct machine *m, uint32_t *len)
{
    uint8_t how = fuzz_u8(&m->in);
    uint64_t gpa = RAM_GPA + (fuzz_u8(&m->in) % 64) * PAGE; /* the hole and beyond, too */

    *len = fuzz_u8(&m->in);
    if (how & 1)
        *len *= 64;
    if (how & 2)
        gpa += fuzz_u8(&m->in) * UINT64_C(16) + (how >> 4);
    if ((how & 12) == 12) {
        *len = fuzz_u32(&m->in);
        gpa = fuzz_u32(&m->in);
        gpa |= (uint64_t)fuzz_u8(&m->in) << 56;
    }
    return gpa;
}

static void put_desc(struct machine *m, uint8_t *table, unsigned i, uint64_t gpa, uint32_t len,
                     uint16_t flags, uint16_t tail)
{
    store_le64(table + 16 * (size_t)i, gpa);
    store_le32(table + 16 * (size_t)i + 8, len);
    store_le16(table + 16 * (size_t)i + (m->packed ? 14 : 12), flags);
    store_le16(table + 16 * (size_t)i + (m->packed ? 12 : 14), tail);
}

/* Buffers of a chain, with the content of small readable ones. Flags but NEXT. */
static void take_buffers(struct machine *m, struct buffer *bufs, unsigned count, unsigned shape)
{
    for (unsigned i = 0; i < count; i++) {
        struct buffer *b = &bufs[i];
        uint8_t *host;

        b->gpa = buffer_place(m, &b->len);
        b->flags = 0;
        host = gmem_ptr(&m->mem, b->gpa, b->len);
        if (i >= SHAPE_READABLE(shape))
            b->flags = F_WRITE;
        else
            for (uint32_t n = 0; host && n < b->len && n < 32; n++)
                host[n] = fuzz_u8(&m->in);
        if (shape & SHAPE_STRANGE && i + 1 == count)
            b->flags ^= fuzz_u16(&m->in);
    }
}

/* Into the ring of OP_START, from its next free descriptor on. */
static void put_direct(struct machine *m, struct ring *ring, uint8_t *base,
                       const struct buffer *bufs, unsigned count)
{
    uint16_t head = ring->next;

    for (unsigned i = 0; i < count; i++) {
        uint16_t at = ring->next, flags = bufs[i].flags;

        ring->next = (uint16_t)((at + 1) % RING_SIZE);
        flags |= i + 1 < count ? F_NEXT : 0;
        if (m->packed)
            flags ^= ring->wrap ? F_AVAIL : F_USED;
        put_desc(m, base, at, bufs[i].gpa, bufs[i].len, flags, m->packed ? head : ring->next);
        ring->wrap ^= ring->next == 0;
    }
}

/* A table somewhere in memory, one descriptor for it in the ring. */
static void put_indirect(struct machine *m, struct ring *ring, uint8_t *base,
                         const struct buffer *bufs, unsigned count)
{
    uint64_t offset = fuzz_u8(&m->in) % (RAM_BYTES / PAGE) * PAGE;
    struct buffer table = {RAM_GPA + offset, 16 * count, F_INDIRECT};

    for (unsigned i = 0; i < count; i++) {
        uint16_t next = i + 1 < count && !m->packed ? F_NEXT : 0;

        put_desc(m, ram + offset, i, bufs[i].gpa, bufs[i].len, bufs[i].flags | next,
                 (uint16_t)(i + 1));
    }
    put_direct(m, ring, base, &table, 1);
}

/* A chain in the rings of OP_START, right in form; its buffers and flags are the input's. */
static void op_chain(struct machine *m)
{
    unsigned queue = fuzz_u8(&m->in) % m->v->queue_count;
    unsigned shape = fuzz_u8(&m->in), count = SHAPE_COUNT(shape);
    struct ring *ring = &m->ring[queue];
    uint8_t *base = ram + queue * (size_t)RING_STRIDE;
    struct buffer bufs[8];
    uint16_t head = ring->next;

    take_buffers(m, bufs, count, shape);
    if (shape & SHAPE_INDIRECT)
        put_indirect(m, ring, base, bufs, count);
    else
        put_direct(m, ring, base, bufs, count);
    if (m->packed)
        return;
    store_le16(base + 256 + 4 + 2 * (size_t)(ring->avail % RING_SIZE), head);
    store_le16(base + 256 + 2, ++ring->avail);
}

/* Notifies a queue, as an exit does, and runs the loop. */
static void op_kick(struct machine *m)
{
    wait_until_idle(m);
    transport_notify(&m->transport, fuzz_u8(&m->in) % (m->v->queue_count + 1));
    run_loop(m);
}

/* Resets the machine; or saves the device's state, changes some bytes of it, and loads it back. */
static void op_transfer(struct machine *m)
{
    struct state_writer w = {0};
    struct state_reader r;
    uint8_t how = fuzz_u8(&m->in);

    wait_until_idle(m);
    if (how & 128) {
        transport_reset(&m->transport);
        return;
    }
    if (m->target->settle)
        m->target->settle(m->v);
    transport_save(&m->transport, &w);
    if (w.error || w.len > STATE_MAX)
        abort();
    for (unsigned n = how % 8; n > 0; n--) {
        size_t at = fuzz_u16(&m->in) % w.len;

        w.data[at] ^= fuzz_u8(&m->in);
    }
    state_reader_init(&r, w.data, w.len);
    transport_load(&m->transport, &r);
    state_writer_free(&w);
    run_loop(m);
}

static void op_event(struct machine *m)
{
    uint8_t what = fuzz_u8(&m->in);

    if (m->target->event)
        m->target->event(m->v, what, &m->in);
    run_loop(m);
}

static void run_op(struct machine *m)
{
    switch (fuzz_u8(&m->in) % 10) {
    case 0:
        op_start(m);
        break;
    case 1:
        op_access(m, true);
        break;
    case 2:
        op_access(m, false);
        break;
    case 3:
        op_poke(m);
        break;
    case 4:
    case 5:
        op_chain(m);
        break;
    case 6:
        op_event(m);
        break;
    case 7:
        op_transfer(m);
        break;
    default:
        op_kick(m);
    }
}

/* Once: it costs more than a run. */
static void prepare(void)
{
    ram = map_guarded(RAM_BYTES);
    high = map_guarded(HIGH_BYTES);
}

void fuzz_run(const struct fuzz_target *target, const uint8_t *data, size_t len)
{
    struct machine m = {.target = target, .in = {data, data + len}};
    struct dev_env env = {.mem = &m.mem};

    log_set_sink(drop_line, NULL);
    if (target->run) {
        target->run(&m.in);
        log_set_sink(NULL, NULL);
        return;
    }
    if (!ram)
        prepare();
    memset(ram, 0, RAM_BYTES);
    memset(high, 0, HIGH_BYTES);
    env.loop = m.loop = loop_create();
    if (!m.loop || target->create(m.loop, &m.v) || gmem_add(&m.mem, RAM_GPA, RAM_BYTES, ram) ||
        gmem_add(&m.mem, HIGH_GPA, HIGH_BYTES, high) ||
        transport_create(&m.transport, target->pci, &env, m.v))
        abort();
    for (unsigned i = 0; i < OPS_MAX && m.in.at < m.in.end; i++)
        run_op(&m);
    run_loop(&m);
    transport_destroy(&m.transport);
    if (target->destroyed)
        target->destroyed();
    loop_destroy(m.loop);
    log_set_sink(NULL, NULL);
}
