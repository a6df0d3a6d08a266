/* The keys that hv run does not know, and which keys there are at all: see plan_keys.h. */
#include "hv/suite/plan_keys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/nearest.h"
#include "devices/core/number.h"
#include "devices/core/util.h"
#include "hv/outcome.h"
#include "hv/suite/expect.h"

#define MS_MAX          (UINT64_C(365) * 24 * 3600 * 1000)
#define INSTRUCTION_MAX (UINT64_C(1) << 62)
#define REPEAT_MAX      1000

/* What a key of the plan's own does with its value: 0, or -errno with *why. */
typedef int own_set(struct plan_target *to, const char *value, struct why *why);

static int set_command(struct plan_target *to, const char *value, struct why *why)
{
    to->command = value;
    return *value ? 0 : why_set(why, "must not be empty");
}

/* Done before the combinations are built. */
static int set_matrix(struct plan_target *to, const char *value, struct why *why)
{
    (void)to;
    (void)value;
    (void)why;
    return 0;
}

static int set_after(struct plan_target *to, const char *value, struct why *why)
{
    (void)to;
    (void)value;
    return why_set(why,
                   "a boot cannot start where another one has got to: hv has no snapshots yet");
}

static int set_number(const char *value, uint64_t min, uint64_t max, uint64_t *number,
                      struct why *why)
{
    const char *s = value;

    if (number_digits(&s, number) || *s || *number < min || *number > max)
        return why_set(why, "not a whole number from %llu to %llu", (unsigned long long)min,
                       (unsigned long long)max);
    return 0;
}

static int set_repeat(struct plan_target *to, const char *value, struct why *why)
{
    uint64_t times = 0;
    int err = set_number(value, 1, REPEAT_MAX, &times, why);

    to->spec->repeat = (unsigned)times;
    return err;
}

static int set_status(struct plan_target *to, const char *value, struct why *why)
{
    uint64_t status = 0;
    int err = set_number(value, 0, 255, &status, why);

    to->spec->expect.status = (int)status;
    return err;
}

static int set_end(struct plan_target *to, const char *value, struct why *why)
{
    char names[160] = "";

    for (int end = END_NONE + 1; end < END_COUNT; end++) {
        size_t len = strlen(names);

        if (end == END_SIGNAL || end == END_VMM_ERROR)
            continue; /* never the guest's doing, so nothing that a test could ask of it */
        if (strcmp(outcome_name((enum vm_end)end), value) == 0) {
            to->spec->expect.end = strdup(value);
            return to->spec->expect.end ? 0 : -ENOMEM;
        }
        snprintf(names + len, sizeof(names) - len, "%s%s", len ? ", " : "",
                 outcome_name((enum vm_end)end));
    }
    return why_set(why, "no such end (one of %s)", names);
}

static int set_ktap(struct plan_target *to, const char *value, struct why *why)
{
    if (strcmp(value, "console") == 0)
        to->spec->expect.ktap = KTAP_CONSOLE;
    else if (strcmp(value, "stdout") == 0)
        to->spec->expect.ktap = KTAP_STDOUT;
    else
        return why_set(why, "unknown (one of console, stdout)");
    return 0;
}

static int set_allow_splat(struct plan_target *to, const char *value, struct why *why)
{
    if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
        return why_set(why, "must be on or off");
    to->spec->expect.allow_splat = value[1] == 'n';
    return 0;
}

static int set_max_ms(struct plan_target *to, const char *value, struct why *why)
{
    int err = set_number(value, 1, MS_MAX, &to->spec->expect.max_boot_ms, why);

    to->spec->expect.max_boot_ms *= to->scale;
    return err;
}

static int set_max_instructions(struct plan_target *to, const char *value, struct why *why)
{
    return set_number(value, 1, INSTRUCTION_MAX, &to->spec->expect.max_boot_instructions, why);
}

static int add_rule(struct plan_target *to, const char *regex, enum suite_stream stream,
                    bool forbid, struct why *why)
{
    struct expectation *expect = &to->spec->expect;
    char reason[sizeof(why->text) - 40];
    struct line_rule *rule = &expect->rule[expect->rules];

    if (!*regex)
        return why_set(why, "must not be empty (it would match every line)");
    if (expect_bad_regex(regex, reason, sizeof(reason)))
        return why_set(why, "not an extended regular expression: %s", reason);
    if (expect->rules >= SUITE_MAX_REGEX)
        return why_set(why, "more than %d rules about lines", SUITE_MAX_REGEX);
    *rule = (struct line_rule){.stream = stream, .forbid = forbid};
    rule->regex = strdup(regex);
    if (!rule->regex)
        return -ENOMEM;
    expect->rules++;
    return 0;
}

/* The keys that hv run does not know. Rules about lines have a stream instead of a function. */
static const struct own_key {
    const char *name;
    own_set *set;
    enum suite_stream stream;
    bool forbid;
} own_keys[] = {
    {"command", set_command, 0, false},
    {"matrix", set_matrix, 0, false},
    {"after", set_after, 0, false},
    {"repeat", set_repeat, 0, false},
    {"expect-status", set_status, 0, false},
    {"expect-end", set_end, 0, false},
    {"ktap", set_ktap, 0, false},
    {"allow-splat", set_allow_splat, 0, false},
    {"max-boot-ms", set_max_ms, 0, false},
    {"max-boot-instructions", set_max_instructions, 0, false},
    {"expect-console", NULL, STREAM_CONSOLE, false},
    {"forbid-console", NULL, STREAM_CONSOLE, true},
    {"expect-stdout", NULL, STREAM_STDOUT, false},
    {"forbid-stdout", NULL, STREAM_STDOUT, true},
    {"expect-stderr", NULL, STREAM_STDERR, false},
    {"forbid-stderr", NULL, STREAM_STDERR, true},
};

/* Options whose values the runner needs itself, or that are not for a boot. */
static const char *const not_for_plans[] = {"console", "result", "name", "print-config", "verbose"};

const struct own_key *own_key_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(own_keys); i++)
        if (strcmp(own_keys[i].name, name) == 0)
            return &own_keys[i];
    return NULL;
}

bool own_key_varies(const struct own_key *key)
{
    return key->set == set_command;
}

int own_key_set(const struct own_key *key, struct plan_target *to, const char *value,
                struct why *why)
{
    return key->set ? key->set(to, value, why) : add_rule(to, value, key->stream, key->forbid, why);
}

static bool for_plans(const struct option_row *row)
{
    for (size_t i = 0; i < ARRAY_SIZE(not_for_plans); i++)
        if (strcmp(row->name, not_for_plans[i]) == 0)
            return false;
    return row->role == ROLE_SETTING;
}

static bool is_list(const char *key)
{
    const struct own_key *own = own_key_find(key);
    const struct option_row *row = own ? NULL : option_by_name(key, strlen(key));

    return own ? !own->set : row && row->type == &type_list;
}

static int unknown_key(const char *path, const struct plan_entry *entry)
{
    struct nearest nearest = {.word = strlen(entry->key) <= NEAREST_WORD_MAX ? entry->key : ""};

    for (unsigned i = 0; i < option_row_count; i++)
        if (for_plans(&option_rows[i]))
            nearest_offer(&nearest, option_rows[i].name);
    for (size_t i = 0; i < ARRAY_SIZE(own_keys); i++)
        nearest_offer(&nearest, own_keys[i].name);
    if (nearest.best)
        log_error("%s:%u: %.80s: unknown key (did you mean %s?)", path, entry->line, entry->key,
                  nearest.best);
    else
        log_error("%s:%u: %.80s: unknown key (keys are the long options of hv run, and those of "
                  "hv help test)",
                  path, entry->line, entry->key);
    return -EINVAL;
}

int plan_key_check(const char *path, const struct plan_stanza *stanza,
                   const struct plan_entry *entry)
{
    const struct option_row *row = option_by_name(entry->key, strlen(entry->key));

    if (row && !for_plans(row)) {
        log_error("%s:%u: %s: not for a plan: hv test sees to that itself", path, entry->line,
                  entry->key);
        return -EINVAL;
    }
    if (!row && !own_key_find(entry->key))
        return unknown_key(path, entry);
    for (const struct plan_entry *e = stanza->entries; e < entry; e++)
        if (strcmp(e->key, entry->key) == 0 && !is_list(entry->key)) {
            log_error("%s:%u: %s: stands in line %u already; say it once", path, entry->line,
                      entry->key, e->line);
            return -EEXIST;
        }
    return 0;
}
