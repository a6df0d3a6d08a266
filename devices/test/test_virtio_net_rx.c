/* The network device: frames for the guest, in buffers that are too few, too small, hostile or
 * fine. */
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/test/fake_cable.h"

#define RX card_rx_queue(0)
#define d  card_driver

static void post_ready(unsigned count, uint32_t len, uint64_t *gpa)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t at = cable_add_buffer(len);

        if (gpa)
            gpa[i] = at;
    }
    driver_kick(&d, RX);
}

/* The next used receive buffer; its length. */
static uint32_t take(void)
{
    uint32_t len = 0;
    uint16_t id;

    ck_assert_msg(driver_used(&d, RX, 0, &id, &len), "no frame came");
    return len;
}

static bool nothing_came(void)
{
    uint32_t len;
    uint16_t id;

    return !driver_used(&d, RX, 0, &id, &len);
}

struct watcher {
    const uint16_t *index;
    bool stop;    /* atomic: stored by the test, loaded by the watcher */
    bool runs;    /* atomic, the other way round */
    unsigned odd; /* values seen that are between two frames of six buffers */
};

static void *watch_index(void *opaque)
{
    struct watcher *w = opaque;

    while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE))
        if (__atomic_load_n(w->index, __ATOMIC_ACQUIRE) % 6)
            w->odd++;
        else
            __atomic_store_n(&w->runs, true, __ATOMIC_RELEASE);
    return NULL;
}

START_TEST(frame_arrives_with_one_buffer_and_one_interrupt)
{
    for (unsigned i = 0; i < CABLE_LAYOUTS; i++) {
        uint64_t gpa;
        uint8_t *p;

        cable_start(cable_layouts[i] | (i % 2 ? NET_F_MRG_RXBUF : 0));
        post_ready(1, 1526, &gpa);
        cable_feed(60, 7, NULL);
        ck_assert(cable_run());
        ck_assert_uint_eq(take(), 72);
        p = driver_ptr(&d, gpa);
        ck_assert_uint_eq(load_le16(p + 10), 1);
        ck_assert(cable_matches(p + 12, 0, 60, 7));
        ck_assert_uint_eq(d.irq.rises, 1);
        cable_close();
    }
}
END_TEST

START_TEST(large_frame_fills_mergeable_buffers_one_after_the_other)
{
    for (unsigned i = 0; i < CABLE_LAYOUTS; i++) {
        uint64_t gpa[20];

        cable_start(cable_layouts[i] | NET_F_MRG_RXBUF);
        post_ready(20, 1526, gpa);
        /* The first goes over the spill buffer, the second straight into the chains. */
        for (unsigned frame = 0; frame < 2; frame++) {
            size_t at = 0;

            cable_feed(9000, (uint8_t)frame, NULL);
            ck_assert(cable_run());
            ck_assert_uint_eq(load_le16((uint8_t *)driver_ptr(&d, gpa[6 * frame]) + 10), 6);
            for (unsigned k = 0; k < 6; k++) {
                uint8_t *p = driver_ptr(&d, gpa[6 * frame + k]);
                uint32_t len = take(), skip = k ? 0 : 12;

                ck_assert_uint_eq(len, k < 5 ? 1526 : 9012 - 5 * 1526);
                ck_assert(cable_matches(p + skip, at, len - skip, (uint8_t)frame));
                at += len - skip;
            }
        }
        ck_assert(nothing_came());
        cable_close();
    }
}
END_TEST

/* The used index before the frame is there and after: nothing in between can be seen from a second
 * thread, which is what this looks for. */
START_TEST(buffers_of_a_large_frame_become_used_together)
{
    struct driver_queue *q = &d.q[0];
    struct watcher w = {0};
    pthread_t thread;

    cable_start(NET_F_MRG_RXBUF);
    w.index = (const uint16_t *)driver_ptr(&d, q->used + 2);
    ck_assert_int_eq(pthread_create(&thread, NULL, watch_index, &w), 0);
    while (!__atomic_load_n(&w.runs, __ATOMIC_ACQUIRE))
        sched_yield();
    for (unsigned i = 0; i < 300; i++) {
        post_ready(6, 1526, NULL);
        cable_feed(9000, 1, NULL);
        ck_assert(cable_run());
    }
    __atomic_store_n(&w.stop, true, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(*w.index, 1800);
    ck_assert_uint_eq(w.odd, 0);
}
END_TEST

START_TEST(largest_frame_arrives_in_buffers_of_a_page)
{
    size_t at = 0;
    uint64_t gpa[64];

    cable_start(NET_F_MRG_RXBUF);
    post_ready(64, 4096, gpa);
    for (unsigned frame = 0, k = 0; frame < 3; frame++) {
        cable_feed(NET_FRAME_MAX, (uint8_t)frame, NULL);
        ck_assert(cable_run());
        for (at = 0; at < NET_FRAME_MAX; k++) {
            uint32_t len = take(), skip = at ? 0 : 12;

            ck_assert(cable_matches((uint8_t *)driver_ptr(&d, gpa[k]) + skip, at, len - skip,
                                    (uint8_t)frame));
            at += len - skip;
        }
    }
}
END_TEST

/* 2., row 4; table (a), row 68. */
START_TEST(flood_without_buffers_stops_and_resumes_when_they_come)
{
    for (unsigned i = 0; i < CABLE_LAYOUTS; i++) {
        cable_start(cable_layouts[i]);
        for (unsigned k = 0; k < 100; k++)
            cable_feed(60, (uint8_t)k, NULL);
        net_readable(&cable.net, 0);
        ck_assert(!cable.want[0]);
        ck_assert_uint_eq(cable.rx_at, 0); /* nothing is lost meanwhile */
        for (unsigned round = 0; round < 4; round++) {
            post_ready(25, 1526, NULL);
            ck_assert(cable_run());
            for (unsigned k = 0; k < 25; k++)
                ck_assert_uint_eq(take(), 72);
        }
        ck_assert_uint_eq(cable.rx_at, 100);
        cable_close();
    }
}
END_TEST

/* 2., row 43; table (a), row 69. */
START_TEST(jumbo_frame_without_mergeable_buffers_is_dropped_and_the_next_arrives)
{
    cable_start(0);
    post_ready(2, 1526, NULL);
    cable_feed(1515, 1, NULL);
    cable_feed(NET_FRAME_MAX, 2, NULL);
    cable_feed(1514, 3, NULL);
    ck_assert(cable_run());
    ck_assert_uint_eq(cable.too_long, 2);
    ck_assert_uint_eq(take(), 1526);
    ck_assert(nothing_came());
}
END_TEST

START_TEST(frame_longer_than_all_mergeable_buffers_is_dropped_and_the_next_arrives)
{
    uint64_t gpa[3];

    cable_start(NET_F_MRG_RXBUF);
    post_ready(3, 1526, gpa);
    cable_feed(9000, 1, NULL);
    cable_feed(3000, 2, NULL);
    ck_assert(cable_run());
    ck_assert_uint_eq(cable_card()->dropped[CARD_RX], 1);
    ck_assert_uint_eq(take(), 1526);
    ck_assert_uint_eq(take(), 3012 - 1526);
    ck_assert(cable_matches((uint8_t *)driver_ptr(&d, gpa[0]) + 12, 0, 1514, 2));
    ck_assert(nothing_came());
}
END_TEST

START_TEST(buffers_of_0_to_11_bytes_come_back_empty)
{
    cable_start(NET_F_MRG_RXBUF);
    for (uint32_t len = 0; len < NET_HEADER_BYTES; len++)
        cable_add_buffer(len);
    post_ready(1, 1526, NULL);
    cable_feed(60, 1, NULL);
    ck_assert(cable_run());
    for (uint32_t len = 0; len < NET_HEADER_BYTES; len++)
        ck_assert_uint_eq(take(), 0);
    ck_assert_uint_eq(take(), 72);
    ck_assert(!driver_broken(&d));
}
END_TEST

START_TEST(buffers_of_12_to_40_bytes_hold_what_fits)
{
    cable_start(NET_F_MRG_RXBUF);
    for (uint32_t size = 12; size <= 40; size++) {
        uint32_t left = 72;

        post_ready(72 / size + 1, size, NULL);
        cable_feed(60, 1, NULL);
        ck_assert(cable_run());
        while (left > 0) {
            uint32_t len = take();

            ck_assert_uint_eq(len, left < size ? left : size);
            left -= len;
        }
        ck_assert(!driver_broken(&d));
        /* What was not used stays for the next. */
        driver_start(&d, NET_F_MRG_RXBUF, 256);
    }
}
END_TEST

START_TEST(buffer_that_is_only_readable_comes_back_untouched)
{
    struct driver_buf buf;
    uint8_t *p;

    cable_start(0);
    buf = (struct driver_buf){driver_alloc(&d, 100), 100, false};
    driver_add(&d, RX, &buf, 1);
    post_ready(1, 1526, NULL);
    cable_feed(60, 1, NULL);
    ck_assert(cable_run());
    ck_assert_uint_eq(take(), 0);
    ck_assert_uint_eq(take(), 72);
    p = driver_ptr(&d, buf.gpa);
    for (unsigned i = 0; i < 100; i++)
        ck_assert_uint_eq(p[i], 0);
}
END_TEST

START_TEST(buffer_of_single_bytes_holds_a_frame)
{
    struct driver_buf bufs[100];
    uint64_t gpa;

    for (unsigned merge = 0; merge < 2; merge++) {
        cable_start(merge ? NET_F_MRG_RXBUF : 0);
        gpa = driver_alloc(&d, 100);
        for (unsigned i = 0; i < 100; i++)
            bufs[i] = (struct driver_buf){gpa + i, 1, true};
        driver_add(&d, RX, bufs, 100);
        driver_kick(&d, RX);
        cable_feed(80, 9, NULL);
        ck_assert(cable_run());
        ck_assert_uint_eq(take(), 92);
        ck_assert(cable_matches((uint8_t *)driver_ptr(&d, gpa) + 12, 0, 80, 9));
        cable_close();
    }
}
END_TEST

START_TEST(two_hundred_buffers_of_one_byte_segments_do_not_exceed_the_vector)
{
    struct driver_buf bufs[250];
    uint64_t gpa;

    cable_start(NET_F_MRG_RXBUF | VIRTIO_F_INDIRECT_DESC);
    gpa = driver_alloc(&d, 256);
    for (unsigned i = 0; i < 250; i++)
        bufs[i] = (struct driver_buf){gpa + i, 1, true};
    for (unsigned i = 0; i < 60; i++)
        driver_add_indirect(&d, RX, bufs, 250);
    driver_kick(&d, RX);
    for (unsigned i = 0; i < 3; i++)
        cable_feed(5000, 1, NULL); /* 21 chains each; the third does not fit */
    ck_assert(cable_run());
    for (unsigned i = 0; i < 42; i++)
        ck_assert_uint_eq(take(), i % 21 < 20 ? 250 : 12);
    ck_assert(nothing_came());
    ck_assert_uint_eq(cable_card()->dropped[CARD_RX], 1);
}
END_TEST

START_TEST(large_frame_of_the_host_that_was_not_negotiated_is_dropped)
{
    uint8_t hdr[NET_HEADER_BYTES] = {1, 1, 54, 0, 0, 5, 34, 0, 16, 0};

    cable_start(NET_F_MRG_RXBUF);
    post_ready(4, 4096, NULL);
    cable_feed(5000, 1, hdr);
    hdr[1] = 0;
    cable_feed(60, 2, hdr); /* needs a checksum that this guest will not compute */
    cable_feed(60, 3, NULL);
    ck_assert(cable_run());
    ck_assert_uint_eq(take(), 72);
    ck_assert(nothing_came());
    ck_assert_uint_eq(cable_card()->dropped[CARD_RX], 2);
}
END_TEST

START_TEST(large_frame_keeps_its_header_when_it_was_negotiated)
{
    const uint8_t hdr[NET_HEADER_BYTES] = {1, 1, 54, 0, 0, 5, 34, 0, 16, 0, 0xaa, 0xaa};
    uint64_t gpa[4];

    cable_open(NULL, 1, NET_CSUM | NET_TSO4);
    driver_start(&d, NET_F_MRG_RXBUF | NET_F_GUEST_CSUM | NET_F_GUEST_TSO4, 256);
    post_ready(4, 4096, gpa);
    ck_assert_uint_eq(cable.offloads_set, NET_CSUM | NET_TSO4);
    cable_feed(5000, 1, hdr);
    ck_assert(cable_run());
    ck_assert_uint_eq(take(), 4096);
    ck_assert_uint_eq(take(), 5012 - 4096);
    ck_assert_mem_eq(driver_ptr(&d, gpa[0]), hdr, 10);
    ck_assert_uint_eq(load_le16((uint8_t *)driver_ptr(&d, gpa[0]) + 10), 2);
}
END_TEST

START_TEST(frame_above_the_negotiated_mtu_is_dropped)
{
    struct net_config config = {.mtu = 1000};

    cable_open(&config, 1, 0);
    driver_start(&d, NET_F_MTU, 256);
    post_ready(4, 4096, NULL);
    cable_feed(1000 + 18 + 1, 1, NULL);
    cable_feed(1000 + 18, 2, NULL);
    ck_assert(cable_run());
    ck_assert_uint_eq(take(), 1030);
    ck_assert(nothing_came());
}
END_TEST

START_TEST(receiving_keeps_to_the_limits)
{
    struct net_config config = {.pps = 100};
    uint64_t from;
    uint32_t len;
    uint16_t id;

    cable_open(&config, 1, 0);
    driver_start(&d, 0, 256);
    post_ready(40, 1526, NULL);
    for (unsigned i = 0; i < 20; i++)
        cable_feed(60, 0, NULL);
    from = loop_now_ns();
    ck_assert(cable_run());
    for (unsigned i = 0; i < 20; i++)
        ck_assert(driver_used(&d, RX, 2000, &id, &len));
    ck_assert_uint_ge(loop_now_ns() - from, 99 * UINT64_C(1000000));
    ck_assert(!driver_used(&d, RX, 30, &id, &len));
    ck_assert(cable.want[0]); /* the limit's pause is over, and the host may speak again */
}
END_TEST

START_TEST(reset_with_frames_waiting_touches_no_buffer)
{
    uint64_t gpa;

    cable_start(0);
    post_ready(1, 1526, &gpa);
    driver_write(&d, 0x70, 0);
    cable_feed(60, 1, NULL);
    net_readable(&cable.net, 0);
    ck_assert(!cable.want[0]);
    ck_assert_uint_eq(((uint8_t *)driver_ptr(&d, gpa))[12], 0);
    driver_start(&d, 0, 256);
    post_ready(1, 1526, &gpa);
    ck_assert(cable_run());
    ck_assert_uint_eq(take(), 72);
}
END_TEST

START_TEST(receive_ring_that_was_reset_alone_works_at_its_new_place)
{
    cable_start(VIRTIO_F_RING_RESET);
    post_ready(3, 1526, NULL);
    virtio_queue_reset(d.v, RX);
    cable_feed(60, 1, NULL);
    net_readable(&cable.net, 0);
    ck_assert(!cable.want[0]);
    driver_set_queue(&d, RX, 256);
    post_ready(1, 1526, NULL);
    ck_assert(cable_run());
    ck_assert_uint_eq(take(), 72);
    cable_send(60, 1);
    ck_assert_uint_eq(cable.sent, 1);
}
END_TEST

START_TEST(broken_receive_ring_stops_the_device)
{
    cable_start(NET_F_MRG_RXBUF);
    driver_publish(&d, RX, 999);
    driver_kick(&d, RX);
    cable_feed(60, 1, NULL);
    ck_assert(cable_run());
    ck_assert(driver_broken(&d));
}
END_TEST

START_TEST(buffer_outside_of_memory_behind_a_good_one_stops_the_device)
{
    struct driver_buf bad = {DRIVER_GPA + DRIVER_RAM - 10, 11, true};

    cable_start(NET_F_MRG_RXBUF);
    cable_add_buffer(1526);
    driver_add(&d, RX, &bad, 1);
    driver_kick(&d, RX);
    cable_feed(3000, 1, NULL);
    ck_assert(cable_run());
    ck_assert(driver_broken(&d));
    ck_assert(nothing_came());
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("virtio-net-rx");

    tcase_add_checked_fixture(tc, cable_set_up, cable_tear_down);
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, frame_arrives_with_one_buffer_and_one_interrupt);
    tcase_add_test(tc, large_frame_fills_mergeable_buffers_one_after_the_other);
    tcase_add_test(tc, buffers_of_a_large_frame_become_used_together);
    tcase_add_test(tc, largest_frame_arrives_in_buffers_of_a_page);
    tcase_add_test(tc, flood_without_buffers_stops_and_resumes_when_they_come);
    tcase_add_test(tc, jumbo_frame_without_mergeable_buffers_is_dropped_and_the_next_arrives);
    tcase_add_test(tc, frame_longer_than_all_mergeable_buffers_is_dropped_and_the_next_arrives);
    tcase_add_test(tc, buffers_of_0_to_11_bytes_come_back_empty);
    tcase_add_test(tc, buffers_of_12_to_40_bytes_hold_what_fits);
    tcase_add_test(tc, buffer_that_is_only_readable_comes_back_untouched);
    tcase_add_test(tc, buffer_of_single_bytes_holds_a_frame);
    tcase_add_test(tc, two_hundred_buffers_of_one_byte_segments_do_not_exceed_the_vector);
    tcase_add_test(tc, large_frame_of_the_host_that_was_not_negotiated_is_dropped);
    tcase_add_test(tc, large_frame_keeps_its_header_when_it_was_negotiated);
    tcase_add_test(tc, frame_above_the_negotiated_mtu_is_dropped);
    tcase_add_test(tc, receiving_keeps_to_the_limits);
    tcase_add_test(tc, reset_with_frames_waiting_touches_no_buffer);
    tcase_add_test(tc, receive_ring_that_was_reset_alone_works_at_its_new_place);
    tcase_add_test(tc, broken_receive_ring_stops_the_device);
    tcase_add_test(tc, buffer_outside_of_memory_behind_a_good_one_stops_the_device);
    return fake_run(tc);
}
