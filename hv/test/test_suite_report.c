/* The writers of hv test: each must be valid whatever a guest printed, and count right. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hv/suite/report.h"
#include "hv/suite/text.h"
#include "hv/test/run_suite.h"

#define ODD "<&>\"'\x01\x1b[2J\xff\xc3\xa4\xed\xa0\x80]]>#\\"

static struct ktap_case cases[] = {
    {.name = (char *)"s.a", .status = KTAP_PASSED},
    {.name = (char *)"s.<b>", .status = KTAP_FAILED, .log = (char *)ODD},
    {.name = (char *)"s.c#", .status = KTAP_CRASHED},
    {.name = (char *)"s.d", .status = KTAP_SKIPPED},
    {.name = (char *)"e", .status = KTAP_EMPTY}};
static struct splat splats[] = {
    {.title = (char *)"BUG: " ODD, .text = (char *)"BUG: \n" ODD "\n", .count = 2}};
static char *run[] = {(char *)"run", (char *)"-k", (char *)"bz\xffImage", NULL};
static struct boot_spec specs[5];
static struct boot_record records[5];
static struct suite suite;
static char path[64];

/* One boot of each kind: passed, panicked with results, hv failed, not run, failed. */
static void make_suite(void)
{
    static const char *const names[] = {"good", "bad:<1>", "host", "late", "fail"};
    static const enum verdict verdicts[] = {VERDICT_PASS, VERDICT_PANIC, VERDICT_HOST,
                                            VERDICT_NOT_RUN, VERDICT_FAIL};

    for (unsigned i = 0; i < ARRAY_SIZE(records); i++) {
        specs[i] = (struct boot_spec){
            .name = (char *)names[i], .stanza = (char *)names[i], .line = i, .run = run};
        records[i] = (struct boot_record){.spec = &specs[i],
                                          .verdict = verdicts[i],
                                          .end = "poweroff",
                                          .guest_status = -1,
                                          .first_byte_ms = 1,
                                          .boot_ms = 10.5,
                                          .total_ms = 1500,
                                          .reproduce = (char *)"hv run -k 'a b'",
                                          .dir = (char *)"out/x"};
        if (verdicts[i] != VERDICT_PASS) {
            snprintf(records[i].reason, SUITE_REASON_MAX, "why " ODD);
            records[i].tail = (char *)"last\n" ODD "\n";
        }
    }
    specs[1].expect.ktap = KTAP_CONSOLE;
    records[1].splats = splats;
    records[1].splat_count = 1;
    records[1].ktap = (struct ktap_result){.found = true,
                                           .counts = {1, 1, 1, 1, 1},
                                           .cases = cases,
                                           .case_count = ARRAY_SIZE(cases),
                                           .error = "odd\xff"};
    records[3].status = -1;
    records[3].boot_ms = records[3].total_ms = -1;
    records[4].instructions = true;
    suite = (struct suite){
        .plan = "a<plan>", .records = records, .count = ARRAY_SIZE(records), .elapsed_ms = 2500};
    snprintf(path, sizeof(path), "/tmp/hv-test-report-%d", getpid());
}

static char *slurp(void)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 100000);

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_gt(fread(text, 1, 99999, file), 0);
    fclose(file);
    return text;
}

static void has(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part), "no %s in:\n%s", part, text);
}

START_TEST(guest_text_is_made_fit)
{
    static const struct {
        const char *text, *clean;
    } rows[] = {
        {"a\tb\nc", "a\tb\nc"},
        {"\x01\x1b\x7f\r", "????"},
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\xc3", "?"},
        {"\xc3(", "?("},
        {"\xc0\xaf", "??"},           /* overlong */
        {"\xc2\x9b", "??"},           /* a terminal's control character */
        {"\xed\xa0\x80", "???"},      /* surrogate */
        {"\xef\xbf\xbf", "???"},      /* no character of XML */
        {"\xf4\x90\x80\x80", "????"}, /* behind the last one */
        {"\xf8\x88\x80\x80\x80", "?????"},
        {"\xe2\x82", "??"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        char *clean = text_clean(rows[i].text);

        ck_assert_str_eq(clean, rows[i].clean);
        free(clean);
    }
    ck_assert_ptr_null(text_clean(NULL));
}
END_TEST

/* By xmllint against the schema, where there is one; what it finds is on stderr. */
START_TEST(junit_fits_its_schema)
{
    char command[200];

    make_suite();
    ck_assert_int_eq(junit_write(&suite, path), 0);
    snprintf(command, sizeof(command), "xmllint --nonet --noout --schema hv/test/junit.xsd %s",
             path);
    ck_assert_int_eq(system(command), 0);
    unlink(path);
}
END_TEST

START_TEST(junit_counts_are_right)
{
    char *text;

    make_suite();
    ck_assert_int_eq(junit_write(&suite, path), 0);
    text = slurp();
    has(text, "<testsuites name=\"a&lt;plan&gt;\" tests=\"10\" failures=\"4\" errors=\"1\" "
              "time=\"2.500\">");
    has(text, "<testsuite name=\"good\" tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"0\" "
              "time=\"1.500\">");
    has(text, "<testsuite name=\"bad:&lt;1&gt;\" tests=\"6\" failures=\"3\" errors=\"0\" "
              "skipped=\"2\" time=\"1.500\">");
    has(text, "<testsuite name=\"host\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\"");
    has(text, "<testsuite name=\"late\" tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"1\"");
    free(text);
    unlink(path);
}
END_TEST

START_TEST(junit_says_what_failed_and_how_to_repeat_it)
{
    char *text;

    make_suite();
    ck_assert_int_eq(junit_write(&suite, path), 0);
    text = slurp();
    has(text,
        "<failure type=\"panic\" message=\"why &lt;&amp;&gt;&quot;'??[2J?\xc3\xa4???]]&gt;#\\\">");
    has(text, "<error type=\"host\"");
    has(text, "<failure type=\"fail\" message=\"crashed: no result came\"></failure>");
    has(text, "<property name=\"reproduce\" value=\"hv run -k 'a b'\"/>");
    has(text, "<property name=\"verdict\" value=\"panic\"/>");
    has(text, "<property name=\"boot_minstr\" value=\"10.500\"/>");
    has(text, "<testcase classname=\"bad:&lt;1&gt;\" name=\"s.a\"/>");
    free(text);
    unlink(path);
}
END_TEST

static const char *string_of(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

START_TEST(json_holds_everything)
{
    const json_t *boot, *ktap;
    json_error_t error;
    json_t *o;

    make_suite();
    ck_assert_int_eq(json_write(&suite, path), 0);
    o = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(o, "%s", error.text);
    ck_assert_str_eq(string_of(o, "plan"), "a<plan>");
    ck_assert_int_eq(json_integer_value(json_object_get(o, "elapsed_ms")), 2500);
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(o, "counts"), "panic")), 1);
    ck_assert_uint_eq(json_object_size(json_object_get(o, "counts")), VERDICT_COUNT - 1);
    boot = json_array_get(json_object_get(o, "boots"), 1);
    ck_assert_str_eq(string_of(boot, "verdict"), "panic");
    ck_assert_str_eq(string_of(boot, "reason"), "why <&>\"'??[2J?\xc3\xa4???]]>#\\");
    ck_assert_str_eq(string_of(boot, "clock"), "time");
    ck_assert_uint_eq(json_array_size(json_object_get(boot, "splats")), 1);
    ck_assert_uint_eq(json_array_size(json_object_get(boot, "run")), 3);
    ktap = json_object_get(boot, "ktap");
    ck_assert_int_eq(json_integer_value(json_object_get(ktap, "failed")), 1);
    ck_assert_str_eq(string_of(json_array_get(json_object_get(ktap, "cases"), 4), "status"),
                     "empty");
    boot = json_array_get(json_object_get(o, "boots"), 3);
    ck_assert(json_is_null(json_object_get(boot, "status")));
    ck_assert(json_is_null(json_object_get(boot, "boot_ms")));
    ck_assert(json_is_null(json_object_get(boot, "ktap")));
    json_decref(o);
    unlink(path);
}
END_TEST

/* What a writer of lines printed. */
static char *printed(void (*print)(FILE *))
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    print(out);
    fclose(out);
    return text;
}

static void print_tap(FILE *out)
{
    tap_begin(out, suite.count);
    for (unsigned i = 0; i < suite.count; i++)
        tap_record(out, i + 1, &records[i]);
}

START_TEST(tap_has_subtests_and_diagnostics)
{
    char *text;

    make_suite();
    text = printed(print_tap);
    has(text, "TAP version 14\n1..5\nok 1 - good\n    # Subtest: bad:<1>\n    1..5\n"
              "    ok 1 - s.a\n    not ok 2 - s.<b>\n    not ok 3 - s.c\\#\n"
              "    # crashed: no result came\n    ok 4 - s.d # SKIP\n"
              "    ok 5 - e # SKIP no tests in it\nnot ok 2 - bad:<1>\n  ---\n"
              "  verdict: \"panic\"\n"
              "  message: \"why <&>\\\"'??[2J?\xc3\xa4???]]>#\\\\\"\n");
    has(text, "  reproduce: \"hv run -k 'a b'\"\n  ...\nnot ok 3 - host\n");
    has(text, "ok 4 - late # SKIP not run\nnot ok 5 - fail\n");
    free(text);
}
END_TEST

static void print_summary(FILE *out)
{
    summary_print(out, &suite);
}

START_TEST(the_summary_names_what_failed)
{
    char *text;

    make_suite();
    text = printed(print_summary);
    ck_assert_ptr_null(strstr(text, "good"));
    ck_assert_ptr_null(strchr(text, '\x1b'));
    has(text, "bad:<1>: panic: why ");
    has(text, "    | BUG: \n");
    has(text, "    logs: out/x\n    again: hv run -k 'a b'\n");
    has(text, "\n1 passed, 3 failed, 1 not run (1 host, 1 panic, 1 fail) in 2.5 s\n");
    free(text);

    suite.count = 1;
    suite.interrupted = true;
    text = printed(print_summary);
    ck_assert_str_eq(text, "1 passed, 0 failed, 0 not run in 2.5 s, interrupted\n");
    free(text);
}
END_TEST

static int status_of(enum verdict a, enum verdict b, unsigned bisect)
{
    make_suite();
    records[0].verdict = a;
    records[1].verdict = b;
    suite.count = 2;
    return suite_status(&suite, bisect);
}

START_TEST(the_status_tells_a_guests_fault_from_the_hosts)
{
    ck_assert_int_eq(status_of(VERDICT_PASS, VERDICT_PASS, 0), 0);
    ck_assert_int_eq(status_of(VERDICT_PASS, VERDICT_HOST, 0), 125);
    ck_assert_int_eq(status_of(VERDICT_PASS, VERDICT_NOT_RUN, 0), 125);
    ck_assert_int_eq(status_of(VERDICT_NONE, VERDICT_PASS, 0), 125);
    for (enum verdict v = VERDICT_PANIC; v <= VERDICT_FAIL; v++)
        ck_assert_int_eq(status_of(v, VERDICT_HOST, 0), 1);
    make_suite();
    suite.count = 0;
    ck_assert_int_eq(suite_status(&suite, 0), 125);
}
END_TEST

START_TEST(a_bisection_skips_what_it_does_not_look_for)
{
    unsigned panic = 1u << VERDICT_PANIC;

    ck_assert_int_eq(status_of(VERDICT_PASS, VERDICT_PASS, panic), 0);
    ck_assert_int_eq(status_of(VERDICT_PASS, VERDICT_PANIC, panic), 1);
    ck_assert_int_eq(status_of(VERDICT_FAIL, VERDICT_PANIC, panic), 1);
    ck_assert_int_eq(status_of(VERDICT_PASS, VERDICT_FAIL, panic), 125);
    ck_assert_int_eq(status_of(VERDICT_PASS, VERDICT_HOST, panic), 125);
    ck_assert_int_eq(status_of(VERDICT_HOST, VERDICT_PASS, panic | 1u << VERDICT_HOST), 1);
}
END_TEST

START_TEST(a_report_is_whole_or_not_there)
{
    char *text;

    make_suite();
    snprintf(path, sizeof(path), "/tmp/hv-test-none-%d/x", getpid());
    ck_assert_int_lt(junit_write(&suite, path), 0);
    ck_assert_int_lt(json_write(&suite, "/dev/full"), 0);
    ck_assert_int_eq(json_write(&suite, "/dev/null"), 0);

    make_suite();
    ck_assert_int_eq(json_write(&suite, path), 0);
    ck_assert_int_eq(junit_write(&suite, path), 0);
    text = slurp();
    ck_assert(strncmp(text, "<?xml", 5) == 0);
    free(text);
    unlink(path);
}
END_TEST

int main(void)
{
    const struct suite_case list[] = {
        CASE(guest_text_is_made_fit),
        CASE(junit_fits_its_schema),
        CASE(junit_counts_are_right),
        CASE(junit_says_what_failed_and_how_to_repeat_it),
        CASE(json_holds_everything),
        CASE(tap_has_subtests_and_diagnostics),
        CASE(the_summary_names_what_failed),
        CASE(the_status_tells_a_guests_fault_from_the_hosts),
        CASE(a_bisection_skips_what_it_does_not_look_for),
        CASE(a_report_is_whole_or_not_there),
    };

    return run_suite("suite-report", list, ARRAY_SIZE(list));
}
