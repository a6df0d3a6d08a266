/* The PL031: reading and setting the clock, its alarm, and what Linux' driver asks of it. */
#include "devices/pl031.h"

#include <errno.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/devices.h"
#include "devices/test/fake.h"

#define NS_PER_S INT64_C(1000000000)

/* Saturday, 2023-12-30 23:59:58 UTC */
#define START INT64_C(1703980798)

enum { DR = 0, MR = 4, LR = 8, CR = 0xc, IMSC = 0x10, RIS = 0x14, MIS = 0x18, ICR = 0x1c };

static struct dev *rtc;
static struct fake_irq irq;
static struct loop *loop;
static int64_t now_ns;

static int64_t test_clock(void *opaque)
{
    (void)opaque;
    return now_ns;
}

static struct dev *make(struct fake_irq *line)
{
    const struct dev_env env = {.loop = loop, .irq = fake_irq_line(line)};
    struct dev *dev;

    ck_assert_int_eq(pl031_create(&env, &dev), 0);
    pl031_set_clock(dev, test_clock, NULL);
    return dev;
}

static void set_up(void)
{
    log_set_level(LOG_ERROR);
    now_ns = START * NS_PER_S;
    irq = (struct fake_irq){0};
    loop = loop_create();
    ck_assert_ptr_nonnull(loop);
    rtc = make(&irq);
}

static void tear_down(void)
{
    dev_destroy(rtc);
    loop_destroy(loop);
}

static uint32_t get(uint64_t reg)
{
    return (uint32_t)fake_read(rtc, reg, 4);
}

static void set(uint64_t reg, uint32_t value)
{
    fake_write(rtc, reg, 4, value);
}

START_TEST(clock_has_the_hosts_time_and_goes_on)
{
    ck_assert_uint_eq(get(DR), START);
    ck_assert_uint_eq(get(CR), 1);
    now_ns += NS_PER_S - 1;
    ck_assert_uint_eq(get(DR), START);
    now_ns += 1;
    ck_assert_uint_eq(get(DR), START + 1);
    set(CR, 0); /* once enabled, always enabled */
    ck_assert_uint_eq(get(CR), 1);
}
END_TEST

START_TEST(load_register_sets_the_time)
{
    set(LR, 1000);
    ck_assert_uint_eq(get(DR), 1000);
    ck_assert_uint_eq(get(LR), 1000);
    now_ns += 5 * NS_PER_S;
    ck_assert_uint_eq(get(DR), 1005);
    set(LR, UINT32_MAX);
    now_ns += NS_PER_S;
    ck_assert_uint_eq(get(DR), 0); /* it wraps */
    set(DR, 77);                   /* read only */
    ck_assert_uint_eq(get(DR), 0);
}
END_TEST

/* Linux finds the driver by these (drivers/rtc/rtc-pl031.c: 0x00041031 of 0x000fffff). */
START_TEST(identification_is_that_of_a_pl031)
{
    static const uint8_t id[] = {0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

    for (unsigned i = 0; i < ARRAY_SIZE(id); i++) {
        set(0xfe0 + 4 * i, 0xff);
        ck_assert_uint_eq(get(0xfe0 + 4 * i), id[i]);
    }
}
END_TEST

START_TEST(alarm_now_is_raised_at_once_and_only_told_unmasked)
{
    set(MR, (uint32_t)START);
    ck_assert_uint_eq(get(RIS), 1);
    ck_assert_uint_eq(get(MIS), 0);
    ck_assert(!irq.level);
    set(IMSC, 0xff);
    ck_assert_uint_eq(get(IMSC), 1);
    ck_assert_uint_eq(get(MIS), 1);
    ck_assert(irq.level);
    set(ICR, 0);
    ck_assert(irq.level);
    set(ICR, 1);
    ck_assert(!irq.level);
    ck_assert_uint_eq(get(RIS), 0);
    ck_assert_uint_eq(irq.rises, 1);
}
END_TEST

/* Steps the loop until the line rises, for at most `ms` of the real clock. */
static bool rises_within(unsigned ms)
{
    uint64_t end = loop_now_ns() + ms * UINT64_C(1000000);

    while (!irq.level && loop_now_ns() < end)
        loop_step(loop);
    return irq.level;
}

START_TEST(alarm_in_the_next_second_comes_by_the_loop)
{
    now_ns = START * NS_PER_S + NS_PER_S - 20 * 1000000; /* 20 ms before the second's turn */
    set(IMSC, 1);
    set(MR, (uint32_t)START + 1);
    ck_assert(!irq.level);
    loop_step(loop);
    ck_assert(!irq.level);
    now_ns += 20 * 1000000;
    ck_assert(rises_within(2000));
    ck_assert_uint_eq(get(RIS), 1);
}
END_TEST

START_TEST(alarm_waits_when_the_hosts_clock_was_set_back)
{
    now_ns = START * NS_PER_S + NS_PER_S - 1000000;
    set(IMSC, 1);
    set(MR, (uint32_t)START + 1);
    now_ns = (START - 100) * NS_PER_S;
    ck_assert(!rises_within(20));
    now_ns = (START + 1) * NS_PER_S;
    ck_assert(!rises_within(20)); /* some 100 s are left now, of the real clock */
    set(MR, (uint32_t)START + 1);
    ck_assert(irq.level);
}
END_TEST

START_TEST(setting_the_clock_moves_the_alarm)
{
    set(IMSC, 1);
    set(MR, 500);
    ck_assert(!irq.level); /* 500 is no time to come */
    set(LR, 499);
    ck_assert(!irq.level);
    set(LR, 500);
    ck_assert(irq.level);
}
END_TEST

START_TEST(every_width_reads_the_bytes_it_covers)
{
    set(LR, 0x44332211);
    set(MR, 0x88776655);
    ck_assert_uint_eq(fake_read(rtc, LR, 1), 0x11);
    ck_assert_uint_eq(fake_read(rtc, LR + 1, 1), 0x22);
    ck_assert_uint_eq(fake_read(rtc, LR + 2, 2), 0x4433);
    ck_assert_uint_eq(fake_read(rtc, MR, 8), UINT64_C(0x4433221188776655));
    ck_assert_uint_eq(fake_read(rtc, MR + 2, 4), 0x22118877);
    fake_write(rtc, MR, 8, UINT64_C(0x0000000200000001));
    ck_assert_uint_eq(get(MR), 1);
    ck_assert_uint_eq(get(LR), 2);
    fake_write(rtc, MR, 1, 0x99);
    ck_assert_uint_eq(get(MR), 0x99);
    fake_write(rtc, MR + 1, 1, 0x99);
    fake_write(rtc, MR + 2, 2, 0x9999);
    ck_assert_uint_eq(get(MR), 0x99);
    ck_assert_uint_eq(fake_read(rtc, 0xfdc, 8), UINT64_C(0x31) << 32);
    ck_assert_uint_eq(fake_read(rtc, 0xffc, 4), 0xb1);
}
END_TEST

START_TEST(reset_clears_the_alarm_and_keeps_the_time)
{
    set(LR, 1000);
    set(IMSC, 1);
    set(MR, 1000);
    ck_assert(irq.level);
    dev_reset(rtc);
    ck_assert(!irq.level);
    ck_assert_uint_eq(get(IMSC) | get(RIS) | get(MR) | get(LR), 0);
    ck_assert_uint_eq(get(DR), 1000);
}
END_TEST

START_TEST(state_moves_with_its_alarm)
{
    struct fake_irq other_irq = {0};
    struct dev *other = make(&other_irq);

    set(LR, 1000);
    set(MR, 1010);
    set(IMSC, 1);
    now_ns += 20 * NS_PER_S; /* it fell due on the way */
    ck_assert_int_eq(fake_transfer(rtc, other), 0);
    ck_assert(other_irq.level);
    ck_assert_uint_eq(fake_read(other, DR, 4), 1020);
    ck_assert_uint_eq(fake_read(other, LR, 4), 1000);
    dev_destroy(other);
}
END_TEST

START_TEST(hostile_state_is_refused_or_harmless)
{
    set(MR, (uint32_t)START + 1);
    fake_hostile_states(rtc, 0x20);
    fake_expect_refused(rtc, 12, 0x08); /* a flag that there is not */
}
END_TEST

START_TEST(extreme_host_clocks_do_no_harm)
{
    static const int64_t extreme[] = {INT64_MAX, INT64_MIN, 0, -1};

    for (unsigned i = 0; i < ARRAY_SIZE(extreme); i++) {
        now_ns = extreme[i];
        get(DR);
        set(LR, UINT32_MAX);
        set(MR, 0);
        set(MR, UINT32_MAX);
        ck_assert_uint_eq(get(DR), UINT32_MAX);
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("pl031");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, clock_has_the_hosts_time_and_goes_on);
    tcase_add_test(tc, load_register_sets_the_time);
    tcase_add_test(tc, identification_is_that_of_a_pl031);
    tcase_add_test(tc, alarm_now_is_raised_at_once_and_only_told_unmasked);
    tcase_add_test(tc, alarm_in_the_next_second_comes_by_the_loop);
    tcase_add_test(tc, alarm_waits_when_the_hosts_clock_was_set_back);
    tcase_add_test(tc, setting_the_clock_moves_the_alarm);
    tcase_add_test(tc, every_width_reads_the_bytes_it_covers);
    tcase_add_test(tc, reset_clears_the_alarm_and_keeps_the_time);
    tcase_add_test(tc, state_moves_with_its_alarm);
    tcase_add_test(tc, hostile_state_is_refused_or_harmless);
    tcase_add_test(tc, extreme_host_clocks_do_no_harm);
    return fake_run(tc);
}
