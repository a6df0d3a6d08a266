/* Frames over a descriptor. See link.h. */
#include "firmware/init/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OUT_ENOUGH = 4 * (WIRE_HEADER + WIRE_PAYLOAD) };

uint16_t wire_get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

uint32_t wire_get32(const uint8_t *p)
{
    return wire_get16(p) | (uint32_t)wire_get16(p + 2) << 16;
}

void wire_put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

int link_read(struct link *link)
{
    ssize_t n;

    memmove(link->in, link->in + link->in_taken, link->in_len - link->in_taken);
    link->in_len -= link->in_taken;
    link->in_taken = 0;
    n = read(link->fd, link->in + link->in_len, sizeof(link->in) - link->in_len);
    if (n == 0)
        return -EPIPE;
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    link->in_len += (size_t)n;
    return 0;
}

int link_next(struct link *link, struct frame *frame)
{
    const uint8_t *p = link->in + link->in_taken;
    size_t have = link->in_len - link->in_taken;

    if (have < WIRE_HEADER)
        return 0;
    *frame = (struct frame){wire_get32(p), p[4], p[5], wire_get16(p + 6), p + WIRE_HEADER};
    if (frame->len > WIRE_PAYLOAD)
        return -EPROTO;
    if (have < WIRE_HEADER + (size_t)frame->len)
        return 0;
    link->in_taken += WIRE_HEADER + (size_t)frame->len;
    return 1;
}

/* Makes room for `more` bytes behind out_tail. */
static int reserve(struct link *link, size_t more)
{
    size_t waiting = link_waiting(link), size = link->out_size ? link->out_size : 2 * OUT_ENOUGH;
    uint8_t *grown;

    if (more <= link->out_size - link->out_tail)
        return 0;
    if (waiting)
        memmove(link->out, link->out + link->out_head, waiting);
    link->out_head = 0;
    link->out_tail = waiting;
    while (size - waiting < more)
        size *= 2;
    if (size == link->out_size)
        return 0;
    grown = realloc(link->out, size);
    if (!grown)
        return -ENOMEM;
    link->out = grown;
    link->out_size = size;
    return 0;
}

int link_send(struct link *link, uint32_t session, uint8_t type, uint8_t stream,
              const void *payload, size_t len)
{
    int err = reserve(link, WIRE_HEADER + len);
    uint8_t *p;

    if (err)
        return err;
    p = link->out + link->out_tail;
    wire_put32(p, session);
    p[4] = type;
    p[5] = stream;
    p[6] = (uint8_t)len;
    p[7] = (uint8_t)(len >> 8);
    if (len)
        memcpy(p + WIRE_HEADER, payload, len);
    link->out_tail += WIRE_HEADER + len;
    return link_flush(link);
}

int link_flush(struct link *link)
{
    while (link_waiting(link)) {
        ssize_t n = write(link->fd, link->out + link->out_head, link_waiting(link));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        link->out_head += (size_t)n;
    }
    return 0;
}

bool link_has_room(const struct link *link)
{
    return link_waiting(link) < OUT_ENOUGH;
}

size_t link_waiting(const struct link *link)
{
    return link->out_tail - link->out_head;
}

void link_free(struct link *link)
{
    free(link->out);
    link->out = NULL;
}
