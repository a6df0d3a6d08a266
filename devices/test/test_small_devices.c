/* The devices of one register: i8042, debug exit, debug console, pvpanic. */
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "devices/devices.h"
#include "devices/test/fake.h"

static struct fake_console c;
static struct fake_sink sink;
static struct dev *dev;

static void set_up(void)
{
    log_set_level(LOG_ERROR);
    memset(&sink, 0, sizeof(sink));
    fake_console_open(&c, NULL);
    dev = NULL;
}

static void tear_down(void)
{
    dev_destroy(dev);
    fake_console_close(&c);
}

static void make(int (*create)(const struct dev_env *env, struct dev **out))
{
    struct dev_env env = {.loop = c.loop, .console = c.chr, .sink = fake_sink_of(&sink)};

    ck_assert_int_eq(create(&env, &dev), 0);
}

START_TEST(i8042_pulse_of_line_0_resets)
{
    make(i8042_create);
    for (unsigned v = 0; v < 256; v++) {
        unsigned before = sink.count;

        fake_out(dev, 0, (uint8_t)v);
        ck_assert_uint_eq(sink.count - before, v >= 0xf0 && !(v & 1));
    }
    ck_assert_int_eq(sink.event[0], GUEST_RESET);
}
END_TEST

START_TEST(i8042_takes_a_reset_at_once)
{
    make(i8042_create);
    ck_assert_uint_eq(fake_in(dev, 0) & 0x02, 0); /* what kb_wait polls */
    fake_out(dev, 0, 0xfe);
    ck_assert_uint_eq(sink.count, 1);
}
END_TEST

START_TEST(i8042_looks_absent_to_linux_flush)
{
    unsigned reads = 0;

    make(i8042_create);
    while (fake_in(dev, 0) & 0x01 && reads <= 16)
        reads++;
    ck_assert_uint_eq(reads, 17); /* more than its buffer of 16 can hold: no such device */
}
END_TEST

START_TEST(i8042_drain_without_bound_ends)
{
    unsigned reads = 0;

    make(i8042_create);
    while (fake_in(dev, 0) & 0x01)
        ck_assert_uint_lt(++reads, 1000);
    fake_out(dev, 0, 0xaa); /* a reply to any command seems to be there */
    ck_assert_uint_eq(fake_in(dev, 0) & 0x01, 1);
}
END_TEST

START_TEST(i8042_hostile_state_is_refused_or_harmless)
{
    make(i8042_create);
    fake_hostile_states(dev, 1);
}
END_TEST

START_TEST(debug_exit_reports_the_value_of_every_width)
{
    static const struct {
        unsigned size;
        uint32_t value;
    } width[] = {{1, 0x44}, {2, 0x3344}, {4, 0x11223344}};

    make(debugexit_create);
    for (unsigned i = 0; i < ARRAY_SIZE(width); i++) {
        fake_write(dev, 0, width[i].size, UINT64_C(0x5566778811223344));
        ck_assert_int_eq(sink.event[i], GUEST_DEBUG_EXIT);
        ck_assert_uint_eq(sink.value[i], width[i].value);
    }
    fake_write(dev, 3, 1, 9);
    ck_assert_uint_eq(sink.value[3], 9);
    ck_assert_uint_eq(fake_read(dev, 0, 4), 0);
}
END_TEST

START_TEST(debug_console_prints_and_shows_itself)
{
    char out[16];

    make(debugcon_create);
    ck_assert_uint_eq(fake_in(dev, 0), 0xe9);
    fake_out(dev, 0, 'h');
    fake_out(dev, 0, 'i');
    fake_write(dev, 0, 2, '!' | '\n' << 8);
    fake_console_read(&c, out, sizeof(out));
    ck_assert_str_eq(out, "hi!\n");
}
END_TEST

START_TEST(debug_console_without_console_swallows)
{
    struct dev_env env = {.loop = c.loop};

    ck_assert_int_eq(debugcon_create(&env, &dev), 0);
    fake_out(dev, 0, 'x');
}
END_TEST

START_TEST(pvpanic_offers_two_events_and_reports_each)
{
    make(pvpanic_create);
    ck_assert_uint_eq(fake_in(dev, 0), 3);
    fake_out(dev, 0, 0x00);
    fake_out(dev, 0, 0xfc);
    ck_assert_uint_eq(sink.count, 0);
    fake_out(dev, 0, 0x01);
    fake_out(dev, 0, 0x02);
    fake_out(dev, 0, 0x03);
    ck_assert_uint_eq(sink.count, 4);
    ck_assert_int_eq(sink.event[0], GUEST_PANICKED);
    ck_assert_int_eq(sink.event[1], GUEST_CRASH_LOADED);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("small devices");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, i8042_pulse_of_line_0_resets);
    tcase_add_test(tc, i8042_takes_a_reset_at_once);
    tcase_add_test(tc, i8042_looks_absent_to_linux_flush);
    tcase_add_test(tc, i8042_drain_without_bound_ends);
    tcase_add_test(tc, i8042_hostile_state_is_refused_or_harmless);
    tcase_add_test(tc, debug_exit_reports_the_value_of_every_width);
    tcase_add_test(tc, debug_console_prints_and_shows_itself);
    tcase_add_test(tc, debug_console_without_console_swallows);
    tcase_add_test(tc, pvpanic_offers_two_events_and_reports_each);
    return fake_run(tc);
}
