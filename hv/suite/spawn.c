/* The process of one boot: see spawn.h. Called by job.c. */
#include "hv/suite/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/core/helper.h"
#include "hv/outcome.h"

#define CONSOLE_FD 3 /* SPAWN_CONSOLE */
#define PIPE_SIZE  (1 << 20)

static void close_if_open(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* In the child, where only system calls are safe. */
static void fail(const char *what)
{
    const char *why = strerrordesc_np(errno);

    if (write(STDERR_FILENO, "hv: ", 4) < 0 || write(STDERR_FILENO, what, strlen(what)) < 0 ||
        write(STDERR_FILENO, ": ", 2) < 0 || (why && write(STDERR_FILENO, why, strlen(why)) < 0) ||
        write(STDERR_FILENO, "\n", 1) < 0)
        _exit(STATUS_HV_FAILED);
    _exit(STATUS_HV_FAILED);
}

static void child(const char *dir, char *const argv[], pid_t parent, const int write_end[])
{
    /* Copied above first: a source may be the number that another goes to. */
    int high[] = {open("/dev/null", O_RDONLY), write_end[STREAM_STDOUT], write_end[STREAM_STDERR],
                  write_end[STREAM_CONSOLE]};

    for (int i = 0; i <= CONSOLE_FD; i++)
        high[i] = fcntl(high[i], F_DUPFD, 10);
    for (int i = 0; i <= CONSOLE_FD; i++)
        if (dup2(high[i], i) < 0)
            _exit(STATUS_HV_FAILED);
    close_range(CONSOLE_FD + 1, ~0u, 0);
    helper_detach();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* It may have ended before it was asked to take us along. */
    if (getppid() != parent)
        _exit(STATUS_HV_FAILED);
    if (chdir(dir) < 0)
        fail(dir);
    execv(argv[0], argv);
    fail(argv[0]);
}

static int open_pipes(struct process *process, int write_end[])
{
    for (int i = 0; i < STREAM_COUNT; i++) {
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) < 0)
            return -errno;
        process->out[i] = ends[0];
        write_end[i] = ends[1];
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
        /* A guest's console is not held up for us; what finds no room is lost. Refused to those who
         * have too many pipes already. */
        (void)fcntl(ends[0], F_SETPIPE_SZ, PIPE_SIZE);
    }
    return 0;
}

int spawn(struct process *process, const char *dir, char *const argv[])
{
    int write_end[STREAM_COUNT];
    pid_t parent = getpid();
    int err;

    *process = (struct process){.pid = -1, .pidfd = -1};
    for (int i = 0; i < STREAM_COUNT; i++)
        process->out[i] = write_end[i] = -1;
    err = open_pipes(process, write_end);
    if (!err) {
        process->pid = fork();
        if (process->pid == 0)
            child(dir, argv, parent, write_end);
        err = process->pid < 0 ? -errno : 0;
    }
    for (int i = 0; i < STREAM_COUNT; i++)
        close_if_open(&write_end[i]);
    if (!err) {
        process->pidfd = pidfd_open(process->pid, 0);
        err = process->pidfd < 0 ? -errno : 0;
    }
    if (err)
        process_destroy(process);
    return err;
}

void process_signal(const struct process *process, int signal)
{
    if (process->pid <= 0)
        return;
    /* Before it has made its session, the group is not there yet. */
    if (kill(-process->pid, signal) < 0)
        kill(process->pid, signal);
}

int process_reap(struct process *process, int *killed_by)
{
    siginfo_t info = {0};
    int status = 0;

    /* As long as it is not waited for, its number is nobody else's, and neither is the group's. */
    while (waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        ;
    kill(-process->pid, SIGKILL);
    while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR)
        ;
    process->pid = -1;
    *killed_by = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return *killed_by ? STATUS_SIGNAL_BASE + *killed_by : WEXITSTATUS(status);
}

void process_destroy(struct process *process)
{
    int killed_by;

    if (process->pid > 0) {
        process_signal(process, SIGKILL);
        process_reap(process, &killed_by);
    }
    close_if_open(&process->pidfd);
    for (int i = 0; i < STREAM_COUNT; i++)
        close_if_open(&process->out[i]);
}
