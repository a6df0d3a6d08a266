/* Unit tests of pvh_build: hvm_start_info, module list and memory map, read back by address. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "firmware/boot_x86.h"
#include "firmware/test/guarded.h"

#define GPA UINT64_C(0x6000)

/* Host view of [gpa, gpa + len) of the blob; fails the test when it is not inside. */
static const uint8_t *at(const struct guarded *g, uint64_t gpa, uint64_t base, size_t len)
{
    ck_assert_uint_ge(gpa, base);
    ck_assert_uint_le(gpa - base + len, g->cap);
    ck_assert_uint_eq(gpa % 8, 0);
    return g->bytes + (gpa - base);
}

static void check_map(const struct guarded *g, const struct pvh_x86 *in, uint64_t base)
{
    const uint8_t *p = at(g, rd64(g->bytes + 40), base, in->map_count * 24);

    for (unsigned i = 0; i < in->map_count; i++, p += 24) {
        ck_assert_uint_eq(rd64(p), in->map[i].gpa);
        ck_assert_uint_eq(rd64(p + 8), in->map[i].size);
        ck_assert_uint_eq(rd32(p + 16), (unsigned)in->map[i].type);
        ck_assert_uint_eq(rd32(p + 20), 0);
    }
}

static const struct memmap_entry map3[] = {
    {0, 0x9f000, MEMMAP_RAM}, {0xe0000, 0x20000, MEMMAP_ACPI}, {UINT64_C(1) << 32, 7, MEMMAP_RAM}};

START_TEST(start_info_with_module_reads_back)
{
    struct pvh_x86 in = {map3, 3, {0x7f0000, 0x1234}, 0x20000, 0xe0000};
    struct guarded g = guarded_new(PVH_BYTES);
    const uint8_t *mod;

    ck_assert_int_eq(pvh_build(&in, GPA, g.bytes, g.cap), 0);
    ck_assert(guarded_intact(&g));
    ck_assert_uint_eq(rd32(g.bytes), 0x336ec578);
    ck_assert_uint_eq(rd32(g.bytes + 4), 1);
    ck_assert_uint_eq(rd32(g.bytes + 8), 0);
    ck_assert_uint_eq(rd32(g.bytes + 12), 1);
    ck_assert_uint_eq(rd64(g.bytes + 24), 0x20000);
    ck_assert_uint_eq(rd64(g.bytes + 32), 0xe0000);
    ck_assert_uint_eq(rd32(g.bytes + 48), 3);
    ck_assert_uint_eq(rd32(g.bytes + 52), 0);
    mod = at(&g, rd64(g.bytes + 16), GPA, 32);
    ck_assert(mod >= g.bytes + 56);
    ck_assert_uint_eq(rd64(mod), 0x7f0000);
    ck_assert_uint_eq(rd64(mod + 8), 0x1234);
    ck_assert(all_zero(mod + 16, 16));
    check_map(&g, &in, GPA);
    ck_assert(all_zero(g.bytes + 56 + 32 + 72, PVH_BYTES - 160));
    guarded_free(&g);
}
END_TEST

START_TEST(start_info_without_initrd_names_no_module)
{
    struct pvh_x86 in = {map3, 3, {0x7f0000, 0}, 0x20000, 0};
    struct guarded g = guarded_new(PVH_BYTES);

    ck_assert_int_eq(pvh_build(&in, GPA, g.bytes, g.cap), 0);
    ck_assert_uint_eq(rd32(g.bytes + 12), 0);
    ck_assert_uint_eq(rd64(g.bytes + 16), 0);
    ck_assert_uint_eq(rd64(g.bytes + 32), 0);
    check_map(&g, &in, GPA);
    guarded_free(&g);
}
END_TEST

START_TEST(map_as_long_as_the_blob_fits_and_one_more_does_not)
{
    struct memmap_entry map[169];
    struct pvh_x86 in = {map, 168, {0, 0}, 0, 0};
    struct guarded g = guarded_new(PVH_BYTES);

    for (unsigned i = 0; i < 169; i++)
        map[i] = (struct memmap_entry){i * 0x1000, 0x1000, MEMMAP_RAM};
    ck_assert_int_eq(pvh_build(&in, GPA, g.bytes, g.cap), 0);
    check_map(&g, &in, GPA);
    in.map_count = 169;
    ck_assert_int_eq(pvh_build(&in, GPA, g.bytes, g.cap), -ENOSPC);
    ck_assert(guarded_intact(&g));
    guarded_free(&g);
}
END_TEST

START_TEST(misplaced_start_info_is_refused)
{
    const uint64_t bad[] = {4, GPA + 1, 0x100000000 - PVH_BYTES + 8, 0x100000000, UINT64_MAX - 7};
    struct pvh_x86 in = {map3, 3, {0, 0}, 0, 0};
    static uint8_t buf[PVH_BYTES];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_int_eq(pvh_build(&in, bad[i], buf, sizeof(buf)), -EINVAL);
    ck_assert_int_eq(pvh_build(&in, 0x100000000 - PVH_BYTES, buf, sizeof(buf)), 0);
}
END_TEST

START_TEST(short_buffer_is_refused)
{
    struct pvh_x86 in = {map3, 3, {0, 0}, 0, 0};

    for (size_t cap = 0; cap < PVH_BYTES; cap += cap < 4000 ? 61 : 1) {
        struct guarded g = guarded_new(cap);

        ck_assert_int_eq(pvh_build(&in, GPA, g.bytes, cap), -ENOSPC);
        ck_assert(guarded_intact(&g));
        guarded_free(&g);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("firmware/pvh");
    TCase *t = tcase_create("pvh");

    tcase_add_test(t, start_info_with_module_reads_back);
    tcase_add_test(t, start_info_without_initrd_names_no_module);
    tcase_add_test(t, map_as_long_as_the_blob_fits_and_one_more_does_not);
    tcase_add_test(t, misplaced_start_info_is_refused);
    tcase_add_test(t, short_buffer_is_refused);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
