/*
 * Sizes, durations and counts: text to number and back, limits of the option table included.
 * Main thread; parse_size and parse_duration are pure.
 */
#include "hv/config_number.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "devices/core/number.h"
#include "devices/core/util.h"
#include "hv/config_table.h"

static const struct number_unit time_units[] = {
    {"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000},
};

int parse_size(const char *text, uint64_t *bytes)
{
    return number_size(text, MIB, bytes);
}

int parse_duration(const char *text, uint64_t *ms)
{
    return number_scaled(text, time_units, ARRAY_SIZE(time_units), ms);
}

void format_duration(uint64_t ms, char *buf, size_t len)
{
    if (ms == 0)
        snprintf(buf, len, "0");
    else if (ms % 3600000 == 0)
        snprintf(buf, len, "%" PRIu64 "h", ms / 3600000);
    else if (ms % 60000 == 0)
        snprintf(buf, len, "%" PRIu64 "m", ms / 60000);
    else if (ms % 1000 == 0)
        snprintf(buf, len, "%" PRIu64 "s", ms / 1000);
    else
        snprintf(buf, len, "%" PRIu64 "ms", ms);
}

static void format_count(uint64_t count, char *buf, size_t len)
{
    snprintf(buf, len, "%" PRIu64, count);
}

/* How the limits are written in messages: in the unit of the option. */
typedef void format_fn(uint64_t value, char *buf, size_t len);

/*
 * Compares with the row's limits. -ERANGE from the parser arrives as `overflow`: a number that does
 * not fit in 64 bits is too large, and the message should say so and not "not a number".
 */
static int check_limits(const struct option_row *row, uint64_t value, bool overflow,
                        format_fn *format, struct why *why)
{
    char limit[OPTION_TEXT_MAX];

    if (!overflow && value == 0 && row->zero_is_off)
        return 0;
    if (!overflow && value < row->min) {
        format(row->min, limit, sizeof(limit));
        return why_set(why, "too small (at least %s)", limit);
    }
    if (overflow || value > row->max) {
        format(row->max, limit, sizeof(limit));
        return why_set(why, "too large (at most %s)", limit);
    }
    if (row->multiple && value % row->multiple) {
        format(row->multiple, limit, sizeof(limit));
        return why_set(why, "not a multiple of %s", limit);
    }
    return 0;
}

static int size_set(const struct option_row *row, struct vm_config *config, const char *text,
                    struct why *why)
{
    uint64_t value = 0;
    int err = parse_size(text, &value);

    if (err == -EINVAL)
        return why_set(why, "not a size (like 64, 512M or 2G; a bare number is MiB)");
    err = check_limits(row, value, err == -ERANGE, number_format_size, why);
    if (!err)
        memcpy((char *)config + row->offset, &value, sizeof(value));
    return err;
}

static const char *size_format(const struct option_row *row, const struct vm_config *config,
                               unsigned index, char *buf)
{
    uint64_t value;

    memcpy(&value, (const char *)config + row->offset, sizeof(value));
    number_format_size(value, buf, OPTION_TEXT_MAX);
    return index == 0 ? buf : NULL;
}

const struct option_type type_size = {
    .json = JSON_FORM_UNIT, .set = size_set, .format = size_format};

static int duration_set(const struct option_row *row, struct vm_config *config, const char *text,
                        struct why *why)
{
    uint64_t value = 0;
    int err = parse_duration(text, &value);

    if (err == -EINVAL)
        return why_set(why, "not a time (like 10, 1500ms, 2m or 1h; a bare number is seconds)");
    err = check_limits(row, value, err == -ERANGE, format_duration, why);
    if (!err)
        memcpy((char *)config + row->offset, &value, sizeof(value));
    return err;
}

static const char *duration_format(const struct option_row *row, const struct vm_config *config,
                                   unsigned index, char *buf)
{
    uint64_t value;

    memcpy(&value, (const char *)config + row->offset, sizeof(value));
    format_duration(value, buf, OPTION_TEXT_MAX);
    return index == 0 ? buf : NULL;
}

const struct option_type type_duration = {
    .json = JSON_FORM_UNIT, .set = duration_set, .format = duration_format};

static int count_set(const struct option_row *row, struct vm_config *config, const char *text,
                     struct why *why)
{
    const char *end = text;
    uint64_t value = 0;
    unsigned count;
    int err = number_digits(&end, &value);

    if (err == -EINVAL || (!err && *end))
        return why_set(why, "not a number");
    err = check_limits(row, value, err == -ERANGE, format_count, why);
    if (err)
        return err;
    count = (unsigned)value; /* the row's limit is below 2^32 */
    memcpy((char *)config + row->offset, &count, sizeof(count));
    return 0;
}

static const char *count_format(const struct option_row *row, const struct vm_config *config,
                                unsigned index, char *buf)
{
    unsigned value;

    memcpy(&value, (const char *)config + row->offset, sizeof(value));
    format_count(value, buf, OPTION_TEXT_MAX);
    return index == 0 ? buf : NULL;
}

const struct option_type type_count = {
    .json = JSON_FORM_NUMBER, .set = count_set, .format = count_format};
