/* The last lines of a stream, cut short, in constant memory. Main thread. */
#ifndef HV_SUITE_TAIL_H
#define HV_SUITE_TAIL_H

#include <stddef.h>

#define TAIL_LINES 40
#define TAIL_WIDTH 240 /* bytes of each */

/* A zeroed one is empty. */
struct tail {
    char line[TAIL_LINES][TAIL_WIDTH + 1]; /* NUL bytes are kept as spaces */
    unsigned next, count;
};

/* Empty lines are left out. */
void tail_put(struct tail *tail, const char *line, size_t len);

/* "" when there is none. */
const char *tail_last(const struct tail *tail);

/* All, each ended by a newline; the caller frees it. NULL: there are none, or no memory. */
char *tail_text(const struct tail *tail);

#endif
