/*
 * A host file descriptor for a byte stream that must never block the caller: not a vCPU, not the
 * event loop.
 *
 * Descriptors may be inherited and then share their flags with other processes (a shell and all
 * that it started share one open terminal), so O_NONBLOCK is never set on what is given. A pipe or
 * a terminal is opened once more through /proc/self/fd, which makes a description of our own;
 * sockets have flags per call; files do not block. Where the second open is refused (a terminal of
 * another user), poll(2) is asked first and little is written at a time.
 *
 * Not thread safe; the user's lock covers it.
 */
#ifndef HV_CORE_HOSTFD_H
#define HV_CORE_HOSTFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct hostfd {
    int fd;          /* owned, a duplicate of what was given; -1: none */
    bool socket;     /* takes MSG_DONTWAIT */
    bool regular;    /* a file: always ready */
    bool nonblock;   /* the description is ours or was non-blocking when we got it */
    bool pty_master; /* hang-up there means that nobody is attached at the moment */
};

#define HOSTFD_NONE                                                                                \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

/* `access`: O_RDONLY or O_WRONLY, how it will be used. `given` stays the caller's. 0 or -errno. */
int hostfd_open(struct hostfd *h, int given, int access);
void hostfd_close(struct hostfd *h); /* accepts a closed one */

/* Bytes moved, 0 at the end of input, -EAGAIN when it would block, or another -errno. */
ssize_t hostfd_read(const struct hostfd *h, void *buf, size_t len);
ssize_t hostfd_write(const struct hostfd *h, const void *buf, size_t len);

/* Waits for room to write. False: none within `ms`. */
bool hostfd_wait_writable(const struct hostfd *h, int ms);

/* True while the other side of a pty has no process. */
bool hostfd_hung_up(const struct hostfd *h);

#endif
