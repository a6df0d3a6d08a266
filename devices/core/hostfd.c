/* Host descriptors without blocking: see hostfd.h for why so. */
#include "devices/core/hostfd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/*
 * A terminal that says "writable" has room for one byte at least, a pipe for PIPE_BUF (pipe(7)).
 * What exceeds the room would block where the description is not ours.
 */
#define TTY_CHUNK 32

/* A second, non-blocking description of the same pipe or terminal, or -1. */
static int reopen(int given, int access, const struct stat *st)
{
    char path[64];
    struct stat again;
    int fd;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", given);
    fd = open(path, access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (fstat(fd, &again) == 0 && again.st_dev == st->st_dev && again.st_ino == st->st_ino &&
        again.st_rdev == st->st_rdev)
        return fd;
    close(fd);
    return -1;
}

static bool may_reopen(const struct hostfd *h, int flags, int access, const struct stat *st,
                       int given)
{
    int mode = flags & O_ACCMODE;

    /* Opening /dev/ptmx again would make another pty; and no one gets more than was given. */
    if (h->nonblock || h->pty_master || (mode != access && mode != O_RDWR))
        return false;
    return S_ISFIFO(st->st_mode) || (S_ISCHR(st->st_mode) && isatty(given));
}

int hostfd_open(struct hostfd *h, int given, int access)
{
    struct stat st;
    int flags = fcntl(given, F_GETFL);

    *h = (struct hostfd)HOSTFD_NONE;
    if (flags < 0 || fstat(given, &st) < 0)
        return -errno;
    h->socket = S_ISSOCK(st.st_mode);
    h->regular = S_ISREG(st.st_mode);
    h->pty_master = S_ISCHR(st.st_mode) && st.st_rdev == makedev(5, 2); /* devices.txt: ptmx */
    h->nonblock = flags & O_NONBLOCK;
    if (may_reopen(h, flags, access, &st, given))
        h->fd = reopen(given, access, &st);
    if (h->fd >= 0)
        h->nonblock = true;
    else
        h->fd = fcntl(given, F_DUPFD_CLOEXEC, 0);
    return h->fd < 0 ? -errno : 0;
}

void hostfd_close(struct hostfd *h)
{
    if (h->fd >= 0)
        close(h->fd);
    h->fd = -1;
}

static short poll_for(const struct hostfd *h, short events, int ms)
{
    struct pollfd p = {.fd = h->fd, .events = events};

    return poll(&p, 1, ms) > 0 ? p.revents : 0;
}

ssize_t hostfd_read(const struct hostfd *h, void *buf, size_t len)
{
    ssize_t n;

    if (h->socket)
        n = recv(h->fd, buf, len, MSG_DONTWAIT);
    else if (h->nonblock || h->regular || poll_for(h, POLLIN, 0))
        n = read(h->fd, buf, len);
    else
        return -EAGAIN;
    return n < 0 ? -errno : n;
}

ssize_t hostfd_write(const struct hostfd *h, const void *buf, size_t len)
{
    ssize_t n;

    if (h->socket) {
        n = send(h->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    } else if (h->nonblock || h->regular) {
        n = write(h->fd, buf, len);
    } else if (!poll_for(h, POLLOUT, 0)) {
        return -EAGAIN;
    } else {
        size_t most = isatty(h->fd) ? TTY_CHUNK : PIPE_BUF;

        n = write(h->fd, buf, len < most ? len : most);
    }
    if (n < 0)
        return -errno;
    /* A terminal that is stopped (Ctrl-S) takes nothing and calls it success. */
    return n == 0 && len > 0 ? -EAGAIN : n;
}

bool hostfd_wait_writable(const struct hostfd *h, int ms)
{
    return poll_for(h, POLLOUT, ms) != 0;
}

bool hostfd_hung_up(const struct hostfd *h)
{
    return poll_for(h, 0, 0) & POLLHUP;
}
