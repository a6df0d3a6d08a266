/*
 * Life and end of virtiofsd: see virtiofsd.h. Called by share.c and fs.c.
 *
 * There are two programs of that name, QEMU's (until 7.2) and the Rust one; both take the options
 * below.
 */
#include "devices/virtio/virtiofsd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"

#define END_MS 1000

/* What the child needs, made before fork. */
struct plan {
    char path[256];
    const char *dir;
    const char *at; /* where the program finds it */
    char source[PATH_MAX + 8];
    char ids[2][64]; /* uid_map, gid_map */
    bool writable, root;
    int sock, err; /* to accept from; standard error */
};

/* In the child, between fork and exec: system calls only. */

static void say(int fd, const char *text)
{
    if (write(fd, text, strlen(text)) < 0)
        return; /* nobody listens: the status says the same */
}

static void fail(const struct plan *p, const char *what, int err)
{
    const char *why = strerrordesc_np(err);

    say(p->err, what);
    say(p->err, ": ");
    say(p->err, why ? why : "unknown error");
    say(p->err, "\n");
    _exit(126);
}

static void put_file(const struct plan *p, const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        fail(p, path, errno);
    close(fd);
}

/* Without root's rights mounts of one's own need a user namespace, with the same user in it. */
static void enter_namespaces(const struct plan *p)
{
    if (unshare(CLONE_NEWNS | (p->root ? 0 : CLONE_NEWUSER)) < 0)
        fail(p, "no mount namespace, which a read-only directory and / need", errno);
    if (p->root)
        return;
    put_file(p, "/proc/self/setgroups", "deny");
    put_file(p, "/proc/self/uid_map", p->ids[0]);
    put_file(p, "/proc/self/gid_map", p->ids[1]);
}

static int set_mount(int at, const char *path, unsigned flags, struct mount_attr attr)
{
    return (int)syscall(SYS_mount_setattr, at, path, flags, &attr, sizeof(attr));
}

/*
 * mount_setattr(2). Private, so that what the host mounts below later does not appear in it,
 * writable. The program makes the directory its root by pivot_root(2), which the root itself cannot
 * become: that is shown in another place, which the program does not need.
 */
static void mount_anew(const struct plan *p)
{
    const struct mount_attr private_mount = {.propagation = MS_PRIVATE};
    const struct mount_attr readonly = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID};
    int tree;

    enter_namespaces(p);
    if (set_mount(AT_FDCWD, "/", AT_RECURSIVE, private_mount) < 0)
        fail(p, "cannot make mounts private", errno);
    tree = (int)syscall(SYS_open_tree, AT_FDCWD, p->dir,
                        OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (tree < 0 ||
        (!p->writable && set_mount(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, readonly) < 0) ||
        syscall(SYS_move_mount, tree, "", AT_FDCWD, p->at, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        fail(p, "cannot mount the directory anew", errno);
}

static void __attribute__((noreturn)) child(const struct plan *p)
{
    char *argv[] = {"virtiofsd", "--fd=3",     "-o", (char *)(uintptr_t)p->source,
                    "-o",        "cache=auto", "-o", "sandbox=namespace",
                    NULL};

    _Static_assert(HELPER_FD == 3, "as the option says");
    helper_detach();
    if (!p->writable || p->at != p->dir)
        mount_anew(p);
    helper_exec(p->path, argv, p->sock, p->err, p->err);
}

/* hv's side. */

static bool is_root(const char *dir)
{
    struct stat st, root;

    return stat(dir, &st) == 0 && stat("/", &root) == 0 && st.st_dev == root.st_dev &&
           st.st_ino == root.st_ino;
}

static int prepare(struct plan *p, const char *dir, bool writable)
{
    /* Not all distributions have it in $PATH. */
    static const char *const places[] = {"/usr/libexec/virtiofsd", "/usr/lib/virtiofsd",
                                         "/usr/lib/qemu/virtiofsd", NULL};
    uid_t uid = geteuid();
    gid_t gid = getegid();

    if (!helper_find("virtiofsd", places, p->path, sizeof(p->path))) {
        log_error(
            "--share %s: via=virtiofs: virtiofsd is not installed (sudo apt install virtiofsd; "
            "on Debian 12: qemu-system-common; or use via=9p)",
            dir);
        return -ENOENT;
    }
    p->dir = dir;
    p->at = is_root(dir) ? "/sys" : dir;
    /* Its options are lists. */
    if (strchr(dir, ',') ||
        snprintf(p->source, sizeof(p->source), "source=%s", p->at) >= (int)sizeof(p->source)) {
        log_error("--share %s: virtiofsd takes no path with a comma, or so long (use via=9p)", dir);
        return -EINVAL;
    }
    p->writable = writable;
    p->root = uid == 0;
    snprintf(p->ids[0], sizeof(p->ids[0]), "%u %u 1", uid, uid);
    snprintf(p->ids[1], sizeof(p->ids[1]), "%u %u 1", gid, gid);
    return 0;
}

/* A listening socket at `path`, and a connection to it that waits to be accepted. */
static int connect_pair(const char *path, int *listener, int *link)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    if (snprintf(at.sun_path, sizeof(at.sun_path), "%s", path) >= (int)sizeof(at.sun_path))
        return -ENAMETOOLONG;
    *listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *link = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*listener < 0 || *link < 0 ||
        bind(*listener, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(*listener, 1) < 0 ||
        connect(*link, (const struct sockaddr *)&at, sizeof(at)) < 0)
        return -errno;
    return 0;
}

/*
 * The program wants a socket to accept from. Its name exists for a moment, in a directory that
 * other users cannot enter, so that nobody else is served.
 */
static int make_sockets(int *listener, int *link)
{
    const char *tmp = getenv("TMPDIR");
    char dir[PATH_MAX], path[PATH_MAX + 8];
    int err;

    snprintf(dir, sizeof(dir), "%s/hv-fs.XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(dir))
        return -errno;
    snprintf(path, sizeof(path), "%s/socket", dir);
    err = connect_pair(path, listener, link);
    unlink(path);
    rmdir(dir);
    return err;
}

static int launch(struct virtiofsd *d, struct plan *p)
{
    int err[2], result = 0;

    /* Neither end waits: what the program says when nobody reads is lost, and it goes on. */
    if (pipe2(err, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    p->err = err[1];
    d->pid = fork();
    if (d->pid == 0)
        child(p);
    if (d->pid < 0) {
        result = -errno;
        d->pid = 0;
    }
    close(err[1]);
    d->err = err[0];
    return result;
}

int virtiofsd_start(struct virtiofsd *d, const char *dir, bool writable, int *link)
{
    struct plan plan = {.sock = -1};
    int err;

    *d = VIRTIOFSD_NONE;
    *link = -1;
    err = prepare(&plan, dir, writable);
    if (err)
        return err;
    err = make_sockets(&plan.sock, link);
    if (!err)
        err = launch(d, &plan);
    if (plan.sock >= 0)
        close(plan.sock);
    if (err) {
        if (*link >= 0)
            close(*link);
        virtiofsd_stop(d);
        log_error("--share %s: cannot start %s: %s", dir, plan.path, strerror(-err));
    }
    return err;
}

void virtiofsd_listen(struct virtiofsd *d)
{
    while (d->err >= 0 && helper_read(&d->line, d->err))
        ;
}

/* Standard error ends when the last process that has it ends. */
static void wait_for_end(struct virtiofsd *d)
{
    uint64_t until = loop_now_ns() + END_MS * UINT64_C(1000000), now;

    while (d->err >= 0 && (now = loop_now_ns()) < until) {
        struct pollfd p = {.fd = d->err, .events = POLLIN};

        if (poll(&p, 1, (int)((until - now) / 1000000) + 1) > 0 && !helper_read(&d->line, d->err))
            return;
    }
}

void virtiofsd_kill(struct virtiofsd *d)
{
    if (d->pid == 0)
        return;
    kill(-d->pid, SIGKILL);
    kill(d->pid, SIGKILL); /* one that leads no group yet */
    wait_for_end(d);
}

void virtiofsd_stop(struct virtiofsd *d)
{
    if (d->pid) {
        wait_for_end(d);
        kill(-d->pid, SIGKILL);
        kill(d->pid, SIGKILL);
        while (waitpid(d->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    if (d->err >= 0)
        close(d->err);
    *d = VIRTIOFSD_NONE;
}
