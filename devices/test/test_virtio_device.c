/*
 * What every virtio device has, against hostile drivers: status, features, configuration space,
 * queue registers, notifications, DEVICE_NEEDS_RESET. Through the memory-mapped transport.
 */
#include "devices/virtio/virtio.h"

#include <errno.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "devices/test/driver.h"
#include "devices/test/null_device.h"

#define STATUS     0x70
#define QUEUE_SEL  0x30
#define QUEUE_SIZE 0x38
#define READY      0x44
#define OK         0x0f /* ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK */
#define NEEDS      VIRTIO_STATUS_NEEDS_RESET
#define OFFERED_2  UINT64_C(0x5) /* features of the null device's own */

static struct driver d;
static struct null_device *n;
static struct driver_buf ping[2];

static void set_up(void)
{
    log_set_level(LOG_ERROR);
    driver_loop(&d);
    n = null_device_create(3, 256, OFFERED_2);
    n->mode = NULL_ECHO;
    driver_create(&d, &n->v);
    ping[0] = (struct driver_buf){driver_alloc(&d, 16), 16, false};
    ping[1] = (struct driver_buf){driver_alloc(&d, 16), 16, true};
}

static void tear_down(void)
{
    driver_destroy(&d);
}

static void expect_alive(void)
{
    driver_free(&d, ping[1].gpa + 16);
    driver_start(&d, 0, 8);
    for (unsigned i = 0; i < n->v.queue_count; i++)
        ck_assert_uint_eq(driver_do(&d, i, ping, 2), 16);
}

/* Brings the device to `status` by legal steps. */
static void go_to(uint8_t status)
{
    driver_write(&d, STATUS, 0);
    for (unsigned step = 1; step < 8; step++) {
        static const uint8_t order[] = {0, 1, 2, 8, 4, 0x80, 0, 0};

        if (step == 3) {
            driver_write(&d, 0x24, 1);
            driver_write(&d, 0x20, 1); /* VERSION_1 */
        }
        if (status & order[step])
            driver_write(&d, STATUS, driver_read(&d, STATUS) | order[step]);
    }
    ck_assert_uint_eq(driver_read(&d, STATUS), status);
}

/* What the status becomes when the driver, which agreed to VERSION_1, writes `w`. */
static uint8_t after(uint8_t s, uint8_t w)
{
    uint8_t all = s | w;

    if (w == 0)
        return 0;
    s |= w & 0x81;
    if (all & 0x02 && s & 0x01)
        s |= 0x02;
    if (all & 0x08 && s & 0x02)
        s |= 0x08;
    if (all & 0x04 && s & 0x08 && !(s & 0x80))
        s |= 0x04;
    return s;
}

START_TEST(every_write_to_status_in_every_state)
{
    static const uint8_t from[] = {0x00, 0x01, 0x03, 0x0b, 0x0f, 0x80, 0x83, 0x8b, 0x8f};

    for (unsigned i = 0; i < ARRAY_SIZE(from); i++) {
        for (unsigned w = 0; w < 256; w++) {
            uint8_t want = after(from[i], (uint8_t)w);
            unsigned before;

            go_to(from[i]);
            driver_write(&d, 0x24, 1);
            driver_write(&d, 0x20, 1);
            before = n->activations;
            driver_write(&d, STATUS, w);
            ck_assert_msg(driver_read(&d, STATUS) == want, "%02x, written %02x: %02x, not %02x",
                          from[i], w, driver_read(&d, STATUS), want);
            ck_assert_uint_eq(n->activations - before, want & ~from[i] & 0x04 ? 1 : 0);
        }
    }
}
END_TEST

START_TEST(status_of_more_than_8_bits_is_cut)
{
    go_to(0x0b);
    driver_write(&d, STATUS, 0xffffff00);
    ck_assert_uint_eq(driver_read(&d, STATUS), 0); /* its low 8 bits ask for a reset */
}
END_TEST

START_TEST(driver_ok_without_features_ok_does_not_start)
{
    go_to(0x03);
    driver_set_queue(&d, 0, 8);
    driver_write(&d, STATUS, 0x07);
    ck_assert_uint_eq(driver_read(&d, STATUS), 0x03);
    driver_kick(&d, 0);
    ck_assert_uint_eq(n->activations, 0);
    ck_assert_uint_eq(n->kicks[0], 0);
    ck_assert_ptr_null(n->v.mem);
}
END_TEST

/* Features (2.2). */

static bool features_ok(uint64_t accepted)
{
    go_to(0x03);
    driver_write(&d, 0x24, 0);
    driver_write(&d, 0x20, (uint32_t)accepted);
    driver_write(&d, 0x24, 1);
    driver_write(&d, 0x20, (uint32_t)(accepted >> 32));
    driver_write(&d, STATUS, 0x0b);
    return driver_read(&d, STATUS) == 0x0b;
}

START_TEST(each_bit_that_is_not_offered_is_refused)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t f = UINT64_C(1) << bit | VIRTIO_F_VERSION_1;

        ck_assert_msg(features_ok(f) == !(f & ~n->v.offered), "bit %u", bit);
        ck_assert_uint_eq(n->v.acked, features_ok(f) ? f : 0);
    }
}
END_TEST

START_TEST(driver_without_version_1_is_refused)
{
    ck_assert(!features_ok(0));
    ck_assert(!features_ok(OFFERED_2 | VIRTIO_F_EVENT_IDX));
    driver_write(&d, STATUS, OK);
    ck_assert_uint_eq(driver_read(&d, STATUS), 0x03);
    ck_assert_uint_eq(n->activations, 0);
}
END_TEST

START_TEST(features_after_features_ok_are_ignored)
{
    ck_assert(features_ok(VIRTIO_F_VERSION_1 | 1));
    driver_write(&d, 0x24, 0);
    driver_write(&d, 0x20, 0xffffffff);
    driver_write(&d, STATUS, OK);
    ck_assert_uint_eq(driver_read(&d, STATUS), OK);
    driver_write(&d, 0x20, 0xffffffff);
    ck_assert_uint_eq(n->v.acked, VIRTIO_F_VERSION_1 | 1);
    ck_assert_uint_eq(n->v.accepted, VIRTIO_F_VERSION_1 | 1);
}
END_TEST

START_TEST(feature_words_2_and_up_are_empty_and_read_only)
{
    static const uint32_t select[] = {2, 3, 32, 0x80000000, 0x80000001, 0xffffffff};

    go_to(0x03);
    for (unsigned i = 0; i < ARRAY_SIZE(select); i++) {
        driver_write(&d, 0x14, select[i]);
        ck_assert_uint_eq(driver_read(&d, 0x10), 0);
        driver_write(&d, 0x24, select[i]);
        driver_write(&d, 0x20, 0xffffffff);
        ck_assert_uint_eq(n->v.accepted, VIRTIO_F_VERSION_1); /* as before */
    }
    driver_write(&d, 0x14, 0);
    ck_assert_uint_eq(driver_read(&d, 0x10), (uint32_t)n->v.offered);
    driver_write(&d, 0x14, 1);
    ck_assert_uint_eq(driver_read(&d, 0x10), n->v.offered >> 32);
}
END_TEST

START_TEST(reset_forgets_the_features)
{
    ck_assert(features_ok(VIRTIO_F_VERSION_1 | 1));
    driver_write(&d, STATUS, 0);
    ck_assert_uint_eq(n->v.acked | n->v.accepted, 0);
}
END_TEST

/* Configuration space (2.5). */

START_TEST(configuration_is_read_at_each_width_and_offset)
{
    for (unsigned size = 1; size <= 8; size *= 2) {
        for (unsigned off = 0; off + size <= 0x100; off++) {
            uint64_t want = 0;

            for (unsigned i = 0; i < size; i++)
                if (off + i < NULL_DEVICE_CONFIG)
                    want |= (uint64_t)(off + i + 1) << (8 * i);
            ck_assert_uint_eq(driver_config(&d, off, size), want);
        }
    }
}
END_TEST

START_TEST(configuration_far_outside_reads_zero_and_takes_nothing)
{
    static const uint64_t off[] = {NULL_DEVICE_CONFIG,    VIRTIO_MAX_CONFIG, 0xffff,    0xffffffff,
                                   UINT64_C(0x100000000), UINT64_MAX - 7,    UINT64_MAX};
    uint8_t data[8], zero[8] = {0}, before[VIRTIO_MAX_CONFIG];

    memcpy(before, n->v.config, sizeof(before));
    for (unsigned i = 0; i < ARRAY_SIZE(off); i++) {
        for (unsigned size = 1; size <= 8; size *= 2) {
            memset(data, 0xff, sizeof(data));
            virtio_config_read(&n->v, off[i], size, data);
            ck_assert_mem_eq(data, zero, size);
            virtio_config_write(&n->v, off[i], size, data);
        }
    }
    ck_assert_uint_eq(n->config_writes, 0);
    ck_assert_mem_eq(n->v.config, before, sizeof(before));
}
END_TEST

START_TEST(configuration_write_over_the_end_is_ignored)
{
    for (unsigned size = 1; size <= 8; size *= 2) {
        for (unsigned off = 0; off < NULL_DEVICE_CONFIG + 4; off++) {
            unsigned before = n->config_writes;

            fake_write(d.dev, 0x100 + off, size, UINT64_C(0xa1a2a3a4a5a6a7a8));
            ck_assert_uint_eq(n->config_writes - before, off + size <= NULL_DEVICE_CONFIG);
        }
    }
    ck_assert_uint_eq(n->v.config[NULL_DEVICE_CONFIG], 0);
}
END_TEST

START_TEST(change_of_configuration_is_told_when_the_driver_runs)
{
    go_to(0x0b);
    virtio_config_changed(&n->v);
    ck_assert_uint_eq(d.irq.rises, 0);
    ck_assert_uint_eq(driver_read(&d, 0xfc), 1);
    driver_write(&d, STATUS, OK);
    virtio_config_changed(&n->v);
    ck_assert_uint_eq(d.irq.rises, 1);
    ck_assert_uint_eq(driver_read(&d, 0xfc), 2);
    ck_assert_uint_eq(driver_read(&d, 0x60), 2);
}
END_TEST

/* Queue registers. */

START_TEST(queue_select_out_of_range_reads_zero_and_writes_nothing)
{
    static const uint32_t select[] = {3,       VIRTIO_MAX_QUEUES, 0xffff,
                                      0x10000, 0x80000000,        0xffffffff};
    static const unsigned reg[] = {0x38, 0x44, 0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4, 0xc0};
    static struct virtq before[VIRTIO_MAX_QUEUES];

    driver_start(&d, VIRTIO_F_RING_RESET, 8);
    memcpy(before, n->v.queue, sizeof(before));
    for (unsigned i = 0; i < ARRAY_SIZE(select); i++) {
        driver_write(&d, QUEUE_SEL, select[i]);
        for (unsigned r = 0; r < ARRAY_SIZE(reg); r++) {
            for (uint32_t value = 0; value < 2; value++) {
                driver_write(&d, reg[r], value);
                ck_assert_uint_eq(driver_read(&d, reg[r]), 0);
            }
        }
        ck_assert_uint_eq(driver_read(&d, 0x34), 0);
    }
    ck_assert_mem_eq(before, n->v.queue, sizeof(before));
    ck_assert_uint_eq(driver_do(&d, 0, ping, 2), 16);
}
END_TEST

/* Queue 1 is set up wrongly by `reg` = `value`: the device must not start, and live on. */
static void expect_no_start(unsigned reg, uint32_t value, uint64_t features)
{
    unsigned activations;

    driver_free(&d, ping[1].gpa + 16);
    driver_negotiate(&d, features);
    activations = n->activations;
    for (unsigned i = 0; i < 3; i++) {
        driver_set_queue(&d, i, 8);
        driver_write(&d, READY, 0);
        if (i == 1)
            driver_write(&d, reg, value);
        driver_write(&d, READY, 1);
    }
    driver_write(&d, STATUS, OK);
    ck_assert_msg(driver_broken(&d), "register %x, value %x", reg, value);
    ck_assert_uint_eq(n->activations, activations);
    driver_add(&d, 0, ping, 2);
    driver_kick(&d, 0);
    ck_assert_uint_eq(n->kicks[0], 0);
}

START_TEST(queue_of_bad_size_does_not_start_the_device)
{
    static const uint32_t size[] = {0,      3,       257,     0x1000,    0x8000,
                                    0xffff, 0x10000, 0x10008, 0xffffffff};

    for (unsigned i = 0; i < ARRAY_SIZE(size); i++)
        expect_no_start(QUEUE_SIZE, size[i], 0);
    expect_no_start(QUEUE_SIZE, 257, VIRTIO_F_RING_PACKED);
    expect_alive();
}
END_TEST

START_TEST(queue_at_a_bad_address_does_not_start_the_device)
{
    static const unsigned area[] = {0x80, 0x90, 0xa0};

    for (unsigned i = 0; i < ARRAY_SIZE(area); i++) {
        expect_no_start(area[i], 0, 0);              /* not RAM */
        expect_no_start(area[i], 0x100001, 0);       /* not aligned */
        expect_no_start(area[i], 0xd0000000, 0);     /* the device's registers */
        expect_no_start(area[i], 0xfffffff0, 0);     /* the end of 32 bits */
        expect_no_start(area[i] + 4, 0xffffffff, 0); /* the end of 64 bits */
        expect_no_start(area[i], (uint32_t)DRIVER_GPA + DRIVER_RAM - 16, 0);
        expect_no_start(area[i], (uint32_t)DRIVER_GPA + DRIVER_RAM, VIRTIO_F_RING_PACKED);
    }
    expect_alive();
}
END_TEST

START_TEST(queue_registers_changed_while_the_device_runs_are_ignored)
{
    static const unsigned reg[] = {0x38, 0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4};
    static const uint64_t features[] = {0, VIRTIO_F_RING_RESET, VIRTIO_F_RING_PACKED};

    for (unsigned f = 0; f < ARRAY_SIZE(features); f++) {
        driver_free(&d, ping[1].gpa + 16);
        driver_start(&d, features[f], 8);
        for (unsigned q = 0; q < 3; q++) {
            struct virtq before = n->v.queue[q];

            driver_write(&d, QUEUE_SEL, q);
            for (unsigned i = 0; i < ARRAY_SIZE(reg); i++) {
                driver_write(&d, reg[i], 0);
                driver_write(&d, reg[i], 0xffffffff);
                driver_write(&d, READY, 1);
            }
            ck_assert_mem_eq(&before, &n->v.queue[q], sizeof(before));
            ck_assert_uint_eq(driver_do(&d, q, ping, 2), 16);
        }
    }
}
END_TEST

START_TEST(queue_registers_of_a_ready_queue_are_ignored_before_driver_ok)
{
    driver_negotiate(&d, 0);
    driver_set_queue(&d, 0, 8);
    driver_write(&d, QUEUE_SIZE, 4);
    driver_write(&d, 0x80, 0);
    ck_assert_uint_eq(n->v.queue[0].size, 8);
    ck_assert_uint_eq(n->v.queue[0].desc, d.q[0].desc);
    driver_write(&d, READY, 0);
    ck_assert_uint_eq(driver_read(&d, READY), 0);
    driver_write(&d, QUEUE_SIZE, 4);
    ck_assert_uint_eq(n->v.queue[0].size, 4);
}
END_TEST

START_TEST(queue_that_is_not_ready_is_left_alone)
{
    driver_negotiate(&d, 0);
    driver_set_queue(&d, 0, 8);
    driver_set_queue(&d, 1, 8);
    driver_write(&d, READY, 0);
    driver_write(&d, STATUS, OK);
    driver_add(&d, 1, ping, 2);
    driver_kick(&d, 1);
    ck_assert_uint_eq(n->kicks[1], 0);
    driver_write(&d, READY, 1); /* too late, without RING_RESET */
    ck_assert_uint_eq(driver_read(&d, READY), 0);
    ck_assert_uint_eq(driver_do(&d, 0, ping, 2), 16);
}
END_TEST

/* Notifications. */

START_TEST(notification_before_driver_ok_is_ignored)
{
    driver_negotiate(&d, 0);
    driver_set_queue(&d, 0, 8);
    driver_add(&d, 0, ping, 2);
    driver_kick(&d, 0);
    ck_assert_uint_eq(n->kicks[0], 0);
    ck_assert_uint_eq(d.irq.rises, 0);
}
END_TEST

START_TEST(buffers_from_before_driver_ok_need_no_notification)
{
    uint16_t id;
    uint32_t len;

    driver_negotiate(&d, 0);
    driver_set_queue(&d, 0, 8);
    driver_add(&d, 0, ping, 2);
    driver_write(&d, STATUS, OK);
    ck_assert(driver_used(&d, 0, 100, &id, &len));
}
END_TEST

START_TEST(notification_of_each_queue_that_is_not_there_is_ignored)
{
    static const uint32_t high[] = {0x10000,    0x10001,    0x7fffffff,
                                    0x80000000, 0x80000001, 0xffffffff};

    driver_start(&d, 0, 8);
    driver_run(&d);
    memset(n->kicks, 0, sizeof(n->kicks));
    for (uint32_t i = 3; i < 0x10000; i++)
        driver_write(&d, 0x50, i);
    for (unsigned i = 0; i < ARRAY_SIZE(high); i++)
        driver_write(&d, 0x50, high[i]);
    driver_run(&d);
    for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++)
        ck_assert_uint_eq(n->kicks[i], 0);
    ck_assert(!driver_broken(&d));
    ck_assert_uint_eq(driver_do(&d, 2, ping, 2), 16);
}
END_TEST

/* DEVICE_NEEDS_RESET (2.1.2). */

START_TEST(broken_ring_needs_a_reset_and_tells_the_driver)
{
    driver_start(&d, 0, 8);
    driver_run(&d);
    driver_publish(&d, 1, 0xffff);
    driver_kick(&d, 1);
    ck_assert_uint_eq(driver_read(&d, STATUS), OK | NEEDS);
    ck_assert_uint_eq(driver_read(&d, 0x60), 2);
    ck_assert_uint_eq(d.irq.rises, 1);
    ck_assert_uint_eq(n->stops, 1);
    ck_assert_uint_eq(n->stopped, VIRTIO_ALL_QUEUES);
    driver_add(&d, 0, ping, 2); /* a queue that was in order stops, too */
    driver_kick(&d, 0);
    ck_assert_uint_eq(d.irq.rises, 1);
    expect_alive();
    ck_assert_uint_eq(n->v.broken_count, 1);
}
END_TEST

START_TEST(device_that_needs_a_reset_is_told_once)
{
    driver_start(&d, 0, 8);
    virtio_broken(&n->v, "a test");
    virtio_broken(&n->v, "a test");
    ck_assert_uint_eq(n->v.broken_count, 1);
    ck_assert_uint_eq(d.irq.rises, 1);
    driver_write(&d, STATUS, OK); /* neither cleared nor started again by that */
    ck_assert_uint_eq(driver_read(&d, STATUS), OK | NEEDS);
    ck_assert_uint_eq(n->activations, 1);
}
END_TEST

START_TEST(device_that_cannot_start_needs_a_reset)
{
    n->activate_error = -EIO;
    driver_negotiate(&d, 0);
    driver_set_queue(&d, 0, 8);
    driver_write(&d, STATUS, OK);
    ck_assert(driver_broken(&d));
    n->activate_error = 0;
    expect_alive();
}
END_TEST

START_TEST(thousand_broken_rings_cost_nothing_that_stays)
{
    struct gmem before = d.mem;

    for (unsigned i = 0; i < 1000; i++) {
        driver_free(&d, ping[1].gpa + 16);
        driver_start(&d, 0, 8);
        /* The second descriptor of the chain is bad: the first was mapped already. */
        driver_put_desc(&d, d.q[0].desc, 0, ping[0].gpa, 16, 1, 1);
        driver_put_desc(&d, d.q[0].desc, 1, UINT64_MAX, 16, 2, 0);
        driver_publish(&d, 0, 0);
        driver_kick(&d, 0);
        ck_assert(driver_broken(&d));
    }
    ck_assert_mem_eq(&before, &d.mem, sizeof(before));
    ck_assert_uint_eq(n->v.broken_count, 1000);
    expect_alive();
}
END_TEST

static TCase *status_and_features(void)
{
    TCase *tc = tcase_create("device");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, every_write_to_status_in_every_state);
    tcase_add_test(tc, status_of_more_than_8_bits_is_cut);
    tcase_add_test(tc, driver_ok_without_features_ok_does_not_start);
    tcase_add_test(tc, each_bit_that_is_not_offered_is_refused);
    tcase_add_test(tc, driver_without_version_1_is_refused);
    tcase_add_test(tc, features_after_features_ok_are_ignored);
    tcase_add_test(tc, feature_words_2_and_up_are_empty_and_read_only);
    tcase_add_test(tc, reset_forgets_the_features);
    tcase_add_test(tc, configuration_is_read_at_each_width_and_offset);
    tcase_add_test(tc, configuration_far_outside_reads_zero_and_takes_nothing);
    tcase_add_test(tc, configuration_write_over_the_end_is_ignored);
    tcase_add_test(tc, change_of_configuration_is_told_when_the_driver_runs);
    return tc;
}

int main(void)
{
    TCase *tc = status_and_features();

    tcase_add_test(tc, queue_select_out_of_range_reads_zero_and_writes_nothing);
    tcase_add_test(tc, queue_of_bad_size_does_not_start_the_device);
    tcase_add_test(tc, queue_at_a_bad_address_does_not_start_the_device);
    tcase_add_test(tc, queue_registers_changed_while_the_device_runs_are_ignored);
    tcase_add_test(tc, queue_registers_of_a_ready_queue_are_ignored_before_driver_ok);
    tcase_add_test(tc, queue_that_is_not_ready_is_left_alone);
    tcase_add_test(tc, notification_before_driver_ok_is_ignored);
    tcase_add_test(tc, buffers_from_before_driver_ok_need_no_notification);
    tcase_add_test(tc, notification_of_each_queue_that_is_not_there_is_ignored);
    tcase_add_test(tc, broken_ring_needs_a_reset_and_tells_the_driver);
    tcase_add_test(tc, device_that_needs_a_reset_is_told_once);
    tcase_add_test(tc, device_that_cannot_start_needs_a_reset);
    tcase_add_test(tc, thousand_broken_rings_cost_nothing_that_stays);
    return fake_run(tc);
}
