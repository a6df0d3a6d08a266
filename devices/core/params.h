/*
 * Values of the form key=value,key=value, as --disk and --net take them: one table a device drives
 * parsing, messages and help. A comma within a value is doubled (",,"), or the value is in double
 * quotes; a key without "=value" is a boolean set to on.
 *
 * Thread: main, at start-up.
 */
#ifndef HV_CORE_PARAMS_H
#define HV_CORE_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum param_type {
    PARAM_STRING, /* char *, owned, NULL when not given */
    PARAM_BOOL,   /* bool; on, off, true, false, yes, no, 1, 0 */
    PARAM_SIZE,   /* uint64_t; a bare number is bytes, K M G T are powers of 1024 */
    PARAM_COUNT,  /* unsigned */
    PARAM_CHOICE, /* unsigned: index into choices */
    PARAM_LIST,   /* struct param_list: a key that may be repeated */
};

#define PARAM_LIST_MAX 16

struct param_list {
    char *item[PARAM_LIST_MAX]; /* owned */
    unsigned count;
};

struct param_row {
    const char *key;
    const char *arg; /* what the value is called in help */
    enum param_type type;
    size_t offset;              /* of the value in the structure */
    uint64_t min, max;          /* numbers; max 0: no limit */
    const char *const *choices; /* NULL-ended */
    bool required;
    const char *initial; /* the value as text; NULL: zero */
    const char *help;    /* one line */
};

/* One kind of device's parameters. rows end with key NULL. */
struct params {
    const struct param_row *rows;
    size_t size;       /* of the structure; it holds nothing but what rows describe */
    const char *first; /* the key of a first item without "=", or NULL (--net TYPE,...) */
};

/*
 * Fills the structure at `out`. -EINVAL with one line in `why`, which names the key, says what is
 * wrong and lists what is valid (the nearest key first); `out` is then as after params_free.
 */
int params_parse(const struct params *params, const char *text, void *out, char *why, size_t cap);

/* Frees strings and zeroes the structure. */
void params_free(const struct params *params, void *out);

/* What is wrong with `text`, without keeping anything: for the option table. */
int params_check(const struct params *params, const char *text, char *why, size_t cap);

#endif
