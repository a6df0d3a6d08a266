/*
 * Virtqueues: what both layouts have in common. See queue.h for the contract and queue_split.c and
 * queue_packed.c for the rings. Section numbers: virtio 1.2.
 */
#include "devices/virtio/queue.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "devices/core/gmem.h"
#include "devices/core/log.h"
#include "devices/core/state.h"
#include "devices/core/util.h"
#include "devices/virtio/queue_ring.h"

int queue_break(struct virtq *q, const char *why)
{
    if (!q->broken)
        log_guest("virtqueue: %s", why);
    q->broken = true;
    return -EPROTO;
}

struct desc desc_read(const uint8_t *table, unsigned i)
{
    const uint8_t *at = table + (size_t)i * DESC_BYTES;
    uint8_t copy[DESC_BYTES];

    /* One copy: the driver may write meanwhile, but what was checked is what is used, and no field
     * is half old, half new. Only an indirect table may lie unaligned. */
    if ((uintptr_t)at % sizeof(uint64_t) == 0) {
        const uint64_t *word = (const uint64_t *)(const void *)at;

        for (unsigned n = 0; n < 2; n++) {
            uint64_t v = __atomic_load_n(&word[n], __ATOMIC_RELAXED);

            memcpy(copy + n * sizeof(v), &v, sizeof(v));
        }
    } else {
        memcpy(copy, at, sizeof(copy));
    }
    return (struct desc){.addr = load_le64(copy),
                         .len = load_le32(copy + 8),
                         .flags = load_le16(copy + 12),
                         .tail = load_le16(copy + 14)};
}

int chain_add(struct virtq *q, struct virtq_chain *chain, const struct desc *d)
{
    bool writable = d->flags & DESC_WRITE;
    unsigned at = chain->out_count + chain->in_count;
    void *host;

    if (!writable && chain->in_count)
        return queue_break(q, "a readable descriptor follows a writable one (2.7.4.2)");
    if (d->len == 0)
        return 0;
    if (at == VIRTQ_MAX_SIZE)
        return queue_break(q, "a chain has more descriptors than the queue");
    host = gmem_ptr(q->mem, d->addr, d->len);
    if (!host)
        return queue_break(q, "a descriptor's buffer is not in guest memory");
    chain->iov[at] = (struct iovec){host, d->len};
    if (writable) {
        chain->in_count++;
        chain->in_len += d->len;
    } else {
        chain->out_count++;
        chain->out_len += d->len;
    }
    /* 2.7.5.2: a chain is at most 2^32 bytes; the used length has 32 bits. */
    if (chain->in_len + chain->out_len > UINT32_MAX)
        return queue_break(q, "a chain is longer than 4 GiB");
    return 0;
}

const uint8_t *indirect_table(struct virtq *q, const struct desc *d, unsigned *count)
{
    const uint8_t *table = NULL;

    *count = d->len / DESC_BYTES;
    if (!q->indirect)
        queue_break(q, "an indirect descriptor that was not negotiated");
    else if (d->len == 0 || d->len % DESC_BYTES || *count > VIRTQ_MAX_SIZE)
        queue_break(q, "an indirect table of a size that is not allowed (2.7.5.3.1)");
    else if (!(table = gmem_ptr(q->mem, d->addr, d->len)))
        queue_break(q, "an indirect table is not in guest memory");
    return table;
}

void virtq_reset(struct virtq *q)
{
    *q = (struct virtq){.max = q->max, .size = q->max, .busy = q->busy};
}

/* The sizes of the three areas (2.7, 2.8.10.1). */
static void area_sizes(const struct virtq *q, uint64_t features, uint64_t size[3])
{
    uint64_t n = q->size;
    bool packed = features & VIRTIO_F_RING_PACKED;

    size[0] = n * DESC_BYTES;
    size[1] = packed ? 4 : 6 + 2 * n; /* with used_event and avail_event, */
    size[2] = packed ? 4 : 6 + 8 * n; /* which lie there whether negotiated or not */
    if (!packed && !(features & VIRTIO_F_EVENT_IDX)) {
        size[1] -= 2;
        size[2] -= 2;
    }
}

int virtq_activate(struct virtq *q, const struct gmem *mem, uint64_t features)
{
    bool packed = features & VIRTIO_F_RING_PACKED;
    uint64_t size[3];

    if (q->size == 0 || q->size > q->max || (!packed && (q->size & (q->size - 1))))
        return -EINVAL;
    if (q->desc % 16 || q->driver % (packed ? 4 : 2) || q->device % 4)
        return -EINVAL;
    area_sizes(q, features, size);
    q->desc_area = gmem_ptr(mem, q->desc, size[0]);
    q->driver_area = gmem_ptr(mem, q->driver, size[1]);
    q->device_area = gmem_ptr(mem, q->device, size[2]);
    if (!q->desc_area || !q->driver_area || !q->device_area)
        return -EINVAL;
    q->mem = mem;
    q->packed = packed;
    q->event_idx = features & VIRTIO_F_EVENT_IDX;
    q->indirect = features & VIRTIO_F_INDIRECT_DESC;
    q->next_avail = q->next_used = q->in_flight = q->unsignalled = 0;
    memset(q->heads, 0, sizeof(q->heads));
    q->avail_wrap = q->used_wrap = true; /* 2.8.1 */
    q->broken = false;
    q->active = true;
    return 0;
}

int virtq_pop(struct virtq *q, struct virtq_chain *chain)
{
    if (!q->active)
        return 0;
    if (q->broken)
        return -EPROTO;
    chain->id = chain->slots = 0;
    chain->out_count = chain->in_count = 0;
    chain->out_len = chain->in_len = 0;
    return q->packed ? packed_pop(q, chain) : split_pop(q, chain);
}

void virtq_unpop(struct virtq *q, const struct virtq_chain *chain)
{
    if (q->active)
        (q->packed ? packed_unpop : split_unpop)(q, chain);
}

void virtq_push(struct virtq *q, const struct virtq_chain *chain, uint32_t written)
{
    virtq_push_all(q, &chain, &written, 1);
}

void virtq_push_all(struct virtq *q, const struct virtq_chain *const *chains,
                    const uint32_t *written, unsigned n)
{
    if (n == 0 || !q->active || q->broken)
        return;
    for (unsigned i = 0; i < n; i++) {
        unsigned sum = (unsigned)q->unsignalled + chains[i]->slots;

        assert(written[i] <= chains[i]->in_len);
        q->unsignalled = (uint16_t)(sum < q->size ? sum : q->size);
    }
    (q->packed ? packed_push : split_push)(q, chains, written, n);
}

bool virtq_must_notify(struct virtq *q)
{
    uint16_t used = q->unsignalled;

    if (!q->active || q->broken || used == 0)
        return false;
    q->unsignalled = 0;
    /* What was pushed must be visible before the driver's wish is read: the driver writes its wish
     * and then looks for what was pushed. Pairs with its full barrier between the two. */
    full_barrier();
    return q->packed ? packed_must_notify(q, used) : split_must_notify(q, used);
}

bool virtq_set_kicks(struct virtq *q, bool on)
{
    if (!q->active || q->broken)
        return false;
    return q->packed ? packed_set_kicks(q, on) : split_set_kicks(q, on);
}

bool virtq_waiting(const struct virtq *q)
{
    if (!q->active || q->broken)
        return false;
    return q->packed ? packed_waiting(q) : split_waiting(q);
}

static size_t copy_part(const struct iovec *iov, unsigned count, uint64_t offset, uint8_t *buf,
                        size_t len, bool to_guest)
{
    size_t done = 0;

    for (unsigned i = 0; i < count && done < len; i++) {
        size_t n = iov[i].iov_len;
        uint8_t *at = iov[i].iov_base;

        if (offset >= n) {
            offset -= n;
            continue;
        }
        n -= (size_t)offset;
        n = n < len - done ? n : len - done;
        if (to_guest)
            memcpy(at + offset, buf + done, n);
        else
            memcpy(buf + done, at + offset, n);
        done += n;
        offset = 0;
    }
    return done;
}

size_t virtq_chain_read(const struct virtq_chain *chain, uint64_t offset, void *dst, size_t len)
{
    return copy_part(chain->iov, chain->out_count, offset, dst, len, false);
}

size_t virtq_chain_write(const struct virtq_chain *chain, uint64_t offset, const void *src,
                         size_t len)
{
    return copy_part(chain->iov + chain->out_count, chain->in_count, offset, (uint8_t *)src, len,
                     true);
}

unsigned virtq_chain_slice(const struct virtq_chain *chain, bool writable, uint64_t offset,
                           uint64_t len, struct iovec *iov)
{
    const struct iovec *from = chain->iov + (writable ? chain->out_count : 0);
    unsigned count = writable ? chain->in_count : chain->out_count, used = 0;

    if (!range_fits(offset, len, writable ? chain->in_len : chain->out_len))
        return 0;
    for (unsigned i = 0; i < count && len > 0; i++) {
        uint64_t n = from[i].iov_len;

        if (offset >= n) {
            offset -= n;
            continue;
        }
        n -= offset;
        n = n < len ? n : len;
        iov[used++] = (struct iovec){(uint8_t *)from[i].iov_base + offset, (size_t)n};
        len -= n;
        offset = 0;
    }
    return used;
}

void virtq_save(const struct virtq *q, struct state_writer *w)
{
    /* A broken queue's chains never come back, so that its count says nothing. */
    assert(q->in_flight == 0 || q->broken);
    state_put_u16(w, q->size);
    state_put_u8(w, q->enabled);
    state_put_u8(w, q->active);
    state_put_u64(w, q->desc);
    state_put_u64(w, q->driver);
    state_put_u64(w, q->device);
    state_put_u16(w, q->next_avail);
    state_put_u16(w, q->next_used);
    state_put_u8(w, (uint8_t)(q->avail_wrap | q->used_wrap << 1));
    state_put_u8(w, q->broken);
}

/* With nothing in flight each chain that was popped was pushed; a packed ring counts positions. */
static bool indexes_are_possible(const struct virtq *q)
{
    if (q->packed && (q->next_avail >= q->size || q->next_used >= q->size))
        return false;
    return q->broken ||
           (q->next_avail == q->next_used && (!q->packed || q->avail_wrap == q->used_wrap));
}

int virtq_load(struct virtq *q, struct state_reader *r, const struct gmem *mem, uint64_t features)
{
    struct virtq v = {.max = q->max, .busy = q->busy};
    uint8_t enabled, active, wraps, broken;
    uint16_t avail, used;

    v.size = state_get_u16(r);
    enabled = state_get_u8(r);
    active = state_get_u8(r);
    v.desc = state_get_u64(r);
    v.driver = state_get_u64(r);
    v.device = state_get_u64(r);
    avail = state_get_u16(r);
    used = state_get_u16(r);
    wraps = state_get_u8(r);
    broken = state_get_u8(r);
    if (r->error || enabled > 1 || active > enabled || wraps > 3 || broken > 1)
        return -EINVAL;
    if (active && virtq_activate(&v, mem, features))
        return -EINVAL;
    v.enabled = enabled;
    v.next_avail = avail;
    v.next_used = used;
    v.avail_wrap = wraps & 1;
    v.used_wrap = wraps >> 1;
    v.broken = broken;
    v.unsignalled = v.size; /* what was used before the save may not have been told */
    if (active && !indexes_are_possible(&v))
        return -EINVAL;
    *q = v;
    return 0;
}
