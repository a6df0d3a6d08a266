/*
 * A token bucket: how the rate of a disk (iops, bytes) or a network card (packets, bytes) is
 * limited. Tokens come at `rate` a second until `burst` of them are there.
 *
 * An item larger than the burst passes when the bucket is full and leaves a debt, so that a large
 * request is slow but never stuck, and the mean rate holds whatever the sizes are.
 *
 * Not thread safe: the user's lock, or its one thread, covers it.
 */
#ifndef HV_CORE_BUCKET_H
#define HV_CORE_BUCKET_H

#include <stdint.h>

struct bucket {
    uint64_t rate, burst; /* tokens a second; tokens. rate 0: no limit */
    uint64_t last_ns;     /* when `level` was right */
    __int128 level;       /* in 10^-9 tokens; negative: debt */
};

/*
 * Full at the start. rate 0: no limit. burst 0: what comes in a tenth of a second. Values above
 * 2^56 count as 2^56. `now_ns` is a clock that does not go back (loop_now_ns).
 */
void bucket_init(struct bucket *b, uint64_t rate, uint64_t burst, uint64_t now_ns);

/* Nanoseconds until `n` tokens could be taken; 0: now. Takes none: to ask two buckets first. */
uint64_t bucket_wait(struct bucket *b, uint64_t n, uint64_t now_ns);

/* Takes `n` tokens and returns 0, or takes none and returns the nanoseconds to wait. */
uint64_t bucket_take(struct bucket *b, uint64_t n, uint64_t now_ns);

/* Takes `n` tokens whether they are there or not: for what happened already. */
void bucket_charge(struct bucket *b, uint64_t n);

#endif
