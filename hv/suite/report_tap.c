/* TAP 14 (testanything.org): one test a boot, the guest's own cases before it as a subtest. */
#include <stdlib.h>
#include <string.h>

#include "hv/suite/report.h"
#include "hv/suite/text.h"

/* A description: a '#' would begin a directive, a backslash an escape. */
static void print_description(FILE *out, const char *text)
{
    char *line = text_clean_line(text);

    for (const char *p = line; p && *p; p++) {
        if (*p == '#' || *p == '\\')
            fputc('\\', out);
        fputc(*p, out);
    }
    free(line);
}

/* A double-quoted YAML scalar. */
static void print_yaml(FILE *out, const char *key, const char *text)
{
    char *line = text_clean_line(text);

    fprintf(out, "  %s: \"", key);
    for (const char *p = line; p && *p; p++) {
        if (*p == '"' || *p == '\\')
            fputc('\\', out);
        fputc(*p, out);
    }
    fputs("\"\n", out);
    free(line);
}

static void print_case(FILE *out, unsigned number, const struct ktap_case *result)
{
    bool bad = result->status == KTAP_FAILED || result->status == KTAP_CRASHED;

    fprintf(out, "    %s %u - ", bad ? "not ok" : "ok", number);
    print_description(out, result->name);
    if (result->status == KTAP_SKIPPED)
        fputs(" # SKIP", out);
    else if (result->status == KTAP_EMPTY)
        fputs(" # SKIP no tests in it", out);
    fputc('\n', out);
    if (result->status == KTAP_CRASHED)
        fputs("    # crashed: no result came\n", out);
}

static void print_cases(FILE *out, const struct boot_record *record)
{
    const struct ktap_result *ktap = &record->ktap;

    fputs("    # Subtest: ", out);
    print_description(out, record->spec->name);
    fprintf(out, "\n    1..%u\n", ktap->case_count);
    for (unsigned i = 0; i < ktap->case_count; i++)
        print_case(out, i + 1, &ktap->cases[i]);
}

void tap_begin(FILE *out, unsigned count)
{
    fprintf(out, "TAP version 14\n1..%u\n", count);
    fflush(out);
}

void tap_record(FILE *out, unsigned number, const struct boot_record *record)
{
    bool pass = record->verdict == VERDICT_PASS;
    bool not_run = record->verdict == VERDICT_NOT_RUN || record->verdict == VERDICT_NONE;

    if (record->ktap.case_count)
        print_cases(out, record);
    fprintf(out, "%s %u - ", pass || not_run ? "ok" : "not ok", number);
    print_description(out, record->spec->name);
    fputs(not_run ? " # SKIP not run\n" : "\n", out);
    if (!pass && !not_run) {
        fputs("  ---\n", out);
        print_yaml(out, "verdict", verdict_name(record->verdict));
        print_yaml(out, "message", record->reason);
        if (record->splat_count)
            print_yaml(out, "splat", record->splats[0].title);
        if (record->dir)
            print_yaml(out, "logs", record->dir);
        if (record->reproduce)
            print_yaml(out, "reproduce", record->reproduce);
        fputs("  ...\n", out);
    }
    fflush(out);
}
