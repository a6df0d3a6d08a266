/*
 * A log that cannot grow beyond its limit: the first half of the limit and the last half are kept,
 * with a line between them that says how many bytes are missing. It can be followed while it grows,
 * up to the first half.
 *
 * Thread: main. A write that fails is kept as the log's error, and nothing more is written.
 */
#ifndef HV_SUITE_LOGFILE_H
#define HV_SUITE_LOGFILE_H

#include <stddef.h>
#include <stdint.h>

#define LOGFILE_BUFFER    16384
#define LOGFILE_MIN_LIMIT 4096

struct logfile {
    int fd;      /* -1: not open */
    int ring_fd; /* the last half, in a file without a name; -1: not needed yet */
    int dir_fd;  /* the caller's */
    int err;     /* the first thing that went wrong, -errno; 0 */
    uint64_t half;
    uint64_t head; /* bytes in fd */
    uint64_t ring; /* bytes that went to ring_fd, all in all */
    char last;     /* byte of the head */
    size_t waiting;
    char buf[LOGFILE_BUFFER];
};

/* Makes the file `name` anew in `dir_fd`; what had that name is unlinked. 0 or -errno. */
int logfile_open(struct logfile *log, int dir_fd, const char *name, uint64_t limit);
void logfile_put(struct logfile *log, const void *data, size_t len);
void logfile_flush(struct logfile *log);

/* Joins the halves and closes; accepts one that is not open. Returns how many bytes are missing. */
uint64_t logfile_close(struct logfile *log);

#endif
