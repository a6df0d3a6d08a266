/*
 * The option table, for the files behind hv/config.h and nobody else. A row knows where its value
 * lies in struct vm_config and what type it has; a type knows how to read a value from text and how
 * to write it. Command line, JSON, help, man page and validation are loops over the rows.
 *
 * Thread: main, at start-up.
 */
#ifndef HV_CONFIG_TABLE_H
#define HV_CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hv/config.h"

struct option_row;

/* What is wrong with a value, without its place: the caller knows whether that is an option or a
 * line of a file. */
struct why {
    char text[200];
};

/* Always -EINVAL, so that a check can end with it. */
int why_set(struct why *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define OPTION_TEXT_MAX 40 /* a formatted number or UUID with its NUL */

enum json_form {
    JSON_FORM_STRING,
    JSON_FORM_UNIT,   /* written as a string with its unit; read as string or integer */
    JSON_FORM_NUMBER, /* written as an integer; read as string or integer */
    JSON_FORM_BOOL,
    JSON_FORM_LIST, /* array of strings */
};

struct option_type {
    enum json_form json;
    /* Stores what `text` says; a list gets one element more. 0, or -EINVAL and *why; -ENOMEM. */
    int (*set)(const struct option_row *row, struct vm_config *config, const char *text,
               struct why *why);
    /*
     * The text that `set` would read back to the same value, in `buf` or borrowed; NULL when there
     * is none at that index (only lists have more than index 0).
     */
    const char *(*format)(const struct option_row *row, const struct vm_config *config,
                          unsigned index, char buf[OPTION_TEXT_MAX]);
    void (*clear)(const struct option_row *row, struct vm_config *config); /* NULL: owns nothing */
};

extern const struct option_type type_string, type_list, type_size, type_duration, type_count,
    type_choice, type_mode, type_bool, type_uuid, type_words;

enum option_group {
    GROUP_BOOT,
    GROUP_COMMAND,
    GROUP_MACHINE,
    GROUP_DEVICES,
    GROUP_CONSOLE,
    GROUP_OTHER,
    GROUP_COUNT
};

/* ROLE_COMMAND: the words behind "--"; the row has a name for JSON only. */
enum option_role { ROLE_SETTING, ROLE_CONFIG_FILE, ROLE_HELP, ROLE_COMMAND };

struct option_row {
    const char *name; /* --NAME */
    char letter;      /* -L; 0: none */
    const char *arg;  /* what the value is called; NULL: a flag that takes none */
    const char *key;  /* in JSON; NULL: not there */
    enum option_role role;
    enum option_group group;
    const struct option_type *type; /* NULL unless ROLE_SETTING or ROLE_COMMAND */
    size_t offset;                  /* of the value in struct vm_config */
    size_t count_offset;            /* lists: of the number of elements */
    uint64_t min, max, multiple;    /* numbers; lists: max elements; multiple 0: any */
    bool zero_is_off;               /* 0 is allowed below min */
    const char *const *choices;     /* type_choice: names in the order of the enum, NULL-ended */
    int (*check)(const char *text, struct why *why); /* strings and list elements; may be NULL */
    const char *initial;                             /* what config_init sets; NULL: nothing */
    bool required;        /* no value at all is an error of config_validate */
    bool only_if_given;   /* made up by config_init: --print-config must not freeze it */
    bool command_differs; /* a command makes another default, which the same is true of */
    const char *help;
};

extern const struct option_row option_rows[];
extern const unsigned option_row_count; /* at most 64: vm_config.given has a bit for each */

const struct option_row *option_by_name(const char *name, size_t len);
const struct option_row *option_by_letter(char letter);
const struct option_row *option_by_key(const char *key);
const struct option_row *option_command(void); /* the row of ROLE_COMMAND */

/* What stands behind the dashes on the command line. */
const char *option_word(const struct option_row *row);

/* Sets one value and marks its row as given. */
int option_set(const struct option_row *row, struct vm_config *config, const char *text,
               struct why *why);
void option_clear(const struct option_row *row, struct vm_config *config);
bool option_given(const struct option_row *row, const struct vm_config *config);

/* Checks for the rows' strings (config_check.c). */
int check_not_empty(const char *text, struct why *why);
int check_cmdline(const char *text, struct why *why);
int check_name(const char *text, struct why *why);
int check_set_reg(const char *text, struct why *why);
int check_dump_dtb(const char *text, struct why *why);
int check_disk(const char *text, struct why *why);
int check_net(const char *text, struct why *why);
int check_rng(const char *text, struct why *why);
int check_share(const char *text, struct why *why);
int check_balloon(const char *text, struct why *why);
int check_virtio_console(const char *text, struct why *why);

/* config_command.c. */
int check_env(const char *text, struct why *why);
int check_cwd(const char *text, struct why *why);

/* That nothing is said about a command that is not there, and that what is shared with one says
 * where it goes; -EINVAL and a line in the log otherwise. */
int check_command(const struct vm_config *config);

/* That no two options read stdin; -EINVAL and a line in the log otherwise. */
int check_stdin_once(const struct vm_config *config);
int check_virtio(const char *text, struct why *why);

#endif
