/*
 * The driver's side of a split virtqueue (virtio 1.2, 2.7). The rings lie in static guest memory,
 * so the number of queues and their length are bounded; nothing is ever freed.
 */
#ifndef GUEST_VIRTQ_H
#define GUEST_VIRTQ_H

#include "guest-tests/lib/virtio.h"

#define VIRTQ_MAX      256 /* descriptors of a queue: a power of two */
#define VIRTQ_RINGS    12  /* queues of a guest */
#define VIRTQ_NO_TOKEN 0xffff

/* 2.7.5 */
struct virtq_desc {
    uint64_t address;
    uint32_t len;
    uint16_t flags, next;
};
enum { VIRTQ_NEXT = 1, VIRTQ_WRITE = 2, VIRTQ_INDIRECT = 4 };

/* 2.7.6; after the ring comes used_event. */
struct virtq_avail {
    uint16_t flags, index;
    uint16_t ring[VIRTQ_MAX + 1];
};
enum { VIRTQ_NO_INTERRUPT = 1 };

/* 2.7.8; after the ring comes avail_event. */
struct virtq_used {
    uint16_t flags, index;
    struct {
        uint32_t id, len;
    } ring[VIRTQ_MAX + 1];
};
enum { VIRTQ_NO_NOTIFY = 1 };

struct virtq {
    struct virtio *dev;
    uint16_t number, size; /* size: descriptors */
    volatile struct virtq_desc *desc;
    volatile struct virtq_avail *avail;
    volatile struct virtq_used *used;
    uint16_t free_head, free_count;
    uint16_t next_avail; /* index that the device has not been shown */
    uint16_t last_used;  /* index up to which completions have been taken */
    bool deaf;           /* interrupts were asked not to come */
    uint32_t kicks;      /* notifications sent; for tests and figures */
};

/* A part of a request: memory that the device reads, or writes. */
struct virtq_part {
    void *at;
    uint32_t len; /* bytes */
    bool device_writes;
};

/*
 * Enables the queue with `size` descriptors (at most the device's maximum and VIRTQ_MAX). A queue
 * that is all zeros gets rings; one that was set up before keeps its own and starts anew, which is
 * what comes after a reset. False: the device has no such queue, or the rings are used up.
 */
bool virtq_setup(struct virtq *queue, struct virtio *dev, uint16_t number, uint16_t size);

/* Puts a request into the available ring; the device sees it after virtq_publish. Parts that are
 * read come first (2.7.4.2). Returns its token, VIRTQ_NO_TOKEN when there is no room. */
uint16_t virtq_add(struct virtq *queue, const struct virtq_part *part, unsigned parts);

/* Shows the device all that was added, and rings unless it asked not to be. */
void virtq_publish(struct virtq *queue);

/*
 * Asks the device for no interrupts, or for one at the next completion. After asking for one, look
 * once more with virtq_take: what was completed just before brings none (2.7.7.1).
 */
void virtq_listen(struct virtq *queue, bool on);

/* The next completion: its token and the bytes that were written. False: none yet. */
bool virtq_take(struct virtq *queue, uint16_t *token, uint32_t *written);

/* virtq_take, waiting some seconds at most. */
bool virtq_wait(struct virtq *queue, uint16_t *token, uint32_t *written);

#endif
