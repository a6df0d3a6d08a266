/* arm64's Image, bare, compressed and in an EFI program; where initrd and device tree go with it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "devices/core/util.h"
#include "hv/test/loader_world.h"
#include "hv/test/run_suite.h"

#define BASE  GIB
#define BYTES (16 * MIB)
#define ZBOOT 512 /* file offset of the payload */

static struct blob file, packed;
static struct kernel kernel;

static void start(void)
{
    world_reset();
    world_ram_at(BASE, BYTES);
    world.req.formats = &kernels_arm64;
    build_image(&file);
}

static void expect_good(const struct blob *b, uint64_t gpa)
{
    static const uint8_t zeroes[IMAGE_MEMORY - IMAGE_FILE + 4096];
    int err = load_bytes(b->data, b->len, &kernel);

    ck_assert_msg(err == 0, "%d: %s", err, world.line);
    ck_assert_uint_eq(kernel.entry, gpa);
    ck_assert_uint_eq(kernel.low, gpa);
    ck_assert_uint_eq(kernel.high, gpa + IMAGE_MEMORY);
    expect_loaded(&file, 0, gpa, IMAGE_FILE);
    ck_assert_mem_eq(ram(gpa + IMAGE_FILE), zeroes, sizeof(zeroes));
}

static void expect_bad(const struct blob *b, int err, const char *text)
{
    ck_assert_int_eq(load_bytes(b->data, b->len, &kernel), err);
    expect_line("/proc/self/fd/", text);
}

/* Makes `packed` of the bytes, with gzip's header, from `at` on. */
static void pack(const void *data, size_t len, size_t at)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)len};

    memset(&packed, 0, sizeof(packed));
    z.next_out = packed.data + at;
    z.avail_out = (uInt)(sizeof(packed.data) - at);
    ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    packed.len = sizeof(packed.data) - z.avail_out;
    deflateEnd(&z);
}

static void pack_zboot(void)
{
    pack(file.data, file.len, ZBOOT);
    blob_bytes(&packed, 0, "MZ\0\0zimg", 8);
    blob_put(&packed, 8, ZBOOT, 4);
    blob_put(&packed, 12, packed.len - ZBOOT, 4);
    blob_bytes(&packed, 24, "gzip\0", 5);
}

START_TEST(image_lies_at_the_start_of_ram_and_is_entered_there)
{
    start();
    expect_good(&file, BASE);
    ck_assert_int_eq(kernel.protocol, BOOT_ARM64);
    ck_assert_str_eq(boot_protocol_name(kernel.protocol), "arm64");
    ck_assert_str_eq(kernel.format, "Image");
    ck_assert_uint_eq(kernel.page_size, 4096);
    ck_assert_uint_eq(kernel.cmdline_max, 2047);
    ck_assert_uint_eq(kernel.initrd_min, BASE);
    ck_assert_uint_eq(kernel.initrd_max, BASE + 32 * GIB - 1);
}
END_TEST

START_TEST(text_offset_counts_from_2_mib_boundaries)
{
    start();
    blob_put(&file, 8, 0x80000, 8);
    expect_good(&file, BASE + 0x80000);
    world_ram_at(BASE + 4096, BYTES);
    expect_good(&file, BASE + 2 * MIB + 0x80000);
    ck_assert_uint_eq(kernel.initrd_min, BASE);
}
END_TEST

START_TEST(reserved_memory_is_stepped_over)
{
    const struct reserved_range r = {BASE + 4096, 4096, "something"};

    start();
    world.req.reserved = &r;
    world.req.reserved_count = 1;
    expect_good(&file, BASE + 2 * MIB);
}
END_TEST

START_TEST(page_size_is_what_the_flags_say)
{
    static const uint32_t sizes[] = {0, 4096, 16384, 65536};

    start();
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        blob_put(&file, 24, i << 1, 8);
        expect_good(&file, BASE);
        ck_assert_uint_eq(kernel.page_size, sizes[i]);
    }
}
END_TEST

START_TEST(what_stands_behind_the_kernel_is_not_loaded)
{
    start();
    blob_pattern(&file, IMAGE_FILE, 4096, 3); /* a signature, shorter than the bss */
    blob_put(&file, 16, IMAGE_FILE, 8);
    ck_assert_int_eq(load_bytes(file.data, file.len, &kernel), 0);
    expect_loaded(&file, 0, BASE, IMAGE_FILE);
    ck_assert_uint_eq(*ram(BASE + IMAGE_FILE), 0);
    pack(file.data, file.len, 0);
    ck_assert_int_eq(load_bytes(packed.data, packed.len, &kernel), 0);
    ck_assert_uint_eq(*ram(BASE + IMAGE_FILE), 0);
}
END_TEST

/* Each field that no kernel for this machine has: where, how wide, what, and the line's gist. */
static const struct {
    size_t at, size;
    uint64_t value;
    int err;
    const char *text;
} bad_fields[] = {
    {24, 8, 1, -ENOEXEC, "is a big-endian kernel"},
    {16, 8, 0, -ENOEXEC, "is older than Linux 3.17"},
    {16, 8, 63, -ENOEXEC, "damaged"},
    {16, 8, UINT64_MAX, -ENOEXEC, "damaged"},
    {16, 8, 20 * MIB, -ENOMEM, "needs memory up to 20 MiB, the guest has 16 MiB; try -m 32"},
    {16, 8, 4 * GIB, -ENOMEM, "does not fit in guest memory"},
    {8, 8, 2 * MIB, -ENOEXEC, "text_offset"},
    {8, 8, UINT64_MAX, -ENOEXEC, "text_offset"},
    {IMAGE_PE + 24 + 160 + 16, 4, 0x100000, -ENOEXEC, "truncated: its header says 1048576 bytes"},
    {56, 4, 0x12345678, -ENOEXEC, "is no kernel hv knows; give an Image"},
};

START_TEST(bad_fields_are_told_in_one_line)
{
    start();
    for (unsigned i = 0; i < ARRAY_SIZE(bad_fields); i++) {
        build_image(&file);
        blob_put(&file, bad_fields[i].at, bad_fields[i].value, bad_fields[i].size);
        expect_bad(&file, bad_fields[i].err, bad_fields[i].text);
        pack(file.data, file.len, 0);
        expect_bad(&packed, bad_fields[i].err,
                   strncmp(bad_fields[i].text, "truncated", 9) ? bad_fields[i].text : "truncated");
    }
}
END_TEST

START_TEST(image_cut_short_anywhere_is_refused)
{
    start();
    for (file.len = IMAGE_FILE - 1; file.len > 0; file.len -= file.len > 400 ? 317 : 1) {
        ck_assert_int_eq(load_bytes(file.data, file.len, &kernel), -ENOEXEC);
        expect_line("/proc/self/fd/", "");
        ck_assert_uint_eq(*ram(BASE), 0);
        if (file.len < 317)
            break;
    }
    file.len = 63;
    expect_bad(&file, -ENOEXEC, "truncated: its header says 64 bytes, there are 63");
    file.len = 59;
    expect_bad(&file, -ENOEXEC, "is no kernel hv knows");
}
END_TEST

START_TEST(other_entries_are_refused)
{
    start();
    for (int wish = BOOT_LINUX64; wish <= BOOT_MULTIBOOT; wish++) {
        world.req.wish = (enum boot_protocol)wish;
        expect_bad(&file, -ENOEXEC, "leave out --entry");
    }
}
END_TEST

START_TEST(kernels_of_the_other_machine_are_called_by_their_name)
{
    static struct blob other;

    start();
    build_bzimage(&other);
    expect_bad(&other, -ENOEXEC, "is an x86 kernel (bzImage); this hv runs arm64 guests");
    build_elf64(&other);
    expect_bad(&other, -ENOEXEC, "is an ELF file");
    world.req.formats = &kernels_x86;
    expect_bad(&file, -ENOEXEC, "is an arm64 kernel; this hv runs x86-64 guests");
    pack(file.data, file.len, 0);
    expect_bad(&packed, -ENOEXEC, "is gzip-compressed; unpack it first");
}
END_TEST

START_TEST(compressed_image_is_the_same_kernel)
{
    start();
    pack(file.data, file.len, 0);
    ck_assert_uint_lt(packed.len, file.len);
    expect_good(&packed, BASE);
    ck_assert_str_eq(kernel.format, "compressed Image");
    ck_assert_int_eq(kernel.protocol, BOOT_ARM64);
    blob_pattern(&packed, packed.len, 100, 1); /* zeroes or whatever behind the end */
    world_ram_at(BASE, BYTES);
    expect_good(&packed, BASE);
}
END_TEST

START_TEST(kernel_in_an_efi_program_is_taken_out)
{
    start();
    pack_zboot();
    expect_good(&packed, BASE);
    blob_put(&packed, 12, packed.len, 4);
    expect_bad(&packed, -ENOEXEC, "truncated: its compressed kernel ends behind the file");
    blob_put(&packed, 8, UINT32_MAX, 4);
    expect_bad(&packed, -ENOEXEC, "truncated");
    pack_zboot();
    blob_put(&packed, 12, 30, 4);
    expect_bad(&packed, -ENOEXEC, "truncated: the compressed kernel has no end");
    blob_bytes(&packed, 24, "zstd22\0", 7);
    expect_bad(&packed, -ENOEXEC, "is an EFI program");
}
END_TEST

START_TEST(compressed_image_cut_short_anywhere_is_refused)
{
    start();
    pack(file.data, file.len, 0);
    for (size_t len = packed.len - 1; len > 3; len -= len > 100 ? 37 : 1) {
        ck_assert_int_eq(load_bytes(packed.data, len, &kernel), -ENOEXEC);
        expect_line("/proc/self/fd/", "");
    }
}
END_TEST

START_TEST(compressed_image_with_any_byte_changed_is_refused_or_the_same)
{
    unsigned refused = 0;

    start();
    pack(file.data, file.len, 0);
    for (size_t at = 0; at < packed.len; at += at < 300 || at + 20 > packed.len ? 1 : 13) {
        int err;

        packed.data[at] ^= 0x55;
        err = load_bytes(packed.data, packed.len, &kernel);
        packed.data[at] ^= 0x55;
        ck_assert(err == 0 || err == -ENOEXEC || err == -ENOMEM);
        ck_assert_uint_eq(world.errors, err ? 1 : 0);
        if (!err)
            expect_loaded(&file, 0, BASE, IMAGE_FILE);
        refused += err != 0;
        world.errors = 0;
    }
    ck_assert_uint_gt(refused, 300); /* what is left are header bytes that nobody needs */
}
END_TEST

START_TEST(other_compressed_files_are_called_what_they_are)
{
    start();
    pack("070701", 6, 0);
    expect_bad(&packed, -ENOEXEC, "is a cpio archive, an initrd perhaps (-i)");
    pack("hello", 5, 0);
    expect_bad(&packed, -ENOEXEC, "is no kernel hv knows");
    pack("", 0, 0);
    expect_bad(&packed, -ENOEXEC, "is no kernel hv knows");
}
END_TEST

START_TEST(file_that_unpacks_to_more_than_memory_is_refused_soon)
{
    size_t len = 6 * MIB;
    uint8_t *big = calloc(1, len);

    ck_assert_ptr_nonnull(big);
    start();
    world_ram_at(BASE, 2 * MIB);
    memcpy(big, file.data, file.len);
    pack(big, len, 0);
    free(big);
    memset(ram(BASE + IMAGE_MEMORY), 0xee, 4096);
    expect_bad(&packed, -ENOEXEC, "unpacks to more than the guest's memory");
    ck_assert_uint_eq(*ram(BASE + IMAGE_MEMORY), 0xee);
}
END_TEST

START_TEST(random_headers_give_a_sound_kernel_or_one_line)
{
    static const uint64_t odd[] = {0,   1,       63,    64,        UINT32_MAX, INT64_MAX,
                                   ~0u, 2 * MIB, BYTES, BYTES - 1, BASE,       UINT64_MAX};
    uint64_t seed = 20260101;
    static struct blob good;
    unsigned loaded = 0;

    start();
    good = file;
    for (unsigned i = 0; i < 1000; i++) {
        int err;

        memcpy(file.data, good.data, 4096);
        for (unsigned n = 0; n < 2; n++) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
            blob_put(&file, (seed >> 33) % 35 * 8, odd[(seed >> 40) % ARRAY_SIZE(odd)],
                     seed >> 60 & 1 ? 8 : 4);
        }
        err = load_bytes(file.data, file.len, &kernel);
        ck_assert_int_le(err, 0);
        ck_assert_uint_eq(world.errors, err ? 1 : 0);
        world.errors = 0;
        if (err)
            continue;
        loaded++;
        ck_assert(kernel.low >= BASE && kernel.low < kernel.high && kernel.high <= BASE + BYTES);
        ck_assert(kernel.entry == kernel.low && kernel.protocol == BOOT_ARM64);
    }
    ck_assert_uint_gt(loaded, 100);
    ck_assert_uint_lt(loaded, 900);
}
END_TEST

START_TEST(initrd_stays_in_the_window_of_the_kernel)
{
    struct initrd initrd;
    const char *path;

    start();
    world_ram_at(BASE - 8 * MIB, BYTES);
    kernel = (struct kernel){.low = BASE, .high = BASE + MIB, .initrd_min = BASE};
    kernel.initrd_max = BASE + 4 * MIB - 1;
    path = sparse_file(MIB);
    ck_assert_int_eq(initrd_load(&world.req, &kernel, &path, 1, &initrd), 0);
    ck_assert_uint_eq(initrd.gpa, BASE + 3 * MIB);
    path = sparse_file(3 * MIB + 1); /* there would be room below the window */
    world.image.path = path;
    ck_assert_int_eq(initrd_load(&world.req, &kernel, &path, 1, &initrd), -ENOMEM);
    expect_line(path, "does not fit");
}
END_TEST

/* Debian's kernel, if it is there: whole, and without its last page. */
START_TEST(debian_image_is_whole_or_refused)
{
    const char *path = "build/guest/arm64/vmlinuz";
    struct image img;

    if (access(path, R_OK) != 0) {
        printf("# %s is not there, not tested\n", path);
        return;
    }
    start();
    world_ram_at(BASE, 64 * MIB);
    ck_assert_int_eq(load_path(path, &kernel), 0);
    ck_assert_uint_eq(kernel.entry, BASE);
    ck_assert_uint_eq(kernel.page_size, 4096);
    ck_assert_int_eq(image_open(&img, path), 0);
    world.image = img;
    world.image.size -= 4096; /* what is read is bounded by the size at opening */
    ck_assert_int_eq(kernel_load(&world.req, &kernel), -ENOEXEC);
    expect_line(path, "truncated");
    image_close(&img);
}
END_TEST

static uint64_t tree_at(uint64_t size, const struct initrd *initrd)
{
    uint64_t gpa = 1;

    ck_assert_int_eq(dtb_place(&world.req, &kernel, initrd, size, &gpa), 0);
    ck_assert_uint_eq(gpa % 8, 0);
    ck_assert_uint_eq(gpa / (2 * MIB), (gpa + size - 1) / (2 * MIB));
    return gpa;
}

START_TEST(device_tree_lies_above_the_kernel_in_one_block)
{
    const struct reserved_range r = {BASE + 6 * MIB, MIB, "something"};
    struct initrd initrd = {BASE + 4 * MIB, MIB};

    start();
    kernel = (struct kernel){.low = BASE, .high = BASE + MIB + 12};
    ck_assert_uint_eq(tree_at(100, &initrd), BASE + MIB + 128);
    ck_assert_uint_eq(tree_at(4, &initrd), BASE + MIB + 16);
    ck_assert_uint_eq(tree_at(MIB, &initrd), BASE + 2 * MIB);
    ck_assert_uint_eq(tree_at(MIB + 1, &initrd), BASE + 2 * MIB);
    initrd = (struct initrd){BASE + MIB + 4096, 4 * MIB};
    ck_assert_uint_eq(tree_at(8192, &initrd), BASE + 5 * MIB + 8192 / 2 * 1 + 4096);
    world.req.reserved = &r;
    world.req.reserved_count = 1;
    ck_assert_uint_eq(tree_at(2 * MIB, &initrd), BASE + 8 * MIB);
}
END_TEST

START_TEST(device_tree_that_fits_nowhere_is_refused)
{
    const struct initrd none = {0, 0}, full = {BASE + MIB, BYTES - MIB};
    uint64_t gpa;

    start();
    world.image.path = "kernel";
    kernel = (struct kernel){.low = BASE, .high = BASE + MIB};
    ck_assert_int_eq(dtb_place(&world.req, &kernel, &none, 2 * MIB + 1, &gpa), -ENOMEM);
    expect_line(NULL, "the device tree has 2097153 bytes, Linux takes 2097152");
    ck_assert_int_eq(dtb_place(&world.req, &kernel, &full, 4096, &gpa), -ENOMEM);
    expect_line("kernel", "the device tree of this kernel needs memory up to 18 MiB");
    /* Beyond the reach of old kernels there is nothing, however much RAM. */
    kernel.low = BASE - 511 * MIB;
    ck_assert_int_eq(dtb_place(&world.req, &kernel, &none, 4096, &gpa), -ENOMEM);
    expect_line("kernel", "the device tree");
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(image_lies_at_the_start_of_ram_and_is_entered_there),
        CASE(text_offset_counts_from_2_mib_boundaries),
        CASE(reserved_memory_is_stepped_over),
        CASE(page_size_is_what_the_flags_say),
        CASE(what_stands_behind_the_kernel_is_not_loaded),
        CASE(bad_fields_are_told_in_one_line),
        CASE(image_cut_short_anywhere_is_refused),
        CASE(other_entries_are_refused),
        CASE(kernels_of_the_other_machine_are_called_by_their_name),
        CASE(compressed_image_is_the_same_kernel),
        CASE(kernel_in_an_efi_program_is_taken_out),
        CASE(compressed_image_cut_short_anywhere_is_refused),
        CASE(compressed_image_with_any_byte_changed_is_refused_or_the_same),
        CASE(other_compressed_files_are_called_what_they_are),
        CASE(file_that_unpacks_to_more_than_memory_is_refused_soon),
        CASE(random_headers_give_a_sound_kernel_or_one_line),
        CASE(debian_image_is_whole_or_refused),
        CASE(initrd_stays_in_the_window_of_the_kernel),
        CASE(device_tree_lies_above_the_kernel_in_one_block),
        CASE(device_tree_that_fits_nowhere_is_refused),
    };

    return run_suite("image-arm64", cases, ARRAY_SIZE(cases));
}
