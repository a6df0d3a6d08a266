/*
 * Frames behind their lengths, each in one piece: one that does not fit at the end of the block
 * goes to its start, and `wrap` tells the reader where to turn.
 */
#include "devices/net/ring.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH_BYTES sizeof(uint32_t)

int ring_init(struct ring *r)
{
    *r = (struct ring){.buf = malloc(RING_BYTES)};
    return r->buf ? 0 : -ENOMEM;
}

void ring_free(struct ring *r)
{
    free(r->buf);
    *r = (struct ring){0};
}

static bool empty(const struct ring *r)
{
    return r->head == r->tail && !r->wrapped;
}

bool ring_put(struct ring *r, const uint8_t *frame, size_t len)
{
    size_t need = LENGTH_BYTES + len;
    uint32_t length = (uint32_t)len;

    assert(len > 0 && need < RING_BYTES / 2);
    if (!r->wrapped && r->tail + need > RING_BYTES) {
        if (need > r->head)
            return false;
        r->wrap = r->tail;
        r->tail = 0;
        r->wrapped = true;
    }
    if (r->wrapped && r->tail + need > r->head)
        return false;
    memcpy(r->buf + r->tail, &length, sizeof(length));
    memcpy(r->buf + r->tail + LENGTH_BYTES, frame, len);
    r->tail += need;
    return true;
}

size_t ring_peek(const struct ring *r, const uint8_t **frame)
{
    uint32_t length;

    if (empty(r))
        return 0;
    memcpy(&length, r->buf + r->head, sizeof(length));
    *frame = r->buf + r->head + LENGTH_BYTES;
    return length;
}

void ring_next(struct ring *r)
{
    uint32_t length;

    assert(!empty(r));
    memcpy(&length, r->buf + r->head, sizeof(length));
    r->head += LENGTH_BYTES + length;
    if (r->wrapped && r->head == r->wrap) {
        r->head = 0;
        r->wrapped = false;
    }
    if (empty(r))
        r->head = r->tail = 0;
}
