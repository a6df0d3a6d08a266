/*
 * key=value lists: see params.h. The text is copied once and cut up in place; each item is then
 * stored by the row of its key. The life of a value: take_item -> find_row -> set_value.
 */
#include "devices/core/params.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/nearest.h"
#include "devices/core/number.h"
#include "devices/core/util.h"

#define ROWS_MAX 64 /* bits of parse.seen */
#define SHOWN                                                                                      \
    "%.48s" /* of the user's text in messages: the list of what is valid must fit, too             \
             */

struct parse {
    const struct params *params;
    char *at;   /* what is left to read */
    bool first; /* the next item is the first one */
    uint64_t seen;
    void *out;
    char *why;
    size_t cap;
};

/* One item. */
struct item {
    char *key;   /* NULL: the item is a value alone */
    char *value; /* NULL: the item is a key alone; may be empty */
};

static int refuse(struct parse *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int refuse(struct parse *p, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(p->why, p->cap, fmt, ap);
    va_end(ap);
    return -EINVAL;
}

static void *field(const struct param_row *row, void *out)
{
    return (char *)out + row->offset;
}

/* Lists of what is valid. */

/* Appends to the message; what does not fit is left out. */
static void append(struct parse *p, const char *before, const char *word)
{
    size_t len = strnlen(p->why, p->cap);

    if (len < p->cap)
        snprintf(p->why + len, p->cap - len, "%s%s", before, word);
}

/* Words come from keys or choices; `step` is the distance between two pointers to them. */
static void append_words(struct parse *p, const char *typed, const char *const *words, size_t step)
{
    struct nearest nearest = {.word = typed};
    const char *word, *before = "";

    for (size_t i = 0; (word = *(const char *const *)((const char *)words + i * step)); i++)
        nearest_offer(&nearest, word);
    if (nearest.best) {
        append(p, before, nearest.best);
        before = ", ";
    }
    for (size_t i = 0; (word = *(const char *const *)((const char *)words + i * step)); i++) {
        if (word == nearest.best)
            continue;
        append(p, before, word);
        before = ", ";
    }
}

static int refuse_key(struct parse *p, const char *key)
{
    refuse(p, "unknown key \"" SHOWN "\"; valid: ", key);
    append_words(p, key, &p->params->rows->key, sizeof(*p->params->rows));
    return -EINVAL;
}

static int refuse_choice(struct parse *p, const struct param_row *row, const char *value)
{
    refuse(p, "%s=" SHOWN ": not one of ", row->key, value);
    append_words(p, value, row->choices, sizeof(*row->choices));
    return -EINVAL;
}

/* Values. */

static int set_string(struct parse *p, const struct param_row *row, const char *value, char **slot)
{
    char *copy = strdup(value);

    if (!copy) {
        refuse(p, "%s: out of memory", row->key);
        return -ENOMEM;
    }
    free(*slot);
    *slot = copy;
    return 0;
}

static int set_list(struct parse *p, const struct param_row *row, const char *value)
{
    struct param_list *list = field(row, p->out);
    int err;

    if (list->count == PARAM_LIST_MAX)
        return refuse(p, "%s: given too often (at most %d times)", row->key, PARAM_LIST_MAX);
    err = set_string(p, row, value, &list->item[list->count]);
    if (!err)
        list->count++;
    return err;
}

static int set_bool(struct parse *p, const struct param_row *row, const char *value)
{
    /* Even: on; odd: off. */
    static const char *const words[] = {"on", "off", "true", "false", "yes", "no", "1", "0"};

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
        if (strcmp(value, words[i]) == 0) {
            *(bool *)field(row, p->out) = i % 2 == 0;
            return 0;
        }
    return refuse(p, "%s=" SHOWN ": not on or off", row->key, value);
}

static int set_choice(struct parse *p, const struct param_row *row, const char *value)
{
    for (unsigned i = 0; row->choices[i]; i++)
        if (strcmp(value, row->choices[i]) == 0) {
            *(unsigned *)field(row, p->out) = i;
            return 0;
        }
    return refuse_choice(p, row, value);
}

static void format_limit(const struct param_row *row, uint64_t limit, char *buf, size_t len)
{
    if (row->type == PARAM_SIZE)
        number_format_size(limit, buf, len);
    else
        snprintf(buf, len, "%" PRIu64, limit);
}

static int check_limits(struct parse *p, const struct param_row *row, const char *text,
                        uint64_t value, bool overflow)
{
    uint64_t max = row->type == PARAM_COUNT ? UINT_MAX : UINT64_MAX;
    char limit[32];

    if (row->max && row->max < max)
        max = row->max;
    if (overflow || value > max) {
        format_limit(row, max, limit, sizeof(limit));
        return refuse(p, "%s=" SHOWN ": too large (at most %s)", row->key, text, limit);
    }
    if (value < row->min) {
        format_limit(row, row->min, limit, sizeof(limit));
        return refuse(p, "%s=" SHOWN ": too small (at least %s)", row->key, text, limit);
    }
    return 0;
}

static int set_size(struct parse *p, const struct param_row *row, const char *text)
{
    uint64_t value = 0;
    int err = number_size(text, 1, &value);

    if (err == -EINVAL)
        return refuse(p, "%s=" SHOWN ": not a size (like 4096, 64K or 2G)", row->key, text);
    err = check_limits(p, row, text, value, err == -ERANGE);
    if (!err)
        *(uint64_t *)field(row, p->out) = value;
    return err;
}

static int set_count(struct parse *p, const struct param_row *row, const char *text)
{
    const char *end = text;
    uint64_t value = 0;
    int err = number_digits(&end, &value);

    if (err == -EINVAL || (!err && *end))
        return refuse(p, "%s=" SHOWN ": not a number", row->key, text);
    err = check_limits(p, row, text, value, err == -ERANGE);
    if (!err)
        *(unsigned *)field(row, p->out) = (unsigned)value;
    return err;
}

static int set_value(struct parse *p, const struct param_row *row, const char *value)
{
    switch (row->type) {
    case PARAM_STRING:
        return set_string(p, row, value, field(row, p->out));
    case PARAM_BOOL:
        return set_bool(p, row, value);
    case PARAM_SIZE:
        return set_size(p, row, value);
    case PARAM_COUNT:
        return set_count(p, row, value);
    case PARAM_CHOICE:
        return set_choice(p, row, value);
    case PARAM_LIST:
        return set_list(p, row, value);
    }
    assert(false); /* no such type */
    return -EINVAL;
}

/* Text to items. */

/*
 * Cuts the value at p->at out of the text, quotes and doubled commas resolved, and moves on to the
 * next item. What comes out is never longer than what stood there, so it is done in place.
 */
static int take_value(struct parse *p, const char *key, char **value)
{
    char *to = p->at, *from = p->at;
    bool quoted = *from == '"';

    *value = to;
    if (quoted)
        from++;
    for (; *from; *to++ = *from++) {
        if (*from != (quoted ? '"' : ','))
            continue;
        if (from[1] != *from)
            break;
        from++; /* doubled: one of them is meant */
    }
    if (quoted && *from != '"')
        return refuse(p, SHOWN ": the quote is never closed", key);
    if (quoted)
        from++;
    if (*from && *from != ',')
        return refuse(p, SHOWN ": a comma is missing before \"" SHOWN "\"", key, from);
    if (*from && !from[1])
        return refuse(p, "nothing follows the last comma");
    p->at = *from ? from + 1 : from;
    *to = '\0';
    return 0;
}

static int take_item(struct parse *p, struct item *item)
{
    size_t len = strcspn(p->at, "=,\"");
    bool keyed = p->at[len] == '=';
    char *word;
    int err;

    item->key = keyed ? p->at : NULL;
    if (keyed) {
        p->at[len] = '\0';
        p->at += len + 1;
    }
    err = take_value(p, keyed ? item->key : "the value", &word);
    item->value = word;
    if (!err && !keyed && !(p->first && p->params->first)) {
        item->key = word;
        item->value = NULL;
    }
    p->first = false;
    return err;
}

/* Items to fields. */

static const struct param_row *find_row(const struct params *params, const char *key)
{
    for (const struct param_row *row = params->rows; row->key; row++)
        if (strcmp(row->key, key) == 0)
            return row;
    return NULL;
}

static int store_item(struct parse *p, const struct item *item)
{
    const char *key = item->key ? item->key : p->params->first;
    const struct param_row *row = find_row(p->params, key);
    uint64_t bit;

    if (!row)
        return refuse_key(p, key);
    bit = UINT64_C(1) << (row - p->params->rows);
    /* Which of two files was meant cannot be told. */
    if (p->seen & bit && row->type != PARAM_LIST)
        return refuse(p, "%s: given twice", key);
    p->seen |= bit;
    if (!item->value && row->type == PARAM_BOOL) {
        *(bool *)field(row, p->out) = true;
        return 0;
    }
    if (!item->value || !*item->value)
        return refuse(p, "%s: a value is missing (%s=%s)", key, key, row->arg);
    return set_value(p, row, item->value);
}

/* Rows that were not given. */
static int fill_rest(struct parse *p)
{
    for (const struct param_row *row = p->params->rows; row->key; row++) {
        int err;

        if (p->seen & UINT64_C(1) << (row - p->params->rows))
            continue;
        if (row->required)
            return refuse(p, "%s is missing (%s=%s)", row->key, row->key, row->arg);
        if (!row->initial)
            continue;
        err = set_value(p, row, row->initial);
        assert(err != -EINVAL); /* the table's own value */
        if (err)
            return err;
    }
    return 0;
}

int params_parse(const struct params *params, const char *text, void *out, char *why, size_t cap)
{
    struct parse p = {.params = params, .first = true, .out = out, .why = why, .cap = cap};
    char *copy = strdup(text ? text : "");
    struct item item;
    int err = 0;

    memset(out, 0, params->size);
    if (!copy) {
        refuse(&p, "out of memory");
        return -ENOMEM;
    }
    p.at = copy;
    while (!err && *p.at) {
        err = take_item(&p, &item);
        if (!err)
            err = store_item(&p, &item);
    }
    if (!err)
        err = fill_rest(&p);
    if (err)
        params_free(params, out);
    free(copy);
    return err;
}

void params_free(const struct params *params, void *out)
{
    for (const struct param_row *row = params->rows; row->key; row++) {
        assert(row - params->rows < ROWS_MAX);
        if (row->type == PARAM_STRING) {
            free(*(char **)field(row, out));
        } else if (row->type == PARAM_LIST) {
            struct param_list *list = field(row, out);

            for (unsigned i = 0; i < list->count; i++)
                free(list->item[i]);
        }
    }
    memset(out, 0, params->size);
}

int params_check(const struct params *params, const char *text, char *why, size_t cap)
{
    void *out = malloc(params->size);
    int err;

    if (!out) {
        snprintf(why, cap, "out of memory");
        return -ENOMEM;
    }
    err = params_parse(params, text, out, why, cap);
    if (!err)
        params_free(params, out);
    free(out);
    return err;
}
