/*
 * Times commands, from just before fork to the first byte of their output, or (-e) to the end of
 * their process, or (-m) to a text in their output and on to the end. Called by
 * guest-tests/bench/run, where the guests run: outside or in the testbed.
 *
 *   stopwatch [-e | -m TEXT] [-n RUNS] [-w WARMUPS] [-t SECONDS] [-s MS] [-o DIR] NAME
 *             -- LABEL COMMAND... [-- LABEL COMMAND...]...
 *
 * All commands run once, then all once more, and so on, so that a machine that becomes slower or
 * faster does so for each of them. Before each it sleeps for MS, so that nobody is still busy with
 * what the last one left: its memory, its line of our output. Prints one line a run: NAME LABEL
 * NANOSECONDS STATUS. To the first byte: output is a pipe, and the command is killed when the byte
 * has come. To the end: output is the file DIR/LABEL.N.log (none without -o), so that no reader
 * competes with the command for a processor. To a text: output is a pipe, and goes to that file
 * when all is over; a line with LABEL.marker for LABEL comes first. Status: 124 after SECONDS,
 * 128+n for a signal, 0 for a command that gave its byte, 125 for one that did not give its text.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMANDS_MAX   16
#define STATUS_TIMEOUT 124
#define STATUS_BAD     125
#define OUTPUT_MAX     (1 << 20) /* with -m */

static struct {
    bool to_end;
    int runs;
    int warmups;
    int limit_s;
    int settle_ms;
    const char *dir;
    const char *marker;
} options = {.runs = 1, .limit_s = 60};

struct result {
    int64_t ns;
    int status;
};

static void fail(const char *what)
{
    perror(what);
    exit(STATUS_BAD);
}

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Starts the command with output to `out`, and stdin from nowhere. Errors go to our stderr. */
static pid_t start(char **command, int out)
{
    pid_t pid = fork();

    if (pid < 0)
        fail("fork");
    if (pid > 0)
        return pid;
    if (dup2(open("/dev/null", O_RDONLY), STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
        _exit(STATUS_BAD);
    close(out); /* or the pipe's other end never sees the end of it */
    execvp(command[0], command);
    perror(command[0]);
    _exit(STATUS_BAD);
}

/* Whether fd (a pipe, or a pidfd) had something to say before the limit. */
static bool wait_for(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    int result = poll(&poll_fd, 1, options.limit_s * 1000);

    if (result < 0)
        fail("poll");
    return result > 0;
}

static int reap(pid_t pid)
{
    int status;

    if (waitpid(pid, &status, 0) != pid)
        fail("waitpid");
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* The same with a pipe: its other end, and when it started. */
static pid_t start_piped(char **command, int *out, int64_t *begin)
{
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        fail("pipe");
    *begin = now_ns();
    pid = start(command, ends[1]);
    close(ends[1]);
    *out = ends[0];
    return pid;
}

static struct result time_first_byte(char **command)
{
    struct result result = {0};
    int out;
    char byte;
    int64_t begin;
    pid_t pid;
    bool came;

    pid = start_piped(command, &out, &begin);
    came = wait_for(out);
    result.ns = now_ns() - begin;
    if (came && read(out, &byte, 1) != 1) {
        result.status = reap(pid); /* it ended without a byte: its status says why */
        if (!result.status)
            result.status = STATUS_BAD;
    } else {
        kill(pid, SIGKILL);
        reap(pid);
        result.status = came ? 0 : STATUS_TIMEOUT;
    }
    close(out);
    return result;
}

/* The file that a run's output goes to. */
static int open_log(const char *label, int run)
{
    char path[4096];
    int out;

    if (options.dir)
        snprintf(path, sizeof(path), "%s/%s.%d.log", options.dir, label, run);
    else
        snprintf(path, sizeof(path), "/dev/null");
    out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (out < 0)
        fail(path);
    return out;
}

static struct result time_to_end(char **command, const char *label, int run)
{
    struct result result = {0};
    int64_t begin;
    pid_t pid;
    int pidfd;
    int out = open_log(label, run);
    bool ended;

    begin = now_ns();
    pid = start(command, out);
    pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0)
        fail("pidfd_open");
    ended = wait_for(pidfd);
    if (!ended)
        kill(pid, SIGKILL);
    result.status = reap(pid);
    result.ns = now_ns() - begin;
    if (!ended)
        result.status = STATUS_TIMEOUT;
    close(pidfd);
    close(out);
    return result;
}

/* Reads to the end of `fd`; the limit is for each wait. `marker`: when the text was there. */
static size_t read_output(int fd, char *output, struct result *marker, bool *ended)
{
    size_t size = 0;

    *ended = false;
    marker->status = STATUS_BAD;
    while (!*ended && size < OUTPUT_MAX && wait_for(fd)) {
        ssize_t got = read(fd, output + size, OUTPUT_MAX - size);

        if (got < 0)
            fail("read");
        size += (size_t)got;
        if (marker->status != 0 && memmem(output, size, options.marker, strlen(options.marker)))
            *marker = (struct result){.ns = now_ns()};
        *ended = got == 0;
    }
    return size;
}

static struct result time_to_marker(char **command, const char *label, int run,
                                    struct result *marker)
{
    static char output[OUTPUT_MAX];
    struct result result = {0};
    int log = open_log(label, run);
    int out;
    int64_t begin;
    pid_t pid;
    bool ended;
    size_t size;

    pid = start_piped(command, &out, &begin);
    size = read_output(out, output, marker, &ended);
    if (!ended)
        kill(pid, SIGKILL);
    result.status = reap(pid);
    result.ns = now_ns() - begin;
    if (!ended)
        result.status = STATUS_TIMEOUT;
    marker->ns = marker->status ? 0 : marker->ns - begin;
    if (write(log, output, size) != (ssize_t)size)
        fail(label);
    close(log);
    close(out);
    return result;
}

/* Cuts the words at each "--"; each piece is a label and its command. Returns how many there are.
 */
static int split(char **words, char **commands[])
{
    int count = 0;

    for (; *words; words++) {
        if (strcmp(*words, "--") != 0)
            continue;
        *words = NULL; /* ends the command before */
        if (count == COMMANDS_MAX || !words[1] || !words[2]) {
            fprintf(stderr, "stopwatch: too many commands, or one without words\n");
            exit(STATUS_BAD);
        }
        commands[count++] = words + 1;
    }
    return count;
}

static void parse(int argc, char **argv)
{
    int option;

    while ((option = getopt(argc, argv, "+em:n:w:t:s:o:")) != -1) {
        switch (option) {
        case 'e':
            options.to_end = true;
            break;
        case 'm':
            options.marker = optarg;
            break;
        case 'n':
            options.runs = atoi(optarg);
            break;
        case 'w':
            options.warmups = atoi(optarg);
            break;
        case 't':
            options.limit_s = atoi(optarg);
            break;
        case 's':
            options.settle_ms = atoi(optarg);
            break;
        case 'o':
            options.dir = optarg;
            break;
        default:
            exit(STATUS_BAD);
        }
    }
}

/* `words`: the label, then the command. Runs below zero are warm-ups, shown only when they fail. */
static void run_once(const char *name, char **words, int run)
{
    struct result result, marker = {0};

    usleep((useconds_t)options.settle_ms * 1000);
    if (options.marker)
        result = time_to_marker(words + 1, words[0], run, &marker);
    else if (options.to_end)
        result = time_to_end(words + 1, words[0], run);
    else
        result = time_first_byte(words + 1);
    if (options.marker && (run >= 0 || marker.status != 0))
        printf("%s %s.marker %lld %d\n", name, words[0], (long long)marker.ns, marker.status);
    if (run >= 0 || result.status != 0)
        printf("%s %s %lld %d\n", name, words[0], (long long)result.ns, result.status);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char **commands[COMMANDS_MAX];
    const char *name;
    int count;

    parse(argc, argv);
    name = argv[optind] ? argv[optind] : "";
    count = split(argv + optind, commands);
    for (int run = -options.warmups; run < options.runs; run++)
        for (int i = 0; i < count; i++)
            run_once(name, commands[i], run);
    return 0;
}
