/* Sizes, durations and near misses: text to number and back. */
#include <errno.h>
#include <inttypes.h>

#include "devices/core/nearest.h"
#include "devices/core/number.h"
#include "hv/config_number.h"
#include "hv/mode.h"
#include "hv/test/config_world.h"
#include "hv/test/run_suite.h"

struct good {
    const char *text;
    uint64_t value;
};

struct bad {
    const char *text;
    int err;
};

typedef int parse_fn(const char *text, uint64_t *value);

static void expect_good(parse_fn *parse, const struct good *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 0xdead;

        ck_assert_msg(parse(cases[i].text, &value) == 0, "\"%s\" refused", cases[i].text);
        ck_assert_msg(value == cases[i].value, "\"%s\" is %" PRIu64, cases[i].text, value);
    }
}

static void expect_bad(parse_fn *parse, const struct bad *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value;
        int err = parse(cases[i].text, &value);

        ck_assert_msg(err == cases[i].err, "\"%s\" gave %d", cases[i].text, err);
    }
}

START_TEST(sizes_of_every_unit_are_read)
{
    static const struct good cases[] = {
        {"64", 64 * MIB},
        {"0", 0},
        {"1B", 1},
        {"2048K", 2 * MIB},
        {"512M", 512 * MIB},
        {"512m", 512 * MIB},
        {"1g", GIB},
        {"1G", GIB},
        {"2T", 2048 * GIB},
        {"4KiB", 4096},
        {"4MiB", 4 * MIB},
        {"4GiB", 4 * GIB},
        {"1TiB", 1024 * GIB},
        {"4KB", 4000},
        {"4kB", 4000},
        {"4MB", 4000000},
        {"4GB", UINT64_C(4000000000)},
        {"1TB", UINT64_C(1000000000000)},
        {"0064", 64 * MIB},
        {"17592186044415", UINT64_C(17592186044415) * MIB},
        {"18446744073709551615B", UINT64_MAX},
    };

    expect_good(parse_size, cases, ARRAY_SIZE(cases));
}
END_TEST

START_TEST(sizes_that_are_none_are_refused)
{
    static const struct bad cases[] = {
        {"", -EINVAL},
        {" ", -EINVAL},
        {" 1", -EINVAL},
        {"1 ", -EINVAL},
        {"1 G", -EINVAL},
        {"-1", -EINVAL},
        {"+1", -EINVAL},
        {"G", -EINVAL},
        {"0x10", -EINVAL},
        {"1.5G", -EINVAL},
        {"1e3", -EINVAL},
        {"1GG", -EINVAL},
        {"1Gi", -EINVAL},
        {"1GIB", -EINVAL},
        {"1Gb", -EINVAL},
        {"1P", -EINVAL},
        {"1M\n", -EINVAL},
        {"\xd9\xa1", -EINVAL},
        /* 2^44 MiB is 2^64 bytes: it must not wrap to 0. */
        {"17592186044416", -ERANGE},
        {"17592186044417", -ERANGE},
        {"16777216T", -ERANGE},
        {"18446744073709551616B", -ERANGE},
        {"18446744073709551615K", -ERANGE},
        {"99999999999999999999999999", -ERANGE},
    };

    expect_bad(parse_size, cases, ARRAY_SIZE(cases));
}
END_TEST

START_TEST(durations_of_every_unit_are_read)
{
    static const struct good cases[] = {
        {"10", 10000},  {"0", 0},        {"1500ms", 1500}, {"1s", 1000},
        {"2m", 120000}, {"1h", 3600000}, {"0ms", 0},       {"18446744073709551615ms", UINT64_MAX},
    };

    expect_good(parse_duration, cases, ARRAY_SIZE(cases));
}
END_TEST

START_TEST(durations_that_are_none_are_refused)
{
    static const struct bad cases[] = {
        {"", -EINVAL},
        {"-1", -EINVAL},
        {"1.5", -EINVAL},
        {"s", -EINVAL},
        {"1 s", -EINVAL},
        {"1sec", -EINVAL},
        {"1d", -EINVAL},
        {"1msx", -EINVAL},
        {"18446744073709552", -ERANGE},
        {"18446744073709551616ms", -ERANGE},
        {"5124095576030432h", -ERANGE},
    };

    expect_bad(parse_duration, cases, ARRAY_SIZE(cases));
}
END_TEST

START_TEST(sizes_are_written_in_their_largest_exact_unit)
{
    static const struct good cases[] = {
        {"0", 0},
        {"1B", 1},
        {"4097B", 4097},
        {"1K", 1024},
        {"1536M", 1536 * MIB},
        {"1G", GIB},
        {"3T", 3072 * GIB},
        {"2048T", UINT64_C(1) << 51},
    };
    char text[40];

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        number_format_size(cases[i].value, text, sizeof(text));
        ck_assert_str_eq(text, cases[i].text);
    }
}
END_TEST

START_TEST(durations_are_written_in_their_largest_exact_unit)
{
    static const struct good cases[] = {
        {"0", 0}, {"1ms", 1}, {"1500ms", 1500}, {"90s", 90000}, {"2m", 120000}, {"24h", 86400000},
    };
    char text[40];

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        format_duration(cases[i].value, text, sizeof(text));
        ck_assert_str_eq(text, cases[i].text);
    }
}
END_TEST

START_TEST(what_is_written_reads_back_equal)
{
    unsigned seed = 1;

    for (unsigned i = 0; i < 20000; i++) {
        uint64_t value = (uint64_t)(unsigned)rand_r(&seed) << (i % 33), back = 0;
        char text[40];

        number_format_size(value, text, sizeof(text));
        ck_assert_int_eq(parse_size(text, &back), 0);
        ck_assert_uint_eq(back, value);
        format_duration(value, text, sizeof(text));
        ck_assert_int_eq(parse_duration(text, &back), 0);
        ck_assert_uint_eq(back, value);
    }
}
END_TEST

START_TEST(edit_distance_counts_slips)
{
    ck_assert_uint_eq(edit_distance("", ""), 0);
    ck_assert_uint_eq(edit_distance("", "abc"), 3);
    ck_assert_uint_eq(edit_distance("abc", ""), 3);
    ck_assert_uint_eq(edit_distance("abc", "abc"), 0);
    ck_assert_uint_eq(edit_distance("abc", "abd"), 1);
    ck_assert_uint_eq(edit_distance("abc", "ab"), 1);
    ck_assert_uint_eq(edit_distance("abc", "xabc"), 1);
    ck_assert_uint_eq(edit_distance("memroy", "memory"), 1);
    ck_assert_uint_eq(edit_distance("kitten", "sitting"), 3);
    ck_assert_uint_eq(
        edit_distance("abcdefghijklmnopqrstuvwxyz012345", "zbcdefghijklmnopqrstuvwxyz012345"), 1);
}
END_TEST

static const char *nearest_to(const char *word)
{
    static const char *const words[] = {"memory", "mode", "cpus", "console", "console-limit"};
    struct nearest nearest = {.word = word};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        nearest_offer(&nearest, words[i]);
    return nearest.best;
}

START_TEST(nearest_word_is_near_or_none)
{
    ck_assert_pstr_eq(nearest_to("memroy"), "memory");
    ck_assert_pstr_eq(nearest_to("mem"), "memory");
    ck_assert_pstr_eq(nearest_to("moed"), "mode");
    ck_assert_pstr_eq(nearest_to("cpu"), "cpus");
    ck_assert_pstr_eq(nearest_to("consoel"), "console");
    ck_assert_pstr_eq(nearest_to("console-limits"), "console-limit");
    ck_assert_ptr_null(nearest_to("frobnicate"));
    ck_assert_ptr_null(nearest_to(""));
    ck_assert_ptr_null(nearest_to("m"));
    ck_assert_ptr_null(nearest_to("memorymemorymemorymemorymemorymemory"));
}
END_TEST

START_TEST(modes_are_found_by_their_whole_name)
{
    for (unsigned i = 0; i < mode_count; i++)
        ck_assert_ptr_eq(mode_find(modes[i].name), &modes[i]);
    ck_assert_ptr_null(mode_find(""));
    ck_assert_ptr_null(mode_find("p"));
    ck_assert_ptr_null(mode_find("pvx"));
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(sizes_of_every_unit_are_read),
        CASE(sizes_that_are_none_are_refused),
        CASE(durations_of_every_unit_are_read),
        CASE(durations_that_are_none_are_refused),
        CASE(sizes_are_written_in_their_largest_exact_unit),
        CASE(durations_are_written_in_their_largest_exact_unit),
        CASE(what_is_written_reads_back_equal),
        CASE(edit_distance_counts_slips),
        CASE(nearest_word_is_near_or_none),
        CASE(modes_are_found_by_their_whole_name),
    };

    return run_suite("config_value", cases, ARRAY_SIZE(cases));
}
