/* Lines out of pipes: see lines.h. Called by job.c. */
#include "hv/suite/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int lines_init(struct lines *lines, lines_fn *fn, void *opaque)
{
    *lines = (struct lines){.fn = fn, .opaque = opaque, .buf = malloc(LINES_MAX)};
    return lines->buf ? 0 : -ENOMEM;
}

void lines_destroy(struct lines *lines)
{
    free(lines->buf);
    lines->buf = NULL;
}

static void give(struct lines *lines, const char *line, size_t len)
{
    if (len && line[len - 1] == '\r')
        len--;
    lines->fn(lines->opaque, line, len);
    lines->len = 0;
}

static void keep(struct lines *lines, const char *data, size_t len)
{
    size_t room = LINES_MAX - lines->len;

    if (len > room)
        len = room;
    memcpy(lines->buf + lines->len, data, len);
    lines->len += len;
}

/* A line that came whole is handed on where it lies. */
void lines_feed(struct lines *lines, const char *data, size_t len)
{
    while (len) {
        const char *end = memchr(data, '\n', len);
        size_t n = end ? (size_t)(end - data) : len;

        if (end && lines->len == 0) {
            give(lines, data, n < LINES_MAX ? n : LINES_MAX);
        } else {
            keep(lines, data, n);
            if (end)
                give(lines, lines->buf, lines->len);
        }
        n += end != NULL;
        data += n;
        len -= n;
    }
}

void lines_finish(struct lines *lines)
{
    if (lines->len)
        give(lines, lines->buf, lines->len);
}
