/*
 * The program virtiofsd(1), which serves a directory to a virtio-fs device: finding and starting it
 * with a socket for the vhost-user protocol, and ending it. It is not started again when it dies:
 * what the guest has open would be gone.
 *
 * Main thread: start and stop. The others: under the device's dev.lock.
 */
#ifndef HV_VIRTIO_VIRTIOFSD_H
#define HV_VIRTIO_VIRTIOFSD_H

#include <stdbool.h>
#include <sys/types.h>

#include "devices/core/helper.h"

struct virtiofsd {
    pid_t pid; /* leads a process group; 0: none */
    int err;   /* its standard error; owned; -1: none */
    struct helper_line line;
};

#define VIRTIOFSD_NONE                                                                             \
    (struct virtiofsd)                                                                             \
    {                                                                                              \
        .err = -1                                                                                  \
    }

/*
 * Serves `dir`, an absolute path. Where the guest may not write, the program gets a mount namespace
 * in which the directory and what is mounted below it is read-only, and does not start when there
 * is none. *link is the socket to it, the caller's. 0, or -errno after one logged line; that the
 * program itself fails shows later, by the socket's end.
 */
int virtiofsd_start(struct virtiofsd *d, const char *dir, bool writable, int *link);

/* Reads what it says; stops looking at its end. Does not block. */
void virtiofsd_listen(struct virtiofsd *d);

/*
 * Kills it and waits, at most a second, until all its processes have let go of guest memory and of
 * the socket, of which no copy is open any more here.
 */
void virtiofsd_kill(struct virtiofsd *d);

/* Waits for its end, which the socket's brings about, kills it if it takes longer than a second,
 * and frees what belongs to it. Accepts VIRTIOFSD_NONE. */
void virtiofsd_stop(struct virtiofsd *d);

#endif
