/* Guest memory: what is RAM and what is not, over region edges and with hostile ranges. */
#include "devices/core/gmem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/util.h"
#include "devices/test/fake.h"

#define PAGE UINT64_C(4096)

/* [0, 2 pages) and [2 pages, 3 pages) touch, [4 GiB, 4 GiB + 1 page) lies apart. */
static struct fake_ram low, next, high;
static struct gmem mem;

static void set_up(void)
{
    memset(&mem, 0, sizeof(mem));
    fake_ram_create(&low, 2 * PAGE);
    fake_ram_create(&next, PAGE);
    fake_ram_create(&high, PAGE);
    ck_assert_int_eq(gmem_add(&mem, 4 * GIB, PAGE, high.host), 0);
    ck_assert_int_eq(gmem_add(&mem, 0, 2 * PAGE, low.host), 0);
    ck_assert_int_eq(gmem_add(&mem, 2 * PAGE, PAGE, next.host), 0);
}

static void tear_down(void)
{
    fake_ram_destroy(&low);
    fake_ram_destroy(&next);
    fake_ram_destroy(&high);
}

START_TEST(regions_stay_sorted_and_add_up)
{
    ck_assert_uint_eq(mem.count, 3);
    for (unsigned i = 1; i < mem.count; i++)
        ck_assert(mem.region[i - 1].gpa < mem.region[i].gpa);
    ck_assert_uint_eq(gmem_total(&mem), 4 * PAGE);
}
END_TEST

START_TEST(file_must_hold_every_region)
{
    struct gmem two = {.count = 0};
    uint8_t *start = low.host;

    ck_assert_int_eq(gmem_add(&two, 0, PAGE, start), 0);
    ck_assert_int_eq(gmem_add(&two, 4 * GIB, PAGE, start + PAGE), 0);
    ck_assert_int_eq(gmem_set_file(&two, 9, start, PAGE), -EINVAL);
    ck_assert_int_eq(gmem_set_file(&two, 9, start + PAGE, 2 * PAGE), -EINVAL);
    ck_assert(!two.has_file);
    ck_assert_int_eq(gmem_set_file(&two, 9, start, 2 * PAGE), 0);
    ck_assert(two.has_file);
    ck_assert_uint_eq(two.region[0].offset, 0);
    ck_assert_uint_eq(two.region[1].offset, PAGE);
}
END_TEST

START_TEST(add_of_bad_region_is_refused)
{
    static const struct {
        uint64_t gpa, size;
    } bad[] = {
        {8 * PAGE, 0},                        /* empty */
        {8 * PAGE, 100},                      /* not whole pages */
        {8 * PAGE + 1, PAGE},                 /* not aligned */
        {UINT64_MAX - PAGE + 1, 2 * PAGE},    /* wraps */
        {UINT64_MAX - PAGE + 1, PAGE},        /* its end does not fit in 64 bits */
        {PAGE, PAGE},                         /* inside another */
        {0, 2 * PAGE},                        /* the same */
        {4 * GIB - PAGE, 2 * PAGE},           /* over the start of another */
        {3 * PAGE, UINT64_MAX - 3 * PAGE + 1} /* over all that follow, and wraps */
    };

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        ck_assert_int_eq(gmem_add(&mem, bad[i].gpa, bad[i].size, low.host), -EINVAL);
    ck_assert_int_eq(gmem_add(&mem, 8 * PAGE, PAGE, NULL), -EINVAL);
    ck_assert_uint_eq(mem.count, 3);
}
END_TEST

START_TEST(add_to_full_list_is_refused)
{
    for (uint64_t gpa = 8 * PAGE; mem.count < GMEM_MAX_REGIONS; gpa += 2 * PAGE)
        ck_assert_int_eq(gmem_add(&mem, gpa, PAGE, low.host), 0);
    ck_assert_int_eq(gmem_add(&mem, GIB, PAGE, low.host), -ENOSPC);
}
END_TEST

START_TEST(contains_knows_every_edge)
{
    static const struct {
        uint64_t gpa, len;
        bool is_ram;
    } range[] = {
        {0, 1, true},
        {0, 3 * PAGE, true},
        {0, 3 * PAGE + 1, false},
        {2 * PAGE - 1, 2, true},
        {3 * PAGE - 1, 1, true},
        {3 * PAGE, 1, false},
        {4 * GIB - 1, 2, false},
        {4 * GIB, PAGE, true},
        {4 * GIB + PAGE - 1, 2, false},
        {1, UINT64_MAX, false},
        {UINT64_MAX, 1, false},
        {UINT64_MAX, UINT64_MAX, false},
        {4 * GIB + 1, UINT64_MAX - 4 * GIB, false},
        {UINT64_MAX, 0, true},
        {3 * PAGE, 0, true},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(range); i++)
        ck_assert_int_eq(gmem_contains(&mem, range[i].gpa, range[i].len), range[i].is_ram);
}
END_TEST

START_TEST(ptr_refuses_empty_holes_and_spans)
{
    ck_assert_ptr_eq(gmem_ptr(&mem, 5, 1), low.host + 5);
    ck_assert_ptr_eq(gmem_ptr(&mem, 0, 2 * PAGE), low.host);
    ck_assert_ptr_eq(gmem_ptr(&mem, 4 * GIB + 8, PAGE - 8), high.host + 8);
    ck_assert_ptr_null(gmem_ptr(&mem, 0, 0));
    ck_assert_ptr_null(gmem_ptr(&mem, 2 * PAGE - 1, 2)); /* RAM, but two regions */
    ck_assert_ptr_null(gmem_ptr(&mem, 3 * PAGE, 1));
    ck_assert_ptr_null(gmem_ptr(&mem, 4 * GIB, PAGE + 1));
    ck_assert_ptr_null(gmem_ptr(&mem, 4 * GIB, UINT64_MAX));
}
END_TEST

START_TEST(copy_over_touching_regions_is_whole)
{
    uint8_t out[16], in[16];

    for (unsigned i = 0; i < sizeof(in); i++)
        in[i] = (uint8_t)(i + 1);
    ck_assert_int_eq(gmem_write(&mem, 2 * PAGE - 7, in, sizeof(in)), 0);
    ck_assert_mem_eq(low.host + 2 * PAGE - 7, in, 7);
    ck_assert_mem_eq(next.host, in + 7, 9);
    ck_assert_int_eq(gmem_read(&mem, 2 * PAGE - 7, out, sizeof(out)), 0);
    ck_assert_mem_eq(out, in, sizeof(in));
    ck_assert_int_eq(gmem_zero(&mem, 2 * PAGE - 1, 2), 0);
    ck_assert_uint_eq(low.host[2 * PAGE - 1], 0);
    ck_assert_uint_eq(next.host[0], 0);
    ck_assert_uint_eq(next.host[1], in[8]);
}
END_TEST

START_TEST(copy_into_hole_changes_nothing)
{
    uint8_t buf[8] = {1, 2, 3, 4, 5, 6, 7, 8};

    ck_assert_int_eq(gmem_write(&mem, 3 * PAGE - 4, buf, sizeof(buf)), -EFAULT);
    ck_assert_uint_eq(next.host[PAGE - 4], 0); /* all or nothing */
    ck_assert_int_eq(gmem_read(&mem, 3 * PAGE - 4, buf, sizeof(buf)), -EFAULT);
    ck_assert_uint_eq(buf[0], 1);
    ck_assert_int_eq(gmem_zero(&mem, UINT64_MAX, 2), -EFAULT);
    ck_assert_int_eq(gmem_read(&mem, UINT64_MAX, buf, 0), 0);
}
END_TEST

static int file_of(size_t bytes)
{
    char name[] = "/tmp/hv-gmem-XXXXXX";
    int fd = mkstemp(name);

    ck_assert_int_ge(fd, 0);
    unlink(name);
    for (size_t i = 0; i < bytes; i++) {
        uint8_t c = (uint8_t)(i % 251);

        ck_assert_int_eq(write(fd, &c, 1), 1);
    }
    return fd;
}

START_TEST(load_fd_fills_over_touching_regions)
{
    int fd = file_of(6000);

    ck_assert_int_eq(gmem_load_fd(&mem, 2 * PAGE - 3000, fd, 500, 5000), 0);
    for (unsigned i = 0; i < 5000; i++) {
        uint8_t got = i < 3000 ? low.host[2 * PAGE - 3000 + i] : next.host[i - 3000];

        ck_assert_uint_eq(got, (i + 500) % 251);
    }
    close(fd);
}
END_TEST

START_TEST(load_fd_tells_short_file_hole_and_errors_apart)
{
    int fd = file_of(100), fds[2];

    ck_assert_int_eq(gmem_load_fd(&mem, 0, fd, 50, 51), -ENODATA);
    ck_assert_int_eq(gmem_load_fd(&mem, 0, fd, 1000, 1), -ENODATA);
    ck_assert_int_eq(gmem_load_fd(&mem, 0, fd, UINT64_MAX, 1), -ENODATA);
    ck_assert_int_eq(gmem_load_fd(&mem, 3 * PAGE, fd, 0, 1), -EFAULT);
    ck_assert_int_eq(gmem_load_fd(&mem, 0, fd, 0, UINT64_MAX), -EFAULT);
    ck_assert_int_eq(gmem_load_fd(&mem, 0, fd, 0, 0), 0);
    ck_assert_int_eq(gmem_load_fd(&mem, 0, -1, 0, 1), -EBADF);
    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(gmem_load_fd(&mem, 0, fds[0], 0, 1), -ESPIPE);
    close(fds[0]);
    close(fds[1]);
    close(fd);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("gmem");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, regions_stay_sorted_and_add_up);
    tcase_add_test(tc, file_must_hold_every_region);
    tcase_add_test(tc, add_of_bad_region_is_refused);
    tcase_add_test(tc, add_to_full_list_is_refused);
    tcase_add_test(tc, contains_knows_every_edge);
    tcase_add_test(tc, ptr_refuses_empty_holes_and_spans);
    tcase_add_test(tc, copy_over_touching_regions_is_whole);
    tcase_add_test(tc, copy_into_hole_changes_nothing);
    tcase_add_test(tc, load_fd_fills_over_touching_regions);
    tcase_add_test(tc, load_fd_tells_short_file_hole_and_errors_apart);
    return fake_run(tc);
}
