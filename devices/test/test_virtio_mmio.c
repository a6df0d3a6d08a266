/*
 * The memory-mapped transport (virtio 1.2, 4.2): registers at every width, interrupts, doorbells,
 * saved state. What the registers do for every device is in test_virtio_device.c.
 */
#include "devices/virtio/mmio.h"

#include <errno.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "devices/test/driver.h"
#include "devices/test/null_device.h"

#define STATUS    0x70
#define QUEUE_SEL 0x30
#define PENDING   0x60
#define ACK       0x64

static struct driver d;
static struct null_device *n;
static struct driver_buf ping[2];
static bool destroyed;

static void set_up(void)
{
    log_set_level(LOG_ERROR);
    destroyed = false;
    driver_loop(&d);
    n = null_device_create(3, 256, 0);
    n->mode = NULL_ECHO;
    n->destroyed = &destroyed;
    n->v.queue[2].max = 0; /* such a queue exists in no device's table, but has a number */
    driver_create(&d, &n->v);
    ping[0] = (struct driver_buf){driver_alloc(&d, 16), 16, false};
    ping[1] = (struct driver_buf){driver_alloc(&d, 16), 16, true};
}

static void tear_down(void)
{
    driver_destroy(&d);
    ck_assert(destroyed);
}

/* All that the device and the transport remember, to see that nothing changed. */
static struct state_writer remember(void)
{
    struct state_writer w = {0};

    dev_save(d.dev, &w);
    ck_assert_int_eq(w.error, 0);
    return w;
}

static void expect_unchanged(struct state_writer *before, unsigned reg, unsigned size)
{
    struct state_writer now = remember();

    ck_assert_uint_eq(now.len, before->len);
    ck_assert_msg(memcmp(now.data, before->data, now.len) == 0, "register %x, %u bytes", reg, size);
    state_writer_free(&now);
}

START_TEST(identity_registers)
{
    ck_assert_uint_eq(driver_read(&d, 0x000), 0x74726976);
    ck_assert_uint_eq(driver_read(&d, 0x004), 2);
    ck_assert_uint_eq(driver_read(&d, 0x008), NULL_DEVICE_ID);
    ck_assert_uint_eq(driver_read(&d, 0x00c), 0x7668);
    for (unsigned reg = 0xb0; reg <= 0xbc; reg += 4)
        ck_assert_uint_eq(driver_read(&d, reg), 0xffffffff); /* no shared memory */
}
END_TEST

START_TEST(queue_with_no_entries_reads_0_and_cannot_be_enabled)
{
    driver_write(&d, QUEUE_SEL, 0);
    ck_assert_uint_eq(driver_read(&d, 0x34), 256);
    driver_write(&d, QUEUE_SEL, 2);
    ck_assert_uint_eq(driver_read(&d, 0x34), 0);
    driver_write(&d, 0x38, 8);
    driver_write(&d, 0x44, 1);
    ck_assert_uint_eq(driver_read(&d, 0x44), 0);
}
END_TEST

/* Window of 0x200 bytes: 4.2.2.2 allows a driver only 4 bytes, aligned, below the configuration. */
START_TEST(access_of_1_2_or_8_bytes_or_unaligned_reads_0_and_writes_nothing)
{
    struct state_writer before;

    driver_start(&d, 0, 8);
    before = remember();
    for (unsigned size = 1; size <= 8; size *= 2) {
        for (unsigned reg = 0; reg < 0x100; reg++) {
            if (size == 4 && reg % 4 == 0)
                continue;
            ck_assert_uint_eq(fake_read(d.dev, reg, size), 0);
            fake_write(d.dev, reg, size, 0);
            fake_write(d.dev, reg, size, UINT64_MAX);
            expect_unchanged(&before, reg, size);
        }
    }
    state_writer_free(&before);
    ck_assert_uint_eq(driver_do(&d, 0, ping, 2), 16);
}
END_TEST

START_TEST(write_to_read_only_or_unknown_register_is_ignored)
{
    static const unsigned writable[] = {0x14, 0x20, 0x24, 0x30, 0x44, 0x50, 0x64, 0x70, 0xc0};
    static const uint32_t value[] = {0, 1, 0x80000000, 0xffffffff};
    struct state_writer before;

    driver_start(&d, VIRTIO_F_RING_RESET, 8);
    before = remember();
    for (unsigned reg = 0; reg < 0x100; reg += 4) {
        bool skip = false;

        for (unsigned i = 0; i < ARRAY_SIZE(writable); i++)
            skip |= writable[i] == reg;
        for (unsigned i = 0; !skip && i < ARRAY_SIZE(value); i++) {
            driver_write(&d, reg, value[i]);
            expect_unchanged(&before, reg, 4);
        }
    }
    state_writer_free(&before);
}
END_TEST

START_TEST(write_only_and_unknown_registers_read_0)
{
    static const unsigned reg[] = {0x14, 0x18, 0x1c, 0x20, 0x24, 0x28, 0x30, 0x38, 0x3c,
                                   0x40, 0x48, 0x50, 0x54, 0x64, 0x6c, 0x74, 0x80, 0x84,
                                   0x90, 0x94, 0xa0, 0xa4, 0xa8, 0xac, 0xc0, 0xc4, 0xf8};

    driver_start(&d, 0, 8);
    for (unsigned i = 0; i < ARRAY_SIZE(reg); i++)
        ck_assert_msg(driver_read(&d, reg[i]) == 0, "register %x", reg[i]);
}
END_TEST

START_TEST(halves_of_an_address_do_not_touch_one_another)
{
    static const unsigned reg[] = {0x80, 0x90, 0xa0};

    for (unsigned i = 0; i < 3; i++) {
        const uint64_t *field[] = {&n->v.queue[1].desc, &n->v.queue[1].driver,
                                   &n->v.queue[1].device};

        driver_write(&d, QUEUE_SEL, 1);
        driver_write(&d, reg[i] + 4, 0x89abcdef);
        driver_write(&d, reg[i], 0xfedcba98);
        ck_assert_uint_eq(*field[i], UINT64_C(0x89abcdeffedcba98));
        driver_write(&d, reg[i] + 4, 0);
        ck_assert_uint_eq(*field[i], 0xfedcba98);
    }
}
END_TEST

/* Interrupts. */

START_TEST(interrupt_status_tells_why_until_acknowledged)
{
    driver_start(&d, 0, 8);
    driver_do(&d, 0, ping, 2);
    ck_assert_uint_eq(driver_read(&d, PENDING), 1);
    virtio_config_changed(&n->v);
    ck_assert_uint_eq(driver_read(&d, PENDING), 3);
    driver_write(&d, ACK, 0xfffffffc); /* bits that are not there */
    ck_assert_uint_eq(driver_read(&d, PENDING), 3);
    driver_write(&d, ACK, 1);
    ck_assert_uint_eq(driver_read(&d, PENDING), 2);
    driver_write(&d, ACK, 0xffffffff);
    ck_assert_uint_eq(driver_read(&d, PENDING), 0);
    driver_write(&d, PENDING, 3);
    ck_assert_uint_eq(driver_read(&d, PENDING), 0);
}
END_TEST

/* Edge triggered: a driver that has not acknowledged yet hears of what comes then, too. */
START_TEST(each_notification_is_an_edge_and_the_line_rests_low)
{
    driver_start(&d, 0, 8);
    for (unsigned i = 1; i <= 5; i++) {
        driver_do(&d, 0, ping, 2);
        ck_assert_uint_eq(d.irq.rises, i);
        ck_assert_uint_eq(d.irq.falls, i);
    }
    driver_write(&d, ACK, 1);
    ck_assert_uint_eq(d.irq.rises, 5);
}
END_TEST

START_TEST(no_interrupt_for_a_driver_that_wants_none)
{
    driver_start(&d, 0, 8);
    store_le16(driver_ptr(&d, d.q[0].avail), 1);
    driver_do(&d, 0, ping, 2);
    ck_assert_uint_eq(d.irq.rises, 0);
    ck_assert_uint_eq(driver_read(&d, PENDING), 0);
}
END_TEST

START_TEST(random_accesses_do_no_harm)
{
    uint64_t seed = 42;

    for (unsigned i = 0; i < 20000; i++) {
        uint64_t r = fake_random(&seed);
        uint64_t offset = r >> 8 & 0x1ff, value = fake_random(&seed) >> (r >> 32 & 63);
        unsigned size = 1u << (r & 3);

        if (r & 0x10) /* half of them proper */
            offset &= 0xfc, size = 4;
        if (r & 0x20)
            fake_read(d.dev, offset, size);
        else
            fake_write(d.dev, offset, size, r & 0x40 ? value & 0x8f : value);
        driver_run(&d);
    }
    driver_free(&d, ping[1].gpa + 16);
    driver_start(&d, 0, 8);
    ck_assert_uint_eq(driver_do(&d, 1, ping, 2), 16);
}
END_TEST

/* Saved state. */

START_TEST(saved_device_goes_on_where_it_was)
{
    static const uint64_t features[] = {0, VIRTIO_F_EVENT_IDX, VIRTIO_F_RING_PACKED,
                                        VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX};

    for (unsigned f = 0; f < ARRAY_SIZE(features); f++) {
        driver_free(&d, ping[1].gpa + 16);
        driver_start(&d, features[f], 7 + (f < 2));
        for (unsigned i = 0; i < 60; i++) {
            struct state_writer w = remember();
            struct state_reader r;

            ck_assert_uint_eq(driver_do(&d, i % 2, ping, 2), 16);
            state_writer_free(&w);
            w = remember();
            dev_reset(d.dev);
            ck_assert_uint_eq(driver_read(&d, STATUS), 0);
            state_reader_init(&r, w.data, w.len);
            ck_assert_int_eq(dev_load(d.dev, &r), 0);
            expect_unchanged(&w, 0, 0);
            ck_assert_uint_eq(driver_read(&d, STATUS), 0x0f);
            state_writer_free(&w);
        }
    }
}
END_TEST

START_TEST(buffers_that_waited_at_the_save_are_served_after_the_load)
{
    struct state_writer w;
    struct state_reader r;
    uint16_t id;
    uint32_t len;

    driver_start(&d, 0, 8);
    driver_run(&d);
    driver_add(&d, 0, ping, 2); /* the notification was lost with the old process */
    w = remember();
    state_reader_init(&r, w.data, w.len);
    ck_assert_int_eq(dev_load(d.dev, &r), 0);
    state_writer_free(&w);
    ck_assert(driver_used(&d, 0, 100, &id, &len));
}
END_TEST

START_TEST(hostile_state_is_refused_or_harmless)
{
    fake_hostile_states(d.dev, VIRTIO_MMIO_SIZE);
    driver_start(&d, 0, 8);
    driver_do(&d, 0, ping, 2);
    fake_hostile_states(d.dev, VIRTIO_MMIO_SIZE);
}
END_TEST

/* Offsets in the section's body: transport's 4 words, device id, offered, accepted, acked, status.
 */
enum {
    AT_PENDING = 12,
    AT_ID = 16,
    AT_OFFERED = 18,
    AT_ACCEPTED = 26,
    AT_ACKED = 34,
    AT_STATUS = 42,
    AT_QUEUES = 47
};

START_TEST(state_that_no_driver_can_reach_is_refused)
{
    static const struct {
        size_t at;
        uint8_t value;
    } bad[] = {
        {AT_PENDING, 4},   {AT_ID, 1},           {AT_OFFERED, 0xff}, {AT_OFFERED + 7, 1},
        {AT_ACCEPTED, 1},  {AT_ACCEPTED + 4, 0}, {AT_ACKED + 4, 0},  {AT_ACKED + 7, 0x80},
        {AT_STATUS, 0x07}, {AT_STATUS, 0x0e},    {AT_STATUS, 0x0c},  {AT_STATUS, 0x1f},
        {AT_STATUS, 0x2f}, {AT_STATUS, 0x03},    {AT_STATUS, 0x0b},  {AT_STATUS, 0x00},
        {AT_QUEUES, 0},    {AT_QUEUES, 2},       {AT_QUEUES, 36},    {AT_QUEUES, 0xff},
    };

    driver_start(&d, 0, 8);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        fake_expect_refused(d.dev, bad[i].at, bad[i].value);
        driver_free(&d, ping[1].gpa + 16);
        driver_start(&d, 0, 8); /* whatever was refused, the device works */
        ck_assert_uint_eq(driver_do(&d, 0, ping, 2), 16);
    }
}
END_TEST

START_TEST(device_whose_own_state_is_bad_is_left_reset)
{
    struct state_writer w;
    struct state_reader r;

    driver_start(&d, 0, 8);
    w = remember();
    n->load_error = -EINVAL;
    state_reader_init(&r, w.data, w.len);
    ck_assert_int_eq(dev_load(d.dev, &r), -EINVAL);
    ck_assert_uint_eq(driver_read(&d, STATUS), 0);
    ck_assert(!n->v.queue[0].active);
    state_writer_free(&w);
}
END_TEST

START_TEST(device_that_needs_a_reset_still_does_after_a_load)
{
    struct state_writer w;
    struct state_reader r;

    driver_start(&d, 0, 8);
    virtio_broken(&n->v, "a test");
    w = remember();
    driver_write(&d, STATUS, 0);
    state_reader_init(&r, w.data, w.len);
    ck_assert_int_eq(dev_load(d.dev, &r), 0);
    state_writer_free(&w);
    ck_assert(driver_broken(&d));
    driver_add(&d, 0, ping, 2);
    driver_kick(&d, 0);
    ck_assert_uint_eq(n->kicks[0], 0);
}
END_TEST

/* Doorbells: notifications past hv. */

#define BASE UINT64_C(0xd0000000)

static struct {
    unsigned added, removed, fail_at;
    int error, fd[8];
} bells;

static int add_bell(void *opaque, uint64_t addr, unsigned size, uint32_t match, int fd)
{
    ck_assert_ptr_eq(opaque, &bells);
    ck_assert_uint_eq(addr, BASE + 0x50);
    ck_assert_uint_eq(size, 4);
    ck_assert_uint_eq(match, bells.added);
    if (bells.added == bells.fail_at)
        return bells.error;
    bells.fd[bells.added++] = fd;
    return 0;
}

static void remove_bell(void *opaque, uint64_t addr, unsigned size, uint32_t match, int fd)
{
    ck_assert_ptr_eq(opaque, &bells);
    ck_assert_uint_eq(addr, BASE + 0x50);
    ck_assert_uint_eq(size, 4);
    ck_assert_uint_eq(match, bells.removed);
    ck_assert_int_eq(fd, bells.fd[match]);
    bells.removed++;
}

/* A second device, on doorbells of which the one at `fail_at` fails; what create returned. */
static int create_on_bells(unsigned fail_at, int error, struct dev **dev, bool *gone)
{
    struct dev_env env = {.mem = &d.mem,
                          .loop = d.loop,
                          .irq = fake_irq_line(&d.irq),
                          .doorbell = {add_bell, remove_bell, &bells}};
    struct null_device *other = null_device_create(3, 8, 0);

    memset(&bells, 0, sizeof(bells));
    bells.fail_at = fail_at;
    bells.error = error;
    *gone = false;
    other->destroyed = gone;
    return virtio_mmio_create(&env, BASE, &other->v, dev);
}

START_TEST(each_queue_has_a_doorbell_until_the_end)
{
    struct dev *dev;
    bool gone;

    ck_assert_int_eq(create_on_bells(99, 0, &dev, &gone), 0);
    ck_assert_uint_eq(bells.added, 3);
    dev_destroy(dev);
    ck_assert_uint_eq(bells.removed, 3);
    ck_assert(gone);
}
END_TEST

START_TEST(without_doorbells_notifications_are_exits)
{
    struct dev *dev;
    bool gone;

    for (unsigned at = 0; at < 3; at++) {
        ck_assert_int_eq(create_on_bells(at, -ENOTSUP, &dev, &gone), 0);
        dev_destroy(dev);
        ck_assert_uint_eq(bells.removed, at);
        ck_assert(gone);
    }
}
END_TEST

START_TEST(doorbell_that_fails_ends_the_device_and_removes_the_others)
{
    struct dev *dev;
    bool gone;

    for (unsigned at = 0; at < 3; at++) {
        ck_assert_int_eq(create_on_bells(at, -ENOSPC, &dev, &gone), -ENOSPC);
        ck_assert_uint_eq(bells.removed, at);
        ck_assert(gone);
    }
}
END_TEST

static TCase *registers(void)
{
    TCase *tc = tcase_create("mmio");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, identity_registers);
    tcase_add_test(tc, queue_with_no_entries_reads_0_and_cannot_be_enabled);
    tcase_add_test(tc, access_of_1_2_or_8_bytes_or_unaligned_reads_0_and_writes_nothing);
    tcase_add_test(tc, write_to_read_only_or_unknown_register_is_ignored);
    tcase_add_test(tc, write_only_and_unknown_registers_read_0);
    tcase_add_test(tc, halves_of_an_address_do_not_touch_one_another);
    tcase_add_test(tc, interrupt_status_tells_why_until_acknowledged);
    tcase_add_test(tc, each_notification_is_an_edge_and_the_line_rests_low);
    tcase_add_test(tc, no_interrupt_for_a_driver_that_wants_none);
    tcase_add_test(tc, random_accesses_do_no_harm);
    return tc;
}

int main(void)
{
    TCase *tc = registers();

    tcase_add_test(tc, saved_device_goes_on_where_it_was);
    tcase_add_test(tc, buffers_that_waited_at_the_save_are_served_after_the_load);
    tcase_add_test(tc, hostile_state_is_refused_or_harmless);
    tcase_add_test(tc, state_that_no_driver_can_reach_is_refused);
    tcase_add_test(tc, device_whose_own_state_is_bad_is_left_reset);
    tcase_add_test(tc, device_that_needs_a_reset_still_does_after_a_load);
    tcase_add_test(tc, each_queue_has_a_doorbell_until_the_end);
    tcase_add_test(tc, without_doorbells_notifications_are_exits);
    tcase_add_test(tc, doorbell_that_fails_ends_the_device_and_removes_the_others);
    return fake_run(tc);
}
