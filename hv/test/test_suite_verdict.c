/* One verdict for each row of what a boot can do: see verdict.h. */
#include <stdio.h>
#include <string.h>

#include "hv/outcome.h"
#include "hv/suite/verdict.h"
#include "hv/test/run_suite.h"

static struct boot_spec spec;
static struct boot_record record;
static struct boot_facts facts;
static const char *broken;

/* A plain boot of Linux that was powered off by itself. */
static void boot(void)
{
    spec = (struct boot_spec){.name = "x"};
    record = (struct boot_record){
        .spec = &spec, .guest_status = -1, .boot_ms = 100, .total_ms = 200, .end = "poweroff"};
    facts = (struct boot_facts){.complete = true, .reached_init = true, .said_linux = true};
    broken = NULL;
}

/* A boot with a command that succeeded. */
static void command(void)
{
    boot();
    spec.has_command = true;
    facts.command_status = true;
}

/* A small test kernel, of which nobody ever sees an init. */
static void small_guest(void)
{
    boot();
    facts.reached_init = facts.said_linux = false;
    record.boot_ms = -1;
}

static void ended(const char *end, int status)
{
    snprintf(record.end, sizeof(record.end), "%s", end);
    record.status = status;
}

static void verdict_is(enum verdict want, const char *reason)
{
    verdict_reach(&record, &facts, broken);
    ck_assert_msg(record.verdict == want, "%s (%s), wanted %s", verdict_name(record.verdict),
                  record.reason, verdict_name(want));
    ck_assert_msg(strstr(record.reason, reason), "reason: %s", record.reason);
    ck_assert_int_eq(want == VERDICT_PASS, record.reason[0] == '\0');
}

START_TEST(what_is_as_expected_passes)
{
    boot();
    verdict_is(VERDICT_PASS, "");
    command();
    verdict_is(VERDICT_PASS, "");
    small_guest();
    verdict_is(VERDICT_PASS, "");
    ended("debug-exit", 3);
    spec.expect.status = 3;
    verdict_is(VERDICT_PASS, "");
}
END_TEST

START_TEST(every_verdict_has_a_name)
{
    for (enum verdict v = VERDICT_NONE; v < VERDICT_COUNT; v++)
        for (enum verdict w = VERDICT_NONE; w < v; w++)
            ck_assert_str_ne(verdict_name(v), verdict_name(w));
}
END_TEST

START_TEST(what_hv_does_not_know_is_the_hosts)
{
    boot();
    facts.complete = false;
    verdict_is(VERDICT_HOST, "result file");
    snprintf(facts.why_not, sizeof(facts.why_not), "it was killed");
    verdict_is(VERDICT_HOST, "it was killed");
    boot();
    ended("vmm-error", 125);
    snprintf(facts.detail, sizeof(facts.detail), "KVM said no\x1b");
    verdict_is(VERDICT_HOST, "KVM said no ");
    boot();
    ended("signal", 143);
    verdict_is(VERDICT_HOST, "signal");
    command();
    ended("poweroff", 125);
    verdict_is(VERDICT_HOST, "125");
}
END_TEST

START_TEST(a_commands_own_125_is_its_own)
{
    command();
    ended("poweroff", 125);
    facts.command_125 = true;
    verdict_is(VERDICT_FAIL, "status 125 where 0 was wanted");
    spec.expect.status = 125;
    verdict_is(VERDICT_PASS, "");
}
END_TEST

START_TEST(a_panic_weighs_more_than_what_led_to_it)
{
    struct splat splat = {.title = (char *)"BUG: unable to handle", .count = 1};

    boot();
    ended("panic", 255);
    record.splats = &splat;
    record.splat_count = 1;
    snprintf(facts.detail, sizeof(facts.detail), "Kernel panic - not syncing: x");
    verdict_is(VERDICT_PANIC, "not syncing: x");
    facts.reached_init = false;
    spec.expect.allow_splat = true;
    verdict_is(VERDICT_PANIC, "");
    spec.expect.status = 255;
    verdict_is(VERDICT_PANIC, "");
}
END_TEST

START_TEST(a_panics_own_words_are_the_reason)
{
    struct splat splats[] = {{.title = (char *)"WARNING: CPU: 0", .count = 1},
                             {.title = (char *)"Kernel panic - not syncing: why", .count = 1}};

    boot();
    ended("panic", 255);
    verdict_is(VERDICT_PANIC, "the kernel panicked");
    record.splats = splats;
    record.splat_count = 2;
    verdict_is(VERDICT_PANIC, "Kernel panic - not syncing: why");
    facts.reached_init = false;
    ended("deadline", 124);
    verdict_is(VERDICT_BOOT, "before its init started: Kernel panic - not syncing: why");
}
END_TEST

START_TEST(a_console_with_gaps_is_no_pass)
{
    boot();
    facts.lost = 10;
    verdict_is(VERDICT_HOST, "10 bytes of the console");
    spec.expect.allow_splat = true;
    verdict_is(VERDICT_PASS, "");
    spec.expect.rules = 1;
    spec.expect.rule[0] = (struct line_rule){.regex = (char *)"x", .stream = STREAM_CONSOLE};
    verdict_is(VERDICT_PASS, "");
    spec.expect.rule[0].forbid = true;
    verdict_is(VERDICT_HOST, "10 bytes of the console");
    record.status = 1;
    verdict_is(VERDICT_FAIL, "status 1");
}
END_TEST

START_TEST(an_expected_panic_allows_its_own_splats_only)
{
    struct splat splats[] = {{.title = (char *)"WARNING: CPU: 0 PID: 1 at a.c:1", .count = 1},
                             {.title = (char *)"BUG: unable to handle page fault", .count = 1},
                             {.title = (char *)"Kernel panic - not syncing: x", .count = 1}};

    boot();
    spec.expect.end = (char *)"panic";
    ended("panic", 255);
    record.splats = splats + 1;
    record.splat_count = 2;
    verdict_is(VERDICT_PASS, "");
    record.splats = splats;
    record.splat_count = 3;
    verdict_is(VERDICT_SPLAT, "WARNING");
    spec.expect.allow_splat = true;
    verdict_is(VERDICT_PASS, "");
    ended("poweroff", 0);
    record.splat_count = 0;
    verdict_is(VERDICT_FAIL, "ended by poweroff where panic was wanted");
}
END_TEST

START_TEST(what_ends_before_init_did_not_boot)
{
    static const struct {
        const char *end;
        int status;
        enum verdict linux_boot, small;
    } rows[] = {
        {"triple-fault", 255, VERDICT_BOOT, VERDICT_BOOT},
        {"deadline", 124, VERDICT_BOOT, VERDICT_BOOT},
        {"debug-exit", 7, VERDICT_BOOT, VERDICT_FAIL},
        {"poweroff", 0, VERDICT_PASS, VERDICT_PASS},
        {"reboot", 0, VERDICT_PASS, VERDICT_PASS},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        small_guest();
        ended(rows[i].end, rows[i].status);
        verdict_is(rows[i].small, "");
        facts.said_linux = true;
        verdict_is(rows[i].linux_boot, "");
        spec.expect.end = (char *)rows[i].end;
        spec.expect.status = rows[i].status;
        verdict_is(VERDICT_PASS, "");
        spec.expect.end = (char *)"panic";
        spec.expect.status = 0;
        verdict_is(VERDICT_BOOT, "");
    }
    command();
    facts.reached_init = facts.said_linux = facts.command_status = false;
    ended("poweroff", 255);
    verdict_is(VERDICT_BOOT, "before its command started");
}
END_TEST

START_TEST(a_deadline_after_init_is_one)
{
    boot();
    ended("deadline", 124);
    snprintf(facts.deadline, sizeof(facts.deadline), "silence");
    verdict_is(VERDICT_DEADLINE, "silence");
    spec.expect.end = (char *)"deadline";
    verdict_is(VERDICT_PASS, "");
    spec.expect.end = NULL;
    spec.expect.status = 124;
    verdict_is(VERDICT_PASS, "");
    spec.has_command = true;
    verdict_is(VERDICT_DEADLINE, "");
}
END_TEST

START_TEST(a_splat_fails_what_else_passes)
{
    struct splat splat = {.title = (char *)"WARNING: CPU: 0", .count = 1};

    command();
    record.splats = &splat;
    record.splat_count = 1;
    verdict_is(VERDICT_SPLAT, "WARNING: CPU: 0");
    ended("poweroff", 1);
    verdict_is(VERDICT_SPLAT, "");
    spec.expect.allow_splat = true;
    verdict_is(VERDICT_FAIL, "status 1");
    record.status = 0;
    verdict_is(VERDICT_PASS, "");
}
END_TEST

START_TEST(a_missing_status_of_a_command_is_no_pass)
{
    command();
    facts.command_status = false;
    ended("reboot", 255);
    verdict_is(VERDICT_FAIL, "without the status");
    spec.expect.status = 255;
    verdict_is(VERDICT_FAIL, "without the status");
    spec.expect.end = (char *)"reboot";
    verdict_is(VERDICT_PASS, "");
    spec.expect.end = (char *)"poweroff";
    verdict_is(VERDICT_FAIL, "ended by reboot where poweroff");
}
END_TEST

START_TEST(an_end_implies_its_status)
{
    static const struct {
        const char *end;
        int status, want;
    } rows[] = {{"panic", 0, 255}, {"triple-fault", 0, 255}, {"deadline", 0, 124},
                {"reboot", 0, 0},  {"reboot", 255, 255},     {NULL, 3, 3}};

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct expectation expect = {.end = (char *)rows[i].end, .status = rows[i].status};

        ck_assert_int_eq(expected_status(&expect), rows[i].want);
    }
}
END_TEST

START_TEST(a_broken_rule_is_the_reason)
{
    boot();
    broken = "no line on stdout matches /x/";
    verdict_is(VERDICT_FAIL, "matches /x/");
    record.status = 2;
    verdict_is(VERDICT_FAIL, "status 2");
}
END_TEST

START_TEST(ktap_that_was_wanted_must_be_there_and_good)
{
    struct ktap_case cases[] = {{.name = (char *)"s.a", .status = KTAP_PASSED},
                                {.name = (char *)"s.b", .status = KTAP_CRASHED}};

    command();
    spec.expect.ktap = KTAP_STDOUT;
    verdict_is(VERDICT_FAIL, "no KTAP results on its stdout");
    record.ktap = (struct ktap_result){.found = true, .counts.passed = 1, .counts.crashed = 1};
    record.ktap.cases = cases;
    record.ktap.case_count = 2;
    verdict_is(VERDICT_FAIL, "1 crashed of 2; first s.b");
    record.ktap.case_count = 1;
    record.ktap.counts.crashed = 0;
    verdict_is(VERDICT_PASS, "");
    snprintf(record.ktap.error, sizeof(record.ktap.error), "odd");
    verdict_is(VERDICT_FAIL, "odd");
    spec.expect.ktap = KTAP_NONE;
    verdict_is(VERDICT_PASS, "");
}
END_TEST

START_TEST(budgets_are_kept_or_not_known)
{
    boot();
    spec.expect.max_boot_ms = 100;
    verdict_is(VERDICT_PASS, "");
    record.boot_ms = 100.5;
    verdict_is(VERDICT_FAIL, "budget 100 ms");
    record.boot_ms = -1;
    verdict_is(VERDICT_FAIL, "not known");

    boot();
    spec.expect.max_boot_instructions = 50000000;
    verdict_is(VERDICT_HOST, "counts time, not instructions");
    record.instructions = true;
    verdict_is(VERDICT_FAIL, "budget 50000000");
    record.boot_ms = 50;
    verdict_is(VERDICT_PASS, "");
    ended("panic", 255);
    record.instructions = false;
    verdict_is(VERDICT_PANIC, "");
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(what_is_as_expected_passes),
        CASE(every_verdict_has_a_name),
        CASE(what_hv_does_not_know_is_the_hosts),
        CASE(a_commands_own_125_is_its_own),
        CASE(a_panic_weighs_more_than_what_led_to_it),
        CASE(a_panics_own_words_are_the_reason),
        CASE(a_console_with_gaps_is_no_pass),
        CASE(an_expected_panic_allows_its_own_splats_only),
        CASE(what_ends_before_init_did_not_boot),
        CASE(a_deadline_after_init_is_one),
        CASE(a_splat_fails_what_else_passes),
        CASE(a_missing_status_of_a_command_is_no_pass),
        CASE(an_end_implies_its_status),
        CASE(a_broken_rule_is_the_reason),
        CASE(ktap_that_was_wanted_must_be_there_and_good),
        CASE(budgets_are_kept_or_not_known),
    };

    return run_suite("suite-verdict", cases, ARRAY_SIZE(cases));
}
