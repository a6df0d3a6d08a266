/*
 * The table of network back ends, what `--net` takes, and the calls that devices make. Called by
 * devices/virtio/net.c.
 */
#include "devices/net/net.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "devices/net/backend.h"

static int none_open(const struct net_config *config, struct loop *loop, struct net **out);

/* Keys that belong to one type, as bits. */
#define KEY_HOSTFWD 0x01
#define KEY_IFNAME  0x02
#define KEY_FD      0x04
#define KEY_PATH    0x08
#define KEY_QUEUES  0x10

static const struct type {
    const char *name;
    unsigned keys;
    int (*open)(const struct net_config *config, struct loop *loop, struct net **out);
} types[] = {
    {"user", KEY_HOSTFWD, net_passt_open},
    {"tap", KEY_IFNAME | KEY_FD | KEY_QUEUES, net_tap_open},
    {"socket", KEY_PATH, net_wire_open},
    {"none", 0, none_open},
};

static const char *const type_names[] = {"user", "tap", "socket", "none", NULL};

_Static_assert(ARRAY_SIZE(types) + 1 == ARRAY_SIZE(type_names), "one name a type");

#define ROW(key_, arg_, type_, ...)                                                                \
    {                                                                                              \
        .key = #key_, .arg = arg_, .type = type_, .offset = offsetof(struct net_config, key_),     \
        __VA_ARGS__                                                                                \
    }

static const struct param_row rows[] = {
    ROW(type, "TYPE", PARAM_CHOICE, .choices = type_names, .required = true,
        .help = "The other end of the cable: user (passt), tap, socket (other guests), none"),
    ROW(hostfwd, "tcp|udp:[ADDR]:PORT-:PORT", PARAM_LIST,
        .help = "user: a port of the host that leads to the guest; may be repeated"),
    ROW(ifname, "NAME", PARAM_STRING, .help = "tap: the host's interface"),
    ROW(fd, "N", PARAM_LIST, .help = "tap: an inherited descriptor; one a queue pair"),
    ROW(path, "FILE", PARAM_STRING, .help = "socket: where the guests of one wire meet"),
    ROW(queues, "N", PARAM_COUNT, .min = 1, .max = NET_QUEUES_MAX, .initial = "1",
        .help = "tap: queue pairs, one a vCPU is best"),
    ROW(mac, "XX:XX:XX:XX:XX:XX", PARAM_STRING,
        .help = "The card's address; otherwise a random one"),
    ROW(mtu, "BYTES", PARAM_COUNT, .max = 65535,
        .help = "Largest packet, told to the guest; 0: not told"),
    ROW(bps, "BYTES", PARAM_SIZE, .help = "Bytes a second at most, each way; 0: no limit"),
    ROW(pps, "N", PARAM_SIZE, .help = "Frames a second at most, each way; 0: no limit"),
    {.key = NULL},
};

const struct params net_params = {
    .rows = rows,
    .size = sizeof(struct net_config),
    .first = "type",
};

static unsigned keys_given(const struct net_config *config)
{
    return (config->hostfwd.count ? KEY_HOSTFWD : 0) | (config->ifname ? KEY_IFNAME : 0) |
           (config->fd.count ? KEY_FD : 0) | (config->path ? KEY_PATH : 0) |
           (config->queues > 1 ? KEY_QUEUES : 0);
}

int net_open(const struct net_config *config, struct loop *loop, struct net **out)
{
    static const char *const key_names[] = {"hostfwd", "ifname", "fd", "path", "queues"};
    const struct type *type = &types[config->type];
    unsigned wrong = keys_given(config) & ~type->keys;

    assert(config->type < ARRAY_SIZE(types));
    *out = NULL;
    if (!wrong) {
        int err = type->open(config, loop, out);

        if (err == -ENOMEM)
            log_error("--net %s: out of memory", type->name);
        return err;
    }
    log_error("--net %s: %s= is not a key of this type", type->name,
              key_names[__builtin_ctz(wrong)]);
    return -EINVAL;
}

void net_close(struct net *net)
{
    if (net)
        net->ops->close(net);
}

void net_attach(struct net *net, const struct net_user *user)
{
    net->user = user ? *user : (struct net_user){0};
}

unsigned net_offloads(const struct net *net)
{
    return net->offloads;
}

void net_set_offloads(struct net *net, unsigned offloads)
{
    if (net->ops->set_offloads)
        net->ops->set_offloads(net, offloads & net->offloads);
}

int net_send(struct net *net, unsigned queue, const struct iovec *iov, unsigned count)
{
    assert(queue < net->queues && count < NET_IOV_MAX - 1);
    return net->ops->send(net, queue, iov, count);
}

ssize_t net_recv(struct net *net, unsigned queue, const struct iovec *iov, unsigned count)
{
    assert(queue < net->queues && count < NET_IOV_MAX - 1);
    return net->ops->recv(net, queue, iov, count);
}

void net_want_read(struct net *net, unsigned queue, bool on)
{
    assert(queue < net->queues);
    net->ops->want_read(net, queue, on);
}

void net_set_queues(struct net *net, unsigned pairs)
{
    assert(pairs >= 1 && pairs <= net->queues);
    if (net->ops->set_queues)
        net->ops->set_queues(net, pairs);
}

bool net_link_up(const struct net *net)
{
    return net->up;
}

unsigned net_queues(const struct net *net)
{
    return net->queues;
}

/* For back ends. */

void net_init(struct net *net, const struct net_ops *ops, struct loop *loop)
{
    *net = (struct net){.ops = ops, .loop = loop, .queues = 1};
}

void net_readable(struct net *net, unsigned queue)
{
    if (net->user.readable)
        net->user.readable(net->user.opaque, queue);
}

void net_writable(struct net *net, unsigned queue)
{
    if (net->user.writable)
        net->user.writable(net->user.opaque, queue);
}

void net_set_link(struct net *net, bool up)
{
    if (net->up == up)
        return;
    net->up = up;
    if (net->user.link)
        net->user.link(net->user.opaque, up);
}

unsigned net_iov_skip(const struct iovec *iov, unsigned count, size_t skip, struct iovec *out)
{
    unsigned n = 0;

    for (unsigned i = 0; i < count; i++) {
        size_t cut = skip < iov[i].iov_len ? skip : iov[i].iov_len;

        skip -= cut;
        if (cut < iov[i].iov_len)
            out[n++] = (struct iovec){(uint8_t *)iov[i].iov_base + cut, iov[i].iov_len - cut};
    }
    return n;
}

size_t net_iov_len(const struct iovec *iov, unsigned count)
{
    size_t len = 0;

    for (unsigned i = 0; i < count; i++)
        len += iov[i].iov_len;
    return len;
}

static unsigned copy_out(const struct iovec *iov, unsigned count, const uint8_t *from, size_t len)
{
    unsigned i;

    for (i = 0; i < count && len; i++) {
        size_t part = len < iov[i].iov_len ? len : iov[i].iov_len;

        memcpy(iov[i].iov_base, from, part);
        from += part;
        len -= part;
    }
    return i;
}

ssize_t net_iov_fill(const struct iovec *iov, unsigned count, const void *frame, size_t len)
{
    static const uint8_t header[NET_HEADER_BYTES];
    struct iovec body[NET_IOV_MAX];
    unsigned n;

    if (net_iov_len(iov, count) < len + NET_HEADER_BYTES)
        return -EMSGSIZE;
    copy_out(iov, count, header, sizeof(header));
    n = net_iov_skip(iov, count, NET_HEADER_BYTES, body);
    copy_out(body, n, frame, len);
    return (ssize_t)(len + NET_HEADER_BYTES);
}

/* A card without a cable: what is sent is lost. */

static void none_close(struct net *net)
{
    free(net);
}

static int none_send(struct net *net, unsigned queue, const struct iovec *iov, unsigned count)
{
    (void)net, (void)queue, (void)iov, (void)count;
    return 0;
}

static ssize_t none_recv(struct net *net, unsigned queue, const struct iovec *iov, unsigned count)
{
    (void)net, (void)queue, (void)iov, (void)count;
    return -EAGAIN;
}

static void none_want_read(struct net *net, unsigned queue, bool on)
{
    (void)net, (void)queue, (void)on;
}

static const struct net_ops none_ops = {
    .close = none_close,
    .send = none_send,
    .recv = none_recv,
    .want_read = none_want_read,
};

static int none_open(const struct net_config *config, struct loop *loop, struct net **out)
{
    struct net *net = malloc(sizeof(*net));

    (void)config;
    if (!net)
        return -ENOMEM;
    net_init(net, &none_ops, loop);
    *out = net;
    return 0;
}
