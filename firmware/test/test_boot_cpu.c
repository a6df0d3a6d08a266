/* Unit tests of gdt_build and page_tables_build: what the boot processor starts with. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "firmware/boot_x86.h"
#include "firmware/test/guarded.h"

#define TWO_MIB (UINT64_C(2) << 20)

/* Fields of a descriptor, taken apart as the SDM draws them. */
static unsigned desc_type(uint64_t d)
{
    return (unsigned)(d >> 40 & 0x1f); /* S bit and type */
}

static uint32_t desc_limit(uint64_t d)
{
    return (uint32_t)((d & 0xffff) | (d >> 32 & 0xf0000));
}

static uint32_t desc_base(uint64_t d)
{
    return (uint32_t)(d >> 16 & 0xffffff) | (uint32_t)(d >> 32 & 0xff000000);
}

static void check_flat(uint64_t d, unsigned type)
{
    ck_assert_uint_eq(desc_type(d), type);
    ck_assert_uint_eq(desc_base(d), 0);
    ck_assert_uint_eq(desc_limit(d), 0xfffff);
    ck_assert(d >> 55 & 1);            /* granularity: pages */
    ck_assert(d >> 47 & 1);            /* present */
    ck_assert_uint_eq(d >> 45 & 3, 0); /* privilege level 0 */
}

START_TEST(gdt_for_mode_has_flat_segments_at_the_boot_selectors)
{
    struct guarded g = guarded_new(GDT_BYTES);
    uint64_t code, tss;

    ck_assert_int_eq(gdt_build(_i, g.bytes, g.cap), 0);
    ck_assert(guarded_intact(&g));
    ck_assert(all_zero(g.bytes, BOOT_CS));
    code = rd64(g.bytes + BOOT_CS);
    check_flat(code, 0x1b);                           /* execute/read, accessed */
    ck_assert_uint_eq(code >> 53 & 1, (unsigned)_i);  /* L */
    ck_assert_uint_eq(code >> 54 & 1, (unsigned)!_i); /* D must be clear when L is set */
    check_flat(rd64(g.bytes + BOOT_DS), 0x13);        /* read/write, accessed */

    tss = rd64(g.bytes + BOOT_TSS);
    ck_assert_uint_eq(desc_type(tss), 0x0b); /* busy TSS */
    ck_assert(tss >> 47 & 1);
    ck_assert_uint_ge(desc_limit(tss), 0x67);
    ck_assert(all_zero(g.bytes + BOOT_TSS + 8, 8));
    guarded_free(&g);
}
END_TEST

START_TEST(gdt_in_a_short_buffer_is_refused)
{
    for (size_t cap = 0; cap < GDT_BYTES; cap++) {
        struct guarded g = guarded_new(cap);

        ck_assert_int_eq(gdt_build(1, g.bytes, cap), -ENOSPC);
        ck_assert(guarded_intact(&g));
        guarded_free(&g);
    }
}
END_TEST

/* Walks the tables as the CPU does. Returns false when an entry on the way is not present. */
static bool translate(const uint8_t *tables, uint64_t gpa, uint64_t va, uint64_t *out)
{
    const uint64_t addr = UINT64_C(0x000ffffffffff000);
    uint64_t table = gpa, entry;

    for (int shift = 39; shift >= 21; shift -= 9) {
        ck_assert_uint_ge(table, gpa);
        ck_assert_uint_le(table, gpa + PAGE_TABLE_BYTES - 4096);
        entry = rd64(tables + (table - gpa) + (va >> shift & 511) * 8);
        if (!(entry & 1))
            return false;
        ck_assert(entry & 2);                             /* writable all the way */
        ck_assert(!(entry >> 63));                        /* executable all the way */
        ck_assert_uint_eq(!!(entry & 0x80), shift == 21); /* large at the last level only */
        ck_assert(entry & 0x20); /* accessed and dirty beforehand: no walk writes */
        ck_assert(shift > 21 || entry & 0x40);
        table = entry & addr;
    }
    ck_assert_uint_eq(table % TWO_MIB, 0);
    *out = table | (va & (TWO_MIB - 1));
    return true;
}

START_TEST(page_tables_map_4_gib_one_to_one_and_nothing_else)
{
    const uint64_t where[] = {0, 0x9000, 0x100000000 - PAGE_TABLE_BYTES};
    uint64_t gpa = where[_i], pa = 0;
    struct guarded g = guarded_new(PAGE_TABLE_BYTES);

    ck_assert_int_eq(page_tables_build(gpa, g.bytes, g.cap), 0);
    ck_assert(guarded_intact(&g));
    for (uint64_t va = 0; va < UINT64_C(4) << 30; va += TWO_MIB) {
        ck_assert(translate(g.bytes, gpa, va + 0x12345, &pa));
        ck_assert_uint_eq(pa, va + 0x12345);
    }
    ck_assert(!translate(g.bytes, gpa, UINT64_C(4) << 30, &pa));
    ck_assert(!translate(g.bytes, gpa, UINT64_C(1) << 39, &pa));
    ck_assert(!translate(g.bytes, gpa, UINT64_C(0xffffffff80000000), &pa));
    guarded_free(&g);
}
END_TEST

START_TEST(page_tables_misplaced_are_refused)
{
    static uint8_t buf[PAGE_TABLE_BYTES];
    const uint64_t bad[] = {1, 0x9008, 0x100000000, 0x100000000 - PAGE_TABLE_BYTES + 4096,
                            UINT64_MAX & ~UINT64_C(4095)};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_int_eq(page_tables_build(bad[i], buf, sizeof(buf)), -EINVAL);
}
END_TEST

START_TEST(page_tables_in_a_short_buffer_are_refused)
{
    for (size_t cap = PAGE_TABLE_BYTES - 9; cap < PAGE_TABLE_BYTES; cap++) {
        struct guarded g = guarded_new(cap);

        ck_assert_int_eq(page_tables_build(0x9000, g.bytes, cap), -ENOSPC);
        ck_assert(guarded_intact(&g));
        guarded_free(&g);
    }
}
END_TEST

/* What the processor would do with the bytes: al and dx loaded, then out, then it stays put. */
START_TEST(reset_stub_writes_the_value_to_the_port)
{
    uint8_t code[RESET_VECTOR_BYTES];

    memset(code, 0xcc, sizeof(code));
    ck_assert_int_eq(reset_stub_build(0x1602, 0x5a, code, sizeof(code)), 0);
    ck_assert_int_eq(memcmp(code, "\xb0\x5a\xba\x02\x16\xee\xfa\xf4\xeb\xfd", 10), 0);
    ck_assert_uint_eq(code[10], 0xcc);
    ck_assert_int_eq(reset_stub_build(0x602, 1, code, 9), -ENOSPC);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("firmware/boot_cpu");
    TCase *t = tcase_create("boot_cpu");

    tcase_add_loop_test(t, gdt_for_mode_has_flat_segments_at_the_boot_selectors, 0, 2);
    tcase_add_test(t, gdt_in_a_short_buffer_is_refused);
    tcase_add_loop_test(t, page_tables_map_4_gib_one_to_one_and_nothing_else, 0, 3);
    tcase_add_test(t, page_tables_misplaced_are_refused);
    tcase_add_test(t, page_tables_in_a_short_buffer_are_refused);
    tcase_add_test(t, reset_stub_writes_the_value_to_the_port);
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
