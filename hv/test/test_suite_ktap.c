/*
 * KTAP: the logs of hv/test/ktap against the counts that kunit.py gives for them, the list of
 * cases, and what a hostile guest may print.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/suite/ktap.h"
#include "hv/test/run_suite.h"

static struct ktap_result result;

static void feed(struct ktap *ktap, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");

        ktap_feed(ktap, text, len);
        text += len + (text[len] == '\n');
    }
}

static void finish(struct ktap *ktap)
{
    ktap_result_free(&result);
    ktap_finish(ktap, &result);
    ktap_destroy(ktap);
}

static void read_text(const char *text)
{
    struct ktap *ktap = ktap_create();

    feed(ktap, text);
    finish(ktap);
}

static void read_log(const char *name)
{
    struct ktap *ktap = ktap_create();
    char path[200], *line = NULL;
    size_t room = 0;
    ssize_t len;
    FILE *file;

    snprintf(path, sizeof(path), "hv/test/ktap/%s.log", name);
    file = fopen(path, "r");
    ck_assert_msg(file, "%s cannot be read; tests run in the repository's root", path);
    while ((len = getline(&line, &room, file)) > 0)
        ktap_feed(ktap, line, (size_t)len - (line[len - 1] == '\n'));
    free(line);
    fclose(file);
    finish(ktap);
}

static void counts_are(const char *name, const struct ktap_counts *want)
{
    const struct ktap_counts *n = &result.counts;

    ck_assert_msg(!memcmp(n, want, sizeof(*n)),
                  "%s: %u passed, %u failed, %u skipped, %u crashed, %u errors; wanted %u %u %u %u "
                  "%u",
                  name, n->passed, n->failed, n->skipped, n->crashed, n->errors, want->passed,
                  want->failed, want->skipped, want->crashed, want->errors);
}

/* The list must tell the same story as the counts. */
static void cases_fit_counts(const char *name)
{
    unsigned n[KTAP_EMPTY + 1] = {0};

    for (unsigned i = 0; i < result.case_count; i++)
        n[result.cases[i].status]++;
    ck_assert_msg(
        n[KTAP_PASSED] == result.counts.passed && n[KTAP_FAILED] == result.counts.failed &&
            n[KTAP_SKIPPED] == result.counts.skipped && n[KTAP_CRASHED] == result.counts.crashed,
        "%s: cases do not fit the counts", name);
}

START_TEST(logs_count_as_in_kunit)
{
    FILE *file = fopen("hv/test/ktap/expected", "r");
    struct ktap_counts want;
    char line[200], name[100];
    unsigned logs = 0;

    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof(line), file)) {
        if (sscanf(line, "%99s %u %u %u %u %u", name, &want.passed, &want.failed, &want.skipped,
                   &want.crashed, &want.errors) != 6)
            continue;
        read_log(name);
        counts_are(name, &want);
        cases_fit_counts(name);
        logs++;
    }
    fclose(file);
    ck_assert_uint_gt(logs, 30);
}
END_TEST

static void case_is(unsigned i, const char *name, enum ktap_status status)
{
    ck_assert_uint_lt(i, result.case_count);
    ck_assert_str_eq(result.cases[i].name, name);
    ck_assert_int_eq(result.cases[i].status, status);
}

START_TEST(cases_have_the_path_of_their_suites)
{
    read_log("parameters");
    ck_assert_uint_eq(result.case_count, 4);
    case_is(0, "math.gcd.small", KTAP_PASSED);
    case_is(2, "math.gcd.zero", KTAP_FAILED);
    case_is(3, "math.lcm", KTAP_PASSED);
}
END_TEST

START_TEST(suites_that_are_named_at_their_end_name_their_cases)
{
    read_log("subtest-header");
    case_is(0, "group.case", KTAP_PASSED);
    case_is(1, "tree.branch.leaf", KTAP_PASSED);
    case_is(2, "tree.twig", KTAP_PASSED);
    read_text(
        "KTAP version 1\n1..1\n# Subtest: a\n1..1\nKTAP version 1\n1..1\nok 1 c\nok 1 b\nok 1 a");
    case_is(0, "a.b.c", KTAP_PASSED);
}
END_TEST

START_TEST(missing_and_empty_cases_are_listed)
{
    read_log("too-few-in-suite");
    case_is(0, "s.a", KTAP_PASSED);
    case_is(1, "s.2", KTAP_CRASHED);
    case_is(3, "s.4", KTAP_CRASHED);
    read_log("no-tests-no-plan");
    case_is(0, "group.member", KTAP_EMPTY);
    case_is(1, "group", KTAP_PASSED);
    read_log("failure-nested");
    case_is(0, "group one.part of one", KTAP_PASSED);
    case_is(1, "group one", KTAP_FAILED);
}
END_TEST

START_TEST(a_failed_case_keeps_its_log)
{
    read_log("failure");
    case_is(4, "bitmap.bitmap_zero", KTAP_FAILED);
    ck_assert_str_eq(result.cases[4].log, "\t# bitmap_zero: EXPECTATION FAILED at lib/test.c:30\n"
                                          "\t    Expected 1 == 2\n");
    ck_assert_ptr_null(result.cases[0].log);
}
END_TEST

START_TEST(good_is_only_what_is_whole)
{
    static const char *const good[] = {"all-passed", "skip", "skip-all", "hyphen"};
    static const char *const bad[] = {"failure",          "crash",   "empty",
                                      "no-tests-run",     "too-few", "wrong-numbers",
                                      "no-tests-no-plan", "versions"};

    for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
        read_log(good[i]);
        ck_assert_msg(ktap_good(&result), "%s: %s", good[i], result.error);
        ck_assert_str_eq(result.error, "");
    }
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        read_log(bad[i]);
        ck_assert_msg(!ktap_good(&result), "%s", bad[i]);
    }
}
END_TEST

START_TEST(a_failure_behind_the_plan_is_not_good)
{
    read_log("too-many");
    ck_assert_uint_eq(result.counts.passed, 2);
    ck_assert_uint_eq(result.counts.errors, 0);
    ck_assert(!ktap_good(&result));
    read_text("TAP version 13\n1..1\nok 1 a\n[ 1.5] TAP version 13\n[ 1.5] not ok 1 b\n");
    ck_assert(!ktap_good(&result));
    read_text("TAP version 13\n1..1\nok 1 a\nTAP version 13\nok 1 b\nnot ok 2 c # SKIP\n");
    ck_assert(ktap_good(&result));
}
END_TEST

START_TEST(an_error_says_where_it_was)
{
    read_log("too-few-in-suite");
    ck_assert_str_eq(result.error, "s: fewer results than its plan promised");
    read_text("ok 1 - without a version\n");
    ck_assert(!result.found);
    ck_assert_str_eq(result.error, "no line says KTAP version or TAP version");
}
END_TEST

START_TEST(a_million_cases_are_counted_and_a_part_listed)
{
    struct ktap *ktap = ktap_create();
    char line[64];

    feed(ktap, "KTAP version 1\n1..300000\n");
    for (unsigned i = 1; i <= 300000; i++)
        ktap_feed(ktap, line, (size_t)snprintf(line, sizeof(line), "ok %u case %u", i, i));
    finish(ktap);
    ck_assert_uint_eq(result.counts.passed, 300000);
    ck_assert_uint_eq(result.case_count, KTAP_MAX_CASES);
    ck_assert_uint_eq(result.unlisted, 300000 - KTAP_MAX_CASES);
    ck_assert(ktap_good(&result));
}
END_TEST

START_TEST(a_thousand_suites_in_each_other_end)
{
    struct ktap *ktap = ktap_create();

    for (unsigned i = 0; i < 1000; i++)
        feed(ktap, "KTAP version 1\n# Subtest: s\n1..2\n");
    for (unsigned i = 0; i < 1000; i++)
        feed(ktap, "ok 1 a\nok 1 s\n");
    finish(ktap);
    ck_assert(result.found);
    ck_assert(!ktap_good(&result));
    ck_assert_uint_lt(result.case_count, 3000);
}
END_TEST

START_TEST(promises_without_end_cost_nothing)
{
    read_text("KTAP version 1\n1..99999999999999999999999\n# Subtest: s\n1..18446744073709551615\n"
              "ok 18446744073709551616 a\n");
    ck_assert_uint_eq(result.case_count, KTAP_MAX_CASES);
    ck_assert_uint_eq(result.counts.crashed, UINT32_MAX);
    ck_assert_uint_eq(result.counts.errors, UINT32_MAX);
}
END_TEST

START_TEST(long_lines_and_odd_bytes_are_taken)
{
    struct ktap *ktap = ktap_create();
    static char line[100000];

    memset(line, 'x', sizeof(line));
    memcpy(line, "ok 1 ", 5);
    feed(ktap, "KTAP version 1\n1..2\n");
    ktap_feed(ktap, line, sizeof(line));
    ktap_feed(ktap, "not ok 2 a\0\xff\x1b[31m", 17);
    finish(ktap);
    ck_assert_uint_eq(result.counts.passed, 1);
    ck_assert_uint_lt(strlen(result.cases[0].name), 600);
    ck_assert_str_eq(result.cases[1].name, "a?\xff?[31m");
}
END_TEST

START_TEST(diagnostics_without_end_are_bounded)
{
    struct ktap *ktap = ktap_create();

    feed(ktap, "KTAP version 1\n1..2000\n");
    for (unsigned i = 0; i < 2000; i++) {
        for (unsigned j = 0; j < 100; j++)
            feed(ktap,
                 "# one hundred bytes of diagnostics, more or less, from a test that fails\n");
        feed(ktap, "not ok 1 a\n");
    }
    finish(ktap);
    ck_assert_uint_eq(result.counts.failed, 2000);
    ck_assert_uint_lt(strlen(result.cases[0].log), 5000);
    ck_assert_ptr_null(result.cases[1999].log);
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(logs_count_as_in_kunit),
        CASE(cases_have_the_path_of_their_suites),
        CASE(suites_that_are_named_at_their_end_name_their_cases),
        CASE(missing_and_empty_cases_are_listed),
        CASE(a_failed_case_keeps_its_log),
        CASE(good_is_only_what_is_whole),
        CASE(a_failure_behind_the_plan_is_not_good),
        CASE(an_error_says_where_it_was),
        CASE(a_million_cases_are_counted_and_a_part_listed),
        CASE(a_thousand_suites_in_each_other_end),
        CASE(promises_without_end_cost_nothing),
        CASE(long_lines_and_odd_bytes_are_taken),
        CASE(diagnostics_without_end_are_bounded),
    };

    return run_suite("suite-ktap", cases, ARRAY_SIZE(cases));
}
