/*
 * The network card under hostile drivers: see machine.h. The host's side is a cable that takes
 * every frame apart, may be full for a while, and brings frames of any length.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/fuzz/machine.h"
#include "devices/net/backend.h"
#include "devices/virtio/net_card.h"

#define PAIRS      3
#define FRAMES_MAX 40 /* of one event */

static struct cable {
    struct net net;
    bool want[NET_QUEUES_MAX];
    bool full;
    size_t len; /* of the frames that wait */
    unsigned waiting;
} cable;

static void cable_close(struct net *net)
{
    (void)net;
}

static int cable_send(struct net *net, unsigned queue, const struct iovec *iov, unsigned count)
{
    static uint8_t sink[NET_HEADER_BYTES + NET_FRAME_MAX];
    size_t len = net_iov_len(iov, count), at = 0;

    (void)net;
    /* What net.h promises to back ends. */
    if (queue >= PAIRS || count > NET_IOV_MAX || len < NET_HEADER_BYTES || len > sizeof(sink))
        abort();
    if (cable.full)
        return -EAGAIN;
    for (unsigned i = 0; i < count; i++) {
        memcpy(sink + at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    return 0;
}

static ssize_t cable_recv(struct net *net, unsigned queue, const struct iovec *iov, unsigned count)
{
    static const uint8_t frame[NET_FRAME_MAX];

    (void)net;
    if (queue >= PAIRS)
        abort();
    if (!cable.waiting)
        return -EAGAIN;
    cable.waiting--;
    return net_iov_fill(iov, count, frame, cable.len);
}

static void cable_want_read(struct net *net, unsigned queue, bool on)
{
    (void)net;
    if (queue >= PAIRS)
        abort();
    cable.want[queue] = on;
}

static const struct net_ops ops = {
    .close = cable_close, .send = cable_send, .recv = cable_recv, .want_read = cable_want_read};

static int create(struct loop *loop, struct virtio **out)
{
    static const uint8_t mac[NET_MAC_BYTES] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
    static const struct net_config config = {.mtu = 1500};

    memset(&cable, 0, sizeof(cable));
    net_init(&cable.net, &ops, loop);
    cable.net.queues = PAIRS;
    cable.net.offloads = NET_CSUM | NET_TSO4 | NET_TSO6 | NET_ECN | NET_UFO;
    cable.net.up = true;
    return card_create(&cable.net, &config, mac, loop, out);
}

/* Frames come in, on every pair whose driver has buffers. */
static void deliver(size_t len, unsigned count)
{
    cable.len = len;
    cable.waiting = count;
    for (unsigned i = 0; i < FRAMES_MAX && cable.waiting; i++)
        if (cable.want[i % PAIRS])
            net_readable(&cable.net, i % PAIRS);
    cable.waiting = 0;
}

static void event(struct virtio *v, uint8_t what, struct fuzz_input *in)
{
    (void)v;
    switch (what & 3) {
    case 0:
        cable.full = !cable.full;
        for (unsigned i = 0; i < PAIRS && !cable.full; i++)
            net_writable(&cable.net, i);
        break;
    case 1:
        net_set_link(&cable.net, what & 4);
        break;
    default:
        deliver(fuzz_u16(in), 1 + what / 4 % FRAMES_MAX);
    }
}

const struct fuzz_target fuzz_net = {.name = "net", .create = create, .event = event};
