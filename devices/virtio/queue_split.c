/*
 * The split ring (virtio 1.2, 2.7): a table of descriptors, a ring of heads that the driver made
 * available, a ring of heads that we used. Called by queue.c with an active queue.
 *
 *   driver area:  flags, idx, ring[size] of u16, used_event
 *   device area:  flags, idx, ring[size] of {u32 id, u32 len}, avail_event
 */
#include <errno.h>

#include "devices/core/util.h"
#include "devices/virtio/queue_ring.h"

#define RING_FLAGS         0
#define RING_IDX           2
#define RING_ENTRIES       4
#define AVAIL_NO_INTERRUPT 1
#define USED_NO_NOTIFY     1

static uint8_t *used_event(const struct virtq *q)
{
    return q->driver_area + RING_ENTRIES + 2 * (size_t)q->size;
}

static uint8_t *avail_event(const struct virtq *q)
{
    return q->device_area + RING_ENTRIES + 8 * (size_t)q->size;
}

static uint64_t *head_word(struct virtq *q, uint16_t head)
{
    return &q->heads[head / 64];
}

static uint64_t head_bit(uint16_t head)
{
    return UINT64_C(1) << head % 64;
}

/* Follows `next` from `i` on. At most `count` steps: a longer way is a loop. */
static int walk(struct virtq *q, struct virtq_chain *chain, const uint8_t *table, unsigned count,
                unsigned i, bool nested)
{
    for (unsigned step = 0; step < count; step++) {
        struct desc d = desc_read(table, i);
        int err;

        if (d.flags & DESC_INDIRECT) {
            unsigned inner;
            const uint8_t *inside;

            if (nested || d.flags & DESC_NEXT)
                return queue_break(q, "an indirect descriptor within a table or with NEXT "
                                      "(2.7.5.3.1)");
            inside = indirect_table(q, &d, &inner);
            return inside ? walk(q, chain, inside, inner, 0, true) : -EPROTO;
        }
        err = chain_add(q, chain, &d);
        if (err || !(d.flags & DESC_NEXT))
            return err;
        i = d.tail;
        if (i >= count)
            return queue_break(q, "a descriptor's next is outside of its table");
    }
    return queue_break(q, "a chain of descriptors is a loop");
}

int split_pop(struct virtq *q, struct virtq_chain *chain)
{
    uint16_t idx = ring_load_acquire(q->driver_area + RING_IDX);
    uint16_t waiting = (uint16_t)(idx - q->next_avail);
    uint16_t head;
    int err;

    if (waiting == 0)
        return 0;
    if (waiting > q->size)
        return queue_break(q, "the available index jumped by more than the queue's size");
    if (q->in_flight >= q->size)
        return queue_break(q, "more chains are available than the queue has descriptors");
    head = ring_load(q->driver_area + RING_ENTRIES + 2 * (size_t)(q->next_avail & (q->size - 1)));
    if (head >= q->size)
        return queue_break(q, "an available head is outside of the table");
    if (*head_word(q, head) & head_bit(head))
        return queue_break(q, "a head is made available again while it is in flight");
    chain->id = head;
    chain->slots = 1;
    err = walk(q, chain, q->desc_area, q->size, head, false);
    if (err)
        return err;
    *head_word(q, head) |= head_bit(head);
    q->next_avail++;
    q->in_flight++;
    return 1;
}

void split_unpop(struct virtq *q, const struct virtq_chain *chain)
{
    *head_word(q, chain->id) &= ~head_bit(chain->id);
    q->next_avail--;
    q->in_flight--;
}

void split_push(struct virtq *q, const struct virtq_chain *const *chains, const uint32_t *written,
                unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        size_t at = (uint16_t)(q->next_used + i) & (q->size - 1);
        uint8_t *entry = q->device_area + RING_ENTRIES + 8 * at;

        store_le32(entry, chains[i]->id);
        store_le32(entry + 4, written[i]);
        *head_word(q, chains[i]->id) &= ~head_bit(chains[i]->id);
    }
    q->next_used = (uint16_t)(q->next_used + n);
    q->in_flight = (uint16_t)(q->in_flight - n);
    ring_store_release(q->device_area + RING_IDX, q->next_used);
}

bool split_must_notify(const struct virtq *q, uint16_t used)
{
    if (!q->event_idx)
        return !(ring_load(q->driver_area + RING_FLAGS) & AVAIL_NO_INTERRUPT);
    return event_passed(ring_load(used_event(q)), q->next_used, used);
}

bool split_waiting(const struct virtq *q)
{
    return ring_load_acquire(q->driver_area + RING_IDX) != q->next_avail;
}

bool split_set_kicks(struct virtq *q, bool on)
{
    if (q->event_idx) {
        /* Off needs nothing: the event lies behind, so that no new buffer passes it. */
        if (!on)
            return false;
        ring_store(avail_event(q), q->next_avail);
    } else {
        ring_store(q->device_area + RING_FLAGS, on ? 0 : USED_NO_NOTIFY);
    }
    /* Our wish must be visible before we look again; pairs with the driver's full barrier between
     * its index and its look at our wish. */
    full_barrier();
    return on && split_waiting(q);
}
