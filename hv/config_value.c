/*
 * The types of option values: each reads its value from text and writes it back, for the rows of
 * config_table.c. Main thread.
 */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/nearest.h"
#include "devices/core/util.h"
#include "hv/config_number.h"
#include "hv/config_table.h"
#include "hv/mode.h"

int why_set(struct why *why, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why->text, sizeof(why->text), fmt, ap);
    va_end(ap);
    return -EINVAL;
}

/* Rows keep an offset instead of a pointer, so that one table serves every configuration. */
/* The one place that turns a row's offset into a pointer. */
static void *field(const struct option_row *row, struct vm_config *config)
{
    return (char *)config + row->offset;
}

static const void *const_field(const struct option_row *row, const struct vm_config *config)
{
    return (const char *)config + row->offset;
}

/* The old value stays until the new one is good. */
/* The value is copied: it may come from a JSON document that is freed before it is used. */
static int string_set(const struct option_row *row, struct vm_config *config, const char *text,
                      struct why *why)
{
    char **value = field(row, config);
    char *copy;
    int err = row->check ? row->check(text, why) : 0;

    if (err)
        return err;
    copy = strdup(text);
    if (!copy) {
        why_set(why, "out of memory");
        return -ENOMEM;
    }
    free(*value);
    *value = copy;
    return 0;
}

/* No copy: NULL is a string that was never set, which is not the same as an empty one. */
static const char *string_format(const struct option_row *row, const struct vm_config *config,
                                 unsigned index, char *buf)
{
    char *const *value = const_field(row, config);

    (void)buf;
    return index == 0 ? *value : NULL;
}

static void string_clear(const struct option_row *row, struct vm_config *config)
{
    char **value = field(row, config);

    free(*value);
    *value = NULL;
}

const struct option_type type_string = {
    .json = JSON_FORM_STRING, .set = string_set, .format = string_format, .clear = string_clear};

/* A list is an array in the configuration with its count in another field of it. */
static unsigned *list_count(const struct option_row *row, struct vm_config *config)
{
    return (unsigned *)((char *)config + row->count_offset);
}

/* Bounded by the array in struct vm_config, so that no configuration can make it grow. */
static int list_set(const struct option_row *row, struct vm_config *config, const char *text,
                    struct why *why)
{
    char **items = field(row, config);
    unsigned *count = list_count(row, config);
    int err = row->check ? row->check(text, why) : 0;

    if (err)
        return err;
    if (*count >= row->max)
        return why_set(why, "too many (at most %" PRIu64 ")", row->max);
    items[*count] = strdup(text);
    if (!items[*count]) {
        why_set(why, "out of memory");
        return -ENOMEM;
    }
    ++*count;
    return 0;
}

static const char *list_format(const struct option_row *row, const struct vm_config *config,
                               unsigned index, char *buf)
{
    char *const *items = const_field(row, config);
    const unsigned *count = (const unsigned *)((const char *)config + row->count_offset);

    (void)buf;
    return index < *count ? items[index] : NULL;
}

static void list_clear(const struct option_row *row, struct vm_config *config)
{
    char **items = field(row, config);
    unsigned *count = list_count(row, config);

    while (*count) {
        free(items[--*count]);
        items[*count] = NULL;
    }
}

const struct option_type type_list = {
    .json = JSON_FORM_LIST, .set = list_set, .format = list_format, .clear = list_clear};

/* Names in the order of an enum. One function serves all of them, so they must be equally wide. */
static_assert(sizeof(enum boot_protocol) == sizeof(unsigned) &&
                  sizeof(enum memory_backing) == sizeof(unsigned),
              "enums are stored through an unsigned");

/* Choices are named in the row; a wrong one is answered with the list of the right ones. */
static int choice_set(const struct option_row *row, struct vm_config *config, const char *text,
                      struct why *why)
{
    for (unsigned i = 0; row->choices[i]; i++)
        if (strcmp(row->choices[i], text) == 0) {
            memcpy(field(row, config), &i, sizeof(i));
            return 0;
        }
    return why_set(why, "unknown (one of %s)", row->arg);
}

static const char *choice_format(const struct option_row *row, const struct vm_config *config,
                                 unsigned index, char *buf)
{
    unsigned value, known = 0;

    (void)buf;
    memcpy(&value, const_field(row, config), sizeof(value));
    while (row->choices[known])
        known++;
    if (index)
        return NULL;
    return value < known ? row->choices[value] : "?"; /* which `set` refuses */
}

const struct option_type type_choice = {
    .json = JSON_FORM_STRING, .set = choice_set, .format = choice_format};

/* A mode is kept as its row, so that nobody needs to look it up again. */
/* As a choice, but over the table of modes, which other files extend. */
static int mode_set(const struct option_row *row, struct vm_config *config, const char *text,
                    struct why *why)
{
    const struct mode *mode = mode_find(text);
    char names[120] = "";

    (void)row;
    if (mode) {
        config->mode = mode;
        return 0;
    }
    for (unsigned i = 0; i < mode_count; i++) {
        size_t len = strlen(names);

        snprintf(names + len, sizeof(names) - len, "%s%s", i ? ", " : "", modes[i].name);
    }
    return why_set(why, "unknown mode (known: %s)", names);
}

static const char *mode_format(const struct option_row *row, const struct vm_config *config,
                               unsigned index, char *buf)
{
    (void)row;
    (void)buf;
    return index == 0 && config->mode ? config->mode->name : NULL;
}

const struct option_type type_mode = {
    .json = JSON_FORM_STRING, .set = mode_set, .format = mode_format};

/* The text of a flag is "on" too; only the command line knows that it was not written. */
/* Flags of the command line have no value; in JSON and in on/off options they do. */
static int bool_set(const struct option_row *row, struct vm_config *config, const char *text,
                    struct why *why)
{
    bool *value = field(row, config);

    if (strcmp(text, "on") != 0 && strcmp(text, "off") != 0)
        return why_set(why, "must be on or off");
    *value = text[1] == 'n';
    return 0;
}

static const char *bool_format(const struct option_row *row, const struct vm_config *config,
                               unsigned index, char *buf)
{
    const bool *value = const_field(row, config);

    (void)buf;
    if (index)
        return NULL;
    return *value ? "on" : "off";
}

const struct option_type type_bool = {
    .json = JSON_FORM_BOOL, .set = bool_set, .format = bool_format};

/* RFC 4122, section 3: 8-4-4-4-12 hex digits; bytes are kept in the order of the text. */
#define UUID_TEXT_LEN 36

static bool uuid_has_dash(unsigned pos)
{
    return pos == 8 || pos == 13 || pos == 18 || pos == 23;
}

/* RFC 4122 text; stored in the order it is printed in, SMBIOS swaps it later. */
static int uuid_set(const struct option_row *row, struct vm_config *config, const char *text,
                    struct why *why)
{
    uint8_t *uuid = field(row, config);
    unsigned nibble = 0;

    if (strlen(text) != UUID_TEXT_LEN)
        return why_set(why, "not a UUID (8-4-4-4-12 hex digits)");
    for (unsigned i = 0; i < UUID_TEXT_LEN; i++)
        if (uuid_has_dash(i) ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
            return why_set(why, "not a UUID (8-4-4-4-12 hex digits)");
    for (const char *s = text; *s; s++) {
        unsigned digit;

        if (*s == '-')
            continue;
        digit = isdigit((unsigned char)*s) ? (unsigned)(*s - '0') : ((unsigned)*s & 0xf) + 9;
        uuid[nibble / 2] = (uint8_t)(nibble % 2 ? uuid[nibble / 2] | digit : digit << 4);
        nibble++;
    }
    return 0;
}

static const char *uuid_format(const struct option_row *row, const struct vm_config *config,
                               unsigned index, char *buf)
{
    const uint8_t *uuid = const_field(row, config);
    unsigned pos = 0;

    if (index)
        return NULL;
    for (unsigned i = 0; i < sizeof(config->uuid); i++) {
        if (uuid_has_dash(pos))
            buf[pos++] = '-';
        snprintf(buf + pos, 3, "%02x", uuid[i]);
        pos += 2;
    }
    return buf;
}

const struct option_type type_uuid = {
    .json = JSON_FORM_STRING, .set = uuid_set, .format = uuid_format};
