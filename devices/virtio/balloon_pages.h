/*
 * What a balloon's chains say about pages, and how those go back to the host: for balloon.c, on the
 * loop thread under dev.lock.
 */
#ifndef HV_VIRTIO_BALLOON_PAGES_H
#define HV_VIRTIO_BALLOON_PAGES_H

#include "devices/virtio/balloon.h"
#include "devices/virtio/queue.h"

#define BALLOON_PAGE UINT64_C(4096) /* 5.5.6: whatever the guest's own page size is */

struct balloon_pages {
    virtio_balloon_discard_fn *discard;
    void *opaque;
    bool private_memory; /* what the host's memory turned out to be, for balloon_advise */
    bool told;           /* one line for a host that takes nothing back */
};

/* The initial discard function; its opaque is the struct balloon_pages. */
int balloon_advise(void *opaque, void *host, size_t len);

/* Discards what a chain of the inflate queue, or of the reporting queue, names as far as it is RAM.
 * Returns how many pieces were looked at. */
unsigned balloon_inflate(struct balloon_pages *p, const struct gmem *mem,
                         const struct virtq_chain *chain);
unsigned balloon_report(struct balloon_pages *p, const struct virtq_chain *chain);

#endif
