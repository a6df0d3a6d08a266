/* A network back end for tests: see fake_cable.h. */
#include "devices/test/fake_cable.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"

struct fake_cable cable;
struct driver card_driver;
const uint8_t card_mac[NET_MAC_BYTES] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};

static void do_close(struct net *net)
{
    (void)net;
    for (unsigned i = 0; i < cable.rx_count; i++)
        free(cable.rx[i]);
    cable.closed = true;
}

static int do_send(struct net *net, unsigned queue, const struct iovec *iov, unsigned count)
{
    size_t at = 0;

    (void)net;
    if (cable.full) {
        cable.refused++;
        return -EAGAIN;
    }
    for (unsigned i = 0; i < count; i++) {
        ck_assert(at + iov[i].iov_len <= sizeof(cable.last));
        memcpy(cable.last + at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    cable.last_len = at;
    cable.sent++;
    cable.sent_on[queue]++;
    return 0;
}

static ssize_t do_recv(struct net *net, unsigned queue, const struct iovec *iov, unsigned count)
{
    const uint8_t *from;
    size_t left, len;

    (void)net, (void)queue;
    if (cable.rx_at == cable.rx_count)
        return -EAGAIN;
    from = cable.rx[cable.rx_at];
    left = len = cable.rx_len[cable.rx_at];
    cable.rx_at++;
    if (net_iov_len(iov, count) < len) {
        cable.too_long++;
        return -EMSGSIZE;
    }
    for (unsigned i = 0; i < count && left > 0; i++) {
        size_t n = left < iov[i].iov_len ? left : iov[i].iov_len;

        memcpy(iov[i].iov_base, from, n);
        from += n;
        left -= n;
    }
    return (ssize_t)len;
}

static void do_want_read(struct net *net, unsigned queue, bool on)
{
    (void)net;
    cable.want[queue] = on;
}

static void do_set_offloads(struct net *net, unsigned offloads)
{
    (void)net;
    cable.offloads_set = offloads;
}

static void do_set_queues(struct net *net, unsigned pairs)
{
    (void)net;
    cable.queues_set = pairs;
}

static const struct net_ops ops = {
    .close = do_close,
    .send = do_send,
    .recv = do_recv,
    .want_read = do_want_read,
    .set_offloads = do_set_offloads,
    .set_queues = do_set_queues,
};

void cable_open(const struct net_config *config, unsigned pairs, unsigned offloads)
{
    static const struct net_config plain;
    struct loop *loop = driver_loop(&card_driver);
    struct virtio *v = NULL;

    memset(&cable, 0, sizeof(cable));
    net_init(&cable.net, &ops, loop);
    cable.net.queues = pairs;
    cable.net.offloads = offloads;
    cable.net.up = true;
    ck_assert_int_eq(card_create(&cable.net, config ? config : &plain, card_mac, loop, &v), 0);
    driver_create(&card_driver, v);
}

void cable_close(void)
{
    if (card_driver.dev)
        driver_destroy(&card_driver);
}

struct card *cable_card(void)
{
    return (struct card *)card_driver.v;
}

static uint8_t byte_at(size_t i, uint8_t tag)
{
    if (i < NET_MAC_BYTES)
        return card_mac[i];
    return (uint8_t)(i * 5 + (i >> 8) * 3 + tag);
}

bool cable_matches(const uint8_t *p, size_t from, size_t len, uint8_t tag)
{
    for (size_t i = 0; i < len; i++)
        if (p[i] != byte_at(from + i, tag))
            return false;
    return true;
}

static void compose(uint8_t *to, size_t len, uint8_t tag, const uint8_t *hdr)
{
    memset(to, 0, NET_HEADER_BYTES);
    if (hdr)
        memcpy(to, hdr, NET_HEADER_BYTES);
    for (size_t i = 0; i < len; i++)
        to[NET_HEADER_BYTES + i] = byte_at(i, tag);
}

void cable_feed(size_t len, uint8_t tag, const uint8_t *hdr)
{
    uint8_t *frame = malloc(NET_HEADER_BYTES + len);

    ck_assert_ptr_nonnull(frame);
    ck_assert_uint_lt(cable.rx_count, CABLE_FRAMES);
    compose(frame, len, tag, hdr);
    cable.rx[cable.rx_count] = frame;
    cable.rx_len[cable.rx_count++] = NET_HEADER_BYTES + len;
}

bool cable_run(void)
{
    for (unsigned i = 0; i < 1000; i++) {
        driver_run(&card_driver);
        if (!cable.want[0] || cable.rx_at == cable.rx_count)
            return true;
        net_readable(&cable.net, 0);
    }
    return false;
}

uint64_t cable_compose(size_t len, uint8_t tag, const uint8_t *hdr)
{
    uint64_t gpa = driver_alloc(&card_driver, NET_HEADER_BYTES + len);

    compose(driver_ptr(&card_driver, gpa), len, tag, hdr);
    return gpa;
}

uint64_t cable_add_buffer(uint32_t len)
{
    struct driver_buf buf = {driver_alloc(&card_driver, len ? len : 1), len, true};

    driver_add(&card_driver, card_rx_queue(0), &buf, 1);
    return buf.gpa;
}

unsigned cable_control_queue(void)
{
    return card_driver.features & NET_F_MQ ? 2 * cable.net.queues : 2;
}

int cable_control(uint8_t class, uint8_t command, const void *data, uint32_t len)
{
    uint64_t gpa = driver_alloc(&card_driver, len + 3);
    uint8_t *p = driver_ptr(&card_driver, gpa);
    struct driver_buf bufs[] = {{gpa, 2, false}, {gpa + 2, len, false}, {gpa + 2 + len, 1, true}};

    p[0] = class;
    p[1] = command;
    if (len)
        memcpy(p + 2, data, len);
    p[2 + len] = 0xee;
    driver_do(&card_driver, cable_control_queue(), bufs, 3);
    return p[2 + len] == 0xee ? -1 : p[2 + len];
}

const uint64_t cable_layouts[CABLE_LAYOUTS] = {0, VIRTIO_F_EVENT_IDX, VIRTIO_F_RING_PACKED,
                                               VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX};

void cable_set_up(void)
{
    log_set_level(LOG_ERROR);
}

void cable_tear_down(void)
{
    cable_close();
    ck_assert(cable.closed);
}

void cable_start(uint64_t features)
{
    cable_open(NULL, 1, 0);
    driver_start(&card_driver, features, 256);
    driver_run(&card_driver);
}

void cable_send(size_t len, uint8_t tag)
{
    struct driver_buf buf = {cable_compose(len, tag, NULL), (uint32_t)(NET_HEADER_BYTES + len),
                             false};

    ck_assert_uint_eq(driver_do(&card_driver, card_tx_queue(0), &buf, 1), 0);
}
