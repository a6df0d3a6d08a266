/* How long the loop looks before it sleeps. loop.c's, and its tests'; what pollers are: loop.h. */
#ifndef HV_CORE_LOOP_POLL_H
#define HV_CORE_LOOP_POLL_H

#include "devices/core/loop.h"

/* Sleeping and waking costs about as much as POLL_MAX_NS: to look for longer never pays. */
#define POLL_FIRST_NS UINT64_C(8000)
#define POLL_MAX_NS   UINT64_C(64000)
#define POLL_SLICE_NS UINT64_C(256000) /* descriptors wait that long at most */

struct poll_set {
    struct loop_poller *first;
    bool allowed;
    bool begun;  /* BEGIN was said, END not yet */
    bool hit;    /* loop_poller_hit, since the loop went to sleep */
    uint64_t ns; /* how long to look; 0: not at all */
};

struct loop_poller *poll_add(struct poll_set *set, loop_poll_fn *fn, void *opaque);

/* Looks, if it pays. True: work was found and done, so do not sleep now. Ends early when *stop is
 * set by another thread. */
bool poll_spin(struct poll_set *set, const bool *stop);

/* Says END if it is due. True: that brought work to light. */
bool poll_end(struct poll_set *set);

/* The loop slept that long, and then ran what woke it. */
void poll_adapt(struct poll_set *set, uint64_t slept_ns);

void poll_free(struct poll_set *set);

#endif
