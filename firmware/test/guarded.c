/* Guarded output buffers and little-endian reads for the builder tests. See guarded.h. */
#include "firmware/test/guarded.h"

#include <stdlib.h>
#include <string.h>

#define GUARD      64
#define GUARD_BYTE 0x5a
#define FILL_BYTE  0xcc

struct guarded guarded_new(size_t cap)
{
    uint8_t *whole = malloc(cap + 2 * GUARD);

    if (!whole)
        abort();
    memset(whole, GUARD_BYTE, cap + 2 * GUARD);
    memset(whole + GUARD, FILL_BYTE, cap);
    return (struct guarded){.bytes = whole + GUARD, .cap = cap};
}

bool guarded_intact(const struct guarded *g)
{
    for (size_t i = 0; i < GUARD; i++)
        if (g->bytes[g->cap + i] != GUARD_BYTE || g->bytes[-1 - (ptrdiff_t)i] != GUARD_BYTE)
            return false;
    return true;
}

bool guarded_untouched(const struct guarded *g, size_t from)
{
    for (size_t i = from; i < g->cap; i++)
        if (g->bytes[i] != FILL_BYTE)
            return false;
    return true;
}

void guarded_free(struct guarded *g)
{
    free(g->bytes - GUARD);
    g->bytes = NULL;
}

uint16_t rd16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

uint32_t rd32(const uint8_t *p)
{
    return rd16(p) | (uint32_t)rd16(p + 2) << 16;
}

uint64_t rd64(const uint8_t *p)
{
    return rd32(p) | (uint64_t)rd32(p + 4) << 32;
}

uint8_t byte_sum(const uint8_t *p, size_t len)
{
    uint8_t sum = 0;

    while (len--)
        sum = (uint8_t)(sum + *p++);
    return sum;
}

bool all_zero(const uint8_t *p, size_t len)
{
    while (len--)
        if (*p++)
            return false;
    return true;
}
