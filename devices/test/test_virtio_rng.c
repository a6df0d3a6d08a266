/* The entropy device: random bytes come, no more of them at once or a second than is allowed. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/test/driver.h"
#include "devices/virtio/models.h"

static struct driver d;

static void open_device(const char *text, uint64_t features)
{
    struct virtio *v;
    struct loop *loop = driver_loop(&d);

    ck_assert_int_eq(virtio_rng_create(text, loop, &v), 0);
    driver_create(&d, v);
    driver_start(&d, features, 64);
}

static bool all_zero(const uint8_t *p, size_t len)
{
    while (len > 0 && *p == 0)
        p++, len--;
    return len == 0;
}

static void serves_and_differs(uint64_t features)
{
    struct driver_buf buf[2] = {{.len = 40, .writable = true}, {.len = 24, .writable = true}};

    open_device("", features);
    buf[0].gpa = driver_alloc(&d, 40);
    buf[1].gpa = driver_alloc(&d, 24);
    ck_assert_uint_eq(driver_do(&d, 0, buf, 2), 64);
    ck_assert(!all_zero(driver_ptr(&d, buf[0].gpa), 40));
    ck_assert(!all_zero(driver_ptr(&d, buf[1].gpa), 24));
    ck_assert_uint_eq(d.irq.rises, 1);
    driver_destroy(&d);
}

START_TEST(request_is_filled_split_and_packed)
{
    serves_and_differs(0);
    serves_and_differs(VIRTIO_F_EVENT_IDX);
    serves_and_differs(VIRTIO_F_RING_PACKED);
    serves_and_differs(VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX);
}
END_TEST

START_TEST(device_says_what_it_is)
{
    open_device("", 0);
    ck_assert_uint_eq(driver_read(&d, 0x08), 4);
    ck_assert_uint_eq(driver_config(&d, 0, 4), 0);
    driver_destroy(&d);
}
END_TEST

START_TEST(large_request_is_filled_in_part)
{
    struct driver_buf buf = {.len = 1u << 20, .writable = true};

    open_device("bps=0", 0);
    buf.gpa = driver_alloc(&d, buf.len);
    ck_assert_uint_eq(driver_do(&d, 0, &buf, 1), 65536);
    ck_assert(all_zero((uint8_t *)driver_ptr(&d, buf.gpa) + 65536, buf.len - 65536));
    driver_destroy(&d);
}
END_TEST

/* 2. row 6; table (a), row 73: the sum is what an allocation would be sized by. */
START_TEST(overlapping_buffers_of_hundreds_of_megabytes_stay_bounded)
{
    struct driver_buf bufs[60];
    struct rusage before, after;
    uint64_t gpa;

    open_device("bps=0", VIRTIO_F_INDIRECT_DESC);
    gpa = driver_alloc(&d, 3u << 20);
    for (unsigned i = 0; i < ARRAY_SIZE(bufs); i++)
        bufs[i] = (struct driver_buf){gpa, 3u << 20, true};
    getrusage(RUSAGE_SELF, &before);
    ck_assert_uint_eq(driver_do(&d, 0, bufs, ARRAY_SIZE(bufs)), 65536);
    getrusage(RUSAGE_SELF, &after);
    ck_assert_int_lt(after.ru_maxrss - before.ru_maxrss, 8 * 1024); /* KiB */
    driver_destroy(&d);
}
END_TEST

/* 2. row 35. */
START_TEST(descriptor_of_4_gib_breaks_the_queue_and_no_more)
{
    struct driver_buf buf = {DRIVER_GPA, UINT32_MAX, true};

    open_device("", 0);
    driver_add(&d, 0, &buf, 1);
    driver_kick(&d, 0);
    ck_assert(driver_broken(&d));
    /* A reset mends it. */
    driver_start(&d, 0, 64);
    buf = (struct driver_buf){driver_alloc(&d, 16), 16, true};
    ck_assert_uint_eq(driver_do(&d, 0, &buf, 1), 16);
    driver_destroy(&d);
}
END_TEST

START_TEST(request_without_room_comes_back_empty)
{
    struct driver_buf buf = {.len = 16};

    open_device("", 0);
    buf.gpa = driver_alloc(&d, 16);
    ck_assert_uint_eq(driver_do(&d, 0, &buf, 1), 0);
    buf = (struct driver_buf){buf.gpa, 0, true};
    ck_assert_uint_eq(driver_do(&d, 0, &buf, 1), 0);
    ck_assert(!driver_broken(&d));
    driver_destroy(&d);
}
END_TEST

START_TEST(readable_part_is_left_alone)
{
    struct driver_buf buf[2] = {{.len = 16}, {.len = 16, .writable = true}};

    open_device("", 0);
    buf[0].gpa = driver_alloc(&d, 16);
    buf[1].gpa = driver_alloc(&d, 16);
    ck_assert_uint_eq(driver_do(&d, 0, buf, 2), 16);
    ck_assert(all_zero(driver_ptr(&d, buf[0].gpa), 16));
    ck_assert(!all_zero(driver_ptr(&d, buf[1].gpa), 16));
    driver_destroy(&d);
}
END_TEST

/* 100 KiB a second: the burst of 10 KiB at once, the next 40 KiB within about 0.4 s. */
START_TEST(rate_is_limited)
{
    struct driver_buf buf = {.len = 10240, .writable = true};
    uint64_t start, ns;

    open_device("bps=100K", 0);
    buf.gpa = driver_alloc(&d, buf.len);
    start = loop_now_ns();
    for (unsigned i = 0; i < 5; i++)
        ck_assert_uint_eq(driver_do(&d, 0, &buf, 1), 10240);
    ns = loop_now_ns() - start;
    ck_assert_msg(ns >= 380000000, "5 requests took only %llu ns", (unsigned long long)ns);
    driver_destroy(&d);
}
END_TEST

START_TEST(more_requests_than_one_turn_all_end)
{
    struct driver_buf buf = {.len = 32, .writable = true};
    uint16_t id;
    uint32_t len;

    open_device("bps=0", VIRTIO_F_EVENT_IDX);
    buf.gpa = driver_alloc(&d, buf.len);
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < 40; i++)
            driver_add(&d, 0, &buf, 1);
        driver_kick(&d, 0);
        for (unsigned i = 0; i < 40; i++)
            ck_assert(driver_used(&d, 0, 1000, &id, &len) && len == 32);
    }
    driver_destroy(&d);
}
END_TEST

START_TEST(waiting_request_is_forgotten_at_reset)
{
    struct driver_buf buf = {.len = 65536, .writable = true};
    uint16_t id;
    uint32_t len;

    open_device("bps=1000K", 0);
    buf.gpa = driver_alloc(&d, buf.len);
    for (unsigned i = 0; i < 4; i++)
        driver_add(&d, 0, &buf, 1);
    driver_kick(&d, 0);
    ck_assert(driver_used(&d, 0, 0, &id, &len));
    driver_write(&d, 0x70, 0);
    memset(driver_ptr(&d, buf.gpa), 0, buf.len);
    ck_assert(!driver_used(&d, 0, 150, &id, &len));
    ck_assert(all_zero(driver_ptr(&d, buf.gpa), buf.len));
    driver_destroy(&d);
}
END_TEST

static char said[200];

static void keep_line(void *opaque, enum log_level level, const char *line)
{
    (void)opaque;
    (void)level;
    ck_assert_str_eq(said, ""); /* one line */
    snprintf(said, sizeof(said), "%s", line);
}

START_TEST(bad_option_is_told_in_one_line)
{
    struct loop *loop = loop_create();
    struct virtio *v = NULL;

    log_set_sink(keep_line, NULL);
    ck_assert_int_eq(virtio_rng_create("rate=5", loop, &v), -EINVAL);
    ck_assert_str_eq(said, "--rng: unknown key \"rate\"; valid: bps");
    ck_assert_ptr_null(v);
    log_set_sink(NULL, NULL);
    loop_destroy(loop);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("virtio-rng");

    tcase_add_test(tc, request_is_filled_split_and_packed);
    tcase_add_test(tc, device_says_what_it_is);
    tcase_add_test(tc, large_request_is_filled_in_part);
    tcase_add_test(tc, overlapping_buffers_of_hundreds_of_megabytes_stay_bounded);
    tcase_add_test(tc, descriptor_of_4_gib_breaks_the_queue_and_no_more);
    tcase_add_test(tc, request_without_room_comes_back_empty);
    tcase_add_test(tc, readable_part_is_left_alone);
    tcase_add_test(tc, rate_is_limited);
    tcase_add_test(tc, more_requests_than_one_turn_all_end);
    tcase_add_test(tc, waiting_request_is_forgotten_at_reset);
    tcase_add_test(tc, bad_option_is_told_in_one_line);
    return fake_run(tc);
}
