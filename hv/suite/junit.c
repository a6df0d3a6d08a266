/*
 * JUnit XML, in the form that Jenkins' xunit plugin and GitLab read: one test suite a boot, in it
 * one case for the boot itself and one for each case that the guest reported.
 */
#include <stdbool.h>
#include <string.h>

#include "hv/suite/report.h"
#include "hv/suite/report_file.h"
#include "hv/suite/text.h"

struct tally {
    unsigned tests, failures, errors, skipped;
    double seconds;
};

/* A clock of instructions has no seconds. */
static double seconds_of(const struct boot_record *record)
{
    return record->instructions || record->total_ms < 0 ? 0 : record->total_ms / 1000;
}

static bool is_bad(enum ktap_status status)
{
    return status == KTAP_FAILED || status == KTAP_CRASHED;
}

static struct tally tally_of(const struct boot_record *record)
{
    struct tally tally = {.tests = 1 + record->ktap.case_count, .seconds = seconds_of(record)};

    switch (record->verdict) {
    case VERDICT_PASS:
        break;
    case VERDICT_NONE:
    case VERDICT_NOT_RUN:
        tally.skipped++;
        break;
    case VERDICT_HOST:
        tally.errors++;
        break;
    default:
        tally.failures++;
    }
    for (unsigned i = 0; i < record->ktap.case_count; i++) {
        enum ktap_status status = record->ktap.cases[i].status;

        if (is_bad(status))
            tally.failures++;
        else if (status != KTAP_PASSED)
            tally.skipped++;
    }
    return tally;
}

static void print_property(FILE *out, const char *name, const char *value)
{
    fprintf(out, "      <property name=\"%s\" value=\"", name);
    text_print_attribute(out, value);
    fputs("\"/>\n", out);
}

static void print_properties(FILE *out, const struct boot_record *record)
{
    char number[40];

    fputs("    <properties>\n", out);
    print_property(out, "verdict", verdict_name(record->verdict));
    print_property(out, "end", record->end);
    snprintf(number, sizeof(number), "%d", record->status);
    print_property(out, "status", number);
    if (record->boot_ms >= 0) {
        snprintf(number, sizeof(number), "%.3f", record->boot_ms);
        print_property(out, record->instructions ? "boot_minstr" : "boot_ms", number);
    }
    if (record->reproduce)
        print_property(out, "reproduce", record->reproduce);
    fputs("    </properties>\n", out);
}

static void print_problem(FILE *out, const char *element, const struct boot_record *record)
{
    fprintf(out, "      <%s type=\"%s\" message=\"", element, verdict_name(record->verdict));
    text_print_attribute(out, record->reason);
    fputs("\">", out);
    text_print_xml(out, record->reason);
    for (unsigned i = 0; i < record->splat_count; i++) {
        fputs("\n\n", out);
        text_print_xml(out, record->splats[i].text);
    }
    if (record->tail) {
        fputs("\n\nThe console's last lines:\n", out);
        text_print_xml(out, record->tail);
    }
    fprintf(out, "</%s>\n", element);
}

static void print_skipped(FILE *out, const char *why)
{
    fputs("      <skipped message=\"", out);
    text_print_attribute(out, why);
    fputs("\"/>\n", out);
}

static void open_case(FILE *out, const struct boot_record *record, const char *name)
{
    fputs("    <testcase classname=\"", out);
    text_print_attribute(out, record->spec->name);
    fputs("\" name=\"", out);
    text_print_attribute(out, name);
}

static void print_boot(FILE *out, const struct boot_record *record)
{
    open_case(out, record, "boot");
    fprintf(out, "\" time=\"%.3f\">\n", seconds_of(record));
    switch (record->verdict) {
    case VERDICT_PASS:
        break;
    case VERDICT_NONE:
    case VERDICT_NOT_RUN:
        print_skipped(out, record->reason[0] ? record->reason : "not run");
        break;
    default:
        print_problem(out, record->verdict == VERDICT_HOST ? "error" : "failure", record);
    }
    fputs("    </testcase>\n", out);
}

static void print_case(FILE *out, const struct boot_record *record, const struct ktap_case *result)
{
    open_case(out, record, result->name);
    if (result->status == KTAP_PASSED) {
        fputs("\"/>\n", out);
        return;
    }
    fputs("\">\n", out);
    if (is_bad(result->status)) {
        fprintf(out, "      <failure type=\"fail\" message=\"%s\">",
                result->status == KTAP_FAILED ? "not ok" : "crashed: no result came");
        text_print_xml(out, result->log);
        fputs("</failure>\n", out);
    } else {
        print_skipped(out, result->status == KTAP_SKIPPED ? "skipped" : "no tests in it");
    }
    fputs("    </testcase>\n", out);
}

/* `skipped` is an attribute of a test suite, but in Jenkins' schema not of all of them. */
static void print_counts(FILE *out, const struct tally *tally, bool skipped)
{
    fprintf(out, " tests=\"%u\" failures=\"%u\" errors=\"%u\"", tally->tests, tally->failures,
            tally->errors);
    if (skipped)
        fprintf(out, " skipped=\"%u\"", tally->skipped);
    fprintf(out, " time=\"%.3f\">\n", tally->seconds);
}

static void print_suite(FILE *out, const struct boot_record *record)
{
    struct tally tally = tally_of(record);

    fputs("  <testsuite name=\"", out);
    text_print_attribute(out, record->spec->name);
    fputc('"', out);
    print_counts(out, &tally, true);
    print_properties(out, record);
    print_boot(out, record);
    for (unsigned i = 0; i < record->ktap.case_count; i++)
        print_case(out, record, &record->ktap.cases[i]);
    fputs("    <system-out>", out);
    text_print_xml(out, record->tail);
    if (record->reproduce) {
        fputs("\nTo run it again:\n", out);
        text_print_xml(out, record->reproduce);
    }
    fputs("</system-out>\n  </testsuite>\n", out);
}

int junit_write(const struct suite *suite, const char *path)
{
    struct tally all = {.seconds = (double)suite->elapsed_ms / 1000};
    struct report_file file;
    int err = report_file_open(&file, path);

    if (err)
        return err;
    for (unsigned i = 0; i < suite->count; i++) {
        struct tally tally = tally_of(&suite->records[i]);

        all.tests += tally.tests;
        all.failures += tally.failures;
        all.errors += tally.errors;
    }
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"", file.out);
    text_print_attribute(file.out, suite->plan);
    fputc('"', file.out);
    print_counts(file.out, &all, false);
    for (unsigned i = 0; i < suite->count; i++)
        print_suite(file.out, &suite->records[i]);
    fputs("</testsuites>\n", file.out);
    return report_file_close(&file);
}
