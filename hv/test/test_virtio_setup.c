/* Where a machine's virtio devices lie and how the guest is told: ACPI or command line, never both.
 */
#include "hv/virtio_setup.h"

#include <stdlib.h>
#include <string.h>

#include "devices/table.h"
#include "hv/config.h"
#include "hv/test/run_suite.h"

static bool parse(struct vm_config *config, const char *virtio)
{
    const char *argv[] = {"run", "-k", "x", "--rng", "on", "--virtio", virtio};

    config_init(config);
    return config_parse_run(config, 7, (char **)argv) == 0;
}

START_TEST(devices_are_told_in_acpi_by_default)
{
    struct device_place place;
    struct vm_config config;
    char *line;

    ck_assert(parse(&config, "packed=on"));
    ck_assert(virtio_setup_in_acpi(&config, 0, &place));
    ck_assert_uint_eq(place.bus, DEVICE_MMIO);
    ck_assert_uint_eq(place.base, 0xd0000000);
    ck_assert_uint_eq(place.size, 0x200);
    ck_assert_int_eq(place.gsi, 10);
    ck_assert(!virtio_setup_in_acpi(&config, 1, &place));
    line = virtio_setup_cmdline(&config);
    ck_assert_str_eq(line, "");
    free(line);
    config_free(&config);
}
END_TEST

START_TEST(devices_are_told_on_the_command_line_instead)
{
    struct device_place place;
    struct vm_config config;
    char *line;

    ck_assert(parse(&config, "cmdline=on"));
    ck_assert(!virtio_setup_in_acpi(&config, 0, &place));
    line = virtio_setup_cmdline(&config);
    ck_assert_str_eq(line, " virtio_mmio.device=512@0xd0000000:10:0");
    free(line);
    config_free(&config);
}
END_TEST

START_TEST(options_are_on_unless_said)
{
    struct vm_config config;
    struct virtio_options options;

    ck_assert(parse(&config, "packed=off,event-idx=no"));
    options = virtio_setup_options(&config);
    ck_assert(!options.packed && !options.event_idx && options.indirect && options.irqfd &&
              options.ioeventfd && !options.cmdline && options.poll == POLL_AUTO);
    config_free(&config);
}
END_TEST

START_TEST(polling_is_allowed_and_forbidden_by_option)
{
    struct vm_config config;

    ck_assert(parse(&config, "poll=off"));
    ck_assert(!virtio_setup_may_poll(&config));
    config_free(&config);
    ck_assert(parse(&config, "poll=on"));
    ck_assert(virtio_setup_may_poll(&config));
    config_free(&config);
}
END_TEST

START_TEST(value_on_means_no_keys)
{
    ck_assert_str_eq(virtio_setup_text("on"), "");
    ck_assert_str_eq(virtio_setup_text("on,bps=4"), "bps=4");
    ck_assert_str_eq(virtio_setup_text("online=1"), "online=1");
}
END_TEST

START_TEST(unknown_keys_are_refused)
{
    struct vm_config config;

    ck_assert(!parse(&config, "pakced=on"));
    config_free(&config);
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(devices_are_told_in_acpi_by_default),
        CASE(devices_are_told_on_the_command_line_instead),
        CASE(options_are_on_unless_said),
        CASE(polling_is_allowed_and_forbidden_by_option),
        CASE(value_on_means_no_keys),
        CASE(unknown_keys_are_refused),
    };

    return run_suite("virtio_setup", cases, ARRAY_SIZE(cases));
}
