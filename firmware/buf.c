/* Bounded output buffer of the table builders. See buf.h. */
#include "firmware/buf.h"

#include <errno.h>
#include <string.h>

struct buf buf_over(uint8_t *data, size_t cap)
{
    return (struct buf){.data = data, .cap = cap};
}

int buf_status(const struct buf *b)
{
    return b->overflow ? -ENOSPC : 0;
}

/*
 * Builders write blindly and ask once at the end whether all of it fitted: after the first byte
 * that does not, nothing more is written, so a short buffer is never overrun.
 */
static bool reserve(struct buf *b, size_t len)
{
    if (b->overflow || len > b->cap - b->len)
        b->overflow = true;
    return !b->overflow;
}

void buf_bytes(struct buf *b, const void *p, size_t len)
{
    if (len == 0 || !reserve(b, len))
        return;
    memcpy(b->data + b->len, p, len);
    b->len += len;
}

void buf_zero(struct buf *b, size_t len)
{
    if (len == 0 || !reserve(b, len))
        return;
    memset(b->data + b->len, 0, len);
    b->len += len;
}

static void to_le(uint8_t out[8], uint64_t v)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(v >> (8 * i));
}

static void put_le(struct buf *b, uint64_t v, size_t size)
{
    uint8_t bytes[8];

    to_le(bytes, v);
    buf_bytes(b, bytes, size);
}

void buf_u8(struct buf *b, uint8_t v)
{
    put_le(b, v, 1);
}

void buf_le16(struct buf *b, uint16_t v)
{
    put_le(b, v, 2);
}

void buf_le32(struct buf *b, uint32_t v)
{
    put_le(b, v, 4);
}

void buf_le64(struct buf *b, uint64_t v)
{
    put_le(b, v, 8);
}

void buf_str(struct buf *b, const char *s)
{
    buf_bytes(b, s, strlen(s) + 1);
}

void buf_align(struct buf *b, size_t align)
{
    buf_zero(b, (align - b->len % align) % align);
}

void buf_set_bytes(struct buf *b, size_t at, const void *p, size_t len)
{
    if (at <= b->len && len <= b->len - at)
        memcpy(b->data + at, p, len);
}

static void set_le(struct buf *b, size_t at, uint64_t v, size_t size)
{
    uint8_t bytes[8];

    to_le(bytes, v);
    buf_set_bytes(b, at, bytes, size);
}

void buf_set_u8(struct buf *b, size_t at, uint8_t v)
{
    set_le(b, at, v, 1);
}

void buf_set_le16(struct buf *b, size_t at, uint16_t v)
{
    set_le(b, at, v, 2);
}

void buf_set_le32(struct buf *b, size_t at, uint32_t v)
{
    set_le(b, at, v, 4);
}

void buf_set_le64(struct buf *b, size_t at, uint64_t v)
{
    set_le(b, at, v, 8);
}

void buf_insert(struct buf *b, size_t at, const void *p, size_t len)
{
    /* A mark from before an overflow may lie anywhere; nothing moves then. */
    if (at > b->len || !reserve(b, len))
        return;
    memmove(b->data + at + len, b->data + at, b->len - at);
    memcpy(b->data + at, p, len);
    b->len += len;
}

uint8_t buf_checksum(const struct buf *b, size_t from, size_t to)
{
    uint8_t sum = 0;

    for (size_t i = from; i < to && i < b->len; i++)
        sum = (uint8_t)(sum + b->data[i]);
    return (uint8_t)-sum;
}
