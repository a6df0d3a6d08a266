/*
 * A small process that starts a helper program, and starts it again when it dies, so that hv itself
 * never forks or executes after its vCPUs run. Each run of the helper has a new socket; hv's end of
 * it arrives over the keeper's own socket.
 *
 * The helper is started with the socket as descriptor HELPER_FD, and tells that it is ready by
 * writing anything to its standard output. The last line of its standard error is kept to explain
 * its end.
 */
#ifndef HV_NET_KEEPER_H
#define HV_NET_KEEPER_H

#include <stdbool.h>
#include <sys/types.h>

#include "devices/core/helper.h"

struct keeper {
    pid_t pid; /* 0: none */
    int fd;    /* owned; readable when there is news; -1: none */
};

struct keeper_news {
    bool up;              /* the helper runs; else it ended, or could not start */
    int fd;               /* up: the socket to it, the caller's; else -1 */
    char why[HELPER_WHY]; /* not up: one line */
};

/* `path` and `argv` (NULL-ended) are borrowed until keeper_stop. 0 or -errno. Main thread, before
 * other threads exist. */
int keeper_start(struct keeper *k, const char *path, char *const argv[]);

/* Ends the helper and the keeper and waits for both; accepts a stopped one. */
void keeper_stop(struct keeper *k);

/* Waits at most `ms` (0: not at all). 0 and *news; -EAGAIN: none; -EPIPE: the keeper is gone. */
int keeper_news(struct keeper *k, int ms, struct keeper_news *news);

#endif
