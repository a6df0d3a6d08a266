/*
 * The user-mode network: `--net user[,hostfwd=...]...` by passt(1), which needs no rights. Called
 * by net.c.
 *
 * passt runs below a keeper process (keeper.h), which starts it again when it dies: the guest's
 * link goes down and comes back. Frames go over a stream socket (stream.h); there are no offloads.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/net/backend.h"
#include "devices/net/hostfwd.h"
#include "devices/net/keeper.h"
#include "devices/net/stream.h"

#define START_MS   10000
#define SPEC_BYTES 64
#define TEXT(x)    #x
#define NUMBER(x)  TEXT(x)
#define FIXED_ARGS 12

struct passt {
    struct net net;
    struct stream stream;
    struct keeper keeper;
    struct loop_watch *watch; /* of the keeper */
    bool want_read;
    char path[256];
    char spec[PARAM_LIST_MAX][SPEC_BYTES];
    char *argv[FIXED_ARGS + 2 * PARAM_LIST_MAX + 3];
};

/* Frames. */

static void passt_readable(void *opaque)
{
    net_readable(opaque, 0);
}

static void passt_writable(void *opaque)
{
    net_writable(opaque, 0);
}

/* The keeper's news say why. */
static void passt_gone(void *opaque)
{
    struct passt *p = opaque;

    stream_close(&p->stream);
    net_set_link(&p->net, false);
    net_writable(&p->net, 0); /* what waits may go: it is dropped now */
}

static int passt_send(struct net *net, unsigned queue, const struct iovec *iov, unsigned count)
{
    struct passt *p = (struct passt *)net;
    struct iovec body[NET_IOV_MAX];

    (void)queue;
    return stream_send(&p->stream, body, net_iov_skip(iov, count, NET_HEADER_BYTES, body));
}

static ssize_t passt_recv(struct net *net, unsigned queue, const struct iovec *iov, unsigned count)
{
    struct passt *p = (struct passt *)net;

    (void)queue;
    return stream_recv(&p->stream, iov, count);
}

static void passt_want_read(struct net *net, unsigned queue, bool on)
{
    struct passt *p = (struct passt *)net;

    (void)queue;
    p->want_read = on;
    stream_want_read(&p->stream, on);
}

/* The life of the helper. */

static int connected(struct passt *p, int fd)
{
    const struct stream_user user = {passt_readable, passt_writable, passt_gone, p};
    int err;

    stream_close(&p->stream);
    err = stream_open(&p->stream, fd, p->net.loop, &user);
    if (!err)
        stream_want_read(&p->stream, p->want_read);
    net_set_link(&p->net, !err);
    return err;
}

static void keeper_ready(void *opaque, uint32_t events)
{
    struct passt *p = opaque;
    struct keeper_news news;
    int err = keeper_news(&p->keeper, 0, &news);

    (void)events;
    if (err == -EAGAIN)
        return;
    if (err) {
        log_error("--net user: the process that keeps passt was killed; the network stays down");
        loop_watch_set(p->watch, 0);
        passt_gone(p);
    } else if (!news.up) {
        log_warn("--net user: passt ended (%s); it is started again", news.why);
        passt_gone(p);
    } else if (connected(p, news.fd) == 0) {
        log_info("--net user: passt runs again");
    }
}

static void passt_close(struct net *net)
{
    struct passt *p = (struct passt *)net;

    if (p->watch)
        loop_watch_remove(p->watch);
    stream_free(&p->stream);
    keeper_stop(&p->keeper);
    free(p);
}

static const struct net_ops passt_ops = {
    .close = passt_close,
    .send = passt_send,
    .recv = passt_recv,
    .want_read = passt_want_read,
};

/* Opening. */

/* The keeper's child could not tell what is missing. */
static int find_passt(struct passt *p)
{
    if (helper_find("passt", NULL, p->path, sizeof(p->path)))
        return 0;
    log_error("--net user: passt is not installed (sudo apt install passt, or use --net none)");
    return -ENOENT;
}

static int add_forwards(struct passt *p, const struct param_list *list, unsigned argc)
{
    bool tcp = false, udp = false;
    struct hostfwd fwd;
    char why[256];

    for (unsigned i = 0; i < list->count; i++) {
        int err = hostfwd_parse(list->item[i], &fwd, why, sizeof(why));

        if (!err)
            err = hostfwd_check(&fwd, why, sizeof(why));
        if (err) {
            log_error("--net user: %s", why);
            return err;
        }
        hostfwd_format(&fwd, p->spec[i], sizeof(p->spec[i]));
        p->argv[argc++] = fwd.udp ? "-u" : "-t";
        p->argv[argc++] = p->spec[i];
        tcp |= !fwd.udp;
        udp |= fwd.udp;
    }
    /* Without -u, forwarded TCP ports would be UDP ports, too. */
    if (tcp && !udp) {
        p->argv[argc++] = "-u";
        p->argv[argc++] = "none";
    }
    p->argv[argc] = NULL;
    return 0;
}

static int prepare(struct passt *p, const struct net_config *config)
{
    static char *const fixed[] = {"passt",    "--foreground",   "--quiet",
                                  "--stderr", "--fd",           NUMBER(HELPER_FD),
                                  "--pid",    "/proc/self/fd/1"}; /* written when it is ready */
    int err = find_passt(p);

    _Static_assert(ARRAY_SIZE(fixed) <= FIXED_ARGS, "room for them");
    memcpy(p->argv, fixed, sizeof(fixed));
    return err ? err : add_forwards(p, &config->hostfwd, ARRAY_SIZE(fixed));
}

static int start(struct passt *p)
{
    struct keeper_news news;
    int err = keeper_start(&p->keeper, p->path, p->argv);

    if (!err)
        err = keeper_news(&p->keeper, START_MS, &news);
    if (err) {
        log_error("--net user: cannot start %s: %s", p->path, strerror(-err));
        return err == -ENOMEM ? -EIO : err;
    }
    if (!news.up) {
        log_error("--net user: passt does not start: %s", news.why);
        return -EIO;
    }
    err = connected(p, news.fd);
    if (err)
        return err;
    p->watch = loop_watch_add(p->net.loop, p->keeper.fd, EPOLLIN, keeper_ready, p);
    return p->watch ? 0 : -ENOMEM;
}

int net_passt_open(const struct net_config *config, struct loop *loop, struct net **out)
{
    struct passt *p = calloc(1, sizeof(*p));
    int err;

    if (!p)
        return -ENOMEM;
    net_init(&p->net, &passt_ops, loop);
    p->stream = (struct stream)STREAM_CLOSED;
    p->keeper.fd = -1;
    err = prepare(p, config);
    if (!err)
        err = start(p);
    if (!err)
        *out = &p->net;
    else
        passt_close(&p->net);
    return err;
}
