/*
 * The configuration as JSON (RFC 8259): one flat object whose keys and values are those of the
 * option table. The file is the user's, but it may be damaged or not be one at all: it is opened
 * without blocking, bounded, and read once.
 *
 * Called by config_parse.c and `hv run --print-config`. Main thread.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/nearest.h"
#include "devices/core/util.h"
#include "hv/config_table.h"
#include "hv/loader/loader.h"

#define FILE_MAX MIB

/* NULL: nothing to write; an error is told apart by *err. */
static json_t *list_to_json(const struct option_row *row, const struct vm_config *config, int *err)
{
    json_t *array = json_array();
    char buf[OPTION_TEXT_MAX];
    const char *text;

    for (unsigned i = 0; array && (text = row->type->format(row, config, i, buf)); i++)
        if (json_array_append_new(array, json_string(text))) {
            json_decref(array);
            array = NULL;
        }
    if (!array)
        *err = -EILSEQ;
    return array;
}

/* What --config takes, in the form that a person would write. */
static json_t *row_to_json(const struct option_row *row, const struct vm_config *config, int *err)
{
    char buf[OPTION_TEXT_MAX];
    json_t *value;
    const char *text;

    if (row->type->json == JSON_FORM_LIST)
        return list_to_json(row, config, err);
    text = row->type->format(row, config, 0, buf);
    if (!text)
        return NULL;
    switch (row->type->json) {
    case JSON_FORM_BOOL:
        value = json_boolean(strcmp(text, "on") == 0);
        break;
    case JSON_FORM_NUMBER:
        value = json_integer(strtoll(text, NULL, 10));
        break;
    default:
        value = json_string(text);
        break;
    }
    if (!value)
        *err = -EILSEQ;
    return value;
}

/* What was made up is made up again by whoever reads the file. */
static bool row_is_written(const struct option_row *row, const struct vm_config *config)
{
    bool made_up = row->only_if_given || (row->command_differs && config->command_count);

    return row->key && (!made_up || option_given(row, config));
}

/* In the order of the table, which jansson keeps. */
static json_t *config_to_json(const struct vm_config *config)
{
    json_t *object = json_object();

    for (unsigned i = 0; object && i < option_row_count; i++) {
        const struct option_row *row = &option_rows[i];
        json_t *value;
        int err = 0;

        if (!row_is_written(row, config))
            continue;
        value = row_to_json(row, config, &err);
        if (!err && value && json_object_set_new(object, row->key, value))
            err = -ENOMEM;
        if (err) {
            log_error("--print-config: --%s: %s", option_word(row),
                      err == -EILSEQ ? "not UTF-8, which JSON cannot hold" : strerror(-err));
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}

int config_write_json(const struct vm_config *config, FILE *out)
{
    json_t *object = config_to_json(config);
    int err = 0;

    if (!object)
        return -EINVAL;
    /* Flushed here, because a full disk often shows only then. */
    errno = 0;
    if (json_dumpf(object, out, JSON_INDENT(2)) || fputc('\n', out) == EOF || fflush(out) ||
        ferror(out)) {
        err = errno ? -errno : -EIO;
        log_error("--print-config: standard output: %s", strerror(-err));
    }
    json_decref(object);
    return err;
}

/*
 * The line on which the key number `index` of the outermost object stands; jansson keeps the order
 * of the keys but not their places. `text` has been parsed, so it is well-formed.
 */
static unsigned key_line(const char *text, size_t len, unsigned index)
{
    bool in_string = false, key_next = false; /* key_next counts at depth 1 only */
    unsigned line = 1, depth = 0, keys = 0;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (c == '\n')
            line++;
        if (in_string) {
            if (c == '\\')
                i++; /* whatever it is, it does not end the string; it is no newline */
            else if (c == '"')
                in_string = false;
            continue;
        }
        if (c == '"') {
            if (depth == 1 && key_next && keys++ == index)
                return line;
            in_string = true;
            key_next = false;
        } else if (c == '{' || c == '[') {
            depth++;
            key_next = true;
        } else if (c == '}' || c == ']') {
            depth--;
        } else if (c == ',') {
            key_next = true;
        }
    }
    return line;
}

/* Ignoring a key that is not known would run another machine than the one that was described. */
static int unknown_key(const char *key, struct why *why)
{
    struct nearest nearest = {.word = key};

    for (unsigned i = 0; i < option_row_count; i++)
        if (option_rows[i].key)
            nearest_offer(&nearest, option_rows[i].key);
    if (nearest.best)
        return why_set(why, "unknown key \"%.60s\" (did you mean \"%s\"?)", key, nearest.best);
    return why_set(why, "unknown key \"%.60s\" (hv help run lists them)", key);
}

static int wrong_type(const struct option_row *row, struct why *why)
{
    static const char *const wanted[] = {
        [JSON_FORM_STRING] = "a string",          [JSON_FORM_UNIT] = "a string or a whole number",
        [JSON_FORM_NUMBER] = "a whole number",    [JSON_FORM_BOOL] = "true or false",
        [JSON_FORM_LIST] = "an array of strings",
    };

    return why_set(why, "\"%s\": must be %s", row->key, wanted[row->type->json]);
}

/* Sets one value and puts it into the message when it is refused. */
static int set_text(const struct option_row *row, struct vm_config *config, const char *text,
                    struct why *why)
{
    struct why reason;
    int err = option_set(row, config, text, &reason);

    if (err)
        why_set(why, "\"%s\": %.40s: %s", row->key, text, reason.text);
    return err;
}

static int set_list(const struct option_row *row, struct vm_config *config, const json_t *value,
                    struct why *why)
{
    json_t *item;
    size_t i;
    int err = 0;

    if (!json_is_array(value))
        return wrong_type(row, why);
    option_clear(row, config); /* a list replaces, it does not add: the file says all of it */
    json_array_foreach(value, i, item)
    {
        if (!err)
            err = json_is_string(item) ? set_text(row, config, json_string_value(item), why)
                                       : wrong_type(row, why);
    }
    return err;
}

/* A number means what the same digits mean on the command line. */
static int set_value(const struct option_row *row, struct vm_config *config, const json_t *value,
                     struct why *why)
{
    enum json_form form = row->type->json;
    char digits[OPTION_TEXT_MAX];

    if (form == JSON_FORM_LIST)
        return set_list(row, config, value, why);
    if (form == JSON_FORM_BOOL)
        return json_is_boolean(value)
                   ? set_text(row, config, json_is_true(value) ? "on" : "off", why)
                   : wrong_type(row, why);
    if (json_is_string(value))
        return set_text(row, config, json_string_value(value), why);
    if (form == JSON_FORM_STRING || !json_is_integer(value))
        return wrong_type(row, why);
    snprintf(digits, sizeof(digits), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return set_text(row, config, digits, why);
}

/* jansson's objects iterate in the order of the text, so a counter is the key's place in it. */
static int apply(struct vm_config *config, json_t *object, const char *path, const char *text,
                 size_t len)
{
    unsigned index = 0;
    struct why why;
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value)
    {
        const struct option_row *row = option_by_key(key);
        int err = row ? set_value(row, config, value, &why) : unknown_key(key, &why);

        if (err) {
            log_error("%s:%u: %s", path, key_line(text, len, index), why.text);
            return err;
        }
        index++;
    }
    return 0;
}

/* Of two values for one key jansson would keep the last and say nothing: hence the flag. */
static int parse(struct vm_config *config, const char *path, const char *text, size_t len)
{
    json_error_t error;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    int err = -EINVAL;

    if (!root && json_error_code(&error) == json_error_null_character)
        log_error("%s:%d:%d: a string holds a NUL character", path, error.line, error.column);
    else if (!root)
        log_error("%s:%d:%d: not JSON: %s", path, error.line, error.column, error.text);
    else if (!json_is_object(root))
        log_error("%s:1: must be one JSON object, as hv run --print-config writes it", path);
    else
        err = apply(config, root, path, text, len);
    json_decref(root);
    return err;
}

int config_read_json(struct vm_config *config, const char *path)
{
    struct image file;
    char *text = NULL;
    int err = image_open(&file, path);

    if (err)
        return err;
    if (file.size > FILE_MAX) {
        log_error("%s: too large for a configuration (at most 1M)", path);
        err = -EFBIG;
        goto out;
    }
    text = malloc(file.size); /* image_open refuses an empty file */
    err = text ? image_read(&file, 0, text, file.size) : -ENOMEM;
    if (err) {
        log_error("%s: cannot read: %s", path, strerror(-err));
        goto out;
    }
    err = parse(config, path, text, file.size);
out:
    free(text);
    image_close(&file);
    return err;
}
