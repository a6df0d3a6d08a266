/*
 * Cuts a stream of bytes into lines. Of a line at most LINES_MAX bytes are kept; what follows up to
 * its end costs nothing. Bytes may be anything, NUL too.
 *
 * Thread: main.
 */
#ifndef HV_SUITE_LINES_H
#define HV_SUITE_LINES_H

#include <stdbool.h>
#include <stddef.h>

#define LINES_MAX 65536

/* A line without its end ("\n" or "\r\n"); not NUL-ended, gone after the call. */
typedef void lines_fn(void *opaque, const char *line, size_t len);

struct lines {
    lines_fn *fn;
    void *opaque;
    char *buf; /* LINES_MAX bytes */
    size_t len;
};

/* 0, or -ENOMEM. lines_destroy accepts a zeroed one. */
int lines_init(struct lines *lines, lines_fn *fn, void *opaque);
void lines_destroy(struct lines *lines);

void lines_feed(struct lines *lines, const char *data, size_t len);

/* The end of the stream: a last line without an end is a line, too. */
void lines_finish(struct lines *lines);

#endif
