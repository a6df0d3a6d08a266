/* Starts commands. See spawn.h. */
#include "firmware/init/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "firmware/init/format.h"

/* The command's own ends, until it has them as 0, 1 and 2. */
struct ends {
    int fd[3];
    int report_fd;
    bool terminal;
};

static void close_all(int *fds, int count)
{
    for (int i = 0; i < count; i++) {
        if (fds[i] >= 0)
            (void)close(fds[i]);
        fds[i] = -1;
    }
}

static int nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

/* A pipe for stream `i`: stream 0 flows to the command, the others from it. */
static int make_pipe(struct spawned *s, struct ends *ends, int i)
{
    int fds[2], ours = i == 0;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    s->fd[i] = fds[ours];
    ends->fd[i] = fds[!ours];
    return nonblocking(s->fd[i]);
}

static int make_terminal(struct spawned *s, struct ends *ends, const struct spec *spec)
{
    const struct winsize size = {.ws_row = spec->rows, .ws_col = spec->columns};
    struct termios termios;
    char path[64];
    unsigned number;
    int master = posix_openpt(O_RDWR | O_NOCTTY);

    if (master < 0)
        return -errno;
    s->fd[1] = master;
    /* Where ioctl takes an int, TIOCGPTN does not fit. */
    if (fcntl(master, F_SETFD, FD_CLOEXEC) < 0 || unlockpt(master) < 0 ||
        syscall(SYS_ioctl, master, TIOCGPTN, &number) < 0)
        return -errno;
    (void)text_print(path, sizeof(path), "/dev/pts/%u", number);
    ends->fd[0] = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (ends->fd[0] < 0 || tcgetattr(ends->fd[0], &termios) < 0)
        return -errno;
    termios.c_iflag |= IUTF8; /* erasing takes a whole character away */
    s->fd[0] = fcntl(master, F_DUPFD_CLOEXEC, 0);
    if (s->fd[0] < 0 || tcsetattr(ends->fd[0], TCSANOW, &termios) < 0 ||
        ioctl(master, TIOCSWINSZ, &size) < 0)
        return -errno;
    ends->terminal = true;
    return nonblocking(master);
}

/* As the first program of a system finds them: all default, none blocked. */
static void default_signals(void)
{
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_DFL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the child. Returns only when the command could not be run. */
static void become(const struct spec *spec, const struct ends *ends, struct spawn_problem *problem)
{
    (void)setsid();
    if (ends->terminal && ioctl(ends->fd[0], TIOCSCTTY, 0) < 0) {
        problem->error = errno;
        return;
    }
    /* The agent's own descriptors are above 2: see agent_run. */
    for (int i = 0; i < 3; i++) {
        if (dup2(ends->fd[ends->terminal ? 0 : i], i) < 0) {
            problem->error = errno;
            return;
        }
    }
    default_signals();
    if (spec->directory && chdir(spec->directory) < 0) {
        *problem = (struct spawn_problem){.in_directory = 1, .error = errno};
        return;
    }
    environ = spec->envp;
    (void)execvp(spec->argv[0], spec->argv);
    problem->error = errno;
}

static int start(struct spawned *s, struct ends *ends, const struct spec *spec, const char **what)
{
    sigset_t all, before;
    int err = 0, fds[2];

    *what = "make pipes";
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    s->report_fd = fds[0];
    ends->report_fd = fds[1];
    if (spec->terminal) {
        *what = "open a terminal (CONFIG_UNIX98_PTYS, /dev/pts)";
        err = make_terminal(s, ends, spec);
    } else {
        for (int i = 0; i < 3 && !err; i++)
            err = make_pipe(s, ends, i);
    }
    if (!err)
        err = nonblocking(s->report_fd);
    if (err)
        return err;
    *what = "start a process";
    /* A signal that comes before the child has its own group and dispositions waits for them. */
    sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    s->pid = fork();
    err = s->pid < 0 ? -errno : 0;
    if (s->pid != 0)
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return err;
}

int spawn(struct spawned *s, const struct spec *spec, const char **what)
{
    struct ends ends = {{-1, -1, -1}, -1, false};
    int err;

    *s = (struct spawned){0, {-1, -1, -1}, -1};
    err = start(s, &ends, spec, what);
    if (!err && s->pid == 0) {
        struct spawn_problem problem = {0};

        become(spec, &ends, &problem);
        _exit(write(ends.report_fd, &problem, sizeof(problem)) == sizeof(problem) ? 0 : 1);
    }
    close_all(ends.fd, 3);
    close_all(&ends.report_fd, 1);
    if (err) {
        close_all(s->fd, 3);
        close_all(&s->report_fd, 1);
    }
    return err;
}

int spawn_problem(const struct spawned *s, struct spawn_problem *problem)
{
    return read(s->report_fd, problem, sizeof(*problem)) == sizeof(*problem);
}
