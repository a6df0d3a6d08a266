/* Rules about lines: expect.h. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/suite/expect.h"
#include "hv/test/run_suite.h"

static struct expectation expectation;
static struct expect *expect;
static char why[SUITE_REASON_MAX];

static void rule(const char *regex, enum suite_stream stream, bool forbid)
{
    expectation.rule[expectation.rules++] =
        (struct line_rule){.regex = (char *)regex, .stream = stream, .forbid = forbid};
}

static void start(void)
{
    expect = expect_create(&expectation);
    ck_assert_ptr_nonnull(expect);
}

static bool broken(void)
{
    return expect_broken(expect, why);
}

static void feed(enum suite_stream stream, const char *line)
{
    expect_feed(expect, stream, line, strlen(line));
}

START_TEST(a_wanted_line_must_come_on_its_stream)
{
    rule("^ready: [0-9]+$", STREAM_STDOUT, false);
    start();
    feed(STREAM_CONSOLE, "ready: 1");
    feed(STREAM_STDOUT, "not ready: 1");
    feed(STREAM_STDOUT, "ready: 1x");
    ck_assert(broken());
    ck_assert_str_eq(why, "no line on stdout matches /^ready: [0-9]+$/");
    feed(STREAM_STDOUT, "ready: 12");
    ck_assert(!broken());
    expect_destroy(expect);
}
END_TEST

START_TEST(a_forbidden_line_is_shown)
{
    rule("never", STREAM_STDERR, false);
    rule("err(or)?s", STREAM_STDERR, true);
    start();
    feed(STREAM_STDERR, "no error");
    feed(STREAM_STDERR, "two errors here");
    feed(STREAM_STDERR, "more errors");
    ck_assert(broken());
    ck_assert_str_eq(why, "forbidden line on stderr: two errors here");
    expect_destroy(expect);
}
END_TEST

START_TEST(alternatives_and_anchors_mean_what_they_say)
{
    rule("a|^b", STREAM_STDOUT, false);
    rule("x$|y", STREAM_STDERR, true);
    start();
    feed(STREAM_STDOUT, "cb");
    feed(STREAM_STDERR, "xa");
    ck_assert(broken());
    feed(STREAM_STDOUT, "bc");
    ck_assert(!broken());
    feed(STREAM_STDERR, "aax");
    ck_assert(broken());
    expect_destroy(expect);
}
END_TEST

START_TEST(odd_bytes_are_no_end_of_a_line)
{
    rule("end$", STREAM_CONSOLE, false);
    rule("^\xff.*", STREAM_CONSOLE, false);
    start();
    expect_feed(expect, STREAM_CONSOLE, "\xff\xfe\0\0 end", 8);
    ck_assert(!broken());
    expect_destroy(expect);
}
END_TEST

START_TEST(only_the_start_of_a_long_line_is_matched)
{
    static char line[100000];

    memset(line, 'a', sizeof(line));
    line[5000] = 'b';
    line[4000] = 'c';
    rule("b", STREAM_CONSOLE, true);
    rule("c", STREAM_CONSOLE, false);
    start();
    expect_feed(expect, STREAM_CONSOLE, line, sizeof(line));
    ck_assert(!broken());
    expect_destroy(expect);
}
END_TEST

START_TEST(bad_expressions_are_refused_with_a_reason)
{
    static const struct {
        const char *regex, *why;
    } rows[] = {
        {"(a", "nmatched"},
        {"[a", "nmatched"},
        {"a)", "nmatched"},
        {"a)|(b", "nmatched"},
        {"(a)\\1", "back-references"},
        {"a{1001}", "repetitions"},
        {"((a{50}){50}){50}", "repetitions"},
        {"(((((((((((a+)+)+)+)+)+)+)+)+)+)+)+", "repetitions"},
        {"a{30}{30}{30}", "repetitions"},
        {"a{65536}", "repetitions"},
        {"((((((((a*)+)+)+)+)+)+)+)+", "empty"},
        {"a*+*+*++", "empty"},
        {"(a?b*|c)*", "empty"},
        {"(c|)+", "empty"},
        {"(x(y|z?))*(a*(b|c*))*", "empty"},
        {"(^|$){3}", "empty"},
        {"(a?){1,2}", "empty"},
        {"a{2,99999999999999999999}", "repetitions"},
        {"((((((((((((((((((((((a))))))))))))))))))))))", "groups"},
    };
    static char longest[600];

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        ck_assert_msg(expect_bad_regex(rows[i].regex, why, sizeof(why)), "%s", rows[i].regex);
        ck_assert_msg(strstr(why, rows[i].why), "%s: %s", rows[i].regex, why);
    }
    memset(longest, 'a', sizeof(longest) - 1);
    ck_assert(expect_bad_regex(longest, why, sizeof(why)));
}
END_TEST

START_TEST(good_expressions_are_taken)
{
    static const char *const rows[] = {
        "",        "a",          "^a.*b$",       "[0-9]{1,3}(\\.[0-9]{1,3}){3}",
        "[]]",     "[^]a]",      "[[:alpha:]]+", "\\(x\\)",
        "a{0}",    "a{0,}b",     "a{,3}b",       "(a?b)*",
        "(a*|b)?", "((x?)y|z)+", "a++",          "(a*)?b",
        "[\\1]",   "a|b|(c|d)",  "\\[",          "[[.-.]]x|y",
        "(ab?c*)+"};

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        ck_assert_msg(!expect_bad_regex(rows[i], why, sizeof(why)), "%s: %s", rows[i], why);
}
END_TEST

/* Bytes that malloc has given out; 0 where a sanitizer does its work. */
static size_t in_use(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

/* An automaton of some thousand states, and text that meets most of them. */
START_TEST(text_does_not_grow_the_automaton_without_end)
{
    size_t least = SIZE_MAX, most = 0;
    unsigned random = 1;
    char line[1000];

    rule("a..........c$", STREAM_CONSOLE, true);
    start();
    for (unsigned i = 0; i < 24; i++) {
        for (unsigned j = 0; j < sizeof(line); j++) {
            random = random * 1103515245 + 12345;
            line[j] = "ab"[random >> 30 & 1];
        }
        expect_feed(expect, STREAM_CONSOLE, line, sizeof(line));
        most = in_use() > most ? in_use() : most;
        if (i > 4)
            least = in_use() < least ? in_use() : least;
    }
    ck_assert(!broken());
    ck_assert_uint_lt(most, 16 * MIB);
    ck_assert_uint_lt(least, MIB);
    expect_destroy(expect);
}
END_TEST

START_TEST(nothing_expected_is_never_broken)
{
    start();
    feed(STREAM_CONSOLE, "x");
    ck_assert(!broken());
    expect_destroy(expect);
    expect_destroy(NULL);
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(a_wanted_line_must_come_on_its_stream),
        CASE(a_forbidden_line_is_shown),
        CASE(alternatives_and_anchors_mean_what_they_say),
        CASE(odd_bytes_are_no_end_of_a_line),
        CASE(only_the_start_of_a_long_line_is_matched),
        CASE(bad_expressions_are_refused_with_a_reason),
        CASE(good_expressions_are_taken),
        CASE(text_does_not_grow_the_automaton_without_end),
        CASE(nothing_expected_is_never_broken),
    };

    return run_suite("suite-expect", cases, ARRAY_SIZE(cases));
}
