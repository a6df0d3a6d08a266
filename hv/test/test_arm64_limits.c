/* What is asked of an arm64 host that has less: one line, which names the option. */
#include <errno.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "hv/arch/arm64/arm64.h"
#include "hv/arch/arm64/layout.h"
#include "hv/test/run_suite.h"

static char line[256];
static unsigned lines;

static void keep_line(void *opaque, enum log_level level, const char *text)
{
    (void)opaque;
    ck_assert_int_eq(level, LOG_ERROR);
    strncpy(line, text, sizeof(line) - 1);
    lines++;
}

static void setup(void)
{
    lines = 0;
    log_set_sink(keep_line, NULL);
}

START_TEST(as_few_address_bits_as_hold_the_ram)
{
    setup();
    ck_assert_int_eq(arm64_ipa_bits(48, 0), 32);
    ck_assert_int_eq(arm64_ipa_bits(48, LAYOUT_RAM + 3 * GIB), 32);
    ck_assert_int_eq(arm64_ipa_bits(48, LAYOUT_RAM + 3 * GIB + 1), 33);
    ck_assert_int_eq(arm64_ipa_bits(36, LAYOUT_RAM + 63 * GIB), 36);
    ck_assert_uint_eq(lines, 0);
}
END_TEST

START_TEST(ram_above_the_addresses_is_refused)
{
    setup();
    ck_assert_int_eq(arm64_ipa_bits(36, LAYOUT_RAM + 63 * GIB + 1), -EINVAL);
    ck_assert_uint_eq(lines, 1);
    ck_assert_ptr_nonnull(strstr(line, "--memory"));
    ck_assert_ptr_nonnull(strstr(line, "36 bits"));
    ck_assert_ptr_nonnull(strstr(line, " 64512 MiB"));
    ck_assert_int_eq(arm64_ipa_bits(48, UINT64_MAX), -EINVAL);
    ck_assert_uint_eq(lines, 2);
}
END_TEST

/* Such a KVM answers 0 to the question for the most. */
START_TEST(a_kvm_without_sizes_has_40_bits)
{
    setup();
    ck_assert_int_eq(arm64_ipa_bits(0, UINT64_C(1) << 40), 40);
    ck_assert_int_eq(arm64_ipa_bits(0, (UINT64_C(1) << 40) + 1), -EINVAL);
    ck_assert_ptr_nonnull(strstr(line, "40 bits"));
    ck_assert_uint_eq(lines, 1);
}
END_TEST

/* With a GICv2; what KVM answers then is in its arch/arm64/kvm/vgic/vgic-init.c, kvm_vgic_create.
 */
START_TEST(cpus_beyond_the_interrupt_controller_are_refused)
{
    setup();
    ck_assert_int_eq(arm64_gic_refused(0, 9), 0);
    ck_assert_uint_eq(lines, 0);
    ck_assert_int_eq(arm64_gic_refused(-E2BIG, 9), -E2BIG);
    ck_assert_uint_eq(lines, 1);
    ck_assert_ptr_nonnull(strstr(line, "--cpus 9"));
    ck_assert_ptr_nonnull(strstr(line, "room for 8"));
    ck_assert_int_eq(arm64_gic_refused(-ENODEV, 1), -ENODEV);
    ck_assert_uint_eq(lines, 2);
    ck_assert_ptr_null(strstr(line, "--cpus"));
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(as_few_address_bits_as_hold_the_ram),
        CASE(ram_above_the_addresses_is_refused),
        CASE(a_kvm_without_sizes_has_40_bits),
        CASE(cpus_beyond_the_interrupt_controller_are_refused),
    };

    return run_suite("arm64 limits", cases, sizeof(cases) / sizeof(cases[0]));
}
