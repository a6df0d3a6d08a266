/*
 * Starts the box (a QEMU), runs one command in it through agent, and ends with the command's
 * status.
 *
 * usage: link [-l LOG] [-t SECONDS] [-s SECONDS] [-y PATH]... [-T] [-v] -- QEMU ARG...
 *             -- COMMAND ARG...
 *   -l  keep the box's console and QEMU's messages in LOG   -t  kill all after SECONDS, status 124
 *   -y  hold PATH in the box's memory                       -T  give COMMAND a terminal
 *   -v  print timings on stderr                             -s  what STALL_SECONDS is else
 * QEMU finds the stream to agent at descriptor 3 and the log at descriptor 4.
 *
 * `run` execs this program, so there is one process to signal, and QEMU dies with it whatever kills
 * it. One thread, one poll loop. Statuses: the command's; 128+n when a signal ended it or us; 124
 * at the time limit; 125 when there was no box.
 */
#include "guest-tests/testbed/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define STATUS_TIMEOUT 124
#define STATUS_NO_BOX  125
#define BOX_FD         3
#define LOG_FD         4
/* A box on a busy machine is slow, but not this slow: something is wrong with it. */
#define START_SECONDS 120
/* A kernel that says nothing for so long while it starts is frozen (QEMU 7.2 now and then misses a
 * patch of code that another processor made). Nothing has run in it yet, so it is started again. */
#define STALL_SECONDS 20
#define STARTS_MAX    3
#define LOG_TAIL      1500

struct options {
    const char *log;
    double limit; /* seconds; 0: none */
    double stall; /* seconds */
    bool tty;
    bool verbose;
    char **copies; /* argc entries are enough */
    size_t ncopies;
    char **qemu;
    char **command;
};

static struct options opt = {.stall = STALL_SECONDS};
/* What was read from our input and is on its way: the box may be slower than we are. */
struct input {
    char data[sizeof(struct frame_head) + FRAME_DATA_MAX];
    size_t from;
    size_t to;
    bool ended;
};

static struct input input;
static pid_t qemu_pid = -1;
static int sock = -1;
static int signal_fd = -1;
static sigset_t signals_before;
static int log_fd = -1;
static bool ready; /* agent has spoken */
static double started;
static double log_grew;
static off_t log_size;
static int starts;
static size_t frame_have; /* bytes of the frame that take_bytes is reading */
static bool raw;
static struct termios cooked;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void stop_box(void)
{
    if (qemu_pid > 0) {
        kill(qemu_pid, SIGKILL);
        waitpid(qemu_pid, NULL, 0);
    }
    qemu_pid = -1;
}

/* Leaves the whole log in opt.log. Renamed into place: several boxes may end at once. */
static void keep_log(void)
{
    char name[4096];
    char data[4096];
    off_t at = 0;
    ssize_t n;
    int fd;

    if (!opt.log || log_fd < 0)
        return;
    snprintf(name, sizeof(name), "%s.%d", opt.log, (int)getpid());
    fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return;
    for (; (n = pread(log_fd, data, sizeof(data), at)) > 0; at += n)
        write_all(fd, data, (size_t)n);
    close(fd);
    if (rename(name, opt.log) < 0)
        unlink(name);
}

__attribute__((noreturn)) static void end(int status)
{
    stop_box();
    keep_log();
    if (raw)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &cooked);
    if (opt.verbose)
        fprintf(stderr, "testbed: %.2f s in all\n", now() - started);
    exit(status);
}

/* The box is of no use: the last lines of its log say why more often than not. */
__attribute__((noreturn)) static void no_box(const char *why)
{
    char tail[LOG_TAIL + 1];
    off_t size = lseek(log_fd, 0, SEEK_END);
    off_t from = size > LOG_TAIL ? size - LOG_TAIL : 0;
    ssize_t n = pread(log_fd, tail, LOG_TAIL, from);

    tail[n > 0 ? n : 0] = '\0';
    fprintf(stderr, "testbed: %s%s%s\n%s\n", why, opt.log ? "; its whole log is in " : "",
            opt.log ? opt.log : "", tail);
    end(STATUS_NO_BOX);
}

static void put_at(int fd, int place)
{
    if (fd == place)
        fcntl(fd, F_SETFD, 0);
    else
        dup2(fd, place);
}

static void start_box(void)
{
    const struct timeval send_limit = {.tv_sec = START_SECONDS};
    pid_t parent = getpid();
    int pair[2];

    starts++;
    log_grew = now();
    log_size = 0;
    frame_have = 0; /* what an earlier box began to say is void */
    log_fd = memfd_create("testbed-log", MFD_CLOEXEC);
    if (log_fd < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        fprintf(stderr, "testbed: cannot make the link to the box: %s\n", strerror(errno));
        exit(STATUS_NO_BOX);
    }
    sock = pair[0];
    qemu_pid = fork();
    if (qemu_pid == 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        /* Out of the way of the two numbers QEMU was told. */
        int end_fd = fcntl(pair[1], F_DUPFD_CLOEXEC, LOG_FD + 1);
        int log = fcntl(log_fd, F_DUPFD_CLOEXEC, LOG_FD + 1);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        /* Ctrl-C is for us: we stop QEMU, after the terminal is as it was. */
        setpgid(0, 0);
        put_at(null, STDIN_FILENO);
        put_at(log, STDOUT_FILENO);
        put_at(log, STDERR_FILENO);
        put_at(end_fd, BOX_FD);
        put_at(log, LOG_FD);
        sigprocmask(SIG_SETMASK, &signals_before, NULL);
        execvp(opt.qemu[0], opt.qemu);
        fprintf(stderr, "%s: %s\n", opt.qemu[0], strerror(errno));
        _exit(127);
    }
    close(pair[1]);
    /* Sends that may block are short and expected. */
    setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &send_limit, sizeof(send_limit));
    if (qemu_pid < 0)
        no_box("cannot start a process");
}

static void send_or_die(enum frame_type type, const char *data, size_t len)
{
    if (len > FRAME_MAX)
        no_box("an argument is too long");
    if (frame_send(sock, type, data, len))
        no_box("the box went away while it was told what to do");
}

static void send_size(void)
{
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    struct frame_size asked;

    ioctl(STDIN_FILENO, TIOCGWINSZ, &size);
    asked.rows = size.ws_row;
    asked.cols = size.ws_col;
    send_or_die(FRAME_SIZE, (const char *)&asked, sizeof(asked));
}

static void make_raw(void)
{
    struct termios mode;

    if (tcgetattr(STDIN_FILENO, &cooked) < 0)
        return;
    mode = cooked;
    cfmakeraw(&mode);
    raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &mode) == 0;
}

static void send_request(void)
{
    char *cwd = getcwd(NULL, 0);

    for (size_t i = 0; i < opt.ncopies; i++)
        send_or_die(FRAME_COPY, opt.copies[i], strlen(opt.copies[i]));
    for (char **arg = opt.command; *arg; arg++)
        send_or_die(FRAME_ARG, *arg, strlen(*arg));
    for (char **env = environ; *env; env++)
        send_or_die(FRAME_ENV, *env, strlen(*env));
    if (!cwd)
        cwd = strdup("/");
    send_or_die(FRAME_CWD, cwd, strlen(cwd));
    free(cwd);
    if (opt.tty) {
        send_size();
        make_raw();
    }
    send_or_die(FRAME_GO, "", 0);
    if (opt.verbose)
        fprintf(stderr, "testbed: up in %.2f s\n", now() - started);
}

static void take_signal(void)
{
    struct signalfd_siginfo info;

    if (read(signal_fd, &info, sizeof(info)) != sizeof(info))
        return;
    if (info.ssi_signo != SIGWINCH)
        end(128 + (int)info.ssi_signo);
    /* Between two frames only; the next change of size will do. */
    if (ready && opt.tty && input.from == input.to)
        send_size();
}

/* Starts the box again if it froze before it could take the command. */
static void check_start(void)
{
    off_t size = lseek(log_fd, 0, SEEK_END);

    if (size != log_size) {
        log_size = size;
        log_grew = now();
    }
    if (now() - log_grew < opt.stall || starts == STARTS_MAX)
        return;
    fprintf(stderr, "testbed: the box froze while it started; starting it again\n");
    stop_box();
    keep_log();
    close(sock);
    close(log_fd);
    start_box();
}

static void check_time(void)
{
    double passed = now() - started;

    if (opt.limit > 0 && passed >= opt.limit) {
        fprintf(stderr, "testbed: time limit of %g s reached\n", opt.limit);
        end(STATUS_TIMEOUT);
    }
    if (!ready && passed >= START_SECONDS)
        no_box("the box did not start in time");
}

/* Milliseconds until check_time() may have something to say. */
static int time_left(void)
{
    double left = opt.limit > 0 ? opt.limit : 3600;

    if (!ready && left > START_SECONDS)
        left = START_SECONDS;
    left -= now() - started;
    if (!ready && left > 1)
        left = 1; /* check_start() looks at the log */
    return left < 0 ? 0 : left > 3600 ? 3600000 : (int)(left * 1000) + 1;
}

/* Returns false when DATA can not be passed on because nobody takes it any more. */
static bool put_some(int fd, const char **data, size_t *len)
{
    /* What POLLOUT promises not to block for. */
    size_t step = *len < PIPE_BUF ? *len : PIPE_BUF;
    ssize_t n = write(fd, *data, step);

    if (n > 0) {
        *data += n;
        *len -= (size_t)n;
    } else if (n < 0 && errno == EPIPE) {
        end(128 + SIGPIPE); /* as it would end the command itself */
    }
    return n >= 0 || errno == EINTR || errno == EAGAIN;
}

/* Whoever takes our output may be slow; signals and the time limit are obeyed meanwhile. */
static void put(int fd, const char *data, size_t len)
{
    while (len > 0) {
        struct pollfd fds[] = {
            {.fd = signal_fd, .events = POLLIN},
            {.fd = fd, .events = POLLOUT},
        };

        poll(fds, sizeof(fds) / sizeof(fds[0]), time_left());
        check_time();
        if (fds[0].revents)
            take_signal();
        if (fds[1].revents && !put_some(fd, &data, &len)) {
            fprintf(stderr, "testbed: cannot pass on output: %s\n", strerror(errno));
            end(STATUS_NO_BOX);
        }
    }
}

__attribute__((noreturn)) static void finish(const char *data)
{
    int32_t status;

    memcpy(&status, data, sizeof(status));
    end(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

static void take_frame(enum frame_type type, const char *data, size_t len)
{
    switch (type) {
    case FRAME_READY:
        ready = true;
        send_request();
        break;
    case FRAME_DATA_OUT:
        put(STDOUT_FILENO, data, len);
        break;
    case FRAME_DATA_ERR:
        put(STDERR_FILENO, data, len);
        break;
    case FRAME_EXIT:
        finish(data);
    case FRAME_FAIL:
        fprintf(stderr, "%.*s\n", (int)len, data);
        end(STATUS_NO_BOX);
    default:
        no_box("the box talks nonsense");
    }
}

/* Reads what there is of one frame, and acts on it when it is whole. Never blocks. */
static void take_bytes(void)
{
    static struct {
        struct frame_head head;
        char data[FRAME_MAX];
    } frame;
    size_t want = sizeof(frame.head) + (frame_have < sizeof(frame.head) ? 0 : frame.head.len);
    ssize_t n = recv(sock, (char *)&frame + frame_have, want - frame_have, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0)
        no_box(ready ? "the box died" : "the box did not start");
    frame_have += (size_t)n;
    if (frame_have < sizeof(frame.head))
        return;
    if (frame.head.len > FRAME_MAX)
        no_box("the box talks nonsense");
    if (frame_have == sizeof(frame.head) + frame.head.len) {
        frame_have = 0;
        take_frame(frame.head.type, frame.data, frame.head.len);
    }
}

static void read_input(void)
{
    struct frame_head head = {.type = FRAME_DATA_IN};
    ssize_t n = read(STDIN_FILENO, input.data + sizeof(head), FRAME_DATA_MAX);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    input.ended = n <= 0;
    head.len = n > 0 ? (uint32_t)n : 0;
    memcpy(input.data, &head, sizeof(head));
    input.from = 0;
    input.to = sizeof(head) + head.len;
}

static void push_input(void)
{
    ssize_t n = send(sock, input.data + input.from, input.to - input.from, MSG_DONTWAIT);

    if (n > 0)
        input.from += (size_t)n;
}

__attribute__((noreturn)) static void serve(void)
{
    for (;;) {
        bool held = input.from < input.to;
        bool reading = ready && !held && !input.ended;
        struct pollfd fds[] = {
            {.fd = signal_fd, .events = POLLIN},
            {.fd = sock, .events = (short)(POLLIN | (held ? POLLOUT : 0))},
            {.fd = reading ? STDIN_FILENO : -1, .events = POLLIN},
        };

        poll(fds, sizeof(fds) / sizeof(fds[0]), time_left());
        check_time();
        if (fds[1].revents & (POLLIN | POLLHUP))
            take_bytes();
        else if (!ready)
            check_start();
        if (fds[1].revents & POLLOUT)
            push_input();
        if (fds[2].revents)
            read_input();
        if (fds[0].revents)
            take_signal();
    }
}

__attribute__((noreturn)) static void usage(void)
{
    fprintf(stderr, "usage: link [-l LOG] [-t SECONDS] [-s SECONDS] [-y PATH]... [-T] [-v] "
                    "-- QEMU ARG... -- COMMAND ARG...\n");
    exit(STATUS_NO_BOX);
}

static void parse(int argc, char **argv)
{
    int c;

    opt.copies = calloc((size_t)argc, sizeof(*opt.copies));
    while ((c = getopt(argc, argv, "+l:t:s:y:Tv")) != -1) {
        switch (c) {
        case 'l':
            opt.log = optarg;
            break;
        case 't':
            opt.limit = strtod(optarg, NULL);
            break;
        case 's':
            opt.stall = strtod(optarg, NULL);
            break;
        case 'y':
            opt.copies[opt.ncopies++] = optarg;
            break;
        case 'T':
            opt.tty = true;
            break;
        case 'v':
            opt.verbose = true;
            break;
        default:
            usage();
        }
    }
    opt.qemu = argv + optind;
    for (int i = optind; i < argc && !opt.command; i++) {
        if (strcmp(argv[i], "--") == 0) {
            argv[i] = NULL;
            opt.command = argv + i + 1;
        }
    }
    if (!opt.command || !*opt.command || !*opt.qemu)
        usage();
}

int main(int argc, char **argv)
{
    sigset_t mine;
    int fd;

    /* Our own descriptors must not land where the command's are expected. */
    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    close(fd);
    parse(argc, argv);
    started = now();
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&mine);
    sigaddset(&mine, SIGINT);
    sigaddset(&mine, SIGTERM);
    sigaddset(&mine, SIGHUP);
    sigaddset(&mine, SIGQUIT);
    sigaddset(&mine, SIGWINCH);
    sigprocmask(SIG_BLOCK, &mine, &signals_before);
    signal_fd = signalfd(-1, &mine, SFD_CLOEXEC);
    if (signal_fd < 0)
        return STATUS_NO_BOX;
    start_box();
    serve();
}
