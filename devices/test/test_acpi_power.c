/* Power-off, reset and power button. */
#include "devices/acpi_power.h"

#include <string.h>

#include "devices/core/log.h"
#include "devices/devices.h"
#include "devices/test/fake.h"

static struct fake_irq irq;
static struct fake_sink sink;
static struct dev *power;

static void set_up(void)
{
    struct dev_env env = {.irq = fake_irq_line(&irq), .sink = fake_sink_of(&sink)};

    log_set_level(LOG_ERROR);
    memset(&irq, 0, sizeof(irq));
    memset(&sink, 0, sizeof(sink));
    ck_assert_int_eq(acpi_power_create(&env, &power), 0);
}

static void tear_down(void)
{
    dev_destroy(power);
}

START_TEST(sleep_type_5_with_enable_powers_off)
{
    fake_out(power, ACPI_POWER_REG_CONTROL, 5 << 2);
    ck_assert_uint_eq(sink.count, 0);
    ck_assert_uint_eq(fake_in(power, ACPI_POWER_REG_CONTROL), 5 << 2);
    fake_out(power, ACPI_POWER_REG_CONTROL, 5 << 2 | 0x20);
    ck_assert_uint_eq(sink.count, 1);
    ck_assert_int_eq(sink.event[0], GUEST_POWEROFF);
    ck_assert_uint_eq(fake_in(power, ACPI_POWER_REG_CONTROL), 5 << 2); /* SLP_EN reads 0 */
}
END_TEST

START_TEST(other_sleep_types_are_ignored)
{
    for (uint8_t type = 0; type < 8; type++) {
        if (type != 5)
            fake_out(power, ACPI_POWER_REG_CONTROL, (uint8_t)(type << 2 | 0x20));
    }
    ck_assert_uint_eq(sink.count, 0);
}
END_TEST

START_TEST(reset_register_takes_its_value_only)
{
    for (unsigned v = 0; v < 256; v++) {
        if (v != ACPI_POWER_RESET_VALUE)
            fake_out(power, ACPI_POWER_REG_RESET, (uint8_t)v);
    }
    ck_assert_uint_eq(sink.count, 0);
    fake_out(power, ACPI_POWER_REG_RESET, ACPI_POWER_RESET_VALUE);
    ck_assert_uint_eq(sink.count, 1);
    ck_assert_int_eq(sink.event[0], GUEST_RESET);
    ck_assert_uint_eq(fake_in(power, ACPI_POWER_REG_RESET), 0);
}
END_TEST

START_TEST(button_raises_the_line_until_events_are_read)
{
    acpi_power_button(power);
    acpi_power_button(power); /* pressed again before anyone looked: the same event */
    ck_assert_uint_eq(irq.rises, 1);
    ck_assert_uint_eq(fake_in(power, ACPI_POWER_REG_EVENTS), ACPI_POWER_EVENT_BUTTON);
    ck_assert(!irq.level);
    ck_assert_uint_eq(fake_in(power, ACPI_POWER_REG_EVENTS), 0);
    acpi_power_button(power);
    ck_assert_uint_eq(irq.rises, 2);
}
END_TEST

START_TEST(writes_do_not_touch_events_or_status)
{
    acpi_power_button(power);
    fake_write(power, 0, 8, UINT64_C(0xffffffffff00ff00));
    ck_assert(irq.level);
    ck_assert_uint_eq(fake_in(power, ACPI_POWER_REG_STATUS), 0);
}
END_TEST

START_TEST(wide_read_is_consecutive_registers)
{
    fake_out(power, ACPI_POWER_REG_CONTROL, 0x14);
    acpi_power_button(power);
    ck_assert_uint_eq(fake_read(power, 0, 8), UINT64_C(0x0000000100000014));
    ck_assert(!irq.level);
}
END_TEST

START_TEST(reset_lowers_the_line)
{
    acpi_power_button(power);
    fake_out(power, ACPI_POWER_REG_CONTROL, 0x14);
    dev_reset(power);
    ck_assert(!irq.level);
    ck_assert_uint_eq(fake_read(power, 0, 8), 0);
}
END_TEST

START_TEST(waiting_event_moves_with_the_state)
{
    struct fake_irq other_irq = {0};
    struct dev_env env = {.irq = fake_irq_line(&other_irq)};
    struct dev *other;

    acpi_power_button(power);
    ck_assert_int_eq(acpi_power_create(&env, &other), 0);
    ck_assert_int_eq(fake_transfer(power, other), 0);
    ck_assert(other_irq.level);
    ck_assert_uint_eq(fake_in(other, ACPI_POWER_REG_EVENTS), ACPI_POWER_EVENT_BUTTON);
    dev_destroy(other);
}
END_TEST

START_TEST(hostile_state_is_refused_or_harmless)
{
    acpi_power_button(power);
    fake_hostile_states(power, ACPI_POWER_REG_BYTES);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("acpi_power");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, sleep_type_5_with_enable_powers_off);
    tcase_add_test(tc, other_sleep_types_are_ignored);
    tcase_add_test(tc, reset_register_takes_its_value_only);
    tcase_add_test(tc, button_raises_the_line_until_events_are_read);
    tcase_add_test(tc, writes_do_not_touch_events_or_status);
    tcase_add_test(tc, wide_read_is_consecutive_registers);
    tcase_add_test(tc, reset_lowers_the_line);
    tcase_add_test(tc, waiting_event_moves_with_the_state);
    tcase_add_test(tc, hostile_state_is_refused_or_harmless);
    return fake_run(tc);
}
