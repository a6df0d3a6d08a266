/*
 * The driver's half of a split queue (virtio 1.2, 2.7). Descriptors that are free form a list
 * through their `next` fields; a request takes as many as it has parts and gives them back when it
 * is done.
 */
#include "guest-tests/lib/virtq.h"

#include "guest-tests/lib/io.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/wait.h"

/* 2.7: descriptors on 16 bytes, the available ring on 2, the used ring on 4. */
static struct {
    struct virtq_desc desc[VIRTQ_MAX] __attribute__((aligned(16)));
    struct virtq_avail avail __attribute__((aligned(4)));
    struct virtq_used used __attribute__((aligned(4)));
} rings[VIRTQ_RINGS];
static unsigned rings_used;

/* Memory for the queue's rings: new, or that which it had before. False: used up. */
static bool take_rings(struct virtq *queue)
{
    if (!queue->desc) {
        if (rings_used == VIRTQ_RINGS)
            return false;
        queue->desc = rings[rings_used].desc;
        queue->avail = &rings[rings_used].avail;
        queue->used = &rings[rings_used].used;
        rings_used++;
    }
    memset((void *)queue->desc, 0, sizeof(rings[0].desc));
    memset((void *)queue->avail, 0, sizeof(rings[0].avail));
    memset((void *)queue->used, 0, sizeof(rings[0].used));
    return true;
}

bool virtq_setup(struct virtq *queue, struct virtio *dev, uint16_t number, uint16_t size)
{
    uint16_t max = dev->transport->queue_max(dev, number);

    if (max == 0 || !take_rings(queue))
        return false;
    size = size > max ? max : size;
    size = size > VIRTQ_MAX ? VIRTQ_MAX : size;
    queue->dev = dev;
    queue->number = number;
    queue->size = queue->free_count = size;
    queue->free_head = queue->next_avail = queue->last_used = 0;
    queue->deaf = false;
    queue->kicks = 0;
    for (uint16_t i = 0; i < size; i++)
        queue->desc[i].next = (uint16_t)(i + 1);
    dev->transport->queue_enable(dev, number, size, (uintptr_t)queue->desc, (uintptr_t)queue->avail,
                                 (uintptr_t)queue->used);
    return true;
}

uint16_t virtq_add(struct virtq *queue, const struct virtq_part *part, unsigned parts)
{
    uint16_t head = queue->free_head, at = head;

    if (parts == 0 || parts > queue->free_count)
        return VIRTQ_NO_TOKEN;
    for (unsigned i = 0; i < parts; i++) {
        volatile struct virtq_desc *d = &queue->desc[at];

        d->address = (uintptr_t)part[i].at;
        d->len = part[i].len;
        d->flags = (uint16_t)((part[i].device_writes ? VIRTQ_WRITE : 0) |
                              (i + 1 < parts ? VIRTQ_NEXT : 0));
        at = d->next;
    }
    queue->free_head = at;
    queue->free_count = (uint16_t)(queue->free_count - parts);
    queue->avail->ring[queue->next_avail++ % queue->size] = head;
    return head;
}

/* With EVENT_IDX the device writes, behind the used ring, the index that it wants to hear of. */
static bool wants_notification(const struct virtq *queue, uint16_t before)
{
    uint16_t event;

    if (!(queue->dev->features & VIRTIO_F_EVENT_IDX))
        return !(queue->used->flags & VIRTQ_NO_NOTIFY);
    event = (uint16_t)queue->used->ring[queue->size].id;
    /* 2.7.10: whether it lies between what was published before and now, all modulo 2^16. */
    return (uint16_t)(queue->next_avail - event - 1) < (uint16_t)(queue->next_avail - before);
}

void virtq_publish(struct virtq *queue)
{
    uint16_t before = queue->avail->index;

    memory_order(); /* the ring's entries, then the index that shows them */
    queue->avail->index = queue->next_avail;
    /* The device writes its wish, then looks at the index; we do it the other way round. */
    memory_fence();
    if (queue->next_avail != before && wants_notification(queue, before)) {
        queue->kicks++;
        queue->dev->transport->notify(queue->dev, queue->number);
    }
}

/* Puts the chain that begins with `head` in front of the free list. */
static void give_back(struct virtq *queue, uint16_t head)
{
    uint16_t at = head, count = 1;

    while (queue->desc[at].flags & VIRTQ_NEXT) {
        at = queue->desc[at].next;
        count++;
    }
    queue->desc[at].next = queue->free_head;
    queue->free_head = head;
    queue->free_count = (uint16_t)(queue->free_count + count);
}

/* used_event, behind the available ring: interrupt when that index is completed (2.7.7). */
static void want_interrupt_at(struct virtq *queue, uint16_t index)
{
    if (queue->dev->features & VIRTIO_F_EVENT_IDX)
        queue->avail->ring[queue->size] = index;
}

void virtq_listen(struct virtq *queue, bool on)
{
    queue->deaf = !on;
    queue->avail->flags = on ? 0 : VIRTQ_NO_INTERRUPT;
    /* With EVENT_IDX the flag is ignored; an index just passed is 65,535 completions away. */
    want_interrupt_at(queue, on ? queue->last_used : (uint16_t)(queue->last_used - 1));
    memory_fence(); /* the wish, then the look that the caller takes */
}

bool virtq_take(struct virtq *queue, uint16_t *token, uint32_t *written)
{
    uint16_t slot = queue->last_used % queue->size;

    if (queue->used->index == queue->last_used)
        return false;
    memory_order(); /* the index, then the entry it shows */
    *token = (uint16_t)queue->used->ring[slot].id;
    *written = queue->used->ring[slot].len;
    queue->last_used++;
    if (!queue->deaf)
        want_interrupt_at(queue, queue->last_used);
    give_back(queue, *token);
    return true;
}

bool virtq_wait(struct virtq *queue, uint16_t *token, uint32_t *written)
{
    uint64_t start = rdtsc();

    while (rdtsc() - start < WAIT_CYCLES) {
        if (virtq_take(queue, token, written))
            return true;
        cpu_pause();
    }
    return false;
}
