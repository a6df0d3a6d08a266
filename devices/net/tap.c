/*
 * A tap device of the host: `--net tap,ifname=NAME`, or descriptors that hv inherits
 * (`--net tap,fd=N`, one a queue pair), for callers that set the device up and then drop rights.
 * Called by net.c. Kernel side: Documentation/networking/tuntap.rst.
 *
 * Frames carry the 12-byte virtio header (IFF_VNET_HDR), so checksums and segmentation pass between
 * guest and host untouched. Guest memory goes straight to readv and writev.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/number.h"
#include "devices/core/util.h"
#include "devices/net/backend.h"

_Static_assert(NET_CSUM == TUN_F_CSUM && NET_TSO4 == TUN_F_TSO4 && NET_TSO6 == TUN_F_TSO6 &&
                   NET_ECN == TUN_F_TSO_ECN && NET_UFO == TUN_F_UFO,
               "passed to the kernel as they are");

struct tap_queue {
    struct tap *tap;
    int fd; /* owned */
    struct loop_watch *watch;
    bool want_read, refused;
};

struct tap {
    struct net net;
    struct loop_timer *lost; /* the interface is gone: to be told without the device's lock */
    unsigned attached;       /* queues that the kernel sends to */
    struct tap_queue queue[NET_QUEUES_MAX];
};

static void watch_again(struct tap_queue *q)
{
    loop_watch_set(q->watch,
                   (q->want_read ? (uint32_t)EPOLLIN : 0) | (q->refused ? (uint32_t)EPOLLOUT : 0));
}

/* The interface was deleted on the host: nothing more will come. */
static void tell_lost(void *opaque)
{
    struct tap *tap = opaque;

    if (!tap->net.up)
        return;
    log_warn("--net tap: the interface went away; the guest's link is down");
    for (unsigned i = 0; i < tap->net.queues; i++) {
        tap->queue[i].want_read = tap->queue[i].refused = false;
        watch_again(&tap->queue[i]);
    }
    net_set_link(&tap->net, false);
}

static void lose(struct tap *tap)
{
    loop_timer_arm(tap->lost, 0);
}

static void ready(void *opaque, uint32_t events)
{
    struct tap_queue *q = opaque;
    unsigned n = (unsigned)(q - q->tap->queue);

    if (events & EPOLLOUT && q->refused) {
        q->refused = false;
        watch_again(q);
        net_writable(&q->tap->net, n);
    }
    if (events & EPOLLIN && q->want_read)
        net_readable(&q->tap->net, n);
    else if (events & EPOLLERR)
        tell_lost(q->tap);
}

static int tap_send(struct net *net, unsigned queue, const struct iovec *iov, unsigned count)
{
    struct tap *tap = (struct tap *)net;
    struct tap_queue *q = &tap->queue[queue];

    if (!net->up || writev(q->fd, iov, (int)count) >= 0)
        return 0;
    if (errno == EAGAIN) {
        q->refused = true;
        watch_again(q);
        return -EAGAIN;
    }
    if (errno == EBADFD)
        lose(tap);
    return 0; /* EINVAL, EIO (interface down), ENOBUFS: the frame is lost, as on a real cable */
}

/* The kernel cuts a frame that is too long and does not say so; a byte to spare shows it. */
static ssize_t tap_recv(struct net *net, unsigned queue, const struct iovec *iov, unsigned count)
{
    struct tap *tap = (struct tap *)net;
    size_t room = net_iov_len(iov, count);
    struct iovec all[NET_IOV_MAX];
    uint8_t spare;
    ssize_t n;

    if (!net->up)
        return -EAGAIN;
    memcpy(all, iov, count * sizeof(*iov));
    all[count] = (struct iovec){&spare, 1};
    n = readv(tap->queue[queue].fd, all, (int)count + 1);
    if (n < 0) {
        if (errno == EBADFD || errno == EIO)
            lose(tap);
        return -EAGAIN;
    }
    return (size_t)n > room ? -EMSGSIZE : n;
}

static void tap_want_read(struct net *net, unsigned queue, bool on)
{
    struct tap *tap = (struct tap *)net;
    struct tap_queue *q = &tap->queue[queue];

    if (q->want_read == on || !net->up)
        return;
    q->want_read = on;
    watch_again(q);
}

static void tap_set_offloads(struct net *net, unsigned offloads)
{
    struct tap *tap = (struct tap *)net;

    /* One queue speaks for the device. */
    if (ioctl(tap->queue[0].fd, TUNSETOFFLOAD, (unsigned long)offloads) < 0 && errno != EBADFD)
        log_error("--net tap: cannot set offloads: %s", strerror(errno));
}

/* Frames on a queue that the guest does not use would be lost, so the kernel must know. */
static void tap_set_queues(struct net *net, unsigned pairs)
{
    struct tap *tap = (struct tap *)net;
    struct ifreq req = {.ifr_flags = IFF_ATTACH_QUEUE};

    for (; tap->attached < pairs; tap->attached++)
        if (ioctl(tap->queue[tap->attached].fd, TUNSETQUEUE, &req) < 0)
            break;
    req.ifr_flags = IFF_DETACH_QUEUE;
    for (; tap->attached > pairs; tap->attached--)
        if (ioctl(tap->queue[tap->attached - 1].fd, TUNSETQUEUE, &req) < 0)
            break;
    if (tap->attached != pairs && errno != EBADFD)
        log_error("--net tap: cannot use %u queues: %s", pairs, strerror(errno));
}

static void tap_close(struct net *net)
{
    struct tap *tap = (struct tap *)net;

    if (tap->lost)
        loop_timer_remove(tap->lost);
    for (unsigned i = 0; i < NET_QUEUES_MAX; i++) {
        if (tap->queue[i].watch)
            loop_watch_remove(tap->queue[i].watch);
        if (tap->queue[i].fd >= 0)
            close(tap->queue[i].fd);
    }
    free(tap);
}

static const struct net_ops tap_ops = {
    .close = tap_close,
    .send = tap_send,
    .recv = tap_recv,
    .want_read = tap_want_read,
    .set_offloads = tap_set_offloads,
    .set_queues = tap_set_queues,
};

/* Opening. */

static int explain_device(void)
{
    int err = errno;

    if (err == ENOENT || err == ENODEV || err == ENXIO)
        log_error("--net tap: /dev/net/tun is not there (load the module: sudo modprobe tun)");
    else if (err == EACCES || err == EPERM)
        log_error("--net tap: /dev/net/tun: permission denied (sudo chmod 0666 /dev/net/tun, or "
                  "use --net user)");
    else
        log_error("--net tap: /dev/net/tun: %s", strerror(err));
    return -err;
}

static int explain_attach(const char *name, unsigned queues)
{
    const char *multi = queues > 1 ? " multi_queue" : "";
    int err = errno;

    if (err == EBUSY)
        log_error("--net tap,ifname=%s: in use by another process (name another interface, or end "
                  "that process)",
                  name);
    else if (err == EPERM || err == EACCES)
        log_error("--net tap,ifname=%s: no permission (make one of your own: sudo ip tuntap add "
                  "mode tap user $USER name %s%s)",
                  name, name, multi);
    else if (err == EINVAL)
        log_error("--net tap,ifname=%s: not a tap device with %s (sudo ip tuntap add mode tap user "
                  "$USER name %s%s)",
                  name, queues > 1 ? "several queues" : "one queue", name, multi);
    else
        log_error("--net tap,ifname=%s: %s", name, strerror(err));
    return -err;
}

/* hv makes no interface: one that nobody has set up leads nowhere, and a mistyped name is one. */
static int check_exists(const char *name, unsigned queues)
{
    if (strlen(name) >= IFNAMSIZ) {
        log_error("--net tap,ifname=%s: too long for an interface (at most %d characters)", name,
                  IFNAMSIZ - 1);
        return -EINVAL;
    }
    if (if_nametoindex(name))
        return 0;
    log_error("--net tap,ifname=%s: no such interface (sudo ip tuntap add mode tap user $USER name "
              "%s%s && sudo ip link set %s up)",
              name, name, queues > 1 ? " multi_queue" : "", name);
    return -ENODEV;
}

static int attach(int fd, const char *name, unsigned queues)
{
    struct ifreq req = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};

    if (queues > 1)
        req.ifr_flags |= IFF_MULTI_QUEUE;
    memcpy(req.ifr_name, name, strlen(name)); /* check_exists: it is shorter than IFNAMSIZ */
    return ioctl(fd, TUNSETIFF, &req);
}

static int open_queues(struct tap *tap, const char *name, unsigned queues)
{
    int err = check_exists(name, queues);

    if (err)
        return err;
    for (unsigned i = 0; i < queues; i++) {
        int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

        if (fd < 0)
            return explain_device();
        tap->queue[i].fd = fd;
        tap->net.queues = i + 1;
        if (attach(fd, name, queues) < 0)
            return explain_attach(name, queues);
    }
    return 0;
}

static int adopt(struct tap_queue *q, const char *text)
{
    struct ifreq req = {0};
    const char *end = text;
    uint64_t number = 0;

    if (number_digits(&end, &number) || *end || number > INT_MAX) {
        log_error("--net tap,fd=%s: not the number of a descriptor", text);
        return -EINVAL;
    }
    if (ioctl((int)number, TUNGETIFF, &req) < 0 || !(req.ifr_flags & IFF_TAP)) {
        log_error("--net tap,fd=%s: not a descriptor of a tap device (open it before hv starts and "
                  "let hv inherit it)",
                  text);
        return -EBADF;
    }
    if (!(req.ifr_flags & IFF_VNET_HDR) || !(req.ifr_flags & IFF_NO_PI)) {
        log_error("--net tap,fd=%s: opened without IFF_VNET_HDR and IFF_NO_PI, which hv needs",
                  text);
        return -EINVAL;
    }
    /* The flag is the tap's own: its description is of /dev/net/tun, and no shell shares it. */
    q->fd = fcntl((int)number, F_DUPFD_CLOEXEC, 3);
    if (q->fd < 0 || fcntl(q->fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0) {
        log_error("--net tap,fd=%s: %s", text, strerror(errno));
        return -EIO;
    }
    return 0;
}

static int adopt_all(struct tap *tap, const struct net_config *config)
{
    if (config->queues > 1 && config->queues != config->fd.count) {
        log_error("--net tap,queues=%u: there are %u of fd= (give one a queue)", config->queues,
                  config->fd.count);
        return -EINVAL;
    }
    for (unsigned i = 0; i < config->fd.count; i++) {
        int err = adopt(&tap->queue[i], config->fd.item[i]);

        if (err)
            return err;
        tap->net.queues = i + 1;
    }
    return 0;
}

/* Which offloads this kernel has: UFO went away and came back. */
static unsigned probe_offloads(int fd)
{
    static const unsigned tries[] = {
        NET_CSUM | NET_TSO4 | NET_TSO6 | NET_ECN | NET_UFO,
        NET_CSUM | NET_TSO4 | NET_TSO6 | NET_ECN,
        NET_CSUM | NET_TSO4 | NET_TSO6,
        NET_CSUM,
    };
    unsigned found = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(tries) && !found; i++)
        if (ioctl(fd, TUNSETOFFLOAD, (unsigned long)tries[i]) == 0)
            found = tries[i];
    ioctl(fd, TUNSETOFFLOAD, 0ul); /* nothing until the guest says what it takes */
    return found;
}

static int set_up(struct tap *tap)
{
    int header = NET_HEADER_BYTES, little = 1;

    for (unsigned i = 0; i < tap->net.queues; i++) {
        struct tap_queue *q = &tap->queue[i];

        /* The second is refused where it is the only way the kernel has. */
        if (ioctl(q->fd, TUNSETVNETHDRSZ, &header) < 0) {
            log_error("--net tap: no 12-byte headers: %s (Linux 3.0 or newer is needed)",
                      strerror(errno));
            return -EIO;
        }
        ioctl(q->fd, TUNSETVNETLE, &little);
        q->watch = loop_watch_add(tap->net.loop, q->fd, 0, ready, q);
        if (!q->watch) {
            log_error("--net tap: cannot watch the device: %s", strerror(errno));
            return -EIO;
        }
    }
    tap->net.offloads = probe_offloads(tap->queue[0].fd);
    tap->attached = tap->net.queues;
    tap->net.up = true;
    return 0;
}

int net_tap_open(const struct net_config *config, struct loop *loop, struct net **out)
{
    struct tap *tap = calloc(1, sizeof(*tap));
    int err = -EINVAL;

    if (!tap)
        return -ENOMEM;
    net_init(&tap->net, &tap_ops, loop);
    for (unsigned i = 0; i < NET_QUEUES_MAX; i++)
        tap->queue[i] = (struct tap_queue){.tap = tap, .fd = -1};
    tap->lost = loop_timer_add(loop, tell_lost, tap);
    if (!tap->lost) {
        tap_close(&tap->net);
        return -ENOMEM;
    }
    if (!config->ifname == !config->fd.count)
        log_error("--net tap: give either ifname=NAME or fd=N");
    else if (config->ifname)
        err = open_queues(tap, config->ifname, config->queues);
    else
        err = adopt_all(tap, config);
    if (!err)
        err = set_up(tap);
    if (!err)
        *out = &tap->net;
    else
        tap_close(&tap->net);
    return err;
}
