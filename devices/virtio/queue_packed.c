/*
 * The packed ring (virtio 1.2, 2.8): one ring of descriptors that both sides write. A descriptor
 * is available when its AVAIL bit equals the driver's wrap counter and its USED bit does not; it
 * is used when both equal the device's. Called by queue.c with an active queue.
 *
 * The driver area and the device area hold one event suppression structure each (2.8.10):
 * u16 offset and wrap, u16 flags.
 */
#include <errno.h>

#include "devices/core/util.h"
#include "devices/virtio/queue_ring.h"

#define DESC_ID        12 /* byte offsets in a descriptor; the id lies before the flags here */
#define DESC_FLAGS     14
#define EVENT_OFF_WRAP 0
#define EVENT_FLAGS    2
#define EVENT_ENABLE   0
#define EVENT_DISABLE  1
#define EVENT_DESC     2 /* at one position; only with EVENT_IDX */

static uint8_t *slot(const struct virtq *q, uint16_t i)
{
    return q->desc_area + (size_t)i * DESC_BYTES;
}

/* One read of all of it, in which flags and id stand in the other order than in the split ring. */
static struct desc read_slot(const struct virtq *q, uint16_t i)
{
    struct desc d = desc_read(q->desc_area, i);
    uint16_t id = d.flags;

    d.flags = d.tail;
    d.tail = id;
    return d;
}

static bool is_available(const struct virtq *q, uint16_t flags)
{
    return !!(flags & DESC_AVAIL) == q->avail_wrap && !!(flags & DESC_USED) != q->avail_wrap;
}

static void advance(const struct virtq *q, uint16_t *at, bool *wrap, uint16_t by)
{
    unsigned sum = (unsigned)*at + by;

    if (sum >= q->size) {
        sum -= q->size;
        *wrap = !*wrap;
    }
    *at = (uint16_t)sum;
}

/* 2.8.7: a table in which every entry counts, in order; all but WRITE means nothing there. */
static int add_table(struct virtq *q, struct virtq_chain *chain, const struct desc *d)
{
    unsigned count;
    const uint8_t *table = indirect_table(q, d, &count);

    if (!table)
        return -EPROTO;
    for (unsigned i = 0; i < count; i++) {
        struct desc inner = desc_read(table, i);
        int err;

        inner.flags = inner.tail; /* as in read_slot */
        err = chain_add(q, chain, &inner);
        if (err)
            return err;
    }
    return 0;
}

/* Adds the descriptor at `i`. 1: another follows. 0: it was the last. */
static int add_slot(struct virtq *q, struct virtq_chain *chain, uint16_t i)
{
    struct desc d = read_slot(q, i);
    int err;

    chain->slots++;
    chain->id = d.tail; /* of the last descriptor (2.8.6) */
    if (d.flags & DESC_INDIRECT) {
        if (d.flags & DESC_NEXT || chain->slots > 1)
            return queue_break(q, "an indirect descriptor within a chain (2.8.19)");
        return add_table(q, chain, &d);
    }
    err = chain_add(q, chain, &d);
    return err ? err : !!(d.flags & DESC_NEXT);
}

int packed_pop(struct virtq *q, struct virtq_chain *chain)
{
    uint16_t at = q->next_avail;
    bool wrap = q->avail_wrap;
    int more = 1;

    if (!is_available(q, ring_load_acquire(slot(q, at) + DESC_FLAGS)))
        return 0;
    while (more > 0) {
        if (q->in_flight + chain->slots >= q->size)
            return queue_break(q, "more descriptors are available than the ring has");
        more = add_slot(q, chain, at);
        if (more < 0)
            return more;
        advance(q, &at, &wrap, 1);
    }
    q->next_avail = at;
    q->avail_wrap = wrap;
    q->in_flight = (uint16_t)(q->in_flight + chain->slots);
    return 1;
}

void packed_unpop(struct virtq *q, const struct virtq_chain *chain)
{
    if (q->next_avail < chain->slots) {
        q->avail_wrap = !q->avail_wrap;
        q->next_avail = (uint16_t)(q->next_avail + q->size);
    }
    q->next_avail = (uint16_t)(q->next_avail - chain->slots);
    q->in_flight = (uint16_t)(q->in_flight - chain->slots);
}

/* The driver looks at used descriptors in order: it sees none of them before the first, whose flags
 * are stored last. */
void packed_push(struct virtq *q, const struct virtq_chain *const *chains, const uint32_t *written,
                 unsigned n)
{
    uint8_t *first = slot(q, q->next_used);
    uint16_t first_flags = 0;

    for (unsigned i = 0; i < n; i++) {
        uint8_t *used = slot(q, q->next_used);
        uint16_t flags =
            (uint16_t)((q->used_wrap ? DESC_AVAIL | DESC_USED : 0) | (written[i] ? DESC_WRITE : 0));

        store_le32(used + 8, written[i]);
        store_le16(used + DESC_ID, chains[i]->id);
        if (i == 0)
            first_flags = flags;
        else
            ring_store_release(used + DESC_FLAGS, flags);
        advance(q, &q->next_used, &q->used_wrap, chains[i]->slots);
        q->in_flight = (uint16_t)(q->in_flight - chains[i]->slots);
    }
    ring_store_release(first + DESC_FLAGS, first_flags);
}

/* An event of the round before lies a ring's size lower, so that positions compare as numbers. */
bool packed_must_notify(const struct virtq *q, uint16_t used)
{
    uint16_t flags = ring_load_acquire(q->driver_area + EVENT_FLAGS) & 3;
    uint16_t off_wrap = ring_load(q->driver_area + EVENT_OFF_WRAP);
    uint16_t event = off_wrap & 0x7fff;

    if (flags != EVENT_DESC || !q->event_idx)
        return flags != EVENT_DISABLE;
    if (!!(off_wrap >> 15) != q->used_wrap)
        event = (uint16_t)(event - q->size);
    return event_passed(event, q->next_used, used);
}

bool packed_waiting(const struct virtq *q)
{
    return is_available(q, ring_load_acquire(slot(q, q->next_avail) + DESC_FLAGS));
}

bool packed_set_kicks(struct virtq *q, bool on)
{
    uint16_t flags = EVENT_ENABLE;

    if (!on) {
        ring_store(q->device_area + EVENT_FLAGS, EVENT_DISABLE);
        return false;
    }
    if (q->event_idx) {
        ring_store(q->device_area + EVENT_OFF_WRAP,
                   (uint16_t)(q->next_avail | (q->avail_wrap ? 0x8000 : 0)));
        flags = EVENT_DESC;
    }
    ring_store_release(q->device_area + EVENT_FLAGS, flags);
    /* As in the split ring: our wish before our look. */
    full_barrier();
    return packed_waiting(q);
}
