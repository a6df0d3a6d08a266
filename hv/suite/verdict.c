/* One verdict a boot: see verdict.h. */
#include "hv/suite/verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "devices/core/util.h"
#include "hv/outcome.h"
#include "hv/suite/ktap.h"

const char *verdict_name(enum verdict verdict)
{
    static const char *const names[VERDICT_COUNT] = {
        [VERDICT_NONE] = "none",         [VERDICT_HOST] = "host",   [VERDICT_PANIC] = "panic",
        [VERDICT_BOOT] = "boot",         [VERDICT_SPLAT] = "splat", [VERDICT_FAIL] = "fail",
        [VERDICT_DEADLINE] = "deadline", [VERDICT_PASS] = "pass",   [VERDICT_NOT_RUN] = "not-run",
    };

    return names[verdict];
}

__attribute__((format(printf, 3, 4))) static bool reach(struct boot_record *record,
                                                        enum verdict verdict, const char *fmt, ...)
{
    va_list ap;

    record->verdict = verdict;
    va_start(ap, fmt);
    vsnprintf(record->reason, sizeof(record->reason), fmt, ap);
    va_end(ap);
    for (char *p = record->reason; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    return true;
}

int expected_status(const struct expectation *expect)
{
    if (expect->status != STATUS_OK || !expect->end)
        return expect->status;
    if (!strcmp(expect->end, outcome_name(END_PANIC)) ||
        !strcmp(expect->end, outcome_name(END_TRIPLE_FAULT)))
        return STATUS_GUEST_DIED;
    return strcmp(expect->end, outcome_name(END_DEADLINE)) == 0 ? STATUS_DEADLINE : STATUS_OK;
}

static bool ended_by(const struct boot_record *record, enum vm_end end)
{
    return !strcmp(record->end, outcome_name(end));
}

static bool end_fits(const struct boot_record *record, const struct boot_facts *facts)
{
    const struct boot_spec *spec = record->spec;

    if (spec->expect.end)
        return !strcmp(spec->expect.end, record->end);
    return !ended_by(record, END_PANIC) && (!spec->has_command || facts->command_status);
}

static bool judge_host(struct boot_record *record, const struct boot_facts *facts)
{
    if (!facts->complete)
        return reach(record, VERDICT_HOST, "%s",
                     facts->why_not[0] ? facts->why_not : "hv run left no whole result file");
    if (ended_by(record, END_VMM_ERROR) || ended_by(record, END_SIGNAL) ||
        (record->status == STATUS_HV_FAILED && !facts->command_125))
        return reach(record, VERDICT_HOST, "hv run failed (end %s, status %d)%s%s", record->end,
                     record->status, facts->detail[0] ? ": " : "", facts->detail);
    return false;
}

static bool is_panic(const struct splat *splat)
{
    return !strncmp(splat->title, "Kernel panic", strlen("Kernel panic"));
}

/* What is known beyond the name of the end: the panic's own words, or hv's. */
static const char *words_of(const struct boot_record *record, const struct boot_facts *facts)
{
    for (unsigned i = record->splat_count; i-- > 0;)
        if (is_panic(&record->splats[i]))
            return record->splats[i].title;
    return facts->detail;
}

/* Ends that the plan did not want, and that say more than "failed". */
static bool judge_end(struct boot_record *record, const struct boot_facts *facts)
{
    bool fits = end_fits(record, facts);
    bool deadline = ended_by(record, END_DEADLINE);
    bool early = !facts->reached_init && !facts->command_status;
    const char *words = words_of(record, facts), *colon = words[0] ? ": " : "";

    if (ended_by(record, END_PANIC) && !fits)
        return reach(record, VERDICT_PANIC, "%s", words[0] ? words : "the kernel panicked");
    if (fits && record->status == expected_status(&record->spec->expect))
        return false;
    if (early && (deadline || ended_by(record, END_TRIPLE_FAULT) || facts->said_linux ||
                  record->spec->has_command))
        return reach(record, VERDICT_BOOT, "ended by %s before its %s started%s%s", record->end,
                     record->spec->has_command ? "command" : "init", colon, words);
    if (deadline)
        return reach(record, VERDICT_DEADLINE, "passed its deadline%s%s%s%s%s",
                     facts->deadline[0] ? " (" : "", facts->deadline, facts->deadline[0] ? ")" : "",
                     colon, words);
    return false;
}

/* An expected panic may say so, and what led to it comes directly before it. */
static bool expected_splat(const struct boot_record *record, unsigned i)
{
    const char *end = record->spec->expect.end;

    if (!end || strcmp(end, outcome_name(END_PANIC)) != 0)
        return false;
    return is_panic(&record->splats[i]) ||
           (i + 1 < record->splat_count && is_panic(&record->splats[i + 1]));
}

static bool judge_splats(struct boot_record *record)
{
    if (record->spec->expect.allow_splat)
        return false;
    for (unsigned i = 0; i < record->splat_count; i++)
        if (!expected_splat(record, i))
            return reach(record, VERDICT_SPLAT, "%s", record->splats[i].title);
    return false;
}

static bool judge_status(struct boot_record *record, const struct boot_facts *facts)
{
    const struct expectation *expect = &record->spec->expect;
    int wanted = expected_status(expect);

    if (expect->end && !end_fits(record, facts))
        return reach(record, VERDICT_FAIL, "ended by %s where %s was wanted%s%s", record->end,
                     expect->end, facts->detail[0] ? ": " : "", facts->detail);
    if (!end_fits(record, facts))
        return reach(record, VERDICT_FAIL, "ended by %s without the status of its command",
                     record->end);
    if (record->status != wanted)
        return reach(record, VERDICT_FAIL, "status %d where %d was wanted, ended by %s%s%s",
                     record->status, wanted, record->end, facts->detail[0] ? ": " : "",
                     facts->detail);
    return false;
}

static bool judge_ktap(struct boot_record *record)
{
    const struct ktap_result *ktap = &record->ktap;
    const struct ktap_counts *n = &ktap->counts;
    const char *first = NULL;

    if (record->spec->expect.ktap == KTAP_NONE || ktap_good(ktap))
        return false;
    if (!ktap->found)
        return reach(record, VERDICT_FAIL, "no KTAP results on its %s",
                     record->spec->expect.ktap == KTAP_STDOUT ? "stdout" : "console");
    for (unsigned i = 0; i < ktap->case_count && !first; i++)
        if (ktap->cases[i].status == KTAP_FAILED || ktap->cases[i].status == KTAP_CRASHED)
            first = ktap->cases[i].name;
    if (first)
        return reach(record, VERDICT_FAIL, "KTAP: %u failed, %u crashed of %u; first %s", n->failed,
                     n->crashed, n->passed + n->failed + n->skipped + n->crashed, first);
    return reach(record, VERDICT_FAIL, "KTAP: %s", ktap->error[0] ? ktap->error : "no results");
}

static bool judge_budget(struct boot_record *record)
{
    const struct expectation *expect = &record->spec->expect;
    uint64_t ms = expect->max_boot_ms, instructions = expect->max_boot_instructions;

    if ((ms || instructions) && record->boot_ms < 0)
        return reach(record, VERDICT_FAIL, "its init was not seen, so its boot time is not known");
    if (instructions && !record->instructions)
        return reach(record, VERDICT_HOST,
                     "max-boot-instructions: this host's clock counts time, not instructions");
    if (ms && record->boot_ms > (double)ms)
        return reach(record, VERDICT_FAIL, "booted in %.1f ms, budget %llu ms", record->boot_ms,
                     (unsigned long long)ms);
    /* A clock of millions of instructions. */
    if (instructions && record->boot_ms * 1e6 > (double)instructions)
        return reach(record, VERDICT_FAIL, "booted in %.0f instructions, budget %llu",
                     record->boot_ms * 1e6, (unsigned long long)instructions);
    return false;
}

/* Is there anything that the console must not have? */
static bool forbids_on_console(const struct expectation *expect)
{
    bool forbids = !expect->allow_splat || expect->ktap == KTAP_CONSOLE;

    for (unsigned i = 0; i < expect->rules; i++)
        forbids |= expect->rule[i].forbid && expect->rule[i].stream == STREAM_CONSOLE;
    return forbids;
}

static bool judge_lost(struct boot_record *record, const struct boot_facts *facts)
{
    if (!facts->lost || !forbids_on_console(&record->spec->expect))
        return false;
    return reach(record, VERDICT_HOST,
                 "%llu bytes of the console were lost, so nobody knows what was in them",
                 (unsigned long long)facts->lost);
}

void verdict_reach(struct boot_record *record, const struct boot_facts *facts,
                   const char *broken_rule)
{
    if (judge_host(record, facts) || judge_end(record, facts) || judge_splats(record) ||
        judge_status(record, facts))
        return;
    if (broken_rule) {
        reach(record, VERDICT_FAIL, "%s", broken_rule);
        return;
    }
    if (judge_ktap(record) || judge_budget(record) || judge_lost(record, facts))
        return;
    record->verdict = VERDICT_PASS;
    record->reason[0] = '\0';
}
