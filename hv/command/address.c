/* Names of guests as paths of sockets: see address.h. */
#include "hv/command/address.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG  16
#define SOCKET   "/agent"
#define ATTEMPTS 3 /* another hv may remove the directory between two steps */

static int fail(int err, char *why, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static int fail(int err, char *why, size_t size, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why, size, fmt, ap);
    va_end(ap);
    return err;
}

/* The directory that holds one directory for each guest. */
static void base_path(char *path, size_t size)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");

    if (runtime && *runtime == '/')
        snprintf(path, size, "%s/hv", runtime);
    else if (geteuid() == 0)
        snprintf(path, size, "/run/hv");
    else
        snprintf(path, size, "/tmp/hv-%u", (unsigned)geteuid());
}

/* A symbolic link, or a directory that others may write, could lead to anybody's socket. */
static int check_directory(const char *path, char *why, size_t size)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return fail(-errno, why, size, "%s: %s", path, strerrordesc_np(errno));
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
        return fail(-EPERM, why, size, "%s: not a directory of yours with mode 0700 (remove it)",
                    path);
    return 0;
}

static int make_directory(const char *path, char *why, size_t size)
{
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return fail(-errno, why, size, "%s: %s", path, strerrordesc_np(errno));
    return check_directory(path, why, size);
}

/* The directories and the path of the socket of `name`. */
static int find(const char *name, int (*directory)(const char *, char *, size_t),
                struct sockaddr_un *addr, char *why, size_t size)
{
    char base[4096], path[4096 + 256];
    int err;

    base_path(base, sizeof(base));
    snprintf(path, sizeof(path), "%s/%s", base, name);
    if (*name == '.' || strchr(name, '/') || !*name)
        return fail(-EINVAL, why, size, "\"%s\" is no name", name);
    if (strlen(path) + strlen(SOCKET) >= sizeof(addr->sun_path))
        return fail(-ENAMETOOLONG, why, size,
                    "%s%s is longer than the %zu bytes that a socket's path may have (a shorter "
                    "--name or XDG_RUNTIME_DIR helps)",
                    path, SOCKET, sizeof(addr->sun_path) - 1);
    err = directory(base, why, size);
    if (!err)
        err = directory(path, why, size);
    if (err)
        return err;
    *addr = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(addr->sun_path, path, strlen(path));
    strcat(addr->sun_path, SOCKET);
    return 0;
}

static int connect_to(const struct sockaddr_un *addr)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;

    if (fd >= 0 && connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0)
        return fd;
    err = -errno;
    if (fd >= 0)
        close(fd);
    return err;
}

/* EAGAIN: its queue is full, so somebody owns it. */
static bool is_live(const struct sockaddr_un *addr)
{
    int fd = connect_to(addr);

    if (fd >= 0)
        close(fd);
    return fd >= 0 || fd == -EAGAIN;
}

/* Two that start at a time must not both find the same stale socket: under the directory's lock. */
static int bind_socket(int fd, const struct sockaddr_un *addr)
{
    const struct sockaddr *sa = (const struct sockaddr *)addr;

    if (bind(fd, sa, sizeof(*addr)) < 0) {
        if (errno != EADDRINUSE || is_live(addr))
            return -errno;
        if (unlink(addr->sun_path) < 0 || bind(fd, sa, sizeof(*addr)) < 0)
            return -errno;
    }
    if (chmod(addr->sun_path, 0600) < 0 || listen(fd, BACKLOG) < 0)
        return -errno;
    return 0;
}

static int listen_at(const struct sockaddr_un *addr)
{
    char directory[sizeof(addr->sun_path)];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), lock, err;

    if (fd < 0)
        return -errno;
    memcpy(directory, addr->sun_path, sizeof(directory));
    *strrchr(directory, '/') = '\0';
    lock = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (lock < 0 || flock(lock, LOCK_EX) < 0)
        err = -errno;
    else
        err = bind_socket(fd, addr);
    if (lock >= 0)
        close(lock);
    if (!err)
        return fd;
    close(fd);
    return err;
}

int address_listen(struct address *address, const char *name, char *why, size_t size)
{
    struct sockaddr_un addr;
    int fd = -ENOENT;

    address->path[0] = '\0';
    for (int i = 0; i < ATTEMPTS && fd == -ENOENT; i++) {
        int err = find(name, make_directory, &addr, why, size);

        if (err == -ENOENT && i + 1 < ATTEMPTS)
            continue;
        if (err)
            return err;
        fd = listen_at(&addr);
    }
    if (fd == -EADDRINUSE)
        return fail(fd, why, size, "a guest of that name is running");
    if (fd < 0)
        return fail(fd, why, size, "%s: %s", addr.sun_path, strerrordesc_np(-fd));
    memcpy(address->path, addr.sun_path, sizeof(address->path));
    return fd;
}

void address_remove(struct address *address)
{
    if (!address->path[0])
        return;
    unlink(address->path);
    *strrchr(address->path, '/') = '\0';
    rmdir(address->path);
    address->path[0] = '\0';
}

int address_connect(const char *name, char *why, size_t size)
{
    struct sockaddr_un addr;
    int fd = find(name, check_directory, &addr, why, size);

    if (fd)
        return fd;
    fd = connect_to(&addr);
    return fd >= 0 ? fd : fail(fd, why, size, "%s: %s", addr.sun_path, strerrordesc_np(-fd));
}

unsigned address_list(FILE *out)
{
    char base[4096], why[8];
    unsigned count = 0;
    DIR *dir;

    base_path(base, sizeof(base));
    dir = check_directory(base, why, sizeof(why)) == 0 ? opendir(base) : NULL;
    for (struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
        struct sockaddr_un addr;

        if (e->d_name[0] != '.' && find(e->d_name, check_directory, &addr, why, sizeof(why)) == 0 &&
            is_live(&addr))
            fprintf(out, "%s%s", count++ ? ", " : "", e->d_name);
    }
    if (dir)
        closedir(dir);
    return count;
}
