/* Fields of 9P messages: see p9_msg.h. */
#include "devices/fs/p9_msg.h"

#include <errno.h>
#include <string.h>

static bool has(struct p9_reader *r, size_t len)
{
    if (!r->bad && (size_t)(r->end - r->at) >= len)
        return true;
    r->bad = true;
    return false;
}

uint64_t p9_get(struct p9_reader *r, unsigned bytes)
{
    uint64_t value = 0;

    if (!has(r, bytes))
        return 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)r->at[i] << 8 * i;
    r->at += bytes;
    return value;
}

struct p9_text p9_get_text(struct p9_reader *r)
{
    struct p9_text text = {.len = (uint16_t)p9_get(r, 2)};

    if (!has(r, text.len))
        return (struct p9_text){"", 0};
    text.at = (const char *)r->at;
    r->at += text.len;
    return text;
}

void p9_put_bytes(struct p9_writer *w, const void *from, size_t len)
{
    if (w->bad || (size_t)(w->end - w->at) < len) {
        w->bad = true;
        return;
    }
    memcpy(w->at, from, len);
    w->at += len;
}

void p9_put(struct p9_writer *w, unsigned bytes, uint64_t value)
{
    uint8_t le[8];

    for (unsigned i = 0; i < bytes; i++)
        le[i] = (uint8_t)(value >> 8 * i);
    p9_put_bytes(w, le, bytes);
}

void p9_put_text(struct p9_writer *w, const char *text, size_t len)
{
    p9_put(w, 2, len);
    p9_put_bytes(w, text, len);
}

void p9_put_qid(struct p9_writer *w, const struct p9_qid *qid)
{
    p9_put(w, 1, qid->type);
    p9_put(w, 4, qid->version);
    p9_put(w, 8, qid->path);
}

int p9_copy_name(struct p9_text text, char *to, size_t cap)
{
    if (text.len == 0 || memchr(text.at, '\0', text.len) || memchr(text.at, '/', text.len))
        return -EINVAL;
    if (text.len >= cap)
        return -ENAMETOOLONG;
    memcpy(to, text.at, text.len);
    to[text.len] = '\0';
    return 0;
}
