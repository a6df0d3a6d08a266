/* The agent's loop. See agent.h. */
#include "firmware/init/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "firmware/init/link.h"
#include "firmware/init/session.h"

enum {
    /* With that much unread by hv no more of its frames are read, since answers would pile up. */
    BACKLOG = 1 << 20,
    TICK_MS = 50 /* while session_ticks */
};

struct agent {
    struct link link;
    struct session *sessions;
    bool done; /* WIRE_MAIN has ended */
};

/* Only there so that ppoll ends. */
static void on_child(int number)
{
    (void)number;
}

/* Not one that was hung up: its number may be in use again before its process has ended. */
static struct session *find(const struct agent *a, uint32_t id)
{
    struct session *s = a->sessions;

    while (s && (s->id != id || s->kill_at))
        s = s->next;
    return s;
}

static size_t count(const struct agent *a)
{
    size_t n = 0;

    for (const struct session *s = a->sessions; s; s = s->next)
        n += !s->refusal;
    return n;
}

static int add(struct agent *a, uint32_t id, struct session **added)
{
    struct session *s =
        session_new(id, count(a) < WIRE_SESSIONS ? NULL : "the guest runs as many as it can");

    if (!s)
        return -ENOMEM;
    s->next = a->sessions;
    a->sessions = *added = s;
    return 0;
}

static int on_frame(struct agent *a, const struct frame *frame)
{
    struct session *s = find(a, frame->session);
    int err;

    if (frame->session == WIRE_AGENT)
        return -EPROTO;
    if (!s && (frame->type == WIRE_SPEC || frame->type == WIRE_START)) {
        err = add(a, frame->session, &s);
        if (err)
            return err;
    }
    /* One that has ended while the frame was on its way. */
    if (!s)
        return 0;
    return session_frame(s, &a->link, frame);
}

static int read_frames(struct agent *a)
{
    struct frame frame;
    int err = link_read(&a->link);

    while (!err && (err = link_next(&a->link, &frame)) > 0)
        err = on_frame(a, &frame);
    return err;
}

static int reap(struct agent *a)
{
    int status, err = 0;
    pid_t pid;

    while (!err && (pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct session *s = a->sessions;

        while (s && s->process.pid != pid)
            s = s->next;
        if (s)
            err = session_reaped(s, &a->link, status);
    }
    return err;
}

static int finish(struct agent *a)
{
    for (struct session **at = &a->sessions, *s; (s = *at);) {
        int err = session_finish(s, &a->link);

        if (err)
            return err;
        session_tick(s, session_clock());
        if (s->state != SESSION_OVER) {
            at = &s->next;
            continue;
        }
        a->done |= s->id == WIRE_MAIN;
        *at = s->next;
        session_free(s);
    }
    return 0;
}

/* Serves what poll found. */
static int serve(struct agent *a, const struct pollfd *fds)
{
    const struct pollfd *at = fds + 1;
    int err = 0;

    for (struct session *s = a->sessions; s && !err; s = s->next) {
        if (s->state == SESSION_DESCRIBED)
            continue;
        err = session_serve(s, &a->link, at);
        at += SESSION_FDS;
    }
    if (!err && fds[0].revents & POLLOUT)
        err = link_flush(&a->link);
    if (!err && fds[0].revents & ~POLLOUT)
        err = read_frames(a);
    return err;
}

static int turn(struct agent *a, const sigset_t *unblocked)
{
    static const struct timespec tick = {.tv_nsec = TICK_MS * 1000000L};
    struct pollfd fds[1 + WIRE_SESSIONS * SESSION_FDS];
    bool ticks = false;
    nfds_t n = 1;
    int err, ready;

    for (const struct session *s = a->sessions; s; s = s->next) {
        if (s->state == SESSION_DESCRIBED)
            continue;
        session_wants(s, &a->link, fds + n);
        n += SESSION_FDS;
        ticks |= session_ticks(s);
    }
    fds[0] = (struct pollfd){.fd = a->link.fd};
    fds[0].events = (short)((link_waiting(&a->link) < BACKLOG ? POLLIN : 0) |
                            (link_waiting(&a->link) ? POLLOUT : 0));
    ready = ppoll(fds, n, ticks ? &tick : NULL, unblocked);
    if (ready < 0 && errno != EINTR)
        return -errno;
    err = ready > 0 ? serve(a, fds) : 0;
    if (!err)
        err = reap(a);
    return err ? err : finish(a);
}

/* SIGCHLD is delivered inside ppoll only, so that none is missed. */
static void prepare_signals(sigset_t *unblocked)
{
    struct sigaction action = {.sa_handler = on_child};
    sigset_t blocked;

    (void)sigaction(SIGCHLD, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &blocked, unblocked);
    sigdelset(unblocked, SIGCHLD);
}

/* A descriptor below 3 would be lost where a command gets its streams. */
static void fill_standard_streams(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (fd >= 0 && fd < 3);
    if (fd >= 0)
        (void)close(fd);
}

int agent_run(int fd)
{
    struct agent a = {.link.fd = fd};
    sigset_t unblocked;
    int err = 0;

    fill_standard_streams();
    prepare_signals(&unblocked);
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
        err = -errno;
    if (!err)
        err = link_send(&a.link, WIRE_AGENT, WIRE_READY, 0, NULL, 0);
    while (!err && !(a.done && link_waiting(&a.link) == 0))
        err = turn(&a, &unblocked);
    for (struct session *s = a.sessions, *next; s; s = next) {
        next = s->next;
        session_free(s);
    }
    link_free(&a.link);
    return err;
}
