/* Result files: see facts.h; the keys are those of hv/result.c and the man page. */
#include "hv/suite/facts.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/command/text_file.h"
#include "hv/outcome.h"

#define FILE_MAX (1u << 20)

struct reader {
    json_t *root;
    struct boot_facts *facts;
    bool good; /* nothing wrong so far */
};

static void wrong(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The first thing counts. */
static void wrong(struct reader *r, const char *fmt, ...)
{
    va_list ap;

    if (!r->good)
        return;
    r->good = false;
    va_start(ap, fmt);
    vsnprintf(r->facts->why_not, sizeof(r->facts->why_not), fmt, ap);
    va_end(ap);
}

/* NULL when it is null, or when it is not there and need not be. */
static json_t *get(struct reader *r, const char *key, bool needed)
{
    json_t *value = json_object_get(r->root, key);

    if (!value && needed)
        wrong(r, "the result file lacks \"%s\"", key);
    return json_is_null(value) ? NULL : value;
}

static void get_text(struct reader *r, const char *key, bool needed, char *to, size_t cap)
{
    json_t *value = get(r, key, needed);

    if (value && !json_is_string(value))
        wrong(r, "the result file's \"%s\" is no string", key);
    else if (value)
        snprintf(to, cap, "%s", json_string_value(value));
}

/* `none` stays when there is none. */
static double get_number(struct reader *r, const char *key, bool needed, double none)
{
    json_t *value = get(r, key, needed);

    if (value && !json_is_number(value))
        wrong(r, "the result file's \"%s\" is no number", key);
    return value && json_is_number(value) ? json_number_value(value) : none;
}

static int get_int(struct reader *r, const char *key, int none)
{
    json_t *value = get(r, key, true);
    json_int_t n = json_integer_value(value);

    if (!value)
        return none;
    if (!json_is_integer(value) || n < 0 || n > INT32_MAX) {
        wrong(r, "the result file's \"%s\" is no status", key);
        return none;
    }
    return (int)n;
}

/* {"exit": N}, {"signal": N}, {"error": TEXT} or null. */
static void get_command(struct reader *r, const struct boot_record *record)
{
    json_t *command = get(r, "command", true);

    if (!command)
        return;
    if (!json_is_object(command)) {
        wrong(r, "the result file's \"command\" is no object");
        return;
    }
    r->facts->reached_init = true;
    r->facts->command_125 =
        json_integer_value(json_object_get(command, "exit")) == STATUS_HV_FAILED;
    /* An error without a status of execve's is hv's: the command was never tried. */
    r->facts->command_status = json_is_integer(json_object_get(command, "exit")) ||
                               json_is_integer(json_object_get(command, "signal")) ||
                               record->guest_status == STATUS_CANNOT_EXECUTE ||
                               record->guest_status == STATUS_NOT_FOUND;
}

/* What the console lost before it came to us. */
static void get_console(struct reader *r, struct boot_record *record)
{
    json_t *console = get(r, "console", false);
    json_t *dropped = json_object_get(console, "dropped");

    if (console && !json_is_object(console))
        wrong(r, "the result file's \"console\" is no object");
    if (!json_is_integer(dropped) || json_integer_value(dropped) <= 0)
        return;
    r->facts->lost = (uint64_t)json_integer_value(dropped);
    record->dropped += r->facts->lost;
}

static bool end_is_known(const char *end)
{
    for (int i = END_NONE + 1; i < END_COUNT; i++)
        if (strcmp(outcome_name((enum vm_end)i), end) == 0)
            return true;
    return false;
}

static void read_object(struct reader *r, struct boot_record *record)
{
    struct boot_facts *facts = r->facts;
    int status;

    get_text(r, "end", true, record->end, sizeof(record->end));
    if (r->good && !end_is_known(record->end))
        wrong(r, "the result file's \"end\" is unknown");
    status = get_int(r, "status", -1);
    record->guest_status = get_int(r, "guest_status", -1);
    get_command(r, record);
    get_text(r, "detail", true, facts->detail, sizeof(facts->detail));
    get_text(r, "deadline", false, facts->deadline, sizeof(facts->deadline));
    record->first_byte_ms = get_number(r, "first_byte_ms", false, -1);
    record->boot_ms = get_number(r, "boot_ms", false, -1);
    record->total_ms = get_number(r, "total_ms", false, record->total_ms);
    facts->reached_init |= record->boot_ms >= 0;
    get_console(r, record);
    if (status != record->status)
        wrong(r, "the result file says status %d, and hv ended with %d", status, record->status);
}

void facts_read(const char *dir, const char *name, struct boot_record *record,
                struct boot_facts *facts)
{
    struct reader r = {.facts = facts, .good = true};
    json_error_t error;
    char *text;
    size_t len = 0;
    int err = text_file_read(dir, name, &text, &len);

    if (err)
        wrong(&r, "no result file: %s", strerrordesc_np(-err));
    else if (len == 0)
        wrong(&r, "the result file is empty: hv crashed or was killed");
    else if (len > FILE_MAX)
        wrong(&r, "the result file is too large");
    else
        r.root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (r.good && !json_is_object(r.root))
        wrong(&r, "the result file holds no JSON object");
    if (r.good)
        read_object(&r, record);
    facts->complete = r.good;
    json_decref(r.root);
    free(text);
}
