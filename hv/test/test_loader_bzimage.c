/* bzImage: where it is loaded, how it is entered, and every way in which the header can lie. */
#include <errno.h>
#include <string.h>

#include "devices/core/util.h"
#include "hv/test/loader_world.h"
#include "hv/test/run_suite.h"

static struct blob file;
static struct kernel kernel;

static void start(void)
{
    world_reset();
    build_bzimage(&file);
}

static void expect_good(void)
{
    int err = load_bytes(file.data, file.len, &kernel);

    ck_assert_msg(err == 0, "%d: %s", err, world.line);
    ck_assert_uint_eq(world.errors, 0);
    ck_assert_str_eq(kernel.format, "bzImage");
}

static void expect_bad(int err, const char *text)
{
    ck_assert_int_eq(load_bytes(file.data, file.len, &kernel), err);
    expect_line("/proc/self/fd/", text);
}

START_TEST(good_image_goes_to_pref_address_and_is_entered_in_64_bit)
{
    start();
    expect_good();
    ck_assert_int_eq(kernel.protocol, BOOT_LINUX64);
    ck_assert_uint_eq(kernel.entry, BZ_PREF + 0x200);
    ck_assert_uint_eq(kernel.low, BZ_PREF);
    ck_assert_uint_eq(kernel.high, BZ_PREF + BZ_INIT);
    ck_assert_uint_eq(kernel.initrd_max, 0x7fffffff);
    ck_assert_uint_eq(kernel.cmdline_max, 2047);
    expect_loaded(&file, BZ_OFFSET, BZ_PREF, BZ_IMAGE);
    ck_assert_uint_eq(*ram(BZ_PREF - 1), 0);
    ck_assert_uint_eq(*ram(BZ_PREF + BZ_IMAGE), 0);
}
END_TEST

START_TEST(setup_header_is_copied_with_the_load_address_in_code32_start)
{
    start();
    expect_good();
    ck_assert_uint_eq(kernel.setup_header_len, 0x26c - 0x1f1);
    blob_put(&file, 0x214, BZ_PREF, 4);
    ck_assert_mem_eq(kernel.setup_header, file.data + 0x1f1, kernel.setup_header_len);
}
END_TEST

START_TEST(longest_setup_header_is_cut_at_its_maximum)
{
    start();
    blob_put(&file, 0x201, 0xff, 1);
    expect_good();
    ck_assert_uint_eq(kernel.setup_header_len, SETUP_HEADER_MAX);
}
END_TEST

START_TEST(setup_sects_0_means_4)
{
    start();
    blob_put(&file, 0x1f1, 0, 1);
    blob_pattern(&file, 5 * 512, BZ_IMAGE, 9);
    expect_good();
    expect_loaded(&file, 5 * 512, BZ_PREF, BZ_IMAGE);
}
END_TEST

START_TEST(bytes_after_syssize_are_ignored)
{
    start();
    blob_pattern(&file, file.len, 1000, 1);
    expect_good();
    ck_assert_uint_eq(*ram(BZ_PREF + BZ_IMAGE), 0);
}
END_TEST

START_TEST(without_the_64_bit_flag_the_32_bit_entry_is_taken)
{
    start();
    blob_put(&file, 0x236, 2, 2);
    expect_good();
    ck_assert_int_eq(kernel.protocol, BOOT_LINUX32);
    ck_assert_uint_eq(kernel.entry, BZ_PREF);
}
END_TEST

START_TEST(wish_for_32_bit_entry_is_granted_and_others_are_refused)
{
    start();
    world.req.wish = BOOT_LINUX32;
    expect_good();
    ck_assert_int_eq(kernel.protocol, BOOT_LINUX32);
    ck_assert_uint_eq(kernel.entry, BZ_PREF);
    world.req.wish = BOOT_LINUX64;
    expect_good();
    ck_assert_int_eq(kernel.protocol, BOOT_LINUX64);
    world.req.wish = BOOT_PVH;
    expect_bad(-ENOEXEC, "this bzImage has no pvh entry");
    world.req.wish = BOOT_MULTIBOOT;
    expect_bad(-ENOEXEC, "this bzImage has no multiboot entry");
    world.req.wish = BOOT_LINUX64;
    blob_put(&file, 0x236, 0, 2);
    expect_bad(-ENOEXEC, "this bzImage has no linux64 entry");
}
END_TEST

START_TEST(relocatable_kernel_steps_over_what_is_reserved_at_pref_address)
{
    struct reserved_range r = {BZ_PREF + MIB, MIB, "boot data"};

    start();
    world.req.reserved = &r;
    world.req.reserved_count = 1;
    expect_good();
    ck_assert_uint_eq(kernel.low, BZ_PREF + 2 * MIB);
    expect_loaded(&file, BZ_OFFSET, BZ_PREF + 2 * MIB, BZ_IMAGE);
}
END_TEST

START_TEST(unaligned_pref_address_is_rounded_up_to_kernel_alignment)
{
    start();
    blob_put(&file, 0x258, BZ_PREF + 4096, 8);
    expect_good();
    ck_assert_uint_eq(kernel.low, BZ_PREF + 2 * MIB);
}
END_TEST

START_TEST(fixed_kernel_is_loaded_at_1_mib_and_its_footprint_is_at_pref_address)
{
    start();
    blob_put(&file, 0x234, 0, 1);
    expect_good();
    ck_assert_uint_eq(kernel.entry, MIB + 0x200);
    ck_assert_uint_eq(kernel.low, MIB);
    ck_assert_uint_eq(kernel.high, BZ_PREF + BZ_INIT);
    expect_loaded(&file, BZ_OFFSET, MIB, BZ_IMAGE);
}
END_TEST

START_TEST(protocol_2_04_is_loaded_at_1_mib_with_the_old_defaults)
{
    start();
    blob_put(&file, 0x206, 0x204, 2);
    expect_good();
    ck_assert_int_eq(kernel.protocol, BOOT_LINUX32);
    ck_assert_uint_eq(kernel.low, MIB);
    ck_assert_uint_eq(kernel.high, MIB + BZ_IMAGE);
    ck_assert_uint_eq(kernel.cmdline_max, 255);
    ck_assert_uint_eq(kernel.initrd_max, 0x7fffffff);
}
END_TEST

START_TEST(protocol_2_02_takes_the_size_from_the_file_and_the_initrd_limit_from_the_book)
{
    start();
    blob_put(&file, 0x206, 0x202, 2);
    blob_put(&file, 0x1f4, 0xffffffff, 4);
    expect_good();
    ck_assert_uint_eq(kernel.initrd_max, 0x37ffffff);
    expect_loaded(&file, BZ_OFFSET, MIB, BZ_IMAGE);
}
END_TEST

START_TEST(protocol_below_2_00_and_zimage_are_refused)
{
    start();
    blob_put(&file, 0x206, 0x1ff, 2);
    expect_bad(-ENOEXEC, "damaged: boot protocol 1.255");
    start();
    blob_put(&file, 0x211, 0, 1);
    expect_bad(-ENOEXEC, "is a zImage");
}
END_TEST

START_TEST(header_too_short_for_its_protocol_is_refused)
{
    start();
    blob_put(&file, 0x201, 0x264 - 0x202 - 1, 1);
    expect_bad(-ENOEXEC, "damaged: boot protocol 2.15 with a setup header of 114 bytes");
    blob_put(&file, 0x201, 0, 1);
    expect_bad(-ENOEXEC, "damaged: boot protocol");
}
END_TEST

START_TEST(too_little_ram_says_how_much_is_needed)
{
    start();
    world_ram(16 * MIB, 0);
    expect_bad(-ENOMEM, "the kernel needs memory up to 24 MiB, the guest has 16 MiB; try -m 32");
    world_ram(24 * MIB - 4096, 0);
    expect_bad(-ENOMEM, "try -m 32");
    world_ram(24 * MIB, 0);
    expect_good();
    blob_put(&file, 0x234, 0, 1);
    world_ram(16 * MIB, 0);
    expect_bad(-ENOMEM, "the kernel needs memory up to 24 MiB");
}
END_TEST

START_TEST(init_size_beyond_all_memory_is_refused)
{
    start();
    blob_put(&file, 0x260, 0xffffffff, 4);
    expect_bad(-ENOEXEC, "above 4 GiB");
    blob_put(&file, 0x260, 0xe0000000, 4);
    expect_bad(-ENOMEM, "does not fit in guest memory");
}
END_TEST

START_TEST(init_size_0_reserves_the_image_itself)
{
    start();
    blob_put(&file, 0x260, 0, 4);
    expect_good();
    ck_assert_uint_eq(kernel.high, BZ_PREF + BZ_IMAGE);
}
END_TEST

START_TEST(pref_address_above_4_gib_or_at_the_very_top_is_refused)
{
    start();
    blob_put(&file, 0x258, 4 * GIB, 8);
    expect_bad(-ENOEXEC, "above 4 GiB");
    blob_put(&file, 0x258, UINT64_MAX, 8);
    expect_bad(-ENOEXEC, "above 4 GiB");
    blob_put(&file, 0x234, 0, 1);
    expect_bad(-ENOEXEC, "above 4 GiB");
}
END_TEST

START_TEST(alignment_0_or_no_power_of_two_is_refused)
{
    start();
    blob_put(&file, 0x230, 0, 4);
    expect_bad(-ENOEXEC, "kernel_alignment is no power of two");
    blob_put(&file, 0x230, 0x300000, 4);
    expect_bad(-ENOEXEC, "kernel_alignment is no power of two");
    blob_put(&file, 0x230, 0x80000000, 4);
    expect_bad(-ENOMEM, "needs memory up to 2056 MiB");
}
END_TEST

START_TEST(syssize_beyond_the_file_or_too_small_is_refused)
{
    start();
    blob_put(&file, 0x1f4, BZ_IMAGE / 16 + 1, 4);
    expect_bad(-ENOEXEC, "truncated: its setup header says 67088 bytes, the file has 67072");
    blob_put(&file, 0x1f4, 0xffffffff, 4);
    expect_bad(-ENOEXEC, "truncated");
    blob_put(&file, 0x1f4, 0, 4);
    expect_bad(-ENOEXEC, "it holds no kernel");
    blob_put(&file, 0x1f4, 0x200 / 16, 4);
    expect_bad(-ENOEXEC, "it holds no kernel");
}
END_TEST

START_TEST(setup_sects_beyond_the_file_is_refused)
{
    start();
    blob_put(&file, 0x1f1, 0xff, 1);
    expect_bad(-ENOEXEC, "truncated");
    blob_put(&file, 0x206, 0x203, 2);
    expect_bad(-ENOEXEC, "truncated");
}
END_TEST

START_TEST(payload_outside_of_the_image_is_refused)
{
    start();
    blob_put(&file, 0x24c, BZ_IMAGE, 4);
    expect_bad(-ENOEXEC, "its payload lies outside of it");
    blob_put(&file, 0x248, 0xffffffff, 4);
    expect_bad(-ENOEXEC, "its payload lies outside of it");
}
END_TEST

START_TEST(code32_start_outside_of_the_image_is_refused)
{
    start();
    blob_put(&file, 0x214, 0xfffff, 4);
    expect_bad(-ENOEXEC, "its 32-bit entry lies outside of it");
    blob_put(&file, 0x214, 0x100000 + BZ_IMAGE, 4);
    expect_bad(-ENOEXEC, "its 32-bit entry lies outside of it");
}
END_TEST

START_TEST(truncated_at_every_512_bytes_is_refused_and_writes_nothing)
{
    start();
    for (size_t len = 512; len < file.len; len += 512) {
        ck_assert_int_eq(load_bytes(file.data, len, &kernel), -ENOEXEC);
        expect_line("/proc/self/fd/", len < 0x206 ? "is no kernel" : "truncated");
        ck_assert_uint_eq(*ram(BZ_PREF), 0);
    }
    expect_good();
}
END_TEST

START_TEST(truncated_at_every_byte_of_the_header_is_refused)
{
    start();
    for (size_t len = 1; len < 1024; len++) {
        const char *text = len < 0x206 ? "is no kernel" : "truncated inside the setup header";

        ck_assert_int_eq(load_bytes(file.data, len, &kernel), -ENOEXEC);
        expect_line("/proc/self/fd/", len < 0x26c ? text : "truncated: ");
    }
}
END_TEST

START_TEST(fixed_kernel_on_reserved_memory_names_what_is_there)
{
    struct reserved_range r = {2 * MIB, 4096, "ACPI tables"};

    start();
    blob_put(&file, 0x234, 0, 1);
    world.req.reserved = &r;
    world.req.reserved_count = 1;
    expect_bad(-ENOMEM, "meets ACPI tables at 0x200000-0x200fff");
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(good_image_goes_to_pref_address_and_is_entered_in_64_bit),
        CASE(setup_header_is_copied_with_the_load_address_in_code32_start),
        CASE(longest_setup_header_is_cut_at_its_maximum),
        CASE(setup_sects_0_means_4),
        CASE(bytes_after_syssize_are_ignored),
        CASE(without_the_64_bit_flag_the_32_bit_entry_is_taken),
        CASE(wish_for_32_bit_entry_is_granted_and_others_are_refused),
        CASE(relocatable_kernel_steps_over_what_is_reserved_at_pref_address),
        CASE(unaligned_pref_address_is_rounded_up_to_kernel_alignment),
        CASE(fixed_kernel_is_loaded_at_1_mib_and_its_footprint_is_at_pref_address),
        CASE(protocol_2_04_is_loaded_at_1_mib_with_the_old_defaults),
        CASE(protocol_2_02_takes_the_size_from_the_file_and_the_initrd_limit_from_the_book),
        CASE(protocol_below_2_00_and_zimage_are_refused),
        CASE(header_too_short_for_its_protocol_is_refused),
        CASE(too_little_ram_says_how_much_is_needed),
        CASE(init_size_beyond_all_memory_is_refused),
        CASE(init_size_0_reserves_the_image_itself),
        CASE(pref_address_above_4_gib_or_at_the_very_top_is_refused),
        CASE(alignment_0_or_no_power_of_two_is_refused),
        CASE(syssize_beyond_the_file_or_too_small_is_refused),
        CASE(setup_sects_beyond_the_file_is_refused),
        CASE(payload_outside_of_the_image_is_refused),
        CASE(code32_start_outside_of_the_image_is_refused),
        CASE(truncated_at_every_512_bytes_is_refused_and_writes_nothing),
        CASE(truncated_at_every_byte_of_the_header_is_refused),
        CASE(fixed_kernel_on_reserved_memory_names_what_is_there),
    };

    return run_suite("bzimage", cases, ARRAY_SIZE(cases));
}
