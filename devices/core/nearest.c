/* The edit distance behind "did you mean": optimal string alignment, three rows at a time. */
#include "devices/core/nearest.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static unsigned min_of(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned edit_distance(const char *a, const char *b)
{
    unsigned rows[3][NEAREST_WORD_MAX + 1];
    size_t a_len = strlen(a), b_len = strlen(b);
    unsigned *before = rows[0], *prev = rows[1], *now = rows[2];

    assert(a_len <= NEAREST_WORD_MAX && b_len <= NEAREST_WORD_MAX);
    for (unsigned j = 0; j <= b_len; j++)
        prev[j] = j;
    for (unsigned i = 1; i <= a_len; i++) {
        unsigned *oldest = before;

        now[0] = i;
        for (unsigned j = 1; j <= b_len; j++) {
            now[j] = prev[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = min_of(now[j], min_of(prev[j], now[j - 1]) + 1);
            /* A swap is one slip of the fingers, not two. */
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = min_of(now[j], before[j - 2] + 1);
        }
        before = prev;
        prev = now;
        now = oldest;
    }
    return prev[b_len];
}

void nearest_offer(struct nearest *nearest, const char *candidate)
{
    size_t len = strlen(nearest->word), candidate_len = strlen(candidate);
    unsigned distance;

    if (len == 0 || len > NEAREST_WORD_MAX || candidate_len > NEAREST_WORD_MAX)
        return;
    /* The start of a name is a good guess at it: --mem. */
    if (len >= 2 && strncmp(nearest->word, candidate, len) == 0)
        distance = 1;
    else
        distance = edit_distance(nearest->word, candidate);
    /* Farther than that it is another word, and a wrong guess is worse than none. */
    if (distance > 1 + len / 4 || distance >= candidate_len)
        return;
    if (!nearest->best || distance < nearest->distance) {
        nearest->best = candidate;
        nearest->distance = distance;
    }
}
