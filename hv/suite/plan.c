/*
 * From the stanzas of a plan to boots. The keys are those of `hv run`, of which the option table
 * knows everything, and the few of plan_keys.h. Called by main.c.
 */
#include "hv/suite/plan.h"

#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "hv/config_number.h"
#include "hv/config_table.h"
#include "hv/suite/plan_file.h"
#include "hv/suite/plan_keys.h"

#define AXES_MAX       8
#define VALUE_IN_NAME  60  /* bytes of a matrix' value; its end tells more than its start */
#define BOOT_NAME_MAX  200 /* a directory's name, with room for "#2000" */
#define COMMAND_MEMORY GIB /* hv run's default with a command, where the host has twice that */

/* A key of the matrix, with its values. */
struct axis {
    const struct plan_entry *entry; /* the first of that key */
    char **values;
    unsigned count, at; /* `at`: the one of the combination that is being built */
};

/* What is known while a stanza is expanded. */
struct build {
    struct plan *plan;
    const struct plan_file *file;
    const struct plan_stanza *stanza;
    const struct plan_entry *entries[2 * PLAN_ENTRIES_MAX]; /* its own, and defaults it lacks */
    unsigned count;
    struct axis axes[AXES_MAX];
    unsigned axis_count;
    unsigned first; /* of its boots in the plan */
    /* Of one combination. */
    struct plan_target to;
    struct vm_config config;
    unsigned words;
};

static int wrong(const struct build *b, const struct plan_entry *entry, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* What is wrong with the entry, or with the whole stanza (NULL). */
static int wrong(const struct build *b, const struct plan_entry *entry, const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (entry)
        log_error("%s:%u: %s: %s", b->file->path, entry->line, entry->key, text);
    else
        log_error("%s:%u: [%s]: %s", b->file->path, b->stanza->line, b->stanza->name, text);
    return -EINVAL;
}

static int out_of_memory(const struct build *b)
{
    log_error("%s: out of memory", b->file->path);
    return -ENOMEM;
}

static bool stanza_has(const struct plan_stanza *stanza, const char *key)
{
    for (unsigned i = 0; i < stanza->count; i++)
        if (strcmp(stanza->entries[i].key, key) == 0)
            return true;
    return false;
}

/*
 * A key of the stanza replaces all that [defaults] says of that key; an empty value does no more
 * than that.
 */
static void gather(struct build *b)
{
    const struct plan_stanza *own = b->stanza, *defaults = &b->file->defaults;

    b->count = 0;
    for (unsigned i = 0; i < defaults->count; i++)
        if (!stanza_has(own, defaults->entries[i].key))
            b->entries[b->count++] = &defaults->entries[i];
    for (unsigned i = 0; i < own->count; i++)
        if (*own->entries[i].value || !stanza_has(defaults, own->entries[i].key))
            b->entries[b->count++] = &own->entries[i];
}

static const struct plan_entry *entry_find(const struct build *b, const char *key)
{
    for (unsigned i = 0; i < b->count; i++)
        if (strcmp(b->entries[i]->key, key) == 0)
            return b->entries[i];
    return NULL;
}

static struct axis *axis_find(struct build *b, const char *key)
{
    for (unsigned i = 0; i < b->axis_count; i++)
        if (strcmp(b->axes[i].entry->key, key) == 0)
            return &b->axes[i];
    return NULL;
}

/* Appends to a NULL-ended array of owned words. Takes `word`, which may be NULL: no memory. */
static int add_word(char ***words, unsigned *count, char *word)
{
    char **grown = word ? realloc(*words, (*count + 2) * sizeof(*grown)) : NULL;

    if (!grown) {
        free(word);
        return -ENOMEM;
    }
    grown[(*count)++] = word;
    grown[*count] = NULL;
    *words = grown;
    return 0;
}

static int add_values(struct build *b, struct axis *axis, const struct plan_entry *entry)
{
    for (const char *s = entry->value + strspn(entry->value, " \t"); *s; s += strspn(s, " \t")) {
        size_t len = strcspn(s, " \t");

        for (unsigned i = 0; i < axis->count; i++)
            if (strlen(axis->values[i]) == len && memcmp(axis->values[i], s, len) == 0)
                return wrong(b, entry, "%.*s stands there twice", (int)(len < 80 ? len : 80), s);
        if (axis->count >= SUITE_MAX_BOOTS)
            return wrong(b, entry, "more than %d values", SUITE_MAX_BOOTS);
        if (add_word(&axis->values, &axis->count, strndup(s, len)))
            return out_of_memory(b);
        s += len;
    }
    return 0;
}

static int add_axis(struct build *b, const struct plan_entry *matrix, const char *key)
{
    const struct own_key *own = own_key_find(key);
    const struct plan_entry *first = entry_find(b, key);
    struct axis *axis = &b->axes[b->axis_count];
    int err = 0;

    if (own && !own_key_varies(own))
        return wrong(b, matrix, "%s: only options of hv run and command can be varied", key);
    if (!own && !option_by_name(key, strlen(key)))
        return wrong(b, matrix, "%.80s: not a key", key);
    if (!first)
        return wrong(b, matrix, "%s: [%s] has no such key", key, b->stanza->name);
    if (axis_find(b, key))
        return wrong(b, matrix, "%s is named twice", key);
    if (b->axis_count >= AXES_MAX)
        return wrong(b, matrix, "more than %d keys", AXES_MAX);
    *axis = (struct axis){.entry = first};
    b->axis_count++;
    for (unsigned i = 0; !err && i < b->count; i++)
        if (strcmp(b->entries[i]->key, key) == 0)
            err = add_values(b, axis, b->entries[i]);
    if (!err && axis->count == 0)
        err = wrong(b, first, "holds no value, so the matrix holds no boot");
    return err;
}

static int read_matrix(struct build *b)
{
    const struct plan_entry *matrix = entry_find(b, "matrix");
    char *names, *save = NULL;
    int err = 0;

    b->axis_count = 0;
    if (!matrix)
        return 0;
    names = strdup(matrix->value);
    if (!names)
        return out_of_memory(b);
    for (char *key = strtok_r(names, " \t", &save); !err && key; key = strtok_r(NULL, " \t", &save))
        err = add_axis(b, matrix, key);
    free(names);
    if (!err && b->axis_count == 0)
        err = wrong(b, matrix, "names no key");
    return err;
}

/* How many boots the stanza is, or 0 after a message. */
static unsigned combinations(const struct build *b)
{
    uint64_t product = 1;

    for (unsigned i = 0; i < b->axis_count; i++) {
        product *= b->axes[i].count;
        if (product > SUITE_MAX_BOOTS)
            break;
    }
    if (b->plan->count + product > SUITE_MAX_BOOTS) {
        wrong(b, entry_find(b, "matrix"), "the plan is more than %d boots with this",
              SUITE_MAX_BOOTS);
        return 0;
    }
    return (unsigned)product;
}

static bool name_taken(const struct build *b, const char *name)
{
    for (unsigned i = b->first; i < b->plan->count; i++)
        if (strcmp(b->plan->specs[i].name, name) == 0)
            return true;
    return false;
}

/* How many bytes of all its values, up to a "/", are the same: they would tell nothing. */
static size_t common_path(const struct axis *axis)
{
    const char *first = axis->values[0];
    size_t same = strlen(first) - 1; /* something of each is left */

    for (unsigned i = 1; i < axis->count; i++)
        for (size_t j = 0; j < same; j++)
            if (axis->values[i][j] != first[j] || axis->values[i][j + 1] == '\0')
                same = j;
    while (same > 0 && first[same - 1] != '/')
        same--;
    return same;
}

/* STANZA:VALUE:VALUE, as it may stand in a file's name; with "-2" where two would be the same. */
static char *make_name(const struct build *b)
{
    char base[BOOT_NAME_MAX + 1], name[BOOT_NAME_MAX + 1 + 16];
    size_t len = (size_t)snprintf(base, sizeof(base), "%s", b->stanza->name);

    for (unsigned i = 0; i < b->axis_count; i++) {
        const char *value = b->axes[i].values[b->axes[i].at] + common_path(&b->axes[i]);
        size_t skip = strlen(value) > VALUE_IN_NAME ? strlen(value) - VALUE_IN_NAME : 0;

        snprintf(base + len, sizeof(base) - len, ":%s", value + skip);
        for (; base[len]; len++)
            if (!isalnum((unsigned char)base[len]) && !strchr("._+-=,@%:", base[len]))
                base[len] = '-';
    }
    snprintf(name, sizeof(name), "%s", base);
    for (unsigned n = 2; name_taken(b, name); n++)
        snprintf(name, sizeof(name), "%s-%u", base, n);
    return strdup(name);
}

static int add_run(struct build *b, char *word)
{
    return add_word(&b->to.spec->run, &b->words, word);
}

static char *printed(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static char *printed(const char *fmt, ...)
{
    va_list ap;
    char *text;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&text, fmt, ap);
    va_end(ap);
    return n < 0 ? NULL : text;
}

/* The value with every limit of time multiplied, in `buf` when that changes it. */
static const char *scaled(const struct build *b, const struct option_row *row, const char *value,
                          char buf[OPTION_TEXT_MAX])
{
    uint64_t ms;

    if (row->type != &type_duration || b->to.scale == 1 || parse_duration(value, &ms) ||
        ms > UINT64_MAX / b->to.scale)
        return value;
    format_duration(ms * b->to.scale, buf, OPTION_TEXT_MAX);
    return buf;
}

static int set_option(struct build *b, const struct plan_entry *entry, const char *value)
{
    const struct option_row *row = option_by_name(entry->key, strlen(entry->key));
    char buf[OPTION_TEXT_MAX];
    struct why why;

    value = scaled(b, row, value, buf);
    if (option_set(row, &b->config, value, &why))
        return wrong(b, entry, "%.100s: %s", value, why.text);
    if (add_run(b, printed("--%s=%s", row->name, value)))
        return out_of_memory(b);
    return 0;
}

static int set_entry(struct build *b, const struct plan_entry *entry)
{
    const struct own_key *own = own_key_find(entry->key);
    const struct axis *axis = axis_find(b, entry->key);
    const char *value = axis ? axis->values[axis->at] : entry->value;
    struct why why;
    int err;

    if (axis && axis->entry != entry)
        return 0; /* one of its values was taken with the first */
    if (!own)
        return set_option(b, entry, value);
    err = own_key_set(own, &b->to, value, &why);
    if (err == -ENOMEM)
        return out_of_memory(b);
    return err ? wrong(b, entry, "%.100s%s%s", value, *value ? ": " : "", why.text) : 0;
}

/* hv's own limit, or the one that every boot of a suite has. */
static int set_limit(struct build *b)
{
    const struct option_row *row = option_by_name("timeout", strlen("timeout"));
    bool given = option_given(row, &b->config);
    char buf[OPTION_TEXT_MAX], text[OPTION_TEXT_MAX];
    const char *value =
        given ? row->type->format(row, &b->config, 0, text) : scaled(b, row, PLAN_TIMEOUT, buf);

    if (!value || parse_duration(value, &b->to.spec->timeout_ms) || !b->to.spec->timeout_ms)
        return wrong(b, entry_find(b, row->name), "a boot of a suite cannot go without a limit");
    if (!given && add_run(b, printed("--%s=%s", row->name, value)))
        return out_of_memory(b);
    return 0;
}

/* What no value alone can tell. */
static int check_together(struct build *b)
{
    if (!b->config.kernel)
        return wrong(b, NULL, "has no kernel (add: kernel = FILE)");
    for (unsigned i = 0; !b->to.command && i < option_row_count; i++) {
        const struct option_row *row = &option_rows[i];

        if (row->group == GROUP_COMMAND && row->role == ROLE_SETTING &&
            option_given(row, &b->config))
            return wrong(b, entry_find(b, row->name),
                         "is for a command, and there is none (add: command = TEXT)");
    }
    return set_limit(b);
}

static int add_command(struct build *b)
{
    if (!b->to.command)
        return 0;
    b->to.spec->has_command = true;
    if (add_run(b, strdup("--")) || add_run(b, strdup("sh")) || add_run(b, strdup("-c")) ||
        add_run(b, strdup(b->to.command)))
        return out_of_memory(b);
    return 0;
}

static int fill_spec(struct build *b)
{
    struct boot_spec *spec = b->to.spec;
    int err;

    b->words = 0;
    b->to.command = NULL;
    spec->name = make_name(b);
    spec->stanza = strdup(b->stanza->name);
    spec->line = b->stanza->line;
    spec->repeat = 1;
    if (!spec->name || !spec->stanza || add_run(b, strdup("run")))
        return out_of_memory(b);
    for (unsigned i = 0; i < b->count; i++) {
        err = set_entry(b, b->entries[i]);
        if (err)
            return err;
    }
    err = check_together(b);
    if (!err)
        err = add_command(b);
    spec->cpus = b->config.cpus;
    spec->memory = b->config.memory;
    if (b->to.command && !config_given(&b->config, "memory"))
        spec->memory = COMMAND_MEMORY;
    return err;
}

/* The next combination, the last key's values first. False after the last. */
static bool step(struct build *b)
{
    for (unsigned i = b->axis_count; i-- > 0;) {
        if (++b->axes[i].at < b->axes[i].count)
            return true;
        b->axes[i].at = 0;
    }
    return false;
}

static int add_boots(struct build *b)
{
    unsigned more = combinations(b);
    struct boot_spec *specs;
    int err;

    if (!more)
        return -E2BIG;
    specs = realloc(b->plan->specs, (b->plan->count + more) * sizeof(*specs));
    if (!specs)
        return out_of_memory(b);
    b->plan->specs = specs;
    b->first = b->plan->count;
    do {
        b->to.spec = &specs[b->plan->count];
        memset(b->to.spec, 0, sizeof(*b->to.spec));
        config_init(&b->config);
        err = fill_spec(b);
        config_free(&b->config);
        if (err) {
            boot_spec_free(b->to.spec);
            return err;
        }
        b->plan->count++;
    } while (step(b));
    return 0;
}

static int expand_stanza(struct build *b)
{
    int err;

    gather(b);
    err = read_matrix(b);
    if (!err)
        err = add_boots(b);
    for (unsigned i = 0; i < b->axis_count; i++) {
        while (b->axes[i].count)
            free(b->axes[i].values[--b->axes[i].count]);
        free(b->axes[i].values);
    }
    return err;
}

/* Absolute: the boots start there, wherever their logs go. */
static char *directory_of(const char *path)
{
    char *copy = strdup(path), *dir = copy ? realpath(dirname(copy), NULL) : NULL;

    free(copy);
    return dir;
}

int plan_read(struct plan *plan, const char *path, unsigned scale)
{
    struct plan_file file;
    struct build *b = calloc(1, sizeof(*b));
    int err;

    *plan = (struct plan){0};
    err = plan_file_read(&file, path, plan_key_check);
    if (!err && b) {
        plan->path = strdup(path);
        plan->dir = directory_of(path);
        *b = (struct build){.plan = plan, .file = &file, .to.scale = scale};
    }
    if (!err && (!b || !plan->path || !plan->dir)) {
        log_error("%s: out of memory", path);
        err = -ENOMEM;
    }
    for (unsigned i = 0; !err && i < file.count; i++) {
        b->stanza = &file.stanzas[i];
        err = expand_stanza(b);
    }
    plan_file_free(&file);
    free(b);
    return err;
}
