/*
 * One virtqueue, device side: split ring (virtio 1.2, 2.7) and packed ring (2.8). The devices see
 * chains of host memory and never the layout.
 *
 * The rings lie in guest memory and are hostile: every value is read once, checked, then used. A
 * ring that breaks a rule breaks its queue (-EPROTO from virtq_pop, for good, until reset); nothing
 * loops longer than the queue is large, and nothing is allocated.
 *
 * Thread: the device's, under its dev.lock. Memory order: the driver's ring index or flags are
 * loaded with acquire and pair with its write barrier; ours are stored with release.
 */
#ifndef HV_VIRTIO_QUEUE_H
#define HV_VIRTIO_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct gmem;
struct state_reader;
struct state_writer;

/* Feature bits that concern the queue (virtio 1.2, 6). */
#define VIRTIO_F_INDIRECT_DESC (UINT64_C(1) << 28)
#define VIRTIO_F_EVENT_IDX     (UINT64_C(1) << 29)
#define VIRTIO_F_VERSION_1     (UINT64_C(1) << 32)
#define VIRTIO_F_RING_PACKED   (UINT64_C(1) << 34)
#define VIRTIO_F_RING_RESET    (UINT64_C(1) << 40)

/* Entries of a ring, and so the most segments that a chain may have (2.7.5.3.1, 2.8.8). */
#define VIRTQ_MAX_SIZE 256

struct virtq {
    uint16_t max; /* entries that are offered; 0: there is no such queue */

    /* What the driver set; checked by virtq_activate. */
    uint16_t size;                 /* entries; split: a power of two */
    bool enabled;                  /* queue_enable, or QueueReady */
    uint64_t desc, driver, device; /* GPAs of descriptor, driver and device area */

    /* Valid while active. The areas are checked ranges of guest memory, not owned. */
    bool active, broken;
    bool resetting; /* virtio.c's: no longer active, but the host still works on its buffers */
    bool packed, event_idx, indirect; /* negotiated */
    bool avail_wrap, used_wrap;       /* packed ring: 2.8.1 */
    uint16_t next_avail, next_used;   /* our own copies; the guest cannot change them */
    uint16_t in_flight;   /* split: chains popped and not pushed; packed: their ring slots */
    uint16_t unsignalled; /* used since virtq_must_notify was last called, at most `size` */
    uint64_t heads[VIRTQ_MAX_SIZE / 64]; /* split: a bit for each head in flight */
    uint32_t busy; /* requests that the host works on; virtio.c's, survives virtq_reset */
    const struct gmem *mem;
    uint8_t *desc_area, *driver_area, *device_area;
};

/*
 * A chain of descriptors in host memory. iov[0, out_count) is for the device to read, the in_count
 * that follow are for it to write. Segments of length 0 are left out. Borrowed from guest memory:
 * valid until the chain is pushed or the device is reset.
 */
struct virtq_chain {
    uint16_t id;    /* what virtq_push gives back to the driver */
    uint16_t slots; /* ring entries that it takes */
    uint16_t out_count, in_count;
    uint64_t out_len, in_len; /* bytes, sums over the segments; in_len at most 4 GiB - 1 */
    struct iovec iov[VIRTQ_MAX_SIZE];
};

/* To the state after device reset; `max` stays. */
void virtq_reset(struct virtq *q);

/*
 * Checks size, alignment (2.7, 2.8.10.1) and that each area lies in guest memory, then lets the
 * device use it. -EINVAL when a rule is broken; `features` are the negotiated ones.
 */
int virtq_activate(struct virtq *q, const struct gmem *mem, uint64_t features);

/* 1: *chain is the next one. 0: none waits, or the queue is not active. -EPROTO: it is broken. */
int virtq_pop(struct virtq *q, struct virtq_chain *chain);

/* Takes back the last virtq_pop, whose chain must not have been pushed (a frame that came late). */
void virtq_unpop(struct virtq *q, const struct virtq_chain *chain);

/* Returns a chain with `written` bytes filled from the start of its writable part (<= in_len). */
void virtq_push(struct virtq *q, const struct virtq_chain *chain, uint32_t written);

/* The same for `n` chains: the driver sees all of them or none (5.1.6.4.1). */
void virtq_push_all(struct virtq *q, const struct virtq_chain *const *chains,
                    const uint32_t *written, unsigned n);

/* Whether the driver wants an interrupt for what was pushed since it last said so. One place that
 * decides (2.7.7, 2.8.10): call once after each batch of pushes. */
bool virtq_must_notify(struct virtq *q);

/*
 * Asks the driver for notifications of new buffers, or to leave them out. True when buffers wait
 * already: turning on races with the driver, so look again then. Off is a hint only.
 */
bool virtq_set_kicks(struct virtq *q, bool on);

/* Whether buffers of the driver wait; of a queue that does not work, none do. */
bool virtq_waiting(const struct virtq *q);

/* Indexes and addresses; load checks like virtq_activate, which it ends with when it was active. */
void virtq_save(const struct virtq *q, struct state_writer *w);
int virtq_load(struct virtq *q, struct state_reader *r, const struct gmem *mem, uint64_t features);

/* Copies between a chain's segments and a buffer, from byte `offset` of its readable or writable
 * part on; returns how many bytes there were, at most `len`. */
size_t virtq_chain_read(const struct virtq_chain *chain, uint64_t offset, void *dst, size_t len);
size_t virtq_chain_write(const struct virtq_chain *chain, uint64_t offset, const void *src,
                         size_t len);

/*
 * The segments of [offset, offset + len) of one part, in `iov` with room for VIRTQ_MAX_SIZE.
 * Returns their number; 0 when the part is shorter than that.
 */
unsigned virtq_chain_slice(const struct virtq_chain *chain, bool writable, uint64_t offset,
                           uint64_t len, struct iovec *iov);

#endif
