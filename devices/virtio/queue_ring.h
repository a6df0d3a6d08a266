/*
 * What the two ring layouts share, for queue.c, queue_split.c, queue_packed.c and nobody else.
 */
#ifndef HV_VIRTIO_QUEUE_RING_H
#define HV_VIRTIO_QUEUE_RING_H

#include "devices/virtio/queue.h"

/* Descriptor flags (2.7.5, 2.8.1). */
#define DESC_NEXT     0x0001
#define DESC_WRITE    0x0002
#define DESC_INDIRECT 0x0004
#define DESC_AVAIL    0x0080 /* packed ring only, as is USED */
#define DESC_USED     0x8000
#define DESC_BYTES    16

/* A descriptor, copied once out of guest memory. */
struct desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags;
    uint16_t tail; /* split: next; packed: buffer id */
};

/* The queue is broken from here on. Always -EPROTO. */
int queue_break(struct virtq *q, const char *why);

/* Adds one segment. -EPROTO: it is not guest memory, stands in the wrong order, or is one more than
 * the queue is large. */
int chain_add(struct virtq *q, struct virtq_chain *chain, const struct desc *d);

/* The table that `d` points to, `count` entries: NULL after queue_break. */
const uint8_t *indirect_table(struct virtq *q, const struct desc *d, unsigned *count);

/* Reads the split layout's descriptor `i` of `table`, or the packed one's: fields lie alike. */
struct desc desc_read(const uint8_t *table, unsigned i);

/* Ring fields are naturally aligned, which virtq_activate has checked. */
static inline uint16_t ring_load(const uint8_t *at)
{
    return __atomic_load_n((const uint16_t *)(const void *)at, __ATOMIC_RELAXED);
}

/* Pairs with the driver's write barrier before it made the entry visible. */
static inline uint16_t ring_load_acquire(const uint8_t *at)
{
    return __atomic_load_n((const uint16_t *)(const void *)at, __ATOMIC_ACQUIRE);
}

static inline void ring_store(uint8_t *at, uint16_t v)
{
    __atomic_store_n((uint16_t *)(void *)at, v, __ATOMIC_RELAXED);
}

/* Pairs with the driver's read barrier after it saw the entry. */
static inline void ring_store_release(uint8_t *at, uint16_t v)
{
    __atomic_store_n((uint16_t *)(void *)at, v, __ATOMIC_RELEASE);
}

/* Between our store and a load that decides about the other side's. (Not __atomic_thread_fence: the
 * thread sanitizer refuses it.) */
static inline void full_barrier(void)
{
    __sync_synchronize();
}

/* Whether the last `n` steps, which ended at `now`, passed `event` (2.7.7.2): 16-bit arithmetic on
 * purpose. */
static inline bool event_passed(uint16_t event, uint16_t now, uint16_t n)
{
    return (uint16_t)(now - event - 1) < n;
}

int split_pop(struct virtq *q, struct virtq_chain *chain);
void split_unpop(struct virtq *q, const struct virtq_chain *chain);
void split_push(struct virtq *q, const struct virtq_chain *const *chains, const uint32_t *written,
                unsigned n);
bool split_must_notify(const struct virtq *q, uint16_t used);
bool split_set_kicks(struct virtq *q, bool on);
bool split_waiting(const struct virtq *q);

int packed_pop(struct virtq *q, struct virtq_chain *chain);
void packed_unpop(struct virtq *q, const struct virtq_chain *chain);
void packed_push(struct virtq *q, const struct virtq_chain *const *chains, const uint32_t *written,
                 unsigned n);
bool packed_must_notify(const struct virtq *q, uint16_t used);
bool packed_set_kicks(struct virtq *q, bool on);
bool packed_waiting(const struct virtq *q);

#endif
