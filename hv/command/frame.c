/* Frames over a stream socket: see frame.h for the contract. */
#include "hv/command/frame.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/core/loop.h"
#include "devices/core/util.h"

#define READ_ROUNDS 8 /* of one peer, before the loop looks at others */

struct peer {
    struct peer_user user;
    struct loop_watch *watch;
    struct loop_timer *again; /* peer_resume */
    int fd;
    bool held;       /* the user did not take the frame in front */
    bool over;       /* `gone` was called */
    bool mute;       /* the other side does not read any more */
    bool wants_room; /* a frame was refused */
    unsigned busy;   /* depth of callbacks of the user */
    bool doomed;     /* peer_destroy was called meanwhile */
    size_t have;     /* bytes in `in` */
    uint8_t in[FRAME_MAX];
    size_t head, used, size; /* of `out`, a ring */
    uint8_t out[];
};

static void watch_again(struct peer *p)
{
    bool read = !p->held && !p->over, write = p->used > 0 || p->wants_room;

    loop_watch_set(p->watch, p->over ? 0
                                     : (read ? (uint32_t)EPOLLIN : 0) |
                                           (write && !p->mute ? (uint32_t)EPOLLOUT : 0));
}

static void free_peer(struct peer *p)
{
    free(p);
}

/* Around each callback of the user, who may destroy the peer in it. */
static void enter(struct peer *p)
{
    p->busy++;
}

/* False: the peer does not exist any more. */
static bool leave(struct peer *p)
{
    if (--p->busy == 0 && p->doomed) {
        free_peer(p);
        return false;
    }
    return true;
}

static void end(struct peer *p, const char *why)
{
    if (p->over || p->doomed)
        return;
    p->over = true;
    watch_again(p);
    p->user.gone(p->user.opaque, why);
}

static bool type_is_known(uint8_t type)
{
    return (type >= WIRE_SPEC && type <= WIRE_HANGUP) ||
           (type >= WIRE_DATA && type <= WIRE_CREDIT) || (type >= WIRE_READY && type <= WIRE_FAIL);
}

/* Bytes of the frame at `at`, 0 when it is not whole yet, or -EPROTO. */
static int parse(const uint8_t *at, size_t have, struct frame *frame)
{
    if (have < WIRE_HEADER)
        return 0;
    *frame = (struct frame){load_le32(at), at[4], at[5], load_le16(at + 6), at + WIRE_HEADER};
    if (frame->len > WIRE_PAYLOAD || !type_is_known(frame->type))
        return -EPROTO;
    if (have < (size_t)WIRE_HEADER + frame->len)
        return 0;
    if (frame->len == 0)
        frame->payload = NULL;
    return WIRE_HEADER + frame->len;
}

/* Hands over all whole frames in `in`, as long as the user takes them. */
static void deliver(struct peer *p)
{
    size_t at = 0;

    while (!p->held && !p->over && !p->doomed) {
        struct frame frame;
        int n = parse(p->in + at, p->have - at, &frame);

        if (n < 0)
            end(p, frame.len > WIRE_PAYLOAD ? "a frame longer than allowed"
                                            : "a frame of an unknown kind");
        if (n <= 0)
            break;
        p->held = !p->user.frame(p->user.opaque, &frame);
        if (!p->held)
            at += (size_t)n;
    }
    memmove(p->in, p->in + at, p->have - at);
    p->have -= at;
}

/* False: nothing more is to be had now. */
static bool receive(struct peer *p)
{
    ssize_t n = recv(p->fd, p->in + p->have, sizeof(p->in) - p->have, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        end(p, NULL);
        return false;
    }
    p->have += (size_t)n;
    return true;
}

static void read_frames(struct peer *p)
{
    /* A whole frame fits, so there is room in `in` whenever all whole ones were taken. */
    for (int i = 0; i < READ_ROUNDS && !p->held && !p->over && !p->doomed; i++) {
        if (!receive(p))
            break;
        deliver(p);
    }
}

static void flush(struct peer *p)
{
    while (p->used > 0 && !p->mute) {
        size_t n = p->size - p->head;
        ssize_t sent;

        n = n < p->used ? n : p->used;
        sent = send(p->fd, p->out + p->head, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno != EAGAIN) {
            /* What it sent before it went is still to be read: the end shows there. */
            p->mute = true;
            p->used = 0;
        }
        if (sent < 0)
            break;
        p->used -= (size_t)sent;
        p->head = p->used ? (p->head + (size_t)sent) % p->size : 0;
    }
}

static void ready(void *opaque, uint32_t events)
{
    struct peer *p = opaque;

    enter(p);
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        flush(p);
    if (p->wants_room && (p->mute || p->size - p->used >= FRAME_MAX)) {
        p->wants_room = false;
        p->user.room(p->user.opaque);
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        read_frames(p);
    if (leave(p))
        watch_again(p);
}

static void offer_again(void *opaque)
{
    struct peer *p = opaque;

    enter(p);
    p->held = false;
    deliver(p);
    if (leave(p))
        watch_again(p);
}

struct peer *peer_create(struct loop *loop, int fd, size_t queue, const struct peer_user *user)
{
    struct peer *p = malloc(sizeof(*p) + queue);
    int err = ENOMEM;

    assert(queue >= FRAME_MAX);
    if (!p)
        goto fail;
    memset(p, 0, sizeof(*p)); /* not the queue: its pages are never touched unless it fills */
    p->user = *user;
    p->fd = fd;
    p->size = queue;
    p->again = loop_timer_add(loop, offer_again, p);
    if (!p->again)
        goto fail;
    p->watch = loop_watch_add(loop, fd, EPOLLIN, ready, p);
    if (p->watch)
        return p;
    err = errno;
    loop_timer_remove(p->again);
fail:
    free(p);
    close(fd);
    errno = err;
    return NULL;
}

void peer_destroy(struct peer *p)
{
    if (!p || p->doomed)
        return;
    loop_watch_remove(p->watch);
    loop_timer_remove(p->again);
    close(p->fd);
    p->doomed = true;
    if (p->busy == 0)
        free_peer(p);
}

static void put(struct peer *p, const void *bytes, size_t len)
{
    size_t at = (p->head + p->used) % p->size, first = p->size - at;

    first = first < len ? first : len;
    memcpy(p->out + at, bytes, first);
    memcpy(p->out, (const uint8_t *)bytes + first, len - first);
    p->used += len;
}

bool peer_send(struct peer *p, const struct frame *frame)
{
    uint8_t header[WIRE_HEADER];

    assert(frame->len <= WIRE_PAYLOAD);
    if (p->mute || p->over)
        return true;
    if (p->size - p->used < (size_t)WIRE_HEADER + frame->len) {
        p->wants_room = true;
        watch_again(p);
        return false;
    }
    store_le32(header, frame->session);
    header[4] = frame->type;
    header[5] = frame->stream;
    store_le16(header + 6, frame->len);
    put(p, header, sizeof(header));
    if (frame->len)
        put(p, frame->payload, frame->len);
    flush(p);
    if (p->busy == 0)
        watch_again(p);
    return true;
}

void peer_resume(struct peer *p)
{
    if (p->held)
        loop_timer_arm(p->again, 0);
}

bool peer_is_flushed(const struct peer *p)
{
    return p->used == 0 || p->mute;
}
