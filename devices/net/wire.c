/*
 * A cable between guests: `--net socket,path=FILE`. The first hv at the path listens, the second
 * connects; each further one connects, too, and makes the listener a hub, which passes every frame
 * to all others. Called by net.c.
 *
 * A slow end never holds up the others: between two ends the sender's ring waits a moment, in a hub
 * frames for an end without room are dropped. Memory is bounded by the number of ends.
 *
 * When the listener goes, one of the others takes its place. This is the one back end that makes
 * sockets after vCPUs run: a broken UNIX stream cannot be connected again. A lock-down of system
 * calls must leave the loop thread socket, connect, bind, listen and unlink for this type only.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/net/backend.h"
#include "devices/net/meet.h"
#include "devices/net/ring.h"
#include "devices/net/stream.h"

#define WIRE_PEERS  15 /* ends beside the listener's own */
#define PUMP_FRAMES 64 /* passed on before others of the loop have their turn */
#define NS_PER_MS   UINT64_C(1000000)
#define STALL_NS    (100 * NS_PER_MS) /* how long a full peer holds up its only partner */
#define RETRY_MIN   (50 * NS_PER_MS)
#define RETRY_MAX   (1000 * NS_PER_MS)
#define LASTED_NS   (5000 * NS_PER_MS) /* a link that held so long makes the next try quick again */

struct peer {
    struct wire *wire;
    struct stream stream;
};

struct wire {
    struct net net;
    char *path;
    struct meet meet; /* fd: the listening socket, or -1 */
    struct loop_watch *watch;
    struct peer peer[WIRE_PEERS];
    unsigned peers;
    struct ring ring; /* frames for our own guest while we are a hub */
    struct loop_timer *again, *retry, *stall;
    uint64_t delay;          /* until the next try to join */
    uint64_t joined_ns;      /* when the last one succeeded */
    bool want_read, refused; /* what the device was told last */
    bool stalled;            /* the only peer does not read: frames for it are dropped */
    struct log_limit full;
    bool complained; /* about not being able to join */
};

static void join_later(struct wire *w);

static struct peer *only_peer(struct wire *w)
{
    for (unsigned i = 0; i < WIRE_PEERS; i++)
        if (w->peer[i].stream.fd >= 0)
            return &w->peer[i];
    return NULL;
}

static bool ring_waits(const struct wire *w)
{
    const uint8_t *frame;

    return ring_peek(&w->ring, &frame) > 0;
}

/* A hub reads always; a single cable only while the guest has buffers, so that the peer waits. */
static void set_reading(struct wire *w)
{
    for (unsigned i = 0; i < WIRE_PEERS; i++)
        if (w->peer[i].stream.fd >= 0)
            stream_want_read(&w->peer[i].stream, w->want_read || w->peers > 1);
    if (w->want_read && ring_waits(w))
        loop_timer_arm(w->again, 0);
}

static void pay_writable(struct wire *w)
{
    loop_timer_disarm(w->stall);
    if (!w->refused)
        return;
    w->refused = false;
    net_writable(&w->net, 0);
}

/* Frames from peers. */

static void pass_on(struct wire *w, const struct peer *from, const uint8_t *frame, size_t len)
{
    struct iovec iov = {(void *)(uintptr_t)frame, len};

    for (unsigned i = 0; i < WIRE_PEERS; i++)
        if (&w->peer[i] != from && w->peer[i].stream.fd >= 0)
            stream_send(&w->peer[i].stream, &iov, 1); /* no room: dropped */
    ring_put(&w->ring, frame, len);
}

static void pump(struct peer *p)
{
    struct wire *w = p->wire;
    const uint8_t *frame = NULL;

    for (int i = 0; i < PUMP_FRAMES; i++) {
        ssize_t len = stream_peek(&p->stream, &frame);

        if (len < 0)
            break;
        pass_on(w, p, frame, (size_t)len);
        stream_next(&p->stream);
    }
    stream_want_read(&p->stream, true); /* again, for what is left */
}

static void peer_readable(void *opaque)
{
    struct peer *p = opaque;
    struct wire *w = p->wire;

    if (w->peers > 1)
        pump(p);
    if (w->want_read && (w->peers == 1 || ring_waits(w)))
        net_readable(&w->net, 0);
}

static void peer_writable(void *opaque)
{
    struct peer *p = opaque;

    p->wire->stalled = false;
    pay_writable(p->wire);
}

static void peer_gone(void *opaque)
{
    struct peer *p = opaque;
    struct wire *w = p->wire;

    stream_close(&p->stream);
    w->peers--;
    w->stalled = false;
    set_reading(w);
    if (!w->peers)
        net_set_link(&w->net, false);
    if (w->meet.fd < 0)
        join_later(w);
    pay_writable(w);
}

static int add_peer(struct wire *w, int fd)
{
    for (unsigned i = 0; i < WIRE_PEERS; i++) {
        struct peer *p = &w->peer[i];
        struct stream_user user = {peer_readable, peer_writable, peer_gone, p};
        int err;

        if (p->stream.fd >= 0)
            continue;
        err = stream_open(&p->stream, fd, w->net.loop, &user);
        if (err)
            return err;
        w->peers++;
        w->stalled = false;
        set_reading(w);
        net_set_link(&w->net, true);
        pay_writable(w);
        return 0;
    }
    close(fd);
    if (log_allowed(&w->full))
        log_warn("--net socket,path=%s: no room for more than %d guests", w->path, WIRE_PEERS + 1);
    return -ENOSPC;
}

static void accept_peer(void *opaque, uint32_t events)
{
    struct wire *w = opaque;
    int fd = accept4(w->meet.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)events;
    if (fd >= 0)
        add_peer(w, fd);
}

/* Joining. */

static int join(struct wire *w, char *why, size_t cap)
{
    struct meet m;
    int err = meet_at(w->path, &m, why, cap);

    if (err)
        return err;
    w->joined_ns = loop_now_ns();
    w->complained = false;
    if (!m.listen) {
        snprintf(why, cap, "out of memory");
        return add_peer(w, m.fd);
    }
    w->watch = loop_watch_add(w->net.loop, m.fd, EPOLLIN, accept_peer, w);
    if (!w->watch) {
        snprintf(why, cap, "cannot watch the socket: %s", strerror(errno));
        meet_leave(w->path, &m);
        close(m.fd);
        return -EIO;
    }
    w->meet = m;
    return 0;
}

static void join_later(struct wire *w)
{
    if (loop_now_ns() - w->joined_ns > LASTED_NS)
        w->delay = RETRY_MIN;
    loop_timer_arm(w->retry, w->delay);
    w->delay = w->delay * 2 < RETRY_MAX ? w->delay * 2 : RETRY_MAX;
}

static void retry(void *opaque)
{
    struct wire *w = opaque;
    char why[128];
    int err = join(w, why, sizeof(why));

    if (!err)
        return;
    if (!w->complained && err != -EAGAIN) {
        log_warn("--net socket,path=%s: %s; trying again", w->path, why);
        w->complained = true;
    }
    join_later(w);
}

/* Calls of the device. */

static void stall(void *opaque)
{
    struct wire *w = opaque;

    w->stalled = true;
    pay_writable(w);
}

static void again(void *opaque)
{
    struct wire *w = opaque;

    if (w->want_read && ring_waits(w))
        net_readable(&w->net, 0);
}

static int wire_send(struct net *net, unsigned queue, const struct iovec *iov, unsigned count)
{
    struct wire *w = (struct wire *)net;
    struct iovec body[NET_IOV_MAX];
    unsigned n = net_iov_skip(iov, count, NET_HEADER_BYTES, body);
    int err = 0;

    (void)queue;
    for (unsigned i = 0; i < WIRE_PEERS; i++)
        if (w->peer[i].stream.fd >= 0)
            err = stream_send(&w->peer[i].stream, body, n);
    if (w->peers != 1 || err != -EAGAIN || w->stalled)
        return 0;
    if (!w->refused)
        loop_timer_arm(w->stall, STALL_NS);
    w->refused = true;
    return -EAGAIN;
}

static ssize_t wire_recv(struct net *net, unsigned queue, const struct iovec *iov, unsigned count)
{
    struct wire *w = (struct wire *)net;
    const uint8_t *frame = NULL;
    size_t len = ring_peek(&w->ring, &frame);
    ssize_t n;

    (void)queue;
    if (!len)
        return w->peers == 1 ? stream_recv(&only_peer(w)->stream, iov, count) : -EAGAIN;
    n = net_iov_fill(iov, count, frame, len);
    ring_next(&w->ring);
    return n;
}

static void wire_want_read(struct net *net, unsigned queue, bool on)
{
    struct wire *w = (struct wire *)net;

    (void)queue;
    w->want_read = on;
    set_reading(w);
}

static void wire_close(struct net *net)
{
    struct wire *w = (struct wire *)net;
    struct loop_timer *timers[] = {w->again, w->retry, w->stall};

    for (unsigned i = 0; i < ARRAY_SIZE(timers); i++)
        if (timers[i])
            loop_timer_remove(timers[i]);
    for (unsigned i = 0; i < WIRE_PEERS; i++)
        stream_free(&w->peer[i].stream);
    if (w->watch)
        loop_watch_remove(w->watch);
    if (w->meet.fd >= 0) {
        meet_leave(w->path, &w->meet);
        close(w->meet.fd);
    }
    ring_free(&w->ring);
    free(w->path);
    free(w);
}

static const struct net_ops wire_ops = {
    .close = wire_close,
    .send = wire_send,
    .recv = wire_recv,
    .want_read = wire_want_read,
};

static int prepare(struct wire *w, const char *path, struct loop *loop)
{
    net_init(&w->net, &wire_ops, loop);
    w->meet.fd = -1;
    w->delay = RETRY_MIN;
    for (unsigned i = 0; i < WIRE_PEERS; i++)
        w->peer[i] = (struct peer){.wire = w, .stream = STREAM_CLOSED};
    w->path = strdup(path);
    w->again = loop_timer_add(loop, again, w);
    w->retry = loop_timer_add(loop, retry, w);
    w->stall = loop_timer_add(loop, stall, w);
    if (!w->path || !w->again || !w->retry || !w->stall)
        return -ENOMEM;
    return ring_init(&w->ring);
}

int net_wire_open(const struct net_config *config, struct loop *loop, struct net **out)
{
    struct wire *w;
    char why[128];
    int err;

    if (!config->path) {
        log_error("--net socket: path= is missing (socket,path=FILE, the same for both guests)");
        return -EINVAL;
    }
    w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    err = prepare(w, config->path, loop);
    if (!err) {
        err = join(w, why, sizeof(why));
        if (err == -EAGAIN)
            join_later(w);
        else if (err && err != -ENOMEM)
            log_error("--net socket,path=%s: %s", config->path, why);
    }
    if (err && err != -EAGAIN) {
        wire_close(&w->net);
        return err;
    }
    *out = &w->net;
    return 0;
}
