/*
 * Framing over a stream socket: see stream.h. Called by passt.c and wire.c.
 *
 * Receiving copies once, from a buffer that takes many small frames in one system call: at these
 * back ends' rates the calls cost more than the copy.
 */
#include "devices/net/stream.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/net/backend.h"

#define LENGTH_BYTES 4
#define FRAME_MIN    14
#define TX_BYTES     (LENGTH_BYTES + NET_FRAME_MAX)
#define RX_BYTES     (2 * TX_BYTES)
#define SNDBUF_BYTES (1 << 20) /* some large frames; the kernel may give less */

static uint32_t load_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void store_be32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static bool tx_pending(const struct stream *s)
{
    return s->tx_start != s->tx_end;
}

static void watch_again(struct stream *s)
{
    /* A dead stream's hang-up shows whatever is watched: `again` reports it instead. */
    if (s->dead)
        loop_watch_set(s->watch, 0);
    else
        loop_watch_set(s->watch, EPOLLRDHUP | (s->want_read ? (uint32_t)EPOLLIN : 0) |
                                     (tx_pending(s) || s->refused ? (uint32_t)EPOLLOUT : 0));
}

/* From within a send or receive the user cannot be told: it would close what the caller uses. */
static void die(struct stream *s)
{
    if (s->dead)
        return;
    s->dead = true;
    s->tx_start = s->tx_end = 0;
    watch_again(s);
    loop_timer_arm(s->again, 0);
}

static void flush(struct stream *s)
{
    ssize_t n;

    if (!tx_pending(s))
        return;
    n = send(s->fd, s->tx + s->tx_start, s->tx_end - s->tx_start, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        die(s);
    if (n > 0)
        s->tx_start += (size_t)n;
}

static void has_room(struct stream *s)
{
    bool owed = s->refused;

    flush(s);
    if (tx_pending(s) || s->dead)
        return;
    s->refused = false;
    watch_again(s);
    if (owed)
        s->user.writable(s->user.opaque);
}

/* The length of the frame at the front if all of it is there, else -EAGAIN. */
static ssize_t front(struct stream *s)
{
    size_t have = s->rx_end - s->rx_start;
    uint32_t len;

    if (have < LENGTH_BYTES)
        return -EAGAIN;
    len = load_be32(s->rx + s->rx_start);
    if (len > NET_FRAME_MAX) {
        die(s); /* where the next frame starts cannot be known */
        return -EAGAIN;
    }
    return have - LENGTH_BYTES >= len ? (ssize_t)len : -EAGAIN;
}

static void ready(void *opaque, uint32_t events)
{
    struct stream *s = opaque;

    if (events & EPOLLOUT)
        has_room(s);
    if (s->fd < 0 || s->dead)
        return;
    if (events & EPOLLIN && s->want_read)
        s->user.readable(s->user.opaque);
    else if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        die(s); /* nobody reads what may be left: the cable is out */
}

static void fire_again(void *opaque)
{
    struct stream *s = opaque;

    if (s->dead)
        s->user.gone(s->user.opaque);
    else if (s->want_read && s->fd >= 0)
        s->user.readable(s->user.opaque);
}

int stream_open(struct stream *s, int fd, struct loop *loop, const struct stream_user *user)
{
    int size = SNDBUF_BYTES;

    assert(s->fd < 0);
    s->fd = fd;
    s->user = *user;
    s->dead = s->want_read = s->refused = false;
    s->rx_start = s->rx_end = s->tx_start = s->tx_end = 0;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)); /* only faster, if it works */
    if (!s->rx)
        s->rx = malloc(RX_BYTES);
    if (!s->tx)
        s->tx = malloc(TX_BYTES);
    if (s->rx && s->tx)
        s->watch = loop_watch_add(loop, fd, EPOLLRDHUP, ready, s);
    if (s->watch)
        s->again = loop_timer_add(loop, fire_again, s);
    if (s->again)
        return 0;
    stream_close(s);
    return -ENOMEM;
}

void stream_close(struct stream *s)
{
    if (s->watch)
        loop_watch_remove(s->watch);
    if (s->again)
        loop_timer_remove(s->again);
    if (s->fd >= 0)
        close(s->fd);
    s->watch = NULL;
    s->again = NULL;
    s->fd = -1;
    s->want_read = false;
}

void stream_free(struct stream *s)
{
    stream_close(s);
    free(s->rx);
    free(s->tx);
    *s = (struct stream)STREAM_CLOSED;
}

/* Keeps what follows the first `sent` bytes; the chain goes back to the guest, so it is copied. */
static void keep_rest(struct stream *s, const struct iovec *iov, unsigned count, size_t sent)
{
    struct iovec rest[NET_IOV_MAX];
    unsigned n = net_iov_skip(iov, count, sent, rest);

    s->tx_start = s->tx_end = 0;
    for (unsigned i = 0; i < n; i++) {
        memcpy(s->tx + s->tx_end, rest[i].iov_base, rest[i].iov_len);
        s->tx_end += rest[i].iov_len;
    }
    if (tx_pending(s))
        watch_again(s);
}

static int refuse(struct stream *s)
{
    s->refused = true;
    watch_again(s);
    return -EAGAIN;
}

int stream_send(struct stream *s, const struct iovec *iov, unsigned count)
{
    uint8_t length[LENGTH_BYTES];
    struct iovec all[NET_IOV_MAX] = {{length, sizeof(length)}};
    struct msghdr msg = {.msg_iov = all, .msg_iovlen = count + 1};
    size_t len = net_iov_len(iov, count);
    ssize_t n;

    if (s->fd < 0 || s->dead || len > NET_FRAME_MAX)
        return 0;
    if (tx_pending(s))
        return refuse(s);
    store_be32(length, (uint32_t)len);
    memcpy(all + 1, iov, count * sizeof(*iov));
    n = sendmsg(s->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS))
        return refuse(s);
    if (n < 0)
        die(s);
    else if ((size_t)n < len + sizeof(length))
        keep_rest(s, all, count + 1, (size_t)n);
    return 0;
}

static bool fill(struct stream *s)
{
    ssize_t n;

    if (s->fd < 0 || s->dead)
        return false;
    memmove(s->rx, s->rx + s->rx_start, s->rx_end - s->rx_start);
    s->rx_end -= s->rx_start;
    s->rx_start = 0;
    n = recv(s->fd, s->rx + s->rx_end, RX_BYTES - s->rx_end, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        die(s);
    if (n > 0)
        s->rx_end += (size_t)n;
    return n > 0;
}

void stream_next(struct stream *s)
{
    ssize_t len = front(s);

    assert(len >= 0);
    s->rx_start += LENGTH_BYTES + (size_t)len;
}

/* What is shorter than its addresses and type is no frame. */
static ssize_t front_frame(struct stream *s)
{
    ssize_t len = front(s);

    while (len >= 0 && len < FRAME_MIN) {
        stream_next(s);
        len = front(s);
    }
    return len;
}

ssize_t stream_peek(struct stream *s, const uint8_t **frame)
{
    ssize_t len = front_frame(s);

    if (len < 0 && fill(s))
        len = front_frame(s);
    if (len >= 0)
        *frame = s->rx + s->rx_start + LENGTH_BYTES;
    return len;
}

ssize_t stream_recv(struct stream *s, const struct iovec *iov, unsigned count)
{
    const uint8_t *frame = NULL;
    ssize_t len = stream_peek(s, &frame);

    if (len < 0)
        return len;
    len = net_iov_fill(iov, count, frame, (size_t)len);
    stream_next(s);
    return len;
}

void stream_want_read(struct stream *s, bool on)
{
    if (s->fd < 0 || s->dead)
        return;
    if (s->want_read != on) {
        s->want_read = on;
        watch_again(s);
    }
    if (on && front(s) >= 0)
        loop_timer_arm(s->again, 0);
}
