/*
 * Saved state: the writer grows a buffer, the reader trusts nothing in one. Called by dev.c and by
 * the devices' save and load, on the thread that pauses the machine.
 */
#include "devices/core/state.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/util.h"

/* Offsets in a section's header: the tag comes first, the body follows the length. */
#define HEADER_VERSION STATE_TAG_LEN
#define HEADER_LENGTH  (HEADER_VERSION + 2)
#define HEADER_BYTES   (HEADER_LENGTH + 4)

/* Makes room for `n` more bytes and returns where they go, NULL once an error is latched. */
static uint8_t *extend(struct state_writer *w, size_t n)
{
    uint8_t *p;

    if (w->error)
        return NULL;
    if (n > STATE_MAX_BUFFER - w->len) {
        w->error = -ENOSPC;
        return NULL;
    }
    if (w->len + n > w->cap) {
        size_t cap = w->cap ? w->cap : 256;

        /* Doubling: a machine's state is a handful of allocations, whatever its devices. */

        while (cap < w->len + n)
            cap *= 2;
        p = realloc(w->data, cap);
        if (!p) {
            w->error = -ENOMEM;
            return NULL;
        }
        w->data = p;
        w->cap = cap;
    }
    p = w->data + w->len;
    w->len += n;
    return p;
}

/* A tag as it lies in a header: padded with NULs, at least one of them. */
static void pad_tag(const char *tag, char padded[STATE_TAG_LEN])
{
    assert(strlen(tag) < STATE_TAG_LEN);
    memset(padded, 0, STATE_TAG_LEN);
    strncpy(padded, tag, STATE_TAG_LEN - 1);
}

void state_begin(struct state_writer *w, const char *tag, uint16_t version)
{
    size_t at = w->len;
    uint8_t *p = extend(w, HEADER_BYTES);

    if (!p)
        return;
    pad_tag(tag, (char *)p);
    store_le16(p + HEADER_VERSION, version);
    store_le32(p + HEADER_LENGTH, 0); /* state_end fills it in */
    w->section = at;
}

void state_end(struct state_writer *w)
{
    if (w->error)
        return;
    /* Fits: the whole buffer is below STATE_MAX_BUFFER. */
    store_le32(w->data + w->section + HEADER_LENGTH,
               (uint32_t)(w->len - w->section - HEADER_BYTES));
}

void state_put_u8(struct state_writer *w, uint8_t v)
{
    state_put_bytes(w, &v, sizeof(v));
}

void state_put_u16(struct state_writer *w, uint16_t v)
{
    uint8_t *p = extend(w, sizeof(v));

    if (p)
        store_le16(p, v);
}

void state_put_u32(struct state_writer *w, uint32_t v)
{
    uint8_t *p = extend(w, sizeof(v));

    if (p)
        store_le32(p, v);
}

void state_put_u64(struct state_writer *w, uint64_t v)
{
    uint8_t *p = extend(w, sizeof(v));

    if (p)
        store_le64(p, v);
}

void state_put_bytes(struct state_writer *w, const void *data, size_t len)
{
    uint8_t *p = extend(w, len);

    if (p && len > 0)
        memcpy(p, data, len);
}

void state_writer_free(struct state_writer *w)
{
    free(w->data);
    *w = (struct state_writer){0};
}

void state_reader_init(struct state_reader *r, const void *data, size_t len)
{
    *r = (struct state_reader){.data = data, .len = len};
}

/* The first error stays: what follows from it would mislead. */
static int latch(struct state_reader *r, int error)
{
    if (!r->error)
        r->error = error;
    return r->error;
}

int state_enter(struct state_reader *r, const char *tag, uint16_t *version)
{
    char padded[STATE_TAG_LEN];
    const uint8_t *header;
    uint32_t body;

    pad_tag(tag, padded);
    *version = 0;
    if (r->error)
        return r->error;
    if (r->pos == r->len)
        return -ENOENT;
    if (r->len - r->pos < HEADER_BYTES)
        return latch(r, -EINVAL);
    header = r->data + r->pos;
    body = load_le32(header + HEADER_LENGTH);
    /* The length is compared with what is there before anything is computed from it. */
    if (body > r->len - r->pos - HEADER_BYTES || memcmp(header, padded, STATE_TAG_LEN) != 0)
        return latch(r, -EINVAL);
    *version = load_le16(header + HEADER_VERSION);
    r->pos += HEADER_BYTES;
    r->section_end = r->pos + body;
    return 0;
}

int state_leave(struct state_reader *r)
{
    return r->error || r->pos == r->section_end ? r->error : latch(r, -EINVAL);
}

/* The next `n` bytes of the open section, or NULL with the error latched. */
static const uint8_t *take(struct state_reader *r, size_t n)
{
    const uint8_t *p;

    if (!r->error && n > r->section_end - r->pos)
        latch(r, -EINVAL);
    if (r->error)
        return NULL;
    p = r->data + r->pos;
    r->pos += n;
    return p;
}

uint8_t state_get_u8(struct state_reader *r)
{
    const uint8_t *p = take(r, sizeof(uint8_t));

    return p ? *p : 0;
}

uint16_t state_get_u16(struct state_reader *r)
{
    const uint8_t *p = take(r, sizeof(uint16_t));

    return p ? load_le16(p) : 0;
}

uint32_t state_get_u32(struct state_reader *r)
{
    const uint8_t *p = take(r, sizeof(uint32_t));

    return p ? load_le32(p) : 0;
}

uint64_t state_get_u64(struct state_reader *r)
{
    const uint8_t *p = take(r, sizeof(uint64_t));

    return p ? load_le64(p) : 0;
}

void state_get_bytes(struct state_reader *r, void *dst, size_t len)
{
    const uint8_t *p = take(r, len);

    if (p && len > 0)
        memcpy(dst, p, len);
    else if (len > 0)
        memset(dst, 0, len);
}
