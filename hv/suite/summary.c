/* What a person reads at the end, and the exit status of the whole. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "hv/outcome.h"
#include "hv/suite/report.h"
#include "hv/suite/text.h"

enum { SPLAT_LINES = 12 };

/* The first lines of a splat, indented. */
static void print_splat(FILE *out, const struct splat *splat)
{
    char *text = text_clean(splat->text);
    char *line = text, *end;

    for (unsigned i = 0; i < SPLAT_LINES && line && *line; i++, line = end) {
        end = line + strcspn(line, "\n");
        if (*end)
            *end++ = '\0';
        fprintf(out, "    | %s\n", line);
    }
    if (line && *line)
        fputs("    | ...\n", out);
    free(text);
}

static void print_line(FILE *out, const char *what, const char *text)
{
    char *line = text_clean_line(text);

    if (line)
        fprintf(out, "    %s: %s\n", what, line);
    free(line);
}

static void print_failed(FILE *out, const struct boot_record *record)
{
    char *name = text_clean_line(record->spec->name), *reason = text_clean_line(record->reason);

    fprintf(out, "%s: %s: %s\n", name ? name : "?", verdict_name(record->verdict),
            reason ? reason : "");
    free(name);
    free(reason);
    if (record->splat_count)
        print_splat(out, &record->splats[0]);
    print_line(out, "logs", record->dir);
    print_line(out, "again", record->reproduce);
}

static void count(const struct suite *suite, unsigned counts[VERDICT_COUNT])
{
    memset(counts, 0, VERDICT_COUNT * sizeof(counts[0]));
    for (unsigned i = 0; i < suite->count; i++) {
        enum verdict verdict = suite->records[i].verdict;

        counts[verdict == VERDICT_NONE ? VERDICT_NOT_RUN : verdict]++;
    }
}

void summary_print(FILE *out, const struct suite *suite)
{
    unsigned counts[VERDICT_COUNT], failed;
    const char *before = " (";

    count(suite, counts);
    failed = suite->count - counts[VERDICT_PASS] - counts[VERDICT_NOT_RUN];
    for (unsigned i = 0; i < suite->count; i++)
        switch (suite->records[i].verdict) {
        case VERDICT_NONE:
        case VERDICT_NOT_RUN:
        case VERDICT_PASS:
            break;
        default:
            print_failed(out, &suite->records[i]);
        }
    fprintf(out, "%u passed, %u failed, %u not run", counts[VERDICT_PASS], failed,
            counts[VERDICT_NOT_RUN]);
    for (unsigned i = VERDICT_HOST; i < VERDICT_NOT_RUN; i++)
        if (counts[i]) {
            fprintf(out, "%s%u %s", before, counts[i], verdict_name(i));
            before = ", ";
        }
    fprintf(out, "%s in %.1f s%s\n", failed ? ")" : "", (double)suite->elapsed_ms / 1000,
            suite->interrupted ? ", interrupted" : "");
}

int suite_status(const struct suite *suite, unsigned bisect)
{
    unsigned counts[VERDICT_COUNT], bad = 0;
    unsigned guest = 1u << VERDICT_PANIC | 1u << VERDICT_BOOT | 1u << VERDICT_DEADLINE |
                     1u << VERDICT_SPLAT | 1u << VERDICT_FAIL;

    count(suite, counts);
    for (unsigned i = 0; i < VERDICT_COUNT; i++)
        if ((bisect ? bisect : guest) & 1u << i)
            bad += counts[i];
    if (bad)
        return 1;
    return suite->count && counts[VERDICT_PASS] == suite->count ? STATUS_OK : STATUS_HV_FAILED;
}
