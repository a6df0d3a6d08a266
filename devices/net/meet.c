/*
 * Rendezvous at a UNIX socket: see meet.h.
 *
 * Two that come at once must not both listen, and none may unlink the fresh socket of another that
 * replaced a stale one. So "connect, else unlink and bind" runs under a lock on the directory,
 * which leaves no lock file behind.
 */
#include "devices/net/meet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LOCK_TRIES  50 /* of 10 ms; then without: somebody holds the lock for other ends */
#define BACKLOG     16
#define SOCKET_TYPE (SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)

static int lock_directory(const char *path)
{
    static const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    const char *slash = strrchr(path, '/');
    char dir[sizeof(((struct sockaddr_un *)NULL)->sun_path)] = ".";
    int fd;

    if (slash)
        snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path) + (slash == path), path);
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; fd >= 0 && i < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB) < 0; i++)
        nanosleep(&pause, NULL);
    return fd; /* -1: a directory that we cannot read; connecting works all the same */
}

static int fail(char *why, size_t cap, int err, const char *what)
{
    snprintf(why, cap, "%s: %s", what, strerror(err));
    return -err;
}

static int listen_at(const struct sockaddr_un *addr, struct meet *m, char *why, size_t cap)
{
    struct stat st;
    int err;

    m->fd = socket(AF_UNIX, SOCKET_TYPE, 0);
    if (m->fd < 0)
        return fail(why, cap, errno, "socket");
    m->listen = true;
    if (bind(m->fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 &&
        listen(m->fd, BACKLOG) == 0 && stat(addr->sun_path, &st) == 0) {
        m->dev = st.st_dev;
        m->ino = st.st_ino;
        return 0;
    }
    err = fail(why, cap, errno, "cannot listen");
    close(m->fd);
    m->fd = -1;
    return err;
}

/* 0: the way is free. */
static int remove_stale(const char *path, char *why, size_t cap)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : fail(why, cap, errno, "cannot look at it");
    if (!S_ISSOCK(st.st_mode)) {
        snprintf(why, cap, "there is a file that is no socket (remove it or take another path)");
        return -ENOTSOCK;
    }
    if (unlink(path) < 0 && errno != ENOENT)
        return fail(why, cap, errno, "cannot remove a socket that nobody listens at");
    return 0;
}

static int connect_or_listen(const struct sockaddr_un *addr, struct meet *m, char *why, size_t cap)
{
    int err;

    m->fd = socket(AF_UNIX, SOCKET_TYPE, 0);
    if (m->fd < 0)
        return fail(why, cap, errno, "socket");
    if (connect(m->fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0)
        return 0;
    err = errno;
    close(m->fd);
    m->fd = -1;
    if (err != ENOENT && err != ECONNREFUSED)
        return fail(why, cap, err, "cannot connect");
    err = remove_stale(addr->sun_path, why, cap);
    return err ? err : listen_at(addr, m, why, cap);
}

int meet_at(const char *path, struct meet *m, char *why, size_t cap)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int lock, err;

    *m = (struct meet){.fd = -1};
    if (strlen(path) >= sizeof(addr.sun_path)) {
        snprintf(why, cap, "too long for a socket (at most %zu characters)",
                 sizeof(addr.sun_path) - 1);
        return -ENAMETOOLONG;
    }
    memcpy(addr.sun_path, path, strlen(path));
    lock = lock_directory(path);
    err = connect_or_listen(&addr, m, why, cap);
    if (lock >= 0)
        close(lock);
    return err;
}

void meet_leave(const char *path, const struct meet *m)
{
    struct stat st;

    if (m->listen && lstat(path, &st) == 0 && st.st_dev == m->dev && st.st_ino == m->ino)
        unlink(path);
}
