/*
 * What hv asks of a balloon device while a machine runs (virtio 1.2, 5.5): how much memory the
 * guest shall give up, and how it fares. Any thread, without dev.lock; `v` is what
 * virtio_balloon_create made.
 */
#ifndef HV_VIRTIO_BALLOON_H
#define HV_VIRTIO_BALLOON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct virtio;

/* Tags of the statistics (5.5.6.3); sizes in bytes. */
enum virtio_balloon_stat {
    BALLOON_SWAP_IN,
    BALLOON_SWAP_OUT,
    BALLOON_MAJOR_FAULTS,
    BALLOON_MINOR_FAULTS,
    BALLOON_FREE,
    BALLOON_TOTAL,
    BALLOON_AVAILABLE,
    BALLOON_CACHES,
    BALLOON_HUGE_PAGES,
    BALLOON_HUGE_FAILURES,
    BALLOON_STAT_COUNT
};

struct virtio_balloon_stats {
    uint64_t when_ns; /* loop_now_ns of the report; 0: none came yet */
    uint32_t valid;   /* a bit for each statistic that it holds */
    uint64_t value[BALLOON_STAT_COUNT];
};

/* The guest is to give up `bytes` in all; rounded down to pages, at most what it has. */
void virtio_balloon_set(struct virtio *v, uint64_t bytes);

/* Bytes that the guest says it gave up: a hint, it may lie. */
uint64_t virtio_balloon_actual(struct virtio *v);

/* The guest's last report, which it may have invented; asks it for the next one. */
void virtio_balloon_stats(struct virtio *v, struct virtio_balloon_stats *out);

/*
 * How guest memory goes back to the host: whole pages, which read as zero or as before afterwards.
 * 0 or -errno. Before the guest runs; the initial one fits private and shared mappings.
 */
typedef int virtio_balloon_discard_fn(void *opaque, void *host, size_t len);
void virtio_balloon_set_discard(struct virtio *v, virtio_balloon_discard_fn *fn, void *opaque);

#endif
