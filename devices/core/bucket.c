/*
 * Token buckets, counted in 10^-9 tokens: a rate of one token a second then loses nothing between
 * two looks that are a nanosecond apart. 128 bits hold every product of the clamped values below.
 */
#include "devices/core/bucket.h"

#define NS_PER_S INT64_C(1000000000)
#define LARGEST  (UINT64_C(1) << 56) /* 2^56 * 2^64 ns fits in 127 bits */

static uint64_t clamp(uint64_t v)
{
    return v < LARGEST ? v : LARGEST;
}

static __int128 full(const struct bucket *b)
{
    return (__int128)b->burst * NS_PER_S;
}

void bucket_init(struct bucket *b, uint64_t rate, uint64_t burst, uint64_t now_ns)
{
    b->rate = clamp(rate);
    b->burst = clamp(burst);
    if (!b->burst)
        b->burst = b->rate >= 10 ? b->rate / 10 : 1;
    b->last_ns = now_ns;
    b->level = full(b);
}

static void refill(struct bucket *b, uint64_t now_ns)
{
    if (now_ns <= b->last_ns)
        return;
    b->level += (__int128)(now_ns - b->last_ns) * b->rate;
    if (b->level > full(b))
        b->level = full(b);
    b->last_ns = now_ns;
}

uint64_t bucket_wait(struct bucket *b, uint64_t n, uint64_t now_ns)
{
    __int128 need = (__int128)(n < b->burst ? n : b->burst) * NS_PER_S;
    __int128 wait;

    if (!b->rate)
        return 0;
    refill(b, now_ns);
    if (b->level >= need)
        return 0;
    wait = (need - b->level + b->rate - 1) / b->rate; /* rounded up: that long is long enough */
    return wait < UINT64_MAX ? (uint64_t)wait : UINT64_MAX;
}

/* A debt beyond that of the largest item grows no further: 128 bits must hold it. */
void bucket_charge(struct bucket *b, uint64_t n)
{
    if (b->rate && b->level >= -(__int128)LARGEST * NS_PER_S)
        b->level -= (__int128)clamp(n) * NS_PER_S;
}

uint64_t bucket_take(struct bucket *b, uint64_t n, uint64_t now_ns)
{
    uint64_t wait = bucket_wait(b, n, now_ns);

    if (!wait)
        bucket_charge(b, n);
    return wait;
}
