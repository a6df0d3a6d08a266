/* Last words: see tail.h. Called by job.c. */
#include "hv/suite/tail.h"

#include <stdlib.h>
#include <string.h>

void tail_put(struct tail *tail, const char *line, size_t len)
{
    char *to = tail->line[tail->next];

    if (!len)
        return;
    if (len > TAIL_WIDTH)
        len = TAIL_WIDTH;
    for (size_t i = 0; i < len; i++)
        to[i] = line[i] ? line[i] : ' ';
    to[len] = '\0';
    tail->next = (tail->next + 1) % TAIL_LINES;
    if (tail->count < TAIL_LINES)
        tail->count++;
}

static const char *nth(const struct tail *tail, unsigned n)
{
    return tail->line[(tail->next + TAIL_LINES - tail->count + n) % TAIL_LINES];
}

const char *tail_last(const struct tail *tail)
{
    return tail->count ? nth(tail, tail->count - 1) : "";
}

char *tail_text(const struct tail *tail)
{
    char *text = tail->count ? malloc(tail->count * (TAIL_WIDTH + 1u) + 1) : NULL, *end = text;

    for (unsigned i = 0; text && i < tail->count; i++) {
        end = stpcpy(end, nth(tail, i));
        *end++ = '\n';
    }
    if (text)
        *end = '\0';
    return text;
}
