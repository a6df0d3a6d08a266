/* The guest's side of a virtio device, for tests: see driver.h. Section numbers: virtio 1.2. */
#include "devices/test/driver.h"

#include <check.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/loop.h"
#include "devices/core/util.h"

#define F_NEXT     1
#define F_WRITE    2
#define F_INDIRECT 4
#define F_AVAIL    0x80
#define F_USED     0x8000

struct loop *driver_loop(struct driver *d)
{
    memset(d, 0, sizeof(*d));
    d->loop = loop_create();
    ck_assert_ptr_nonnull(d->loop);
    return d->loop;
}

void driver_create(struct driver *d, struct virtio *v)
{
    struct dev_env env = {.mem = &d->mem, .loop = d->loop, .irq = fake_irq_line(&d->irq)};

    fake_ram_create(&d->ram, DRIVER_RAM);
    ck_assert_int_eq(gmem_add(&d->mem, DRIVER_GPA, DRIVER_RAM, d->ram.host), 0);
    d->brk = DRIVER_GPA;
    d->v = v;
    ck_assert_int_eq(virtio_mmio_create(&env, 0xd0000000, v, &d->dev), 0);
}

void driver_destroy(struct driver *d)
{
    dev_destroy(d->dev);
    loop_destroy(d->loop);
    fake_ram_destroy(&d->ram);
    memset(d, 0, sizeof(*d));
}

uint32_t driver_read(struct driver *d, unsigned reg)
{
    return (uint32_t)fake_read(d->dev, reg, 4);
}

void driver_write(struct driver *d, unsigned reg, uint32_t value)
{
    fake_write(d->dev, reg, 4, value);
}

uint64_t driver_config(struct driver *d, unsigned offset, unsigned size)
{
    return fake_read(d->dev, 0x100 + offset, size) & size_mask(size);
}

uint64_t driver_alloc(struct driver *d, size_t len)
{
    uint64_t gpa = align_up(d->brk, 16);

    DRIVER_CHECK(gpa + len <= DRIVER_GPA + DRIVER_RAM);
    d->brk = gpa + len;
    return gpa;
}

void driver_free(struct driver *d, uint64_t gpa)
{
    memset(driver_ptr(d, gpa), 0, d->brk - gpa);
    d->brk = gpa;
}

void *driver_ptr(struct driver *d, uint64_t gpa)
{
    return gmem_ptr(&d->mem, gpa, 1);
}

void driver_negotiate(struct driver *d, uint64_t wanted)
{
    uint64_t offered;

    driver_write(d, 0x70, 0);
    driver_write(d, 0x70, VIRTIO_STATUS_ACKNOWLEDGE);
    driver_write(d, 0x70, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    driver_write(d, 0x14, 0);
    offered = driver_read(d, 0x10);
    driver_write(d, 0x14, 1);
    offered |= (uint64_t)driver_read(d, 0x10) << 32;
    d->features = (wanted | VIRTIO_F_VERSION_1) & offered;
    driver_write(d, 0x24, 0);
    driver_write(d, 0x20, (uint32_t)d->features);
    driver_write(d, 0x24, 1);
    driver_write(d, 0x20, (uint32_t)(d->features >> 32));
    driver_write(d, 0x70, 0x0b);
    ck_assert_uint_eq(driver_read(d, 0x70), 0x0b);
}

static void write_address(struct driver *d, unsigned reg, uint64_t gpa)
{
    driver_write(d, reg, (uint32_t)gpa);
    driver_write(d, reg + 4, (uint32_t)(gpa >> 32));
}

void driver_set_queue(struct driver *d, unsigned queue, uint16_t size)
{
    struct driver_queue *q = &d->q[queue];
    uint32_t max;

    driver_write(d, 0x30, queue);
    max = driver_read(d, 0x34);
    ck_assert_uint_gt(max, 0);
    memset(q, 0, sizeof(*q));
    q->size = size < max ? size : (uint16_t)max;
    q->avail_wrap = q->used_wrap = true;
    q->desc = driver_alloc(d, 16 * (size_t)q->size);
    q->avail = driver_alloc(d, 6 + 2 * (size_t)q->size);
    q->used = driver_alloc(d, 6 + 8 * (size_t)q->size);
    driver_write(d, 0x38, q->size);
    write_address(d, 0x80, q->desc);
    write_address(d, 0x90, q->avail);
    write_address(d, 0xa0, q->used);
    driver_write(d, 0x44, 1);
    ck_assert_uint_eq(driver_read(d, 0x44), 1);
}

void driver_start(struct driver *d, uint64_t wanted, uint16_t size)
{
    driver_negotiate(d, wanted);
    for (unsigned i = 0; i < d->v->queue_count; i++)
        if (d->v->queue[i].max)
            driver_set_queue(d, i, size);
    driver_write(d, 0x70, 0x0f);
    ck_assert_uint_eq(driver_read(d, 0x70), 0x0f);
}

static bool packed(const struct driver *d)
{
    return d->features & VIRTIO_F_RING_PACKED;
}

void driver_put_desc(struct driver *d, uint64_t gpa, unsigned i, uint64_t addr, uint32_t len,
                     uint16_t flags, uint16_t next_or_id)
{
    uint8_t *at = (uint8_t *)driver_ptr(d, gpa) + 16 * (size_t)i;

    store_le64(at, addr);
    store_le32(at + 8, len);
    store_le16(at + (packed(d) ? 12 : 14), next_or_id);
    /* In one piece: a device may look at a packed ring's flags at any time. Tables lie aligned. */
    __atomic_store_n((uint16_t *)(void *)(at + (packed(d) ? 14 : 12)), flags, __ATOMIC_RELAXED);
}

void driver_publish(struct driver *d, unsigned queue, uint16_t head)
{
    struct driver_queue *q = &d->q[queue];
    uint8_t *ring = driver_ptr(d, q->avail);

    store_le16(ring + 4 + 2 * (size_t)(q->avail_idx % q->size), head);
    q->avail_idx++;
    __atomic_store_n((uint16_t *)(void *)(ring + 2), q->avail_idx, __ATOMIC_RELEASE);
}

static uint16_t add_split(struct driver *d, struct driver_queue *q, unsigned queue,
                          const struct driver_buf *bufs, unsigned n)
{
    uint16_t head = q->next_free;

    for (unsigned i = 0; i < n; i++) {
        uint16_t at = q->next_free;

        q->next_free = (uint16_t)((at + 1) % q->size);
        driver_put_desc(d, q->desc, at, bufs[i].gpa, bufs[i].len,
                        (uint16_t)((bufs[i].writable ? F_WRITE : 0) | (i + 1 < n ? F_NEXT : 0)),
                        q->next_free);
    }
    driver_publish(d, queue, head);
    return head;
}

/* The first descriptor's flags come last: with them the chain is the device's (2.8.21). */
static uint16_t add_packed(struct driver *d, struct driver_queue *q, const struct driver_buf *bufs,
                           unsigned n, uint16_t more)
{
    uint16_t id = q->next_id, first = q->next_free, first_flags = 0;

    q->next_id = (uint16_t)((id + 1) % q->size);
    q->slots[id] = (uint16_t)n;
    for (unsigned i = 0; i < n; i++) {
        uint16_t flags = (uint16_t)((bufs[i].writable ? F_WRITE : 0) | (i + 1 < n ? F_NEXT : 0) |
                                    (q->avail_wrap ? F_AVAIL : F_USED) | more);

        driver_put_desc(d, q->desc, q->next_free, bufs[i].gpa, bufs[i].len,
                        i ? flags : (uint16_t)(q->avail_wrap ? F_USED : F_AVAIL), id);
        if (i == 0)
            first_flags = flags;
        if (++q->next_free == q->size) {
            q->next_free = 0;
            q->avail_wrap = !q->avail_wrap;
        }
    }
    __atomic_store_n((uint16_t *)driver_ptr(d, q->desc + 16u * first + 14), first_flags,
                     __ATOMIC_RELEASE);
    return id;
}

uint16_t driver_add(struct driver *d, unsigned queue, const struct driver_buf *bufs, unsigned n)
{
    struct driver_queue *q = &d->q[queue];

    return packed(d) ? add_packed(d, q, bufs, n, 0) : add_split(d, q, queue, bufs, n);
}

uint16_t driver_add_indirect(struct driver *d, unsigned queue, const struct driver_buf *bufs,
                             unsigned n)
{
    struct driver_queue *q = &d->q[queue];
    uint64_t table = driver_alloc(d, 16 * (size_t)n);
    struct driver_buf one = {table, 16 * n, false};
    uint16_t head = q->next_free;

    for (unsigned i = 0; i < n; i++) {
        uint16_t next = packed(d) || i + 1 == n ? 0 : F_NEXT;

        driver_put_desc(d, table, i, bufs[i].gpa, bufs[i].len,
                        (uint16_t)((bufs[i].writable ? F_WRITE : 0) | next), (uint16_t)(i + 1));
    }
    if (packed(d))
        return add_packed(d, q, &one, 1, F_INDIRECT);
    q->next_free = (uint16_t)((head + 1) % q->size);
    driver_put_desc(d, q->desc, head, table, 16 * n, F_INDIRECT, 0);
    driver_publish(d, queue, head);
    return head;
}

void driver_run(struct driver *d)
{
    while (loop_step(d->loop) > 0)
        ;
}

void driver_kick(struct driver *d, unsigned queue)
{
    driver_write(d, VIRTIO_MMIO_NOTIFY, queue);
    driver_run(d);
}

static bool used_split(struct driver *d, struct driver_queue *q, uint16_t *id, uint32_t *len)
{
    const uint8_t *ring = driver_ptr(d, q->used);
    const uint8_t *entry = ring + 4 + 8 * (size_t)(q->used_idx % q->size);

    if (__atomic_load_n((const uint16_t *)(const void *)(ring + 2), __ATOMIC_ACQUIRE) ==
        q->used_idx)
        return false;
    DRIVER_CHECK(load_le32(entry) < q->size);
    *id = (uint16_t)load_le32(entry);
    *len = load_le32(entry + 4);
    q->used_idx++;
    return true;
}

static bool used_packed(struct driver *d, struct driver_queue *q, uint16_t *id, uint32_t *len)
{
    const uint8_t *at = (uint8_t *)driver_ptr(d, q->desc) + 16 * (size_t)q->used_idx;
    uint16_t flags = __atomic_load_n((const uint16_t *)(const void *)(at + 14), __ATOMIC_ACQUIRE);

    if (!!(flags & F_AVAIL) != q->used_wrap || !!(flags & F_USED) != q->used_wrap)
        return false;
    *id = load_le16(at + 12);
    *len = load_le32(at + 8);
    DRIVER_CHECK(*id < q->size);
    q->used_idx = (uint16_t)(q->used_idx + q->slots[*id]);
    if (q->used_idx >= q->size) {
        q->used_idx = (uint16_t)(q->used_idx - q->size);
        q->used_wrap = !q->used_wrap;
    }
    return true;
}

static bool used_now(struct driver *d, struct driver_queue *q, uint16_t *id, uint32_t *len)
{
    return packed(d) ? used_packed(d, q, id, len) : used_split(d, q, id, len);
}

bool driver_used(struct driver *d, unsigned queue, unsigned ms, uint16_t *id, uint32_t *len)
{
    struct driver_queue *q = &d->q[queue];
    uint64_t end;

    if (used_now(d, q, id, len))
        return true;
    end = loop_now_ns() + ms * UINT64_C(1000000);
    for (;;) {
        driver_run(d);
        if (used_now(d, q, id, len))
            return true;
        if (loop_now_ns() >= end)
            return false;
        usleep(200);
    }
}

uint32_t driver_do(struct driver *d, unsigned queue, const struct driver_buf *bufs, unsigned n)
{
    uint16_t want = driver_add(d, queue, bufs, n), id;
    uint32_t len;

    driver_kick(d, queue);
    ck_assert_msg(driver_used(d, queue, 5000, &id, &len), "the chain did not come back");
    ck_assert_uint_eq(id, want);
    return len;
}

bool driver_broken(struct driver *d)
{
    return driver_read(d, 0x70) & VIRTIO_STATUS_NEEDS_RESET;
}
