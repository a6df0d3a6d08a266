/*
 * The keeper process and hv's side of it: see keeper.h. Called by passt.c.
 *
 * The keeper ends when its socket to hv closes, however hv ends; the helper with it (helper.h).
 * Between fork and the end the keeper uses only system calls: no heap, no stdio, no log.
 */
#include "devices/net/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "devices/core/helper.h"

#define READY_MS  3000 /* a helper that lives, but does not say that it is ready, is taken as so */
#define DELAY_MIN 100  /* ms between the end of a helper and the next start */
#define DELAY_MAX 10000
#define LIVED_MS  10000 /* a run that long makes the next delay short again */

/* What goes over the socket, with a descriptor when `up`. */
struct message {
    bool up;
    char why[HELPER_WHY];
};

/* One run of the helper, in the keeper. */
struct run {
    pid_t pid;
    int ours; /* hv's end of the helper's socket */
    int out;  /* its standard output; -1 once it has said that it is ready */
    int err;  /* its standard error; -1 once it is closed */
    struct helper_line line;
    bool told; /* hv has the socket */
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool start_helper(struct run *run, const char *path, char *const argv[])
{
    int pair[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};

    *run = (struct run){.pid = -1, .ours = -1, .out = -1, .err = -1};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0 &&
        pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0) {
        /* A helper that gave up its rights opens its output once more, by name. */
        fchmod(out[1], 0666);
        run->pid = fork();
        if (run->pid == 0)
            helper_exec(path, argv, pair[1], out[1], err[1]);
    }
    close_fd(&pair[1]);
    close_fd(&out[1]);
    close_fd(&err[1]);
    run->ours = pair[0];
    run->out = out[0];
    run->err = err[0];
    return run->pid > 0;
}

static void end_helper(struct run *run)
{
    static const char killed[] = "killed by a signal";
    int status = 0;

    if (run->pid > 0) {
        kill(run->pid, SIGKILL);
        while (waitpid(run->pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    if (WIFSIGNALED(status))
        memcpy(run->line.text, killed, sizeof(killed));
    close_fd(&run->ours);
    close_fd(&run->out);
    close_fd(&run->err);
}

/* False: hv is gone. */
static bool tell(int fd, bool up, const char *why, int pass)
{
    union {
        struct cmsghdr head; /* for its alignment */
        char buf[CMSG_SPACE(sizeof(int))];
    } control = {.buf = {0}};
    struct message m = {.up = up};
    struct iovec iov = {&m, sizeof(m)};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    memcpy(m.why, why, strnlen(why, sizeof(m.why) - 1));
    if (up) {
        msg.msg_control = control.buf;
        msg.msg_controllen = sizeof(control.buf);
        *CMSG_FIRSTHDR(&msg) = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &pass, sizeof(pass));
    }
    return sendmsg(fd, &msg, MSG_NOSIGNAL) == (ssize_t)sizeof(m);
}

/* Waits for the helper's next step. False: hv is gone. */
static bool watch_helper(int fd, struct run *run, int ms)
{
    struct pollfd p[] = {{fd, POLLIN, 0}, {run->out, POLLIN, 0}, {run->err, POLLIN, 0}};
    int n = poll(p, 3, ms);
    char buf[64];
    bool ready;

    if (n < 0)
        return errno == EINTR;
    if (p[0].revents)
        return false; /* hv never writes: this is its end */
    if (p[2].revents && !helper_read(&run->line, run->err))
        close_fd(&run->err);
    ready = n == 0 || (p[1].revents && read(run->out, buf, sizeof(buf)) > 0);
    /* One that is only slow must not find its output closed. */
    if (p[1].revents)
        close_fd(&run->out);
    if (!run->told && ready) {
        run->told = true;
        ready = tell(fd, true, "", run->ours);
        close_fd(&run->ours); /* hv's is the only one: closing it ends the helper */
        return ready;
    }
    return true;
}

/* One life of the helper. False: hv is gone. */
static bool keep(int fd, struct run *run)
{
    bool there = true;

    while (there && run->err >= 0)
        there = watch_helper(fd, run, run->told ? -1 : READY_MS);
    end_helper(run);
    return there &&
           tell(fd, false, run->line.text[0] ? run->line.text : "ended without a message", -1);
}

static void prepare_process(int *fd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    helper_detach();
    prctl(PR_SET_NAME, "hv-keeper");
    /* Not to hold up who waits for the end of hv's output. */
    for (int i = 0; i < HELPER_FD; i++)
        if (i != *fd)
            dup2(null, i);
    *fd = dup2(*fd, HELPER_FD);
    close_range(HELPER_FD + 1, ~0u, 0);
    fcntl(*fd, F_SETFD, FD_CLOEXEC);
}

static void keeper_process(int fd, const char *path, char *const argv[])
{
    struct pollfd hv = {.events = POLLIN};
    int delay = DELAY_MIN;
    struct run run;

    prepare_process(&fd);
    hv.fd = fd;
    for (;;) {
        int64_t start = now_ms();

        if (!start_helper(&run, path, argv)) {
            end_helper(&run);
            if (!tell(fd, false, "cannot be started: out of processes or descriptors", -1))
                break;
        } else if (!keep(fd, &run)) {
            break;
        }
        if (now_ms() - start >= LIVED_MS)
            delay = DELAY_MIN;
        if (poll(&hv, 1, delay) != 0)
            break;
        delay = delay * 2 < DELAY_MAX ? delay * 2 : DELAY_MAX;
    }
    _exit(0);
}

/* hv's side. */

int keeper_start(struct keeper *k, const char *path, char *const argv[])
{
    int pair[2], err;

    *k = (struct keeper){.fd = -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    k->pid = fork();
    if (k->pid == 0) {
        close(pair[0]);
        keeper_process(pair[1], path, argv);
    }
    err = k->pid < 0 ? -errno : 0;
    close(pair[1]);
    k->fd = pair[0];
    if (err) {
        k->pid = 0;
        close_fd(&k->fd);
    }
    return err;
}

void keeper_stop(struct keeper *k)
{
    close_fd(&k->fd);
    if (k->pid)
        while (waitpid(k->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    k->pid = 0;
}

static int passed_fd(struct msghdr *msg)
{
    struct cmsghdr *head = CMSG_FIRSTHDR(msg);
    int fd = -1;

    if (head && head->cmsg_type == SCM_RIGHTS && head->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&fd, CMSG_DATA(head), sizeof(fd));
    return fd;
}

int keeper_news(struct keeper *k, int ms, struct keeper_news *news)
{
    union {
        struct cmsghdr head;
        char buf[CMSG_SPACE(sizeof(int))];
    } control;
    struct message m;
    struct iovec iov = {&m, sizeof(m)};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.buf,
                         .msg_controllen = sizeof(control.buf)};
    struct pollfd p = {.fd = k->fd, .events = POLLIN};
    ssize_t n;

    if (ms && poll(&p, 1, ms) == 0)
        return -EAGAIN;
    n = recvmsg(k->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return -EAGAIN;
    if (n != (ssize_t)sizeof(m))
        return -EPIPE;
    m.why[sizeof(m.why) - 1] = '\0';
    *news = (struct keeper_news){.up = m.up, .fd = passed_fd(&msg)};
    snprintf(news->why, sizeof(news->why), "%s", m.why);
    return 0;
}
