/* Unit tests of multiboot_build: the information structure and all it points at, read back. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "firmware/boot_x86.h"
#include "firmware/test/guarded.h"

#define GPA 0x7000u
#define MIB (UINT64_C(1) << 20)

static const struct memmap_entry split[] = {
    {0, 0x9fc00, MEMMAP_RAM},
    {0x9fc00, 0x400, MEMMAP_RESERVED},
    {MIB, 127 * MIB, MEMMAP_RAM},
    {4096 * MIB, 1024 * MIB, MEMMAP_RAM},
};

static const struct multiboot_module modules[MULTIBOOT_MAX_MODULES + 1] = {
    {{0x200000, 0x1001}, "first.flat an argument"},
    {{0x300000, 1}, ""},
    {{0x100000000 - 0x1000, 0xfff}, NULL},
};

static struct multiboot_x86 sample(void)
{
    return (struct multiboot_x86){split, 4, modules, 3, "kernel.elf -s 3"};
}

/* Host view of guest bytes; fails the test when they are not inside the blob. */
static const uint8_t *at(const struct guarded *g, uint32_t gpa, size_t len)
{
    ck_assert_uint_ge(gpa, GPA + 88);
    ck_assert_uint_le(gpa - GPA + len, g->cap);
    return g->bytes + (gpa - GPA);
}

static const char *text_at(const struct guarded *g, uint32_t gpa)
{
    const uint8_t *p = at(g, gpa, 1);

    ck_assert_ptr_nonnull(memchr(p, 0, g->cap - (size_t)(p - g->bytes)));
    return (const char *)p;
}

START_TEST(information_reads_back)
{
    struct multiboot_x86 in = sample();
    struct guarded g = guarded_new(MULTIBOOT_BYTES);

    ck_assert_int_eq(multiboot_build(&in, GPA, g.bytes, g.cap), 0);
    ck_assert(guarded_intact(&g));
    ck_assert_uint_eq(rd32(g.bytes), 1u << 0 | 1u << 2 | 1u << 3 | 1u << 6 | 1u << 9);
    ck_assert_uint_eq(rd32(g.bytes + 4), 639);        /* mem_lower */
    ck_assert_uint_eq(rd32(g.bytes + 8), 127 * 1024); /* mem_upper */
    ck_assert(all_zero(g.bytes + 12, 4));
    ck_assert(all_zero(g.bytes + 28, 16));
    ck_assert(all_zero(g.bytes + 52, 12));
    ck_assert(all_zero(g.bytes + 68, 48));
    ck_assert_str_eq(text_at(&g, rd32(g.bytes + 16)), "kernel.elf -s 3");
    ck_assert_str_eq(text_at(&g, rd32(g.bytes + 64)), "hv");
    guarded_free(&g);
}
END_TEST

START_TEST(modules_read_back)
{
    struct multiboot_x86 in = sample();
    struct guarded g = guarded_new(MULTIBOOT_BYTES);
    const uint8_t *mod;

    ck_assert_int_eq(multiboot_build(&in, GPA, g.bytes, g.cap), 0);
    ck_assert_uint_eq(rd32(g.bytes + 20), 3);
    mod = at(&g, rd32(g.bytes + 24), 3 * 16);
    for (unsigned i = 0; i < 3; i++, mod += 16) {
        uint64_t start = modules[i].blob.gpa;
        const char *text = modules[i].cmdline ? modules[i].cmdline : "";

        ck_assert_uint_eq(rd32(mod), start);
        ck_assert_uint_eq(rd32(mod + 4), start + modules[i].blob.size);
        ck_assert_str_eq(text_at(&g, rd32(mod + 8)), text);
        ck_assert_uint_eq(rd32(mod + 12), 0);
    }
    guarded_free(&g);
}
END_TEST

START_TEST(memory_map_reads_back_by_its_size_fields)
{
    struct multiboot_x86 in = sample();
    struct guarded g = guarded_new(MULTIBOOT_BYTES);
    uint32_t length;
    const uint8_t *p;

    ck_assert_int_eq(multiboot_build(&in, GPA, g.bytes, g.cap), 0);
    length = rd32(g.bytes + 44);
    p = at(&g, rd32(g.bytes + 48), length);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_uint_ge(length, 4 + rd32(p));
        ck_assert_uint_eq(rd64(p + 4), split[i].gpa);
        ck_assert_uint_eq(rd64(p + 12), split[i].size);
        ck_assert_uint_eq(rd32(p + 20), (unsigned)split[i].type);
        length -= 4 + rd32(p);
        p += 4 + rd32(p);
    }
    ck_assert_uint_eq(length, 0);
    guarded_free(&g);
}
END_TEST

/* One map, and what mem_lower and mem_upper (KiB) must be for it. */
static const struct {
    struct memmap_entry map[3];
    uint32_t lower, upper;
} memory_cases[] = {
    {{{0, 16 * MIB, MEMMAP_RAM}}, 640, 15 * 1024},                    /* no hole at 640 KiB */
    {{{0, 0x9f000, MEMMAP_RAM}}, 636, 0},                             /* nothing high */
    {{{MIB, MIB, MEMMAP_RAM}}, 0, 1024},                              /* nothing low */
    {{{8 * MIB, MIB, MEMMAP_RAM}}, 0, 0},                             /* hole at 1 MiB */
    {{{2 * MIB, MIB, MEMMAP_RAM}, {MIB, MIB, MEMMAP_RAM}}, 0, 2048},  /* adjacent, unordered */
    {{{MIB, MIB, MEMMAP_RAM}, {2 * MIB, MIB, MEMMAP_ACPI}}, 0, 1024}, /* not RAM behind it */
    {{{0, UINT64_C(1) << 50, MEMMAP_RAM}}, 640, UINT32_MAX},          /* more than it can say */
    {{{0, MIB, MEMMAP_RAM}, {MIB, UINT64_MAX, MEMMAP_RAM}}, 640, UINT32_MAX}, /* wraps */
    {{{0, 0, MEMMAP_RAM}}, 0, 0},
};

START_TEST(memory_sizes_stop_at_the_first_hole)
{
    struct multiboot_x86 in = {memory_cases[_i].map, 3, NULL, 0, NULL};
    struct guarded g = guarded_new(MULTIBOOT_BYTES);

    ck_assert_int_eq(multiboot_build(&in, GPA, g.bytes, g.cap), 0);
    ck_assert_uint_eq(rd32(g.bytes + 4), memory_cases[_i].lower);
    ck_assert_uint_eq(rd32(g.bytes + 8), memory_cases[_i].upper);
    ck_assert_uint_eq(rd32(g.bytes) & 1u << 2, 0); /* no command line */
    ck_assert_uint_eq(rd32(g.bytes + 20), 0);
    guarded_free(&g);
}
END_TEST

START_TEST(what_32_bits_cannot_address_is_refused)
{
    static uint8_t buf[MULTIBOOT_BYTES];
    struct multiboot_module high[] = {{{0x100000000, 1}, ""}};
    struct multiboot_module across[] = {{{0xfffff000, 0x1000}, ""}};
    struct multiboot_module wraps[] = {{{0x1000, UINT64_MAX}, ""}};
    struct multiboot_x86 in = sample();

    ck_assert_int_eq(multiboot_build(&in, 0x100000000, buf, sizeof(buf)), -EINVAL);
    ck_assert_int_eq(multiboot_build(&in, 0x100000000 - 4096, buf, sizeof(buf)), -EINVAL);
    ck_assert_int_eq(multiboot_build(&in, 2, buf, sizeof(buf)), -EINVAL);
    in.module_count = MULTIBOOT_MAX_MODULES + 1;
    ck_assert_int_eq(multiboot_build(&in, GPA, buf, sizeof(buf)), -EINVAL);
    in.module_count = 1;
    in.module = high;
    ck_assert_int_eq(multiboot_build(&in, GPA, buf, sizeof(buf)), -EINVAL);
    in.module = across;
    ck_assert_int_eq(multiboot_build(&in, GPA, buf, sizeof(buf)), -EINVAL);
    in.module = wraps;
    ck_assert_int_eq(multiboot_build(&in, GPA, buf, sizeof(buf)), -EINVAL);
}
END_TEST

START_TEST(texts_of_any_length_fit_or_are_refused)
{
    static char text[MULTIBOOT_BYTES + 1];
    struct multiboot_x86 in = {split, 4, NULL, 0, text};
    struct guarded g = guarded_new(MULTIBOOT_BYTES);
    int refused = 0;

    for (size_t len = MULTIBOOT_BYTES - 300; len < MULTIBOOT_BYTES; len++) {
        int err;

        memset(text, 'x', len);
        text[len] = '\0';
        err = multiboot_build(&in, GPA, g.bytes, g.cap);
        ck_assert(guarded_intact(&g));
        ck_assert(err == -ENOSPC || (err == 0 && refused == 0));
        if (err == 0)
            ck_assert_str_eq(text_at(&g, rd32(g.bytes + 16)), text);
        else
            refused++;
    }
    ck_assert_int_gt(refused, 0);
    ck_assert_int_lt(refused, 300);
    guarded_free(&g);
}
END_TEST

START_TEST(short_buffer_is_refused)
{
    struct multiboot_x86 in = sample();

    for (size_t cap = 0; cap < MULTIBOOT_BYTES; cap += cap < 8100 ? 61 : 1) {
        struct guarded g = guarded_new(cap);

        ck_assert_int_eq(multiboot_build(&in, GPA, g.bytes, cap), -ENOSPC);
        ck_assert(guarded_intact(&g));
        guarded_free(&g);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("firmware/multiboot");
    TCase *t = tcase_create("multiboot");

    tcase_add_test(t, information_reads_back);
    tcase_add_test(t, modules_read_back);
    tcase_add_test(t, memory_map_reads_back_by_its_size_fields);
    tcase_add_loop_test(t, memory_sizes_stop_at_the_first_hole, 0,
                        (int)(sizeof(memory_cases) / sizeof(memory_cases[0])));
    tcase_add_test(t, what_32_bits_cannot_address_is_refused);
    tcase_add_test(t, texts_of_any_length_fit_or_are_refused);
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
