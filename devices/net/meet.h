/*
 * How the ends of a wire find each other at a path: the first listens, whoever comes later connects
 * to it. A socket file whose owner has died is replaced. Called by wire.c: at start, and again when
 * the listener has gone.
 */
#ifndef HV_NET_MEET_H
#define HV_NET_MEET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct meet {
    int fd;      /* listening or connected; the caller's */
    bool listen; /* which of the two */
    dev_t dev;   /* listening: the socket file that is ours */
    ino_t ino;
};

/*
 * 0, or -errno with one line in `why`. Never waits long. -EAGAIN: the listener is there, but has no
 * room at the moment.
 */
int meet_at(const char *path, struct meet *m, char *why, size_t cap);

/* Removes the file at `path` if it is still the one that `m` made. */
void meet_leave(const char *path, const struct meet *m);

#endif
