/* Multiboot headers: where they are found, what they may ask for, and the address fields. */
#include <errno.h>
#include <string.h>

#include "devices/core/util.h"
#include "hv/test/loader_world.h"
#include "hv/test/run_suite.h"

#define ADDRESSES   0x10000u
#define FLAT_HEADER 64 /* file offset in the flat images below */
#define FLAT_SIZE   4096

static struct blob file;
static struct kernel kernel;

static void expect_good(uint64_t entry)
{
    int err = load_bytes(file.data, file.len, &kernel);

    ck_assert_msg(err == 0, "%d: %s", err, world.line);
    ck_assert_uint_eq(world.errors, 0);
    ck_assert_int_eq(kernel.protocol, BOOT_MULTIBOOT);
    ck_assert_uint_eq(kernel.entry, entry);
}

static void expect_bad(int err, const char *text)
{
    ck_assert_int_eq(load_bytes(file.data, file.len, &kernel), err);
    expect_line("/proc/self/fd/", text);
}

/* A flat image: its byte 0 belongs at 1 MiB, its text ends with the file, 8 KiB of bss follow. */
static void build_flat(uint32_t addresses[5])
{
    addresses[0] = 0x100000 + FLAT_HEADER;
    addresses[1] = 0x100000;
    addresses[2] = 0x100000 + FLAT_SIZE;
    addresses[3] = 0x100000 + FLAT_SIZE + 8192;
    addresses[4] = 0x100000 + 128;
    memset(&file, 0, sizeof(file));
    blob_pattern(&file, 0, FLAT_SIZE, 5);
    build_multiboot(&file, FLAT_HEADER, ADDRESSES, addresses);
}

START_TEST(elf32_with_a_header_is_entered_at_e_entry)
{
    world_reset();
    build_elf32(&file);
    build_multiboot(&file, ELF_TEXT, 0, NULL);
    expect_good(ELF_ENTRY);
    ck_assert_str_eq(kernel.format, "ELF");
    ck_assert_uint_eq(kernel.initrd_max, UINT32_MAX);
    expect_loaded(&file, ELF_TEXT, ELF_TEXT_GPA, ELF_TEXT_SIZE);
}
END_TEST

START_TEST(elf64_with_a_header_is_multiboot_and_not_linux)
{
    world_reset();
    build_elf64(&file);
    build_multiboot(&file, ELF_TEXT, 3, NULL);
    expect_good(ELF_ENTRY);
}
END_TEST

START_TEST(header_counts_up_to_byte_8191_and_no_further)
{
    world_reset();
    build_elf32(&file);
    build_multiboot(&file, 8192 - 12, 0, NULL);
    expect_good(ELF_ENTRY);
    build_elf32(&file);
    build_multiboot(&file, 8192 - 8, 0, NULL);
    expect_bad(-ENOEXEC, "neither a PVH note nor a Multiboot header");
}
END_TEST

START_TEST(header_that_is_misaligned_or_has_a_wrong_sum_is_no_header)
{
    world_reset();
    build_elf32(&file);
    build_multiboot(&file, ELF_TEXT + 2, 0, NULL);
    expect_bad(-ENOEXEC, "neither a PVH note nor a Multiboot header");
    build_elf32(&file);
    build_multiboot(&file, ELF_TEXT, 0, NULL);
    file.data[ELF_TEXT + 8] ^= 1;
    expect_bad(-ENOEXEC, "neither a PVH note nor a Multiboot header");
}
END_TEST

START_TEST(unknown_required_flags_are_refused_and_optional_ones_ignored)
{
    world_reset();
    for (unsigned bit = 3; bit < 16; bit++) {
        build_elf32(&file);
        build_multiboot(&file, ELF_TEXT, 1u << bit, NULL);
        expect_bad(-ENOEXEC, "requires features that hv lacks");
    }
    build_elf32(&file);
    build_multiboot(&file, ELF_TEXT, 0xfffe0003, NULL);
    expect_good(ELF_ENTRY);
}
END_TEST

START_TEST(wish_for_video_is_warned_about)
{
    world_reset();
    build_elf32(&file);
    build_multiboot(&file, ELF_TEXT, 4, NULL);
    expect_good(ELF_ENTRY);
    ck_assert_uint_eq(world.warnings, 1);
    ck_assert_ptr_nonnull(strstr(world.line, "asks for a video mode"));
}
END_TEST

START_TEST(virtual_entry_of_an_upper_half_kernel_is_translated)
{
    world_reset();
    build_elf32(&file);
    build_multiboot(&file, ELF_TEXT, 0, NULL);
    phdr_set(&file, 0, PH_VADDR, 0xc0100000);
    blob_put(&file, 24, 0xc0100010, 4); /* e_entry */
    expect_good(ELF_ENTRY);
}
END_TEST

START_TEST(flat_image_is_loaded_by_its_address_fields)
{
    uint32_t a[5];

    world_reset();
    build_flat(a);
    expect_good(a[4]);
    ck_assert_str_eq(kernel.format, "flat");
    ck_assert_uint_eq(kernel.low, a[1]);
    ck_assert_uint_eq(kernel.high, a[3]);
    expect_loaded(&file, 0, 0x100000, FLAT_SIZE);
}
END_TEST

START_TEST(load_end_0_means_the_end_of_the_file_and_bss_end_0_no_bss)
{
    uint32_t a[5];

    world_reset();
    build_flat(a);
    a[1] += 32; /* the first 32 bytes of the file are not loaded */
    a[2] = a[3] = 0;
    build_multiboot(&file, FLAT_HEADER, ADDRESSES, a);
    expect_good(a[4]);
    ck_assert_uint_eq(kernel.low, 0x100020);
    ck_assert_uint_eq(kernel.high, 0x100000 + FLAT_SIZE);
    expect_loaded(&file, 32, 0x100020, FLAT_SIZE - 32);
    ck_assert_uint_eq(*ram(0x10001f), 0);
}
END_TEST

START_TEST(address_fields_override_the_elf_headers)
{
    const uint32_t a[5] = {0x300000, 0x300000, 0x301000, 0, 0x300040};

    world_reset();
    build_elf32(&file);
    build_multiboot(&file, ELF_TEXT, ADDRESSES, a);
    expect_good(0x300040);
    expect_loaded(&file, ELF_TEXT, 0x300000, 4096);
    ck_assert_uint_eq(*ram(ELF_TEXT_GPA), 0);
}
END_TEST

/* Each row changes one address field of a good flat image. */
static const struct {
    unsigned field;
    uint32_t value;
    int err;
    const char *text;
} bad_addresses[] = {
    {1, 0x100000 + FLAT_HEADER + 4, -ENOEXEC, "load_addr lies before"},
    {1, 0x100000 - 4, -ENOEXEC, "load_addr lies before"},
    {0, 0xffffffff, -ENOEXEC, "load_addr lies before"},
    {2, 0x100000, -ENOEXEC, "load_end_addr is not above"},
    {2, 1, -ENOEXEC, "load_end_addr is not above"},
    {2, 0x100000 + FLAT_SIZE + 4, -ENOEXEC, "truncated: the kernel is 4100 bytes"},
    {2, 0xffffffff, -ENOEXEC, "bss_end_addr lies before"},
    {3, 0x100000, -ENOEXEC, "bss_end_addr lies before"},
    {3, 1, -ENOEXEC, "bss_end_addr lies before"},
    {3, 0xffffffff, -ENOMEM, "the kernel does not fit"},
    {4, 0x100000 + FLAT_SIZE, -ENOEXEC, "the entry 0x101000 is not in the file"},
    {4, 0, -ENOEXEC, "the entry 0x0 is not in the file"},
};

START_TEST(address_fields_that_contradict_each_other_are_refused)
{
    world_reset();
    for (unsigned i = 0; i < ARRAY_SIZE(bad_addresses); i++) {
        uint32_t a[5];

        build_flat(a);
        a[bad_addresses[i].field] = bad_addresses[i].value;
        build_multiboot(&file, FLAT_HEADER, ADDRESSES, a);
        expect_bad(bad_addresses[i].err, bad_addresses[i].text);
        ck_assert_uint_eq(*ram(0x100000), 0);
    }
}
END_TEST

START_TEST(flat_image_without_addresses_or_with_another_wish_is_refused)
{
    uint32_t a[5];

    world_reset();
    build_flat(a);
    world.req.wish = BOOT_LINUX64;
    expect_bad(-ENOEXEC, "is a flat Multiboot image, it has no linux64 entry");
    world.req.wish = BOOT_AUTO;
    build_multiboot(&file, FLAT_HEADER, 0, NULL);
    expect_bad(-ENOEXEC, "the header gives no load addresses");
}
END_TEST

START_TEST(address_fields_beyond_the_end_of_the_file_are_no_header)
{
    uint32_t a[5];

    world_reset();
    build_flat(a);
    for (size_t len = FLAT_HEADER + 12; len < FLAT_HEADER + 32; len++) {
        ck_assert_int_eq(load_bytes(file.data, len, &kernel), -ENOEXEC);
        expect_line("/proc/self/fd/", "is no kernel");
    }
}
END_TEST

START_TEST(truncated_at_every_64_bytes_is_refused)
{
    uint32_t a[5];

    world_reset();
    build_flat(a);
    for (size_t len = 64; len < FLAT_SIZE; len += 64) {
        ck_assert_int_eq(load_bytes(file.data, len, &kernel), -ENOEXEC);
        expect_line("/proc/self/fd/", "");
    }
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(elf32_with_a_header_is_entered_at_e_entry),
        CASE(elf64_with_a_header_is_multiboot_and_not_linux),
        CASE(header_counts_up_to_byte_8191_and_no_further),
        CASE(header_that_is_misaligned_or_has_a_wrong_sum_is_no_header),
        CASE(unknown_required_flags_are_refused_and_optional_ones_ignored),
        CASE(wish_for_video_is_warned_about),
        CASE(virtual_entry_of_an_upper_half_kernel_is_translated),
        CASE(flat_image_is_loaded_by_its_address_fields),
        CASE(load_end_0_means_the_end_of_the_file_and_bss_end_0_no_bss),
        CASE(address_fields_override_the_elf_headers),
        CASE(address_fields_that_contradict_each_other_are_refused),
        CASE(flat_image_without_addresses_or_with_another_wish_is_refused),
        CASE(address_fields_beyond_the_end_of_the_file_are_no_header),
        CASE(truncated_at_every_64_bytes_is_refused),
    };

    return run_suite("multiboot", cases, ARRAY_SIZE(cases));
}
