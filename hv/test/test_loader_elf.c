/* ELF kernels: segments, the three entries, the PVH note, and every way in which headers can lie.
 */
#include <elf.h>
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
    build_elf64(&file);
}

static void expect_good(enum boot_protocol protocol, uint64_t entry)
{
    int err = load_bytes(file.data, file.len, &kernel);

    ck_assert_msg(err == 0, "%d: %s", err, world.line);
    ck_assert_uint_eq(world.errors, 0);
    ck_assert_str_eq(kernel.format, "ELF");
    ck_assert_str_eq(boot_protocol_name(kernel.protocol), boot_protocol_name(protocol));
    ck_assert_uint_eq(kernel.entry, entry);
    ck_assert_uint_eq(kernel.setup_header_len, 0);
}

static void expect_bad(int err, const char *text)
{
    ck_assert_int_eq(load_bytes(file.data, file.len, &kernel), err);
    expect_line("/proc/self/fd/", text);
    /* Segments that were good must not have been written before the bad one was seen. */
    ck_assert_uint_eq(*ram(ELF_TEXT_GPA), 0);
}

static void expect_segments(void)
{
    expect_loaded(&file, ELF_TEXT, ELF_TEXT_GPA, ELF_TEXT_SIZE);
    expect_loaded(&file, ELF_DATA, ELF_DATA_GPA, ELF_DATA_SIZE);
    ck_assert_uint_eq(*ram(ELF_DATA_GPA + ELF_DATA_SIZE), 0);
    ck_assert_uint_eq(kernel.low, ELF_TEXT_GPA);
    ck_assert_uint_eq(kernel.high, ELF_DATA_GPA + 65536);
}

START_TEST(elf64_without_a_note_is_entered_at_e_entry_in_64_bit)
{
    start();
    expect_good(BOOT_LINUX64, ELF_ENTRY);
    expect_segments();
    ck_assert_uint_eq(kernel.cmdline_max, 2047);
    ck_assert_uint_eq(kernel.initrd_max, UINT32_MAX);
}
END_TEST

START_TEST(virtual_e_entry_is_translated_by_its_segment)
{
    start();
    phdr_set(&file, 0, PH_VADDR, 0xffffffff80100000);
    blob_put(&file, offsetof(Elf64_Ehdr, e_entry), 0xffffffff80100010, 8);
    expect_good(BOOT_LINUX64, ELF_ENTRY);
    phdr_set(&file, 1, PH_VADDR, 0xffffffff80400000);
    blob_put(&file, offsetof(Elf64_Ehdr, e_entry), 0xffffffff80400004, 8);
    expect_good(BOOT_LINUX64, ELF_DATA_GPA + 4);
}
END_TEST

START_TEST(pvh_note_decides_the_entry_in_both_classes_and_both_sizes)
{
    start();
    build_note(&file, ELF_TEXT_GPA + 0x20, 4, 4);
    expect_good(BOOT_PVH, ELF_TEXT_GPA + 0x20);
    expect_segments();
    ck_assert_uint_eq(kernel.initrd_max, UINT32_MAX);
    build_note(&file, ELF_TEXT_GPA + 0x30, 8, 4);
    expect_good(BOOT_PVH, ELF_TEXT_GPA + 0x30);
    build_note(&file, ELF_TEXT_GPA + 0x40, 8, 8);
    expect_good(BOOT_PVH, ELF_TEXT_GPA + 0x40);
    build_elf32(&file);
    build_note(&file, ELF_TEXT_GPA + 0x50, 4, 4);
    expect_good(BOOT_PVH, ELF_TEXT_GPA + 0x50);
    expect_segments();
    ck_assert_uint_eq(kernel.initrd_max, 0x37ffffff);
}
END_TEST

START_TEST(wish_chooses_among_the_entries_of_one_file)
{
    start();
    build_note(&file, ELF_TEXT_GPA + 0x20, 4, 4);
    build_multiboot(&file, ELF_TEXT, 0, NULL);
    expect_good(BOOT_PVH, ELF_TEXT_GPA + 0x20);
    world.req.wish = BOOT_LINUX64;
    expect_good(BOOT_LINUX64, ELF_ENTRY);
    world.req.wish = BOOT_MULTIBOOT;
    expect_good(BOOT_MULTIBOOT, ELF_ENTRY);
    world.req.wish = BOOT_PVH;
    expect_good(BOOT_PVH, ELF_TEXT_GPA + 0x20);
}
END_TEST

START_TEST(wish_for_an_entry_that_is_not_there_is_refused)
{
    start();
    world.req.wish = BOOT_PVH;
    expect_bad(-ENOEXEC, "has no PVH note (Linux: CONFIG_PVH=y)");
    world.req.wish = BOOT_MULTIBOOT;
    expect_bad(-ENOEXEC, "has no Multiboot header");
    world.req.wish = BOOT_LINUX32;
    expect_bad(-ENOEXEC, "this ELF file has no linux32 entry");
    build_elf32(&file);
    world.req.wish = BOOT_LINUX64;
    expect_bad(-ENOEXEC, "this ELF file has no linux64 entry");
}
END_TEST

START_TEST(elf32_without_note_and_multiboot_header_is_refused)
{
    world_reset();
    build_elf32(&file);
    expect_bad(-ENOEXEC, "neither a PVH note nor a Multiboot header");
}
END_TEST

START_TEST(program_for_user_space_is_refused)
{
    start();
    phdr_set(&file, 2, PH_TYPE, PT_INTERP);
    expect_bad(-ENOEXEC, "is a program for an operating system");
}
END_TEST

START_TEST(pvh_entry_outside_of_loaded_bytes_is_refused)
{
    static const uint64_t entries[] = {0, ELF_TEXT_GPA - 1, ELF_TEXT_GPA + ELF_TEXT_SIZE,
                                       ELF_DATA_GPA + ELF_DATA_SIZE /* bss */, UINT32_MAX};

    start();
    for (unsigned i = 0; i < ARRAY_SIZE(entries); i++) {
        build_note(&file, entries[i], 4, 4);
        expect_bad(-ENOEXEC, "its pvh entry 0x");
    }
    build_note(&file, 4 * GIB + ELF_TEXT_GPA, 8, 4);
    expect_bad(-ENOEXEC, "its pvh entry 0x100100000 lies in no loaded segment below 4 GiB");
}
END_TEST

START_TEST(pvh_note_of_odd_size_is_refused)
{
    start();
    build_note(&file, ELF_ENTRY, 4, 4);
    blob_put(&file, ELF_PVH_NOTE + 4, 2, 4); /* descsz */
    expect_bad(-ENOEXEC, "has neither 4 nor 8 bytes");
}
END_TEST

START_TEST(note_that_runs_past_its_segment_is_refused)
{
    static const uint32_t sizes[] = {9, 100, 0x7fffffff, 0xfffffff0, UINT32_MAX};

    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        start();
        build_note(&file, ELF_ENTRY, 4, 4);
        blob_put(&file, ELF_PVH_NOTE, sizes[i], 4); /* namesz */
        expect_bad(-ENOEXEC, "a note runs past the end of its segment");
        blob_put(&file, ELF_PVH_NOTE + 4, 0, 4);
        expect_bad(-ENOEXEC, "a note runs past the end of its segment");
        blob_put(&file, ELF_PVH_NOTE, 4, 4);
        blob_put(&file, ELF_PVH_NOTE + 4, sizes[i], 4); /* descsz */
        expect_bad(-ENOEXEC, "a note runs past the end of its segment");
    }
}
END_TEST

START_TEST(note_segment_outside_of_the_file_or_too_large_is_refused)
{
    start();
    build_note(&file, ELF_ENTRY, 4, 4);
    phdr_set(&file, 2, PH_OFFSET, file.len - 8);
    expect_bad(-ENOEXEC, "a PT_NOTE segment lies outside of the file");
    phdr_set(&file, 2, PH_OFFSET, UINT64_MAX - 4);
    expect_bad(-ENOEXEC, "a PT_NOTE segment lies outside of the file");
    phdr_set(&file, 2, PH_FILESZ, UINT64_MAX);
    expect_bad(-ENOEXEC, "larger than 8192 bytes");
}
END_TEST

START_TEST(notes_of_others_and_their_missing_padding_are_passed_over)
{
    start();
    build_note(&file, ELF_ENTRY, 4, 4);
    blob_bytes(&file, ELF_PVH_NOTE + 12, "GNU", 4);
    expect_good(BOOT_LINUX64, ELF_ENTRY);
    /* A name of 5 bytes and nothing after it, at the very end. */
    blob_put(&file, ELF_NOTES, 5, 4);
    blob_put(&file, ELF_NOTES + 4, 0, 4);
    phdr_set(&file, 2, PH_FILESZ, 17);
    expect_good(BOOT_LINUX64, ELF_ENTRY);
}
END_TEST

START_TEST(damaged_notes_do_not_matter_when_another_entry_is_wished)
{
    start();
    build_note(&file, 0, 4, 4);
    world.req.wish = BOOT_LINUX64;
    expect_good(BOOT_LINUX64, ELF_ENTRY);
}
END_TEST

START_TEST(segment_with_more_bytes_in_the_file_than_in_memory_is_refused)
{
    start();
    phdr_set(&file, 1, PH_MEMSZ, ELF_DATA_SIZE - 1);
    expect_bad(-ENOEXEC, "damaged: segment 1 has 4096 bytes in the file but 4095 in memory");
    phdr_set(&file, 1, PH_MEMSZ, 0);
    expect_bad(-ENOEXEC, "damaged: segment 1");
}
END_TEST

START_TEST(segment_outside_of_the_file_is_refused)
{
    start();
    phdr_set(&file, 1, PH_OFFSET, file.len - ELF_DATA_SIZE + 1);
    expect_bad(-ENOEXEC, "truncated: segment 1 is 4096 bytes");
    phdr_set(&file, 1, PH_OFFSET, UINT64_MAX);
    expect_bad(-ENOEXEC, "truncated: segment 1");
    phdr_set(&file, 1, PH_OFFSET, (uint64_t)INT64_MAX + 1);
    expect_bad(-ENOEXEC, "truncated: segment 1");
}
END_TEST

START_TEST(segment_that_wraps_is_refused)
{
    start();
    phdr_set(&file, 1, PH_PADDR, UINT64_MAX - 4095);
    expect_bad(-ENOEXEC, "segment 1 wraps");
    phdr_set(&file, 1, PH_PADDR, ELF_DATA_GPA);
    phdr_set(&file, 1, PH_MEMSZ, UINT64_MAX);
    expect_bad(-ENOEXEC, "segment 1 wraps");
    build_elf32(&file);
    build_note(&file, ELF_ENTRY, 4, 4);
    phdr_set(&file, 1, PH_PADDR, 0xffffff00);
    expect_bad(-ENOEXEC, "segment 1 wraps around the end of the 32-bit address space");
}
END_TEST

START_TEST(segment_that_leaves_ram_says_how_much_is_needed)
{
    start();
    phdr_set(&file, 1, PH_PADDR, 64 * MIB - 4096);
    expect_bad(-ENOMEM, "segment 1 needs memory up to 65 MiB, the guest has 64 MiB; try -m 80");
    phdr_set(&file, 1, PH_PADDR, UINT64_C(1) << 40);
    expect_bad(-ENOMEM, "segment 1 does not fit in guest memory");
    phdr_set(&file, 1, PH_PADDR, ELF_DATA_GPA);
    phdr_set(&file, 1, PH_MEMSZ, UINT64_C(1) << 62);
    expect_bad(-ENOMEM, "segment 1 does not fit in guest memory");
}
END_TEST

START_TEST(segment_in_the_hole_below_4_gib_is_refused)
{
    start();
    world_ram(64 * MIB, 64 * MIB);
    phdr_set(&file, 1, PH_PADDR, 4 * GIB - 4096);
    expect_bad(-ENOMEM, "segment 1 does not fit");
}
END_TEST

START_TEST(segment_above_4_gib_is_loaded_there)
{
    start();
    world_ram(64 * MIB, 64 * MIB);
    phdr_set(&file, 1, PH_PADDR, 4 * GIB + MIB);
    expect_good(BOOT_LINUX64, ELF_ENTRY);
    expect_loaded(&file, ELF_DATA, 4 * GIB + MIB, ELF_DATA_SIZE);
}
END_TEST

START_TEST(entry_above_4_gib_is_refused_though_there_is_code)
{
    start();
    world_ram(64 * MIB, 64 * MIB);
    phdr_set(&file, 1, PH_PADDR, 4 * GIB + MIB);
    blob_put(&file, offsetof(Elf64_Ehdr, e_entry), 4 * GIB + MIB, 8);
    expect_bad(-ENOEXEC, "its linux64 entry 0x100100000 lies in no loaded segment below 4 GiB");
}
END_TEST

START_TEST(overlapping_segments_are_refused)
{
    start();
    phdr_set(&file, 1, PH_PADDR, ELF_TEXT_GPA + ELF_TEXT_SIZE - 1);
    expect_bad(-ENOEXEC, "segment 1 at 0x101fff overlaps another segment at 0x100000");
    phdr_set(&file, 1, PH_PADDR, ELF_TEXT_GPA + ELF_TEXT_SIZE);
    expect_good(BOOT_LINUX64, ELF_ENTRY);
}
END_TEST

START_TEST(segments_may_come_in_any_order)
{
    start();
    phdr_set(&file, 0, PH_PADDR, ELF_DATA_GPA + MIB);
    blob_put(&file, offsetof(Elf64_Ehdr, e_entry), ELF_DATA_GPA + MIB, 8);
    expect_good(BOOT_LINUX64, ELF_DATA_GPA + MIB);
    ck_assert_uint_eq(kernel.low, ELF_DATA_GPA);
    ck_assert_uint_eq(kernel.high, ELF_DATA_GPA + MIB + ELF_TEXT_SIZE);
}
END_TEST

START_TEST(segment_on_reserved_memory_names_what_is_there)
{
    struct reserved_range r[] = {{0, 4096, "boot data"}, {ELF_DATA_GPA + 65535, 1, "ACPI tables"}};

    start();
    world.req.reserved = r;
    world.req.reserved_count = 2;
    expect_bad(-ENOMEM, "segment 1 at 0x200000-0x20ffff meets ACPI tables at 0x20ffff");
    r[1].gpa++;
    expect_good(BOOT_LINUX64, ELF_ENTRY);
    phdr_set(&file, 1, PH_PADDR, 0);
    world_ram(LOW_BYTES, 0);
    expect_bad(-ENOMEM, "meets boot data at 0x0-0xfff");
}
END_TEST

START_TEST(empty_segments_are_skipped_and_a_file_without_any_is_refused)
{
    start();
    phdr_set(&file, 1, PH_FILESZ, 0);
    phdr_set(&file, 1, PH_MEMSZ, 0);
    expect_good(BOOT_LINUX64, ELF_ENTRY);
    world_ram(LOW_BYTES, 0);
    phdr_set(&file, 0, PH_TYPE, PT_NULL);
    phdr_set(&file, 1, PH_TYPE, PT_NULL);
    expect_bad(-ENOEXEC, "has nothing to load");
}
END_TEST

START_TEST(entry_outside_of_the_segments_is_refused)
{
    start();
    blob_put(&file, offsetof(Elf64_Ehdr, e_entry), 0x300000, 8);
    expect_bad(-ENOEXEC, "its linux64 entry 0x300000 lies in no loaded segment");
}
END_TEST

START_TEST(program_headers_out_of_bounds_are_refused)
{
    static const unsigned counts[] = {0, 65, 0xffff};

    start();
    for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
        blob_put(&file, offsetof(Elf64_Ehdr, e_phnum), counts[i], 2);
        expect_bad(-ENOEXEC, "damaged ELF header");
    }
    start();
    blob_put(&file, offsetof(Elf64_Ehdr, e_phentsize), 32, 2);
    expect_bad(-ENOEXEC, "program headers of 32 bytes");
    start();
    blob_put(&file, offsetof(Elf64_Ehdr, e_phoff), file.len - 100, 8);
    expect_bad(-ENOEXEC, "truncated: its program headers");
    blob_put(&file, offsetof(Elf64_Ehdr, e_phoff), UINT64_MAX - 10, 8);
    expect_bad(-ENOEXEC, "truncated: its program headers");
}
END_TEST

START_TEST(the_largest_number_of_program_headers_is_accepted)
{
    start();
    blob_put(&file, offsetof(Elf64_Ehdr, e_phnum), 64, 2);
    expect_good(BOOT_LINUX64, ELF_ENTRY);
}
END_TEST

START_TEST(other_machines_are_named)
{
    static const struct {
        unsigned machine;
        const char *text;
    } table[] = {{EM_AARCH64, "is an arm64 kernel"},
                 {EM_RISCV, "is a RISC-V kernel"},
                 {EM_386, "another machine's"},
                 {0x1234, "(ELF machine 4660)"}};

    start();
    for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
        blob_put(&file, offsetof(Elf64_Ehdr, e_machine), table[i].machine, 2);
        expect_bad(-ENOEXEC, table[i].text);
    }
}
END_TEST

START_TEST(damaged_identification_and_object_files_are_refused)
{
    start();
    blob_put(&file, EI_DATA, ELFDATA2MSB, 1);
    expect_bad(-ENOEXEC, "big-endian");
    blob_put(&file, EI_DATA, 0, 1);
    expect_bad(-ENOEXEC, "damaged ELF header (class 2, data 0)");
    start();
    blob_put(&file, EI_CLASS, 3, 1);
    expect_bad(-ENOEXEC, "damaged ELF header (class 3, data 1)");
    start();
    blob_put(&file, offsetof(Elf64_Ehdr, e_type), ET_REL, 2);
    expect_bad(-ENOEXEC, "is an ELF file but no executable (type 1)");
}
END_TEST

START_TEST(truncated_at_every_512_bytes_is_refused_and_writes_nothing)
{
    start();
    build_note(&file, ELF_ENTRY, 4, 4);
    for (size_t len = 512; len < file.len; len += 512) {
        ck_assert_int_eq(load_bytes(file.data, len, &kernel), -ENOEXEC);
        expect_line("/proc/self/fd/", "");
        ck_assert_uint_eq(*ram(ELF_TEXT_GPA), 0);
    }
    expect_good(BOOT_PVH, ELF_ENTRY);
}
END_TEST

START_TEST(truncated_at_every_byte_of_the_headers_is_refused)
{
    start();
    for (size_t len = 1; len < ELF_NOTES; len++) {
        const char *text = len < 4 ? "is no kernel" : "are no whole ELF header";

        ck_assert_int_eq(load_bytes(file.data, len, &kernel), -ENOEXEC);
        expect_line("/proc/self/fd/", len < sizeof(Elf64_Ehdr) ? text : "truncated: ");
    }
}
END_TEST

START_TEST(what_is_no_kernel_is_named)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *text;
    } table[] = {
        {"\x1f\x8b\x08", 3, "is gzip-compressed"},
        {"\xfd\x37zXZ", 5, "is xz-compressed"},
        {"\x28\xb5\x2f\xfd", 4, "is zstd-compressed"},
        {"BZh9", 4, "is bzip2-compressed"},
        {"\x02\x21\x4c\x18", 4, "is lz4-compressed"},
        {"070701", 6, "is a cpio archive"},
        {"MZ", 2, "is an EFI program"},
        {"#!/bin/sh\n", 10, "is no kernel hv knows"},
        {"\x7f", 1, "is no kernel hv knows"},
    };
    uint8_t image[64] = "MZ";

    world_reset();
    for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
        ck_assert_int_eq(load_bytes(table[i].bytes, table[i].len, &kernel), -ENOEXEC);
        expect_line("/proc/self/fd/", table[i].text);
    }
    memcpy(image + 0x38, "ARM\x64", 4);
    ck_assert_int_eq(load_bytes(image, sizeof(image), &kernel), -ENOEXEC);
    expect_line("/proc/self/fd/", "is an arm64 kernel");
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(elf64_without_a_note_is_entered_at_e_entry_in_64_bit),
        CASE(virtual_e_entry_is_translated_by_its_segment),
        CASE(pvh_note_decides_the_entry_in_both_classes_and_both_sizes),
        CASE(wish_chooses_among_the_entries_of_one_file),
        CASE(wish_for_an_entry_that_is_not_there_is_refused),
        CASE(elf32_without_note_and_multiboot_header_is_refused),
        CASE(program_for_user_space_is_refused),
        CASE(pvh_entry_outside_of_loaded_bytes_is_refused),
        CASE(pvh_note_of_odd_size_is_refused),
        CASE(note_that_runs_past_its_segment_is_refused),
        CASE(note_segment_outside_of_the_file_or_too_large_is_refused),
        CASE(notes_of_others_and_their_missing_padding_are_passed_over),
        CASE(damaged_notes_do_not_matter_when_another_entry_is_wished),
        CASE(segment_with_more_bytes_in_the_file_than_in_memory_is_refused),
        CASE(segment_outside_of_the_file_is_refused),
        CASE(segment_that_wraps_is_refused),
        CASE(segment_that_leaves_ram_says_how_much_is_needed),
        CASE(segment_in_the_hole_below_4_gib_is_refused),
        CASE(segment_above_4_gib_is_loaded_there),
        CASE(entry_above_4_gib_is_refused_though_there_is_code),
        CASE(overlapping_segments_are_refused),
        CASE(segments_may_come_in_any_order),
        CASE(segment_on_reserved_memory_names_what_is_there),
        CASE(empty_segments_are_skipped_and_a_file_without_any_is_refused),
        CASE(entry_outside_of_the_segments_is_refused),
        CASE(program_headers_out_of_bounds_are_refused),
        CASE(the_largest_number_of_program_headers_is_accepted),
        CASE(other_machines_are_named),
        CASE(damaged_identification_and_object_files_are_refused),
        CASE(truncated_at_every_512_bytes_is_refused_and_writes_nothing),
        CASE(truncated_at_every_byte_of_the_headers_is_refused),
        CASE(what_is_no_kernel_is_named),
    };

    return run_suite("elf", cases, ARRAY_SIZE(cases));
}
