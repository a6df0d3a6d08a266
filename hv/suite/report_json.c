/* The JSON report: everything that is known of each boot. Keys: docs/test-results.md. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/log.h"
#include "hv/suite/report.h"
#include "hv/suite/report_file.h"
#include "hv/suite/text.h"

static json_t *string_or_null(const char *text)
{
    char *copy = text_clean(text);
    json_t *s = copy ? json_string(copy) : json_null();

    free(copy);
    return s;
}

static json_t *number_or_null(double n)
{
    return n < 0 ? json_null() : json_real(n);
}

static json_t *integer(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *splats_of(const struct boot_record *record)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < record->splat_count; i++) {
        const struct splat *splat = &record->splats[i];

        json_array_append_new(
            list, json_pack("{s:o, s:o, s:o}", "title", string_or_null(splat->title), "count",
                            integer(splat->count), "text", string_or_null(splat->text)));
    }
    return list;
}

static json_t *cases_of(const struct ktap_result *ktap)
{
    static const char *const names[] = {[KTAP_PASSED] = "passed",
                                        [KTAP_FAILED] = "failed",
                                        [KTAP_SKIPPED] = "skipped",
                                        [KTAP_CRASHED] = "crashed",
                                        [KTAP_EMPTY] = "empty"};
    json_t *list = json_array();

    for (unsigned i = 0; i < ktap->case_count; i++) {
        const struct ktap_case *result = &ktap->cases[i];

        json_array_append_new(
            list, json_pack("{s:o, s:s, s:o}", "name", string_or_null(result->name), "status",
                            names[result->status], "log", string_or_null(result->log)));
    }
    return list;
}

/* null where no results were looked for. */
static json_t *ktap_of(const struct boot_record *record)
{
    const struct ktap_result *ktap = &record->ktap;
    const struct ktap_counts *n = &ktap->counts;
    json_t *o;

    if (record->spec->expect.ktap == KTAP_NONE)
        return json_null();
    o = json_object();
    json_object_set_new(o, "found", json_boolean(ktap->found));
    json_object_set_new(o, "passed", integer(n->passed));
    json_object_set_new(o, "failed", integer(n->failed));
    json_object_set_new(o, "skipped", integer(n->skipped));
    json_object_set_new(o, "crashed", integer(n->crashed));
    json_object_set_new(o, "errors", integer(n->errors));
    json_object_set_new(o, "error", string_or_null(ktap->error[0] ? ktap->error : NULL));
    json_object_set_new(o, "unlisted", integer(ktap->unlisted));
    json_object_set_new(o, "cases", cases_of(ktap));
    return o;
}

static json_t *words_of(char *const *words)
{
    json_t *list = json_array();

    for (; words && *words; words++)
        json_array_append_new(list, string_or_null(*words));
    return list;
}

static json_t *boot_of(const struct boot_record *record)
{
    const struct boot_spec *spec = record->spec;
    json_t *o = json_object();

    json_object_set_new(o, "name", string_or_null(spec->name));
    json_object_set_new(o, "stanza", string_or_null(spec->stanza));
    json_object_set_new(o, "line", integer(spec->line));
    json_object_set_new(o, "verdict", json_string(verdict_name(record->verdict)));
    json_object_set_new(o, "reason", string_or_null(record->reason[0] ? record->reason : NULL));
    json_object_set_new(o, "status",
                        record->status < 0 ? json_null() : json_integer(record->status));
    json_object_set_new(o, "end", string_or_null(record->end[0] ? record->end : NULL));
    json_object_set_new(o, "guest_status",
                        record->guest_status < 0 ? json_null()
                                                 : json_integer(record->guest_status));
    json_object_set_new(o, "clock", json_string(record->instructions ? "instructions" : "time"));
    json_object_set_new(o, "first_byte_ms", number_or_null(record->first_byte_ms));
    json_object_set_new(o, "boot_ms", number_or_null(record->boot_ms));
    json_object_set_new(o, "total_ms", number_or_null(record->total_ms));
    json_object_set_new(o, "started_ms", integer(record->started_ms));
    json_object_set_new(o, "dropped", integer(record->dropped));
    json_object_set_new(o, "run", words_of(spec->run));
    json_object_set_new(o, "reproduce", string_or_null(record->reproduce));
    json_object_set_new(o, "logs", string_or_null(record->dir));
    json_object_set_new(o, "splats", splats_of(record));
    json_object_set_new(o, "ktap", ktap_of(record));
    json_object_set_new(o, "tail", string_or_null(record->tail));
    return o;
}

/* Every verdict has its key, also where its count is 0. */
static json_t *counts_of(const struct suite *suite)
{
    unsigned count[VERDICT_COUNT] = {0};
    json_t *o = json_object();

    for (unsigned i = 0; i < suite->count; i++) {
        enum verdict verdict = suite->records[i].verdict;

        count[verdict == VERDICT_NONE ? VERDICT_NOT_RUN : verdict]++;
    }
    for (unsigned i = VERDICT_NONE + 1; i < VERDICT_COUNT; i++)
        json_object_set_new(o, verdict_name(i), integer(count[i]));
    return o;
}

static json_t *suite_of(const struct suite *suite)
{
    json_t *o = json_object(), *boots = json_array();

    for (unsigned i = 0; i < suite->count; i++)
        json_array_append_new(boots, boot_of(&suite->records[i]));
    json_object_set_new(o, "plan", string_or_null(suite->plan));
    json_object_set_new(o, "started_ms", integer(suite->started_ms));
    json_object_set_new(o, "elapsed_ms", integer(suite->elapsed_ms));
    json_object_set_new(o, "interrupted", json_boolean(suite->interrupted));
    json_object_set_new(o, "counts", counts_of(suite));
    json_object_set_new(o, "boots", boots);
    return o;
}

int json_write(const struct suite *suite, const char *path)
{
    struct report_file file;
    json_t *o;
    int err = report_file_open(&file, path);

    if (err)
        return err;
    o = suite_of(suite);
    json_dumpf(o, file.out, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(12));
    fputc('\n', file.out);
    json_decref(o);
    return report_file_close(&file);
}
