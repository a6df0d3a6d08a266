/*
 * Unit tests of smbios_build: entry point and structures are walked as a guest walks them.
 * `test_smbios --dump DIR` writes tables as `dmidecode --from-dump` reads them instead
 * (firmware/test/smbios-tables).
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "firmware/smbios.h"
#include "firmware/test/dump.h"
#include "firmware/test/guarded.h"

#define GPA UINT64_C(0xf0000)
#define CAP 4096
#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)
#define GIB (KIB * MIB)

static const struct smbios_machine usual = {
    .uuid = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
             0xee, 0xff},
    .ram = 128 * MIB,
    .cpus = 1,
    .version = "1.2.3",
    .name = "first",
};

struct table {
    struct guarded g;
    size_t len;
    const uint8_t *first, *end;
};

/* Builds at the lowest address of the segment and checks the entry point. */
static struct table build(const struct smbios_machine *m)
{
    struct table t = {.g = guarded_new(CAP)};
    const uint8_t *p = t.g.bytes;

    ck_assert_int_eq(smbios_build(m, GPA, t.g.bytes, CAP, &t.len), 0);
    ck_assert(guarded_intact(&t.g));
    ck_assert(guarded_untouched(&t.g, t.len));
    ck_assert_mem_eq(p, "_SM3_", 5);
    ck_assert_uint_eq(p[6], 24);
    ck_assert_uint_eq(byte_sum(p, 24), 0);
    ck_assert_uint_eq(p[7], 3); /* 3.4, entry point revision 1 */
    ck_assert_uint_eq(p[8], 4);
    ck_assert_uint_eq(p[10], 1);
    ck_assert_uint_eq(rd64(p + 16), GPA + 32);
    ck_assert_uint_eq(rd32(p + 12), t.len - 32);
    t.first = p + 32;
    t.end = p + t.len;
    return t;
}

/* The structure after `s`, whose texts end with two zero bytes. */
static const uint8_t *next(const struct table *t, const uint8_t *s)
{
    const uint8_t *p = s + s[1];

    while (p + 1 < t->end && (p[0] || p[1]))
        p++;
    ck_assert(p + 2 <= t->end);
    return p + 2;
}

/* The n-th structure of a type; NULL when there is none. */
static const uint8_t *find(const struct table *t, unsigned type, unsigned n)
{
    for (const uint8_t *s = t->first; s < t->end; s = next(t, s))
        if (s[0] == type && n-- == 0)
            return s;
    return NULL;
}

/* The text that the byte at `offset` of a structure refers to; "" for none. */
static const char *text(const uint8_t *s, unsigned offset)
{
    const char *p = (const char *)s + s[1];

    if (!s[offset])
        return "";
    for (unsigned i = 1; i < s[offset]; i++)
        p += strlen(p) + 1;
    ck_assert(*p); /* the list is not over yet */
    return p;
}

/* Type and length that DSP0134 3.4 gives it. */
static const struct {
    uint8_t type, length;
} structures[] = {{0, 0x1a},  {1, 0x1b},  {3, 0x16},  {4, 0x30},  {16, 0x17},
                  {17, 0x5c}, {19, 0x1f}, {32, 0x0b}, {127, 0x04}};

START_TEST(structures_come_in_order_with_their_lengths_and_unique_handles)
{
    struct table t = build(&usual);
    const uint8_t *s = t.first;

    for (size_t i = 0; i < sizeof(structures) / sizeof(structures[0]); i++) {
        ck_assert(s < t.end);
        ck_assert_uint_eq(s[0], structures[i].type);
        ck_assert_uint_eq(s[1], structures[i].length);
        for (const uint8_t *other = t.first; other < s; other = next(&t, other))
            ck_assert_uint_ne(rd16(other + 2), rd16(s + 2));
        s = next(&t, s);
    }
    ck_assert_ptr_eq(s, t.end);
    guarded_free(&t.g);
}
END_TEST

/* Offsets of the bytes that refer to a text, by type; 0 ends a row. */
static const struct {
    uint8_t type, offset[8];
} references[] = {
    {0, {4, 5, 8}},
    {1, {4, 5, 6, 7, 0x19, 0x1a}},
    {3, {4, 6, 7, 8, 0x15}},
    {4, {4, 7, 0x10, 0x20, 0x21, 0x22}},
    {17, {0x10, 0x11, 0x17, 0x18, 0x19, 0x1a, 0x2b}},
    {16, {0}},
    {19, {0}},
    {32, {0}},
    {127, {0}},
};

/* Texts are numbered from 1 in the order of their references, and none is left over. */
START_TEST(each_text_is_referred_to_once)
{
    struct table t = build(&usual);
    const uint8_t *s = find(&t, references[_i].type, 0);
    const char *p = (const char *)s + s[1];
    unsigned used = 0, there = 0;

    for (const uint8_t *at = references[_i].offset; *at; at++)
        if (s[*at])
            ck_assert_uint_eq(s[*at], ++used);
    for (; *p; p += strlen(p) + 1)
        there++;
    ck_assert_uint_eq(used, there);
    guarded_free(&t.g);
}
END_TEST

START_TEST(bios_is_a_virtual_machine_without_uefi)
{
    struct table t = build(&usual);
    const uint8_t *s = find(&t, 0, 0);

    ck_assert_str_eq(text(s, 4), "hv");
    ck_assert_str_eq(text(s, 5), "1.2.3");
    ck_assert_uint_eq(strlen(text(s, 8)), 10);
    ck_assert_uint_eq(rd64(s + 10), 1u << 3);
    ck_assert_uint_eq(s[0x13] & 1u << 3, 0);
    ck_assert_uint_ne(s[0x13] & 1u << 4, 0);
    guarded_free(&t.g);
}
END_TEST

START_TEST(system_has_names_and_uuid_in_smbios_order)
{
    const uint8_t uuid[16] = {0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66,
                              0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
    struct table t = build(&usual);
    const uint8_t *s = find(&t, 1, 0);

    ck_assert_str_eq(text(s, 4), "hv");
    ck_assert_str_eq(text(s, 5), "hv virtual machine");
    ck_assert_str_eq(text(s, 6), "1.2.3");
    ck_assert_str_eq(text(s, 7), "first");
    ck_assert_mem_eq(s + 8, uuid, 16);
    guarded_free(&t.g);
}
END_TEST

START_TEST(texts_that_are_not_there_leave_no_gap)
{
    struct smbios_machine m = usual;
    struct table t;

    m.version = "";
    m.name = NULL;
    t = build(&m);
    ck_assert_uint_eq(find(&t, 0, 0)[5], 0);
    ck_assert_uint_eq(find(&t, 1, 0)[6], 0);
    ck_assert_uint_eq(find(&t, 1, 0)[7], 0);
    ck_assert_str_eq(text(find(&t, 1, 0), 5), "hv virtual machine");
    ck_assert_uint_eq(find(&t, 127, 0)[1], 4);
    guarded_free(&t.g);
}
END_TEST

static const unsigned cpu_counts[] = {1, 2, 254, 255, 256, 65534};

START_TEST(processor_counts_cores)
{
    struct smbios_machine m = usual;
    unsigned cpus = cpu_counts[_i];
    struct table t;
    const uint8_t *s;

    m.cpus = cpus;
    t = build(&m);
    s = find(&t, 4, 0);
    ck_assert_uint_eq(s[0x18], 0x41);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(s[0x23 + i], cpus > 255 ? 255 : cpus);
        ck_assert_uint_eq(rd16(s + 0x2a + 2 * i), cpus);
    }
    ck_assert_uint_eq(rd16(s + 0x26) >> 3 & 1, cpus > 1);
    guarded_free(&t.g);
}
END_TEST

/* RAM, and what the fields of types 16 and 17 must be for it. */
static const struct {
    uint64_t ram;
    uint32_t array_kib;
    uint64_t array_bytes;
    uint16_t size;
    uint32_t extended;
} sizes[] = {
    {16 * MIB, 16384, 0, 16, 0},
    {16 * MIB + 4 * KIB, 16388, 0, 0x8000 | 16388, 0},
    {33 * MIB + 4 * KIB, 33796, 0, 33, 0},
    {5 * GIB, 5 << 20, 0, 5120, 0},
    {32 * GIB - 2 * MIB, 33552384, 0, 0x7ffe, 0},
    {32 * GIB - MIB, 33553408, 0, 0x7fff, 0x7fff},
    {32 * GIB, 32 << 20, 0, 0x7fff, 32768},
    {2048 * GIB - MIB, 0x7ffffc00, 0, 0x7fff, 2097151},
    {2048 * GIB, 0x80000000, 2048 * GIB, 0x7fff, 2097152},
    {UINT64_C(0x7fffffff) * MIB, 0x80000000, UINT64_C(0x7fffffff) * MIB, 0x7fff, 0x7fffffff},
};

START_TEST(memory_size_is_told_in_the_field_that_holds_it)
{
    struct smbios_machine m = usual;
    struct table t;
    const uint8_t *array, *device;

    m.ram = sizes[_i].ram;
    t = build(&m);
    array = find(&t, 16, 0);
    ck_assert_uint_eq(rd32(array + 7), sizes[_i].array_kib);
    ck_assert_uint_eq(rd64(array + 15), sizes[_i].array_bytes);
    ck_assert_uint_eq(rd16(array + 13), 1);
    device = find(&t, 17, 0);
    ck_assert_uint_eq(rd16(device + 4), rd16(array + 2));
    ck_assert_uint_eq(rd16(device + 0x0c), sizes[_i].size);
    ck_assert_uint_eq(rd32(device + 0x1c), sizes[_i].extended);
    ck_assert_uint_eq(rd64(device + 0x3c), sizes[_i].ram);
    guarded_free(&t.g);
}
END_TEST

/* Reads a type 19 range as [start, last] in bytes. */
static void check_mapping(const struct table *t, unsigned n, uint64_t start, uint64_t size)
{
    const uint8_t *s = find(t, 19, n);
    uint64_t from, last;

    ck_assert_ptr_nonnull(s);
    ck_assert_uint_eq(rd16(s + 12), rd16(find(t, 16, 0) + 2));
    if (rd32(s + 4) == UINT32_MAX) {
        from = rd64(s + 15);
        last = rd64(s + 23);
    } else {
        from = rd32(s + 4) * KIB;
        last = rd32(s + 8) * KIB + KIB - 1;
    }
    ck_assert_uint_eq(from, start);
    ck_assert_uint_eq(last, start + size - 1);
}

START_TEST(mapped_ranges_cover_ram_around_the_hole)
{
    const uint64_t high[] = {1 * GIB, 4092 * GIB - KIB, 4092 * GIB, 8000 * GIB};
    struct smbios_machine m = usual;
    struct table t = build(&m);

    check_mapping(&t, 0, 0, 128 * MIB);
    ck_assert_ptr_null(find(&t, 19, 1));
    guarded_free(&t.g);

    m.low_ram = m.ram; /* all of it is low */
    t = build(&m);
    check_mapping(&t, 0, 0, 128 * MIB);
    ck_assert_ptr_null(find(&t, 19, 1));
    guarded_free(&t.g);

    for (size_t i = 0; i < sizeof(high) / sizeof(high[0]); i++) {
        m.low_ram = 3 * GIB;
        m.ram = 3 * GIB + high[i];
        t = build(&m);
        check_mapping(&t, 0, 0, 3 * GIB);
        check_mapping(&t, 1, 4 * GIB, high[i]);
        ck_assert_ptr_null(find(&t, 19, 2));
        guarded_free(&t.g);
    }
}
END_TEST

START_TEST(every_short_buffer_is_refused)
{
    struct table t = build(&usual);
    size_t len;

    for (size_t cap = 0; cap < t.len; cap++) {
        struct guarded g = guarded_new(cap);

        ck_assert_int_eq(smbios_build(&usual, GPA, g.bytes, cap, &len), -ENOSPC);
        ck_assert(guarded_intact(&g));
        guarded_free(&g);
    }
    guarded_free(&t.g);
}
END_TEST

static int build_bad(struct smbios_machine m, uint64_t gpa)
{
    static uint8_t buf[0x20000];
    size_t len;

    return smbios_build(&m, gpa, buf, sizeof(buf), &len);
}

START_TEST(what_cannot_be_expressed_is_refused)
{
    const uint64_t bad_gpa[] = {0, 0xe0000, 0xf0008, 0xefff0, 0x100000, UINT64_MAX - 15};
    static char long_name[0x11000];
    struct smbios_machine m = usual;

    for (size_t i = 0; i < sizeof(bad_gpa) / sizeof(bad_gpa[0]); i++)
        ck_assert_int_eq(build_bad(usual, bad_gpa[i]), -EINVAL);
    ck_assert_int_eq(build_bad(usual, 0xffff0), -EINVAL); /* its table would lie in RAM */
    m.cpus = 0;
    ck_assert_int_eq(build_bad(m, GPA), -EINVAL);
    m.cpus = 65535;
    ck_assert_int_eq(build_bad(m, GPA), -EINVAL);
    m = usual;
    m.ram = 0;
    ck_assert_int_eq(build_bad(m, GPA), -EINVAL);
    m.ram = UINT64_MAX;
    ck_assert_int_eq(build_bad(m, GPA), -EINVAL);
    m = usual;
    m.low_ram = m.ram + 1;
    ck_assert_int_eq(build_bad(m, GPA), -EINVAL);
    m = usual;
    memset(long_name, 'n', sizeof(long_name) - 1);
    m.name = long_name;
    ck_assert_int_eq(build_bad(m, GPA), -EINVAL);
}
END_TEST

static const struct {
    const char *name;
    struct smbios_machine machine;
} dumps[] = {
    {"small", {.ram = 16 * MIB, .cpus = 1, .version = "0", .name = "s"}},
    {"split", {.ram = 5 * GIB, .low_ram = 3 * GIB, .cpus = 4, .version = "1.2.3", .name = "vm"}},
    {"large", {.ram = 6000 * GIB, .low_ram = 3 * GIB, .cpus = 254, .version = "1", .name = "vm"}},
    {"nameless", {.ram = 128 * MIB, .cpus = 1}},
};

/* As a dump, the table stands at offset 32 of the file and the entry point says so. */
START_TEST(dump_machine)
{
    struct smbios_machine m = dumps[_i].machine;
    uint8_t *p;
    struct table t;

    memcpy(m.uuid, usual.uuid, sizeof(m.uuid));
    t = build(&m);
    p = t.g.bytes;
    memset(p + 16, 0, 8);
    p[16] = 32;
    p[5] = 0;
    p[5] = (uint8_t)-byte_sum(p, 24);
    dump_file(p, t.len, "%s.dump", dumps[_i].name);
    guarded_free(&t.g);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("firmware/smbios");
    TCase *t = tcase_create("smbios");

    suite_add_tcase(s, t);
    if (dump_dir) {
        tcase_add_loop_test(t, dump_machine, 0, (int)(sizeof(dumps) / sizeof(dumps[0])));
        return s;
    }
    tcase_add_test(t, structures_come_in_order_with_their_lengths_and_unique_handles);
    tcase_add_loop_test(t, each_text_is_referred_to_once, 0,
                        (int)(sizeof(references) / sizeof(references[0])));
    tcase_add_test(t, bios_is_a_virtual_machine_without_uefi);
    tcase_add_test(t, system_has_names_and_uuid_in_smbios_order);
    tcase_add_test(t, texts_that_are_not_there_leave_no_gap);
    tcase_add_loop_test(t, processor_counts_cores, 0,
                        (int)(sizeof(cpu_counts) / sizeof(cpu_counts[0])));
    tcase_add_loop_test(t, memory_size_is_told_in_the_field_that_holds_it, 0,
                        (int)(sizeof(sizes) / sizeof(sizes[0])));
    tcase_add_test(t, mapped_ranges_cover_ram_around_the_hole);
    tcase_add_test(t, every_short_buffer_is_refused);
    tcase_add_test(t, what_cannot_be_expressed_is_refused);
    return s;
}

int main(int argc, char **argv)
{
    return dump_main(argc, argv, suite);
}
