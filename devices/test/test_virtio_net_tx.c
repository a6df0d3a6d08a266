/* The network device: frames that the guest sends, whole, cut up, too short, too long, too many. */
#include <string.h>

#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/test/fake_cable.h"

#define TX card_tx_queue(0)
#define d  card_driver

static bool sent_is(size_t len, uint8_t tag)
{
    return cable.last_len == NET_HEADER_BYTES + len &&
           cable_matches(cable.last + NET_HEADER_BYTES, 0, len, tag);
}

START_TEST(frame_is_sent_split_and_packed_with_one_interrupt)
{
    for (unsigned i = 0; i < CABLE_LAYOUTS; i++) {
        cable_start(cable_layouts[i]);
        cable_send(60, (uint8_t)i);
        ck_assert_uint_eq(cable.sent, 1);
        ck_assert(sent_is(60, (uint8_t)i));
        ck_assert_uint_eq(d.irq.rises, 1);
        cable_close();
    }
}
END_TEST

START_TEST(frame_in_pieces_of_any_size_is_sent_whole)
{
    uint64_t gpa;
    struct driver_buf bufs[112];

    cable_start(VIRTIO_F_INDIRECT_DESC);
    gpa = cable_compose(100, 3, NULL);
    for (unsigned i = 0; i < 112; i++)
        bufs[i] = (struct driver_buf){gpa + i, 1, false};
    driver_do(&d, TX, bufs, 112);
    ck_assert(sent_is(100, 3));
    driver_add_indirect(&d, TX, bufs, 112);
    driver_kick(&d, TX);
    ck_assert_uint_eq(cable.sent, 2);
    ck_assert(sent_is(100, 3));
    bufs[0] = (struct driver_buf){gpa, 5, false};
    bufs[1] = (struct driver_buf){gpa + 5, 20, false};
    bufs[2] = (struct driver_buf){gpa + 25, 0, false};
    bufs[3] = (struct driver_buf){gpa + 25, 87, false};
    driver_add(&d, TX, bufs, 4);
    driver_kick(&d, TX);
    ck_assert_uint_eq(cable.sent, 3);
    ck_assert(sent_is(100, 3));
}
END_TEST

/* 2., rows 19 and 53; table (a), row 66. */
START_TEST(totals_of_0_to_25_bytes_are_dropped_and_completed)
{
    cable_start(0);
    for (uint32_t len = 0; len < NET_HEADER_BYTES + NET_ETHERNET_BYTES; len++) {
        struct driver_buf buf = {driver_alloc(&d, 64), len, false};

        ck_assert_uint_eq(driver_do(&d, TX, &buf, 1), 0);
    }
    ck_assert_uint_eq(cable.sent, 0);
    ck_assert_uint_eq(cable_card()->dropped[CARD_TX], 26);
    cable_send(14, 1);
    ck_assert_uint_eq(cable.sent, 1);
    ck_assert(!driver_broken(&d));
}
END_TEST

START_TEST(frame_one_byte_longer_than_any_is_dropped)
{
    struct driver_buf bufs[2];

    cable_start(0);
    bufs[0] = (struct driver_buf){cable_compose(NET_FRAME_MAX + 1, 0, NULL),
                                  NET_HEADER_BYTES + NET_FRAME_MAX, false};
    bufs[1] = (struct driver_buf){bufs[0].gpa + bufs[0].len, 1, false};
    driver_do(&d, TX, bufs, 2);
    ck_assert_uint_eq(cable.sent, 0);
    driver_add(&d, TX, bufs, 1);
    driver_kick(&d, TX);
    ck_assert_uint_eq(cable.sent, 1);
    ck_assert(sent_is(NET_FRAME_MAX, 0));
}
END_TEST

START_TEST(overlapping_buffers_of_gigabytes_are_dropped)
{
    struct driver_buf bufs[100];

    cable_start(0);
    for (unsigned i = 0; i < 100; i++)
        bufs[i] = (struct driver_buf){DRIVER_GPA, DRIVER_RAM, false};
    driver_do(&d, TX, bufs, 100);
    ck_assert_uint_eq(cable.sent, 0);
    ck_assert(!driver_broken(&d));
}
END_TEST

START_TEST(writable_part_of_a_sent_chain_is_left_alone)
{
    struct driver_buf bufs[2];

    cable_start(0);
    bufs[0] = (struct driver_buf){cable_compose(60, 1, NULL), 72, false};
    bufs[1] = (struct driver_buf){driver_alloc(&d, 64), 64, true};
    ck_assert_uint_eq(driver_do(&d, TX, bufs, 2), 0);
    ck_assert(sent_is(60, 1));
    for (unsigned i = 0; i < 64; i++)
        ck_assert_uint_eq(((uint8_t *)driver_ptr(&d, bufs[1].gpa))[i], 0);
}
END_TEST

START_TEST(frame_with_a_bad_header_is_dropped)
{
    uint8_t hdr[NET_HEADER_BYTES] = {1, 1, 54, 0, 0, 5, 34, 0, 16, 0};
    struct driver_buf buf;

    cable_open(NULL, 1, NET_CSUM);
    driver_start(&d, NET_F_CSUM | NET_F_HOST_TSO4, 256);
    buf = (struct driver_buf){cable_compose(2000, 1, hdr), 2012, false};
    driver_do(&d, TX, &buf, 1); /* TSO was not offered, and so not negotiated */
    ck_assert_uint_eq(cable.sent, 0);
    hdr[1] = 0;
    memcpy(driver_ptr(&d, buf.gpa), hdr, sizeof(hdr));
    driver_do(&d, TX, &buf, 1);
    ck_assert_uint_eq(cable.sent, 1);
    ck_assert_uint_eq(cable.last[0], 1);
    ck_assert_uint_eq(load_le16(cable.last + 4), 0); /* gso_size without a type */
}
END_TEST

START_TEST(full_back_end_keeps_frames_in_order_and_burns_no_time)
{
    uint32_t len;
    uint16_t id;

    cable_start(0);
    cable.full = true;
    for (unsigned i = 0; i < 5; i++) {
        struct driver_buf buf = {cable_compose(60, (uint8_t)i, NULL), 72, false};

        driver_add(&d, TX, &buf, 1);
    }
    driver_kick(&d, TX);
    ck_assert_uint_eq(cable.refused, 1);
    ck_assert_int_eq(loop_step(d.loop), 0);
    ck_assert(!driver_used(&d, TX, 5, &id, &len));
    cable.full = false;
    net_writable(&cable.net, 0);
    ck_assert_uint_eq(cable.sent, 5);
    ck_assert(sent_is(60, 4));
    for (unsigned i = 0; i < 5; i++)
        ck_assert(driver_used(&d, TX, 0, &id, &len));
}
END_TEST

START_TEST(reset_while_the_back_end_is_full_sends_nothing_later)
{
    struct driver_buf buf;

    cable_start(0);
    cable.full = true;
    buf = (struct driver_buf){cable_compose(60, 1, NULL), 72, false};
    driver_add(&d, TX, &buf, 1);
    driver_kick(&d, TX);
    driver_write(&d, 0x70, 0);
    cable.full = false;
    net_writable(&cable.net, 0);
    ck_assert_uint_eq(cable.sent, 0);
    driver_start(&d, 0, 256);
    cable_send(60, 2);
    ck_assert_uint_eq(cable.sent, 1);
    ck_assert(sent_is(60, 2));
}
END_TEST

START_TEST(two_hundred_frames_in_one_kick_all_go)
{
    cable_start(VIRTIO_F_EVENT_IDX);
    for (unsigned i = 0; i < 200; i++) {
        struct driver_buf buf = {cable_compose(60, (uint8_t)i, NULL), 72, false};

        driver_add(&d, TX, &buf, 1);
    }
    driver_kick(&d, TX);
    ck_assert_uint_eq(cable.sent, 200);
    ck_assert_uint_le(d.irq.rises, 4); /* one a turn at most */
}
END_TEST

static uint64_t time_to_send(const struct net_config *config, unsigned frames, size_t len)
{
    uint64_t from = loop_now_ns();
    uint32_t used;
    uint16_t id;

    cable_open(config, 1, 0);
    driver_start(&d, 0, 256);
    for (unsigned i = 0; i < frames; i++) {
        struct driver_buf buf = {cable_compose(len, 0, NULL), (uint32_t)len + 12, false};

        driver_add(&d, TX, &buf, 1);
    }
    driver_kick(&d, TX);
    for (unsigned i = 0; i < frames; i++)
        ck_assert(driver_used(&d, TX, 5000, &id, &used));
    ck_assert_uint_eq(cable.sent, frames);
    return loop_now_ns() - from;
}

START_TEST(sender_is_looked_at_once_more_before_it_is_asked_to_notify)
{
    struct driver_buf buf = {0, NET_HEADER_BYTES + 60, false};
    const uint8_t *flags;

    cable_start(0);
    flags = driver_ptr(&d, d.q[TX].used); /* bit 0: no notifications wanted (2.7.10) */
    ck_assert_uint_eq(flags[0], 0);
    buf.gpa = cable_compose(60, 1, NULL);
    driver_add(&d, TX, &buf, 1);
    driver_write(&d, VIRTIO_MMIO_NOTIFY, TX);
    loop_step(d.loop);
    ck_assert_uint_eq(cable.sent, 1);
    ck_assert_uint_eq(flags[0], 1);
    driver_add(&d, TX, &buf, 1); /* without a word */
    loop_step(d.loop);
    ck_assert_uint_eq(cable.sent, 2);
    ck_assert_uint_eq(flags[0], 1);
    driver_run(&d);
    ck_assert_uint_eq(flags[0], 0);
}
END_TEST

START_TEST(sending_keeps_to_the_limits)
{
    struct net_config pps = {.pps = 100}, bps = {.bps = 100000};

    /* 10 at once, then one each 10 ms. */
    ck_assert_uint_ge(time_to_send(&pps, 20, 60), 99 * UINT64_C(1000000));
    cable_close();
    /* 10,000 bytes at once, then 100 a millisecond. */
    ck_assert_uint_ge(time_to_send(&bps, 20, 1000), 99 * UINT64_C(1000000));
}
END_TEST

START_TEST(broken_transmit_ring_stops_the_device_until_reset)
{
    cable_start(0);
    driver_publish(&d, TX, 300);
    driver_kick(&d, TX);
    ck_assert(driver_broken(&d));
    net_readable(&cable.net, 0);
    net_writable(&cable.net, 0);
    ck_assert(!cable.want[0]);
    driver_start(&d, 0, 256);
    cable_send(60, 1);
    ck_assert_uint_eq(cable.sent, 1);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("virtio-net-tx");

    tcase_add_checked_fixture(tc, cable_set_up, cable_tear_down);
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, frame_is_sent_split_and_packed_with_one_interrupt);
    tcase_add_test(tc, frame_in_pieces_of_any_size_is_sent_whole);
    tcase_add_test(tc, totals_of_0_to_25_bytes_are_dropped_and_completed);
    tcase_add_test(tc, frame_one_byte_longer_than_any_is_dropped);
    tcase_add_test(tc, overlapping_buffers_of_gigabytes_are_dropped);
    tcase_add_test(tc, writable_part_of_a_sent_chain_is_left_alone);
    tcase_add_test(tc, frame_with_a_bad_header_is_dropped);
    tcase_add_test(tc, full_back_end_keeps_frames_in_order_and_burns_no_time);
    tcase_add_test(tc, reset_while_the_back_end_is_full_sends_nothing_later);
    tcase_add_test(tc, two_hundred_frames_in_one_kick_all_go);
    tcase_add_test(tc, sender_is_looked_at_once_more_before_it_is_asked_to_notify);
    tcase_add_test(tc, sending_keeps_to_the_limits);
    tcase_add_test(tc, broken_transmit_ring_stops_the_device_until_reset);
    return fake_run(tc);
}
