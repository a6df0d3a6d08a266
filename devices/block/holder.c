/*
 * Who holds a lock on an image. F_OFD_GETLK does not tell: such a lock belongs to an open file, not
 * to a process. /proc shows it in the fdinfo of each process that has that file open, as far as
 * this user may look. Only called on the way to an error message.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/block/internal.h"

/* Whether /proc/PID/fdinfo/FD has a line of a lock. */
static bool has_lock(int proc_fd, const char *pid, const char *fd)
{
    char path[64], line[256];
    bool found = false;
    FILE *f;
    int info;

    snprintf(path, sizeof(path), "%.20s/fdinfo/%.20s", pid, fd);
    info = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
    f = info < 0 ? NULL : fdopen(info, "r");
    if (!f) {
        if (info >= 0)
            close(info);
        return false;
    }
    while (!found && fgets(line, sizeof(line), f))
        found = strncmp(line, "lock:", 5) == 0;
    fclose(f);
    return found;
}

/* Whether process `pid` has the file open and locked. */
static bool holds(int proc_fd, const char *pid, const struct stat *file)
{
    bool found = false;
    char path[64];
    const struct dirent *e;
    struct stat st;
    DIR *dir;
    int fd;

    snprintf(path, sizeof(path), "%.20s/fd", pid);
    fd = openat(proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    while (!found && (e = readdir(dir)) != NULL)
        found = isdigit((unsigned char)e->d_name[0]) && fstatat(fd, e->d_name, &st, 0) == 0 &&
                st.st_dev == file->st_dev && st.st_ino == file->st_ino &&
                has_lock(proc_fd, pid, e->d_name);
    closedir(dir);
    return found;
}

static void describe(int proc_fd, const char *pid, char *text, size_t cap)
{
    char path[64], name[32] = "";
    ssize_t n = 0;
    int fd;

    snprintf(path, sizeof(path), "%.20s/comm", pid);
    fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = read(fd, name, sizeof(name) - 1);
        close(fd);
    }
    name[n > 0 ? n : 0] = '\0';
    name[strcspn(name, "\n")] = '\0';
    if (strtol(pid, NULL, 10) == getpid())
        snprintf(text, cap, "this same machine");
    else
        snprintf(text, cap, "%s (process %s)", name[0] ? name : "a process", pid);
}

bool image_holder(int fd, char *text, size_t cap)
{
    const struct dirent *e;
    bool found = false;
    struct stat file;
    DIR *proc;

    if (fstat(fd, &file) < 0)
        return false;
    proc = opendir("/proc");
    if (!proc)
        return false;
    while (!found && (e = readdir(proc)) != NULL) {
        found = isdigit((unsigned char)e->d_name[0]) && holds(dirfd(proc), e->d_name, &file);
        if (found)
            describe(dirfd(proc), e->d_name, text, cap);
    }
    closedir(proc);
    return found;
}
