/*
 * Runs one command inside the box, on behalf of link outside (frame.h says what they tell each
 * other).
 *
 * Started by init as `agent PORT ROOT` once the devices and the file systems are there. PORT is a
 * virtio-serial port, ROOT the tree that shows the outside. One thread. It never returns to a state
 * in which it could run a second command: a box serves one.
 */
#include "guest-tests/testbed/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>

/* What link asks for. */
struct request {
    char **argv; /* NULL-terminated, as envp is */
    char **envp;
    size_t argc;
    size_t envc;
    char *cwd;
    bool tty;
    struct winsize size;
};

/* The running command. With a terminal, in and out are its master side and err is not used. */
struct command {
    pid_t pid;
    bool tty;
    int in;
    int out;
    int err;
};

static int port = -1;
static char frame[FRAME_MAX + 1];

/* The box can not go on: say why, so that link ends with 125. */
__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    frame_send(port, FRAME_FAIL, text, strlen(text));
    pause();
    _exit(1);
}

static void append(char ***list, size_t *count, const char *text)
{
    *list = realloc(*list, (*count + 2) * sizeof(**list));
    if (!*list)
        fail("testbed: no memory for the arguments");
    (*list)[*count] = strdup(text);
    (*list)[++*count] = NULL;
}

/* Holds PATH in the box's memory, at the path it has outside. Runs before the chroot. */
static void copy_in(const char *path)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        execl("/bin/busybox", "sh", "/copy", path, (char *)NULL);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
        fail("testbed: cannot copy %s into the box (is it there, and is --memory enough?)", path);
}

static void set_size(struct winsize *size)
{
    struct frame_size asked;

    memcpy(&asked, frame, sizeof(asked));
    size->ws_row = asked.rows;
    size->ws_col = asked.cols;
}

static void receive_request(struct request *req)
{
    struct frame_head head;

    for (;;) {
        if (frame_recv(port, &head, frame))
            fail("testbed: the link to the box broke");
        switch (head.type) {
        case FRAME_ARG:
            append(&req->argv, &req->argc, frame);
            break;
        case FRAME_ENV:
            append(&req->envp, &req->envc, frame);
            break;
        case FRAME_COPY:
            copy_in(frame);
            break;
        case FRAME_CWD:
            req->cwd = strdup(frame);
            break;
        case FRAME_SIZE:
            req->tty = true;
            set_size(&req->size);
            break;
        case FRAME_GO:
            return;
        default:
            fail("testbed: frame %#x out of place", head.type);
        }
    }
}

/* In the child: becomes the command. The statuses are those of a shell. */
__attribute__((noreturn)) static void become(const struct request *req)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    close(port);
    environ = req->envp;
    execvp(req->argv[0], req->argv);
    fprintf(stderr, "testbed: %s: %s\n", req->argv[0], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

static void start_on_terminal(const struct request *req, struct command *cmd)
{
    int master;
    int slave;

    if (openpty(&master, &slave, NULL, NULL, &req->size) < 0)
        fail("testbed: no terminal in the box: %s", strerror(errno));
    cmd->pid = fork();
    if (cmd->pid == 0) {
        close(master);
        login_tty(slave);
        become(req);
    }
    close(slave);
    cmd->out = master;
    cmd->in = fcntl(master, F_DUPFD_CLOEXEC, 0);
    cmd->err = -1;
}

static void start_on_pipes(const struct request *req, struct command *cmd)
{
    int in[2];
    int out[2];
    int err[2];

    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
        fail("testbed: no pipes in the box: %s", strerror(errno));
    cmd->pid = fork();
    if (cmd->pid == 0) {
        setsid();
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        dup2(err[1], STDERR_FILENO);
        become(req);
    }
    close(in[0]);
    close(out[1]);
    close(err[1]);
    cmd->in = in[1];
    cmd->out = out[0];
    cmd->err = err[0];
}

/* Passes on what *FD holds now. Closes it, and sets it to -1, at its end. */
static void pass_output(int *fd, enum frame_type type)
{
    char data[FRAME_DATA_MAX];
    ssize_t n = read(*fd, data, sizeof(data));

    if (n > 0)
        frame_send(port, type, data, (size_t)n);
    else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
        close(*fd);
        *fd = -1;
    }
}

/* After the command's end: what it wrote is in the pipes; children it left behind may hold them
 * open. */
static void drain(int *fd, enum frame_type type)
{
    while (*fd >= 0) {
        struct pollfd ready = {.fd = *fd, .events = POLLIN};

        if (poll(&ready, 1, 0) <= 0)
            return;
        pass_output(fd, type);
    }
}

static void close_input(struct command *cmd)
{
    static const char end_of_file = 4;

    if (cmd->in < 0)
        return;
    if (cmd->tty)
        write_all(cmd->in, &end_of_file, 1);
    close(cmd->in);
    cmd->in = -1;
}

/* Input that the command has not taken yet lies in frame[*from..*to). */
static void pass_input(struct command *cmd, size_t *from, size_t *to)
{
    ssize_t n = write(cmd->in, frame + *from, *to - *from);

    if (n > 0)
        *from += (size_t)n;
    else if (n < 0 && errno != EAGAIN && errno != EINTR) {
        *from = *to;
        close_input(cmd);
    }
}

static void take_frame(struct command *cmd, size_t *from, size_t *to)
{
    struct frame_head head;
    struct winsize size = {0};

    if (frame_recv(port, &head, frame))
        fail("testbed: the link to the box broke");
    if (head.type == FRAME_SIZE) {
        set_size(&size);
        ioctl(cmd->out, TIOCSWINSZ, &size);
    } else if (head.type == FRAME_DATA_IN && head.len == 0) {
        close_input(cmd);
    } else if (head.type == FRAME_DATA_IN && cmd->in >= 0) {
        *from = 0;
        *to = head.len;
    }
}

static bool ended(struct command *cmd, int *status)
{
    pid_t pid;

    do
        pid = waitpid(-1, status, WNOHANG);
    while (pid > 0 && pid != cmd->pid);
    return pid == cmd->pid;
}

/* Returns the command's wait status, with all of its output sent. */
static int serve(struct command *cmd, int child_fd)
{
    struct signalfd_siginfo info;
    size_t from = 0;
    size_t to = 0;
    int status;

    for (;;) {
        bool held = from < to;
        struct pollfd fds[] = {
            {.fd = child_fd, .events = POLLIN},
            {.fd = cmd->out, .events = POLLIN},
            {.fd = cmd->err, .events = POLLIN},
            {.fd = held ? cmd->in : port, .events = held ? POLLOUT : POLLIN},
        };

        if (poll(fds, sizeof(fds) / sizeof(fds[0]), -1) < 0)
            continue;
        if (fds[1].revents)
            pass_output(&cmd->out, FRAME_DATA_OUT);
        if (fds[2].revents)
            pass_output(&cmd->err, FRAME_DATA_ERR);
        if (fds[3].revents && held)
            pass_input(cmd, &from, &to);
        else if (fds[3].revents)
            take_frame(cmd, &from, &to);
        if (fds[0].revents && read(child_fd, &info, sizeof(info)) > 0 && ended(cmd, &status))
            break;
    }
    drain(&cmd->out, FRAME_DATA_OUT);
    drain(&cmd->err, FRAME_DATA_ERR);
    return status;
}

/* As switch_root does: the tree becomes the root of the mount namespace. A mere chroot would deny
 * the command user namespaces. */
static int change_root(const char *tree)
{
    return chdir(tree) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 ? -1 : chroot(".");
}

int main(int argc, char **argv)
{
    struct request req = {0};
    struct command cmd = {0};
    sigset_t child;
    int child_fd;
    int32_t status;

    if (argc != 3 || (port = open(argv[1], O_RDWR | O_CLOEXEC)) < 0) {
        fprintf(stderr, "agent: no port: %s\n", strerror(errno));
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    frame_send(port, FRAME_READY, "", 0);
    receive_request(&req);
    sigprocmask(SIG_BLOCK, &child, NULL);
    child_fd = signalfd(-1, &child, SFD_CLOEXEC);
    if (!req.argc || !req.cwd || child_fd < 0)
        fail("testbed: no command");
    if (change_root(argv[2]) < 0 || chdir(req.cwd) < 0)
        fail("testbed: %s: %s inside the box", req.cwd, strerror(errno));
    cmd.tty = req.tty;
    (req.tty ? start_on_terminal : start_on_pipes)(&req, &cmd);
    if (cmd.pid < 0)
        fail("testbed: no process in the box: %s", strerror(errno));
    /* A command that does not read its input must not keep us from passing on its output. */
    fcntl(cmd.in, F_SETFL, O_NONBLOCK);
    status = serve(&cmd, child_fd);
    sync(); /* link pulls the plug when it has the status */
    frame_send(port, FRAME_EXIT, &status, sizeof(status));
    pause();
    return 0;
}
