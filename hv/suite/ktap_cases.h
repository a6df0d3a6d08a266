/* The list of cases that ktap.c fills: bounded in number, in text, and in the time it takes. */
#ifndef HV_SUITE_KTAP_CASES_H
#define HV_SUITE_KTAP_CASES_H

#include "hv/suite/suite.h"

enum {
    KTAP_NAME_MAX = 200, /* bytes kept of one name, NUL included */
    KTAP_PATH_MAX = 512, /* of the names of a case and of the suites around it */
    KTAP_LOG_MAX = 4096, /* of a case's log */
};

struct ktap_text {
    char text[KTAP_LOG_MAX];
    size_t len;
};

/* Adds a line; what does not fit is cut. Control characters become '?'. */
void ktap_text_add(struct ktap_text *text, const char *line, size_t len);

/* Appends `from` to `to`, as far as it fits, and empties it. */
void ktap_text_move(struct ktap_text *to, struct ktap_text *from);

/* A copy for a C string: cut to the room, control characters replaced. */
void ktap_name_copy(char out[KTAP_NAME_MAX], const char *name, size_t len);

/* Appends ".NAME" (or "NAME" to an empty path). */
void ktap_path_add(char path[KTAP_PATH_MAX], const char *name);

struct ktap_cases {
    struct ktap_case *list;
    unsigned count, room;
    unsigned unlisted; /* more than KTAP_MAX_CASES, or no memory */
    size_t log_bytes;  /* of all logs */
};

/* `log` is kept for cases that did not pass. */
void ktap_cases_add(struct ktap_cases *cases, const char *path, enum ktap_status status,
                    const struct ktap_text *log);

/* Puts "NAME." into the names of all cases from number `first` on, behind their first `at` bytes.
 */
void ktap_cases_insert(struct ktap_cases *cases, unsigned first, size_t at, const char *name);

#endif
