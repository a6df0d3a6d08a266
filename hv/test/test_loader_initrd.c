/* Initrds and modules: where they lie, what lies between them, and what does not fit. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/util.h"
#include "hv/test/loader_world.h"
#include "hv/test/run_suite.h"

static struct blob file;
static struct kernel kernel;
static struct initrd initrd;

/* A kernel at [16 MiB, 24 MiB) of 64 MiB. */
static void start(void)
{
    world_reset();
    memset(&file, 0, sizeof(file));
    blob_pattern(&file, 0, 10000, 1);
    kernel = (struct kernel){.low = 16 * MIB, .high = 24 * MIB, .initrd_max = 0x7fffffff};
    memset(&initrd, 0xa5, sizeof(initrd));
}

static int load_one(const char *path)
{
    return initrd_load(&world.req, &kernel, &path, 1, &initrd);
}

static void expect_at(uint64_t gpa)
{
    int err = load_one(file_of(file.data, file.len));

    ck_assert_msg(err == 0, "%d: %s", err, world.line);
    ck_assert_uint_eq(initrd.gpa, gpa);
    ck_assert_uint_eq(initrd.size, file.len);
    expect_loaded(&file, 0, gpa, file.len);
}

static void expect_bad(const char *path, int err, const char *text)
{
    ck_assert_int_eq(load_one(path), err);
    ck_assert_uint_eq(initrd.size, 0);
    expect_line(path, text);
}

START_TEST(no_file_is_no_initrd)
{
    start();
    ck_assert_int_eq(initrd_load(&world.req, &kernel, NULL, 0, &initrd), 0);
    ck_assert_uint_eq(initrd.size, 0);
}
END_TEST

START_TEST(one_file_lies_page_aligned_at_the_top_of_ram)
{
    start();
    expect_at(64 * MIB - 3 * 4096);
    ck_assert_uint_eq(*ram(initrd.gpa - 1), 0);
    ck_assert_uint_eq(*ram(initrd.gpa + 10000), 0);
}
END_TEST

START_TEST(its_last_byte_may_lie_at_initrd_max_and_no_higher)
{
    start();
    blob_pattern(&file, 0, 8192, 1);
    file.len = 8192;
    kernel.initrd_max = 48 * MIB + 8191;
    expect_at(48 * MIB);
    kernel.initrd_max--;
    expect_at(48 * MIB - 4096);
}
END_TEST

START_TEST(reserved_ranges_at_the_top_are_stepped_over)
{
    const struct reserved_range r[] = {{63 * MIB, MIB, "ACPI tables"},
                                       {63 * MIB - 4096, 16, "boot data"}};

    start();
    world.req.reserved = r;
    world.req.reserved_count = 2;
    expect_at(63 * MIB - 4 * 4096);
}
END_TEST

START_TEST(gap_above_the_kernel_too_small_puts_it_below)
{
    start();
    kernel.high = 64 * MIB - 4096;
    expect_at(16 * MIB - 3 * 4096);
}
END_TEST

START_TEST(nothing_is_put_below_1_mib)
{
    start();
    kernel.low = MIB + 4096;
    kernel.high = 64 * MIB;
    expect_bad(file_of(file.data, file.len), -ENOMEM, "the initrd needs memory up to 65 MiB");
}
END_TEST

START_TEST(ram_above_the_hole_is_not_used_beyond_initrd_max)
{
    start();
    world_ram(64 * MIB, 64 * MIB);
    kernel.initrd_max = UINT32_MAX;
    expect_at(64 * MIB - 3 * 4096);
}
END_TEST

START_TEST(several_files_are_joined_with_padding_to_4_bytes)
{
    const char *paths[3];
    uint8_t *p;

    start();
    paths[0] = file_of("12345", 5);
    paths[1] = file_of("abcd", 4);
    paths[2] = file_of("x", 1);
    memset(ram(64 * MIB - 4096), 0xee, 4096);
    ck_assert_int_eq(initrd_load(&world.req, &kernel, paths, 3, &initrd), 0);
    ck_assert_uint_eq(initrd.size, 16);
    ck_assert_uint_eq(initrd.gpa, 64 * MIB - 4096);
    p = ram(initrd.gpa);
    ck_assert_mem_eq(p, "12345\0\0\0abcdx\0\0\0", 16);
    ck_assert_uint_eq(p[16], 0xee);
}
END_TEST

START_TEST(initrd_larger_than_ram_says_how_much_is_needed)
{
    start();
    expect_bad(sparse_file(100 * MIB), -ENOMEM,
               "the initrd needs memory up to 124 MiB, the guest has 64 MiB; try -m 128");
    expect_bad(sparse_file(40 * MIB + 1), -ENOMEM, "try -m 80");
    ck_assert_int_eq(load_one(sparse_file(40 * MIB)), 0);
    ck_assert_uint_eq(initrd.gpa, 24 * MIB);
}
END_TEST

START_TEST(initrd_larger_than_the_kernel_can_take_says_so)
{
    start();
    expect_bad(sparse_file(2048 * MIB), -ENOMEM, "does not fit below 2048 MiB");
    expect_bad(sparse_file(INT64_MAX), -ENOMEM, "does not fit below 2048 MiB");
}
END_TEST

START_TEST(sum_of_sizes_that_overflows_is_refused)
{
    const char *paths[2];

    start();
    paths[0] = sparse_file(INT64_MAX - 4096);
    paths[1] = sparse_file(INT64_MAX - 4096);
    ck_assert_int_eq(initrd_load(&world.req, &kernel, paths, 2, &initrd), -EFBIG);
    expect_line(paths[1], "too large together");
}
END_TEST

START_TEST(missing_empty_or_strange_files_are_refused_before_anything_is_loaded)
{
    const char *paths[2];

    start();
    expect_bad("/nonexistent/initrd", -ENOENT, "cannot open");
    expect_bad("/tmp", -EISDIR, "is a directory");
    expect_bad(file_of("", 0), -ENODATA, "is empty");
    paths[0] = file_of(file.data, file.len);
    paths[1] = "/dev/null";
    ck_assert_int_eq(initrd_load(&world.req, &kernel, paths, 2, &initrd), -EINVAL);
    expect_line("/dev/null", "is a device");
    ck_assert_uint_eq(*ram(64 * MIB - 3 * 4096), 0);
}
END_TEST

START_TEST(modules_lie_above_the_kernel_each_on_a_page_of_its_own)
{
    const struct reserved_range r = {24 * MIB + 4096, 4096, "boot data"};
    struct boot_module m[3];
    const char *paths[3];

    start();
    kernel.high = 24 * MIB - 1;
    world.req.reserved = &r;
    world.req.reserved_count = 1;
    paths[0] = file_of("12345", 5);
    paths[1] = file_of(file.data, file.len);
    paths[2] = file_of("x", 1);
    ck_assert_int_eq(modules_load(&world.req, &kernel, paths, 3, m), 0);
    ck_assert_uint_eq(m[0].gpa, 24 * MIB);
    ck_assert_uint_eq(m[0].size, 5);
    ck_assert_ptr_eq(m[0].cmdline, paths[0]);
    ck_assert_mem_eq(ram(24 * MIB), "12345", 6);
    ck_assert_uint_eq(m[1].gpa, 24 * MIB + 8192);
    ck_assert_uint_eq(m[1].size, 10000);
    expect_loaded(&file, 0, m[1].gpa, 10000);
    ck_assert_uint_eq(m[2].gpa, 24 * MIB + 8192 + 3 * 4096);
}
END_TEST

START_TEST(modules_that_do_not_fit_are_refused)
{
    struct boot_module m[2];
    const char *paths[2];

    start();
    paths[0] = sparse_file(20 * MIB);
    paths[1] = sparse_file(20 * MIB + 1);
    ck_assert_int_eq(modules_load(&world.req, &kernel, paths, 2, m), -ENOMEM);
    expect_line(paths[1], "the module needs memory up to 65 MiB, the guest has 64 MiB; try -m 80");
    paths[0] = sparse_file(INT64_MAX);
    ck_assert_int_eq(modules_load(&world.req, &kernel, paths, 1, m), -ENOMEM);
    expect_line(paths[0], "the module does not fit in guest memory");
    paths[0] = "/nonexistent/module";
    ck_assert_int_eq(modules_load(&world.req, &kernel, paths, 1, m), -ENOENT);
    expect_line(paths[0], "cannot open");
}
END_TEST

START_TEST(no_descriptor_is_left_open)
{
    const char *paths[3];
    int before, after;

    start();
    paths[0] = file_of("12345", 5);
    paths[1] = file_of("12345", 5);
    paths[2] = "/nonexistent";
    before = dup(0);
    close(before);
    ck_assert_int_eq(initrd_load(&world.req, &kernel, paths, 2, &initrd), 0);
    ck_assert_int_eq(initrd_load(&world.req, &kernel, paths, 3, &initrd), -ENOENT);
    after = dup(0);
    close(after);
    ck_assert_int_eq(before, after);
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(no_file_is_no_initrd),
        CASE(one_file_lies_page_aligned_at_the_top_of_ram),
        CASE(its_last_byte_may_lie_at_initrd_max_and_no_higher),
        CASE(reserved_ranges_at_the_top_are_stepped_over),
        CASE(gap_above_the_kernel_too_small_puts_it_below),
        CASE(nothing_is_put_below_1_mib),
        CASE(ram_above_the_hole_is_not_used_beyond_initrd_max),
        CASE(several_files_are_joined_with_padding_to_4_bytes),
        CASE(initrd_larger_than_ram_says_how_much_is_needed),
        CASE(initrd_larger_than_the_kernel_can_take_says_so),
        CASE(sum_of_sizes_that_overflows_is_refused),
        CASE(missing_empty_or_strange_files_are_refused_before_anything_is_loaded),
        CASE(modules_lie_above_the_kernel_each_on_a_page_of_its_own),
        CASE(modules_that_do_not_fit_are_refused),
        CASE(no_descriptor_is_left_open),
    };

    return run_suite("initrd", cases, ARRAY_SIZE(cases));
}
