/* The clock: reading, setting, formats, the update bit, and what Linux' driver asks of it. */
#include "devices/rtc.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "devices/devices.h"
#include "devices/test/fake.h"

#define NS_PER_S INT64_C(1000000000)

/* Saturday, 2023-12-30 23:59:58 UTC */
#define START INT64_C(1703980798)

static struct dev *rtc;
static int64_t now_ns;

static int64_t test_clock(void *opaque)
{
    (void)opaque;
    return now_ns;
}

static struct dev *make(void)
{
    const struct dev_env env = {.mem = NULL};
    struct dev *dev;

    ck_assert_int_eq(rtc_create(&env, &dev), 0);
    rtc_set_clock(dev, test_clock, NULL);
    return dev;
}

static void set_up(void)
{
    log_set_level(LOG_ERROR);
    now_ns = START * NS_PER_S;
    rtc = make();
}

static void tear_down(void)
{
    dev_destroy(rtc);
}

static uint8_t get(uint8_t index)
{
    fake_out(rtc, 0, index);
    return fake_in(rtc, 1);
}

static void set(uint8_t index, uint8_t value)
{
    fake_out(rtc, 0, index);
    fake_out(rtc, 1, value);
}

/* century, year, month, day, weekday, hour, minute, second, as the registers read */
static void check_time(const char *expected)
{
    static const uint8_t order[] = {0x32, 9, 8, 7, 6, 4, 2, 0};
    char text[32] = "";

    for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
        sprintf(text + strlen(text), "%02x", get(order[i]));
    ck_assert_str_eq(text, expected);
}

START_TEST(host_time_reads_as_bcd_and_24_hours)
{
    ck_assert_uint_eq(get(0x0b), 0x02);
    check_time("2023123007235958");
    now_ns += 2 * NS_PER_S;
    check_time("2023123101000000");
    now_ns += 86400 * NS_PER_S;
    check_time("2024010102000000");
}
END_TEST

START_TEST(binary_format_follows_register_b)
{
    set(0x0b, 0x06);
    check_time("14170c1e07173b3a");
}
END_TEST

START_TEST(twelve_hours_have_midnight_noon_and_pm)
{
    static const struct {
        int hour;
        uint8_t bcd, binary;
    } hour[] = {{0, 0x12, 12},         {1, 0x01, 1},         {11, 0x11, 11},
                {12, 0x92, 0x80 | 12}, {13, 0x81, 0x80 | 1}, {23, 0x91, 0x80 | 11}};

    for (unsigned i = 0; i < ARRAY_SIZE(hour); i++) {
        now_ns = (START / 86400 * 86400 + hour[i].hour * 3600) * NS_PER_S;
        set(0x0b, 0x00);
        ck_assert_uint_eq(get(4), hour[i].bcd);
        set(0x0b, 0x04);
        ck_assert_uint_eq(get(4), hour[i].binary);
    }
}
END_TEST

/* Linux' mc146818_set_time: SET, divider reset, registers, divider, SET off. */
static void set_like_linux(const uint8_t *values)
{
    static const uint8_t order[] = {9, 8, 7, 4, 2, 0, 0x32};
    uint8_t control = get(0x0b), rate = get(0x0a);

    set(0x0b, control | 0x80);
    set(0x0a, rate | 0x70);
    for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
        set(order[i], values[i]);
    set(0x0b, control);
    set(0x0a, rate);
}

START_TEST(set_like_linux_moves_the_clock_and_it_goes_on)
{
    set_like_linux((const uint8_t[]){0x31, 0x02, 0x28, 0x23, 0x59, 0x59, 0x20});
    check_time("2031022806235959");
    now_ns += NS_PER_S;
    check_time("2031030107000000");
}
END_TEST

START_TEST(time_stands_still_while_it_is_held)
{
    set(0x0b, 0x82);
    now_ns += 3600 * NS_PER_S;
    check_time("2023123007235958");
    set(0x06, 0x55); /* memory as long as it is held */
    ck_assert_uint_eq(get(0x06), 0x55);
    set(0x0b, 0x02);
    check_time("2023123007235958");
    now_ns += 2 * NS_PER_S;
    check_time("2023123101000000");
}
END_TEST

START_TEST(single_write_without_set_changes_one_field)
{
    set(0x02, 0x30);
    check_time("2023123007233058");
    set(0x32, 0x19);
    check_time("1923123001233058");
}
END_TEST

START_TEST(set_to_no_time_keeps_the_old_one)
{
    static const struct {
        uint8_t index, value;
    } bad[] = {{0, 0x60}, {0, 0x5a}, {2, 0xff}, {4, 0x24}, {7, 0},
               {7, 0x32}, {8, 0},    {8, 0x13}, {9, 0xa0}, {0x32, 0xff}};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        set(bad[i].index, bad[i].value);
        check_time("2023123007235958");
        set(0x0b, 0x82);
        set(bad[i].index, bad[i].value);
        set(0x0b, 0x02);
        check_time("2023123007235958");
    }
    set(0x0b, 0x00); /* 12 hours know no 0 and no 13 */
    set(0x04, 0x00);
    ck_assert_uint_eq(get(4), 0x91);
    set(0x04, 0x13);
    ck_assert_uint_eq(get(4), 0x91);
}
END_TEST

START_TEST(extreme_years_do_not_break_the_clock)
{
    set_like_linux((const uint8_t[]){0x99, 0x12, 0x31, 0x23, 0x59, 0x59, 0x99});
    check_time("9999123106235959");
    now_ns += 10 * NS_PER_S;
    check_time("9999123106235959"); /* there is no later one */
    set_like_linux((const uint8_t[]){0x00, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00});
    check_time("0000010107000000");
    now_ns = INT64_MAX;
    get(0);
    now_ns = INT64_MIN;
    get(0);
}
END_TEST

START_TEST(update_bit_is_set_for_the_last_244_us_of_a_second)
{
    ck_assert_uint_eq(get(0x0a), 0x26);
    now_ns += NS_PER_S - 244001;
    ck_assert_uint_eq(get(0x0a), 0x26);
    now_ns += 1;
    ck_assert_uint_eq(get(0x0a), 0xa6);
    set(0x0b, 0x82); /* no updates while held */
    ck_assert_uint_eq(get(0x0a), 0x26);
    set(0x0b, 0x02);
    now_ns += 244000;
    ck_assert_uint_eq(get(0x0a), 0x26);
    set(0x0a, 0xff);
    ck_assert_uint_eq(get(0x0a), 0x7f); /* the bit is not the guest's */
}
END_TEST

START_TEST(update_bit_of_the_real_clock_clears_soon)
{
    const struct dev_env env = {.mem = NULL};
    struct timespec start, t;
    struct dev *real;

    ck_assert_int_eq(rtc_create(&env, &real), 0);
    clock_gettime(CLOCK_MONOTONIC, &start);
    fake_out(real, 0, 0x0a);
    for (unsigned i = 0; i < 2000; i++) {
        do
            clock_gettime(CLOCK_MONOTONIC, &t);
        while (fake_in(real, 1) & 0x80 && t.tv_sec - start.tv_sec < 5);
    }
    ck_assert_int_lt(t.tv_sec - start.tv_sec, 5);
    fake_out(real, 0, 0x32);
    ck_assert_uint_ge(fake_in(real, 1), 0x20);
    dev_destroy(real);
}
END_TEST

START_TEST(register_c_tells_the_turn_of_the_second_once)
{
    ck_assert_uint_eq(get(0x0c), 0);
    now_ns += NS_PER_S;
    ck_assert_uint_eq(get(0x0c), 0x10);
    ck_assert_uint_eq(get(0x0c), 0);
    set(0x0b, 0x12);
    now_ns += NS_PER_S;
    ck_assert_uint_eq(get(0x0c), 0x90);
    set(0x0c, 0xff);
    ck_assert_uint_eq(get(0x0c), 0);
}
END_TEST

START_TEST(register_d_says_valid_and_cannot_be_written)
{
    set(0x0d, 0);
    ck_assert_uint_eq(get(0x0d), 0x80);
}
END_TEST

START_TEST(alarm_and_memory_keep_what_is_written)
{
    for (unsigned i = 0; i < 128; i++) {
        bool is_alarm = i == 1 || i == 3 || i == 5, is_memory = i > 0x0d && i != 0x32;

        if (!is_alarm && !is_memory)
            continue;
        set((uint8_t)i, (uint8_t)(i ^ 0x5a));
        ck_assert_uint_eq(get((uint8_t)i), i ^ 0x5a);
    }
    check_time("2023123007235958");
}
END_TEST

START_TEST(nmi_bit_of_the_index_is_not_part_of_it)
{
    ck_assert_uint_eq(get(0x8d), 0x80);
    ck_assert_uint_eq(get(0x80), 0x58);
    ck_assert_uint_eq(fake_in(rtc, 0), 0xff);
}
END_TEST

START_TEST(word_write_selects_and_sets)
{
    fake_write(rtc, 0, 2, 0x7740);
    ck_assert_uint_eq(get(0x40), 0x77);
}
END_TEST

START_TEST(reset_clears_interrupt_enables_and_keeps_time)
{
    set(0x02, 0x15);
    set(0x0b, 0x7a);
    set(0x40, 0x11);
    dev_reset(rtc);
    ck_assert_uint_eq(get(0x0b), 0x02);
    ck_assert_uint_eq(get(0x02), 0x15);
    ck_assert_uint_eq(get(0x40), 0x11);
}
END_TEST

START_TEST(state_moves_with_its_offset)
{
    struct dev *first = rtc;

    set_like_linux((const uint8_t[]){0x31, 0x02, 0x28, 0x23, 0x59, 0x59, 0x20});
    set(0x40, 0x42);
    rtc = make();
    ck_assert_int_eq(fake_transfer(first, rtc), 0);
    check_time("2031022806235959");
    ck_assert_uint_eq(get(0x40), 0x42);
    dev_destroy(first);
}
END_TEST

START_TEST(hostile_state_is_refused_or_harmless)
{
    fake_hostile_states(rtc, 2);
    set(0x0b, 0x82);
    fake_hostile_states(rtc, 2);
}
END_TEST

START_TEST(state_that_no_clock_can_have_is_refused)
{
    fake_expect_refused(rtc, 7, 0x7f);      /* an offset of 290 thousand million years */
    fake_expect_refused(rtc, 7, 0x80);      /* and back */
    fake_expect_refused(rtc, 8, 0x80);      /* an index outside the memory */
    fake_expect_refused(rtc, 9 + 10, 0x80); /* an update that would never end */
}
END_TEST

START_TEST(holding_and_changing_format_at_once_keeps_the_bytes)
{
    set(0x0b, 0x86);
    check_time("2023123007235958");
    set(0x0b, 0x02);
    check_time("2023123007235958");
}
END_TEST

START_TEST(fuzz_of_all_registers_always_answers)
{
    uint64_t seed = 146818;

    for (unsigned i = 0; i < 100000; i++) {
        uint64_t r = fake_random(&seed);

        now_ns = (int64_t)(r * 31) % (INT64_C(9000000000) * NS_PER_S);
        if (r & 1)
            set((uint8_t)(r >> 8) % 0x34, (uint8_t)(r >> 16));
        else
            get((uint8_t)(r >> 8));
    }
    set(0x0a, 0x26);
    set(0x0b, 0x02);
    now_ns = 0;
    ck_assert_uint_le(get(0), 0x59);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("rtc");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, host_time_reads_as_bcd_and_24_hours);
    tcase_add_test(tc, binary_format_follows_register_b);
    tcase_add_test(tc, twelve_hours_have_midnight_noon_and_pm);
    tcase_add_test(tc, set_like_linux_moves_the_clock_and_it_goes_on);
    tcase_add_test(tc, time_stands_still_while_it_is_held);
    tcase_add_test(tc, single_write_without_set_changes_one_field);
    tcase_add_test(tc, set_to_no_time_keeps_the_old_one);
    tcase_add_test(tc, extreme_years_do_not_break_the_clock);
    tcase_add_test(tc, update_bit_is_set_for_the_last_244_us_of_a_second);
    tcase_add_test(tc, update_bit_of_the_real_clock_clears_soon);
    tcase_add_test(tc, register_c_tells_the_turn_of_the_second_once);
    tcase_add_test(tc, register_d_says_valid_and_cannot_be_written);
    tcase_add_test(tc, alarm_and_memory_keep_what_is_written);
    tcase_add_test(tc, nmi_bit_of_the_index_is_not_part_of_it);
    tcase_add_test(tc, word_write_selects_and_sets);
    tcase_add_test(tc, reset_clears_interrupt_enables_and_keeps_time);
    tcase_add_test(tc, state_moves_with_its_offset);
    tcase_add_test(tc, hostile_state_is_refused_or_harmless);
    tcase_add_test(tc, state_that_no_clock_can_have_is_refused);
    tcase_add_test(tc, holding_and_changing_format_at_once_keeps_the_bytes);
    tcase_add_test(tc, fuzz_of_all_registers_always_answers);
    return fake_run(tc);
}
