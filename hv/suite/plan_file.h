/*
 * The text of a plan as stanzas of keys and values, without their meaning: that is plan.c's. A plan
 * comes from a stranger's repository, so its size, its lines and its characters are checked.
 *
 * Thread: main. Errors: one line "FILE:LINE: ..." in the log, then -errno.
 */
#ifndef HV_SUITE_PLAN_FILE_H
#define HV_SUITE_PLAN_FILE_H

#include <stdbool.h>

#define PLAN_FILE_MAX    (1u << 20)
#define PLAN_LINE_MAX    16384
#define PLAN_NAME_MAX    64 /* of a stanza */
#define PLAN_ENTRIES_MAX 256
#define PLAN_STANZAS_MAX 2000

struct plan_entry {
    char *key, *value; /* owned; without the white space around them */
    unsigned line;
};

struct plan_stanza {
    char *name;
    unsigned line; /* 0: not there */
    struct plan_entry *entries;
    unsigned count;
};

struct plan_file {
    const char *path; /* the caller's */
    struct plan_stanza defaults;
    struct plan_stanza *stanzas; /* in the order of the file, at least one */
    unsigned count;
};

/* Called for each key as it is read; logs and returns -errno to refuse it. */
typedef int plan_entry_check(const char *path, const struct plan_stanza *stanza,
                             const struct plan_entry *entry);

/* plan_file_free is allowed on *file in any case. */
int plan_file_read(struct plan_file *file, const char *path, plan_entry_check *check);
void plan_file_free(struct plan_file *file);

#endif
