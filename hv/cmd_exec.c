/*
 * `hv exec`: a command in a guest that another hv runs. The frames go through that hv
 * (hv/command/agent.h); this process is only their client.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/nearest.h"
#include "devices/core/util.h"
#include "hv/cmd.h"
#include "hv/command/address.h"
#include "hv/command/plan.h"
#include "hv/command/session.h"
#include "hv/config.h"
#include "hv/terminal.h"

void exec_print_help(FILE *out)
{
    fputs(
        "Runs a command in a guest that was started by hv run --name NAME ... -- COMMAND, as\n"
        "long as that one runs.\n"
        "\n"
        "Examples:\n"
        "  hv exec mytest -- ps aux\n"
        "  hv exec mytest -- sh\n"
        "  tar c src | hv exec mytest --cwd /tmp -- tar x\n"
        "\n"
        "Usage: hv exec NAME [--cwd DIRECTORY] [--env NAME=VALUE]... -- COMMAND [ARGUMENT]...\n"
        "\n"
        "  --cwd DIRECTORY   start the command there, in the guest\n"
        "  --env NAME=VALUE  set a variable for it; may be repeated\n"
        "\n"
        "Standard input, output and error are the command's. With a terminal for the first two it\n"
        "gets one too; Ctrl-A x gives up. The status is the command's, 128+n when signal n ended\n"
        "it, 127 when it was not found, 126 when it cannot be executed, 125 when hv failed, 255\n"
        "when the guest ended without a status.\n",
        out);
}

struct exec {
    const char *name;
    struct vm_config config; /* of which only the command's part is used; strings are argv's */
    struct loop *loop;
    struct session *session;
    int signal_fd;
    bool signalled; /* one was passed on */
    int status;
};

/* Arguments. */

static int take_option(struct exec *x, const char *option, const char *value)
{
    if (strcmp(option, "cwd") == 0) {
        x->config.cwd = (char *)value;
        return 0;
    }
    if (x->config.env_count == ARRAY_SIZE(x->config.env)) {
        log_error("exec: --env: at most %zu variables", ARRAY_SIZE(x->config.env));
        return -EINVAL;
    }
    x->config.env[x->config.env_count++] = (char *)value;
    return 0;
}

static int unknown_option(const char *arg, const char *word)
{
    struct nearest nearest = {.word = word};

    nearest_offer(&nearest, "cwd");
    nearest_offer(&nearest, "env");
    if (nearest.best)
        log_error("exec: %s: unknown option (did you mean --%s?)", arg, nearest.best);
    else
        log_error("exec: %s: unknown option; see hv help exec", arg);
    return -EINVAL;
}

/* "--cwd D" or "--cwd=D" at argv[*at]. */
static int parse_option(struct exec *x, int argc, char **argv, int *at)
{
    static const char *const options[] = {"cwd", "env"};
    const char *word = argv[*at][1] == '-' ? argv[*at] + 2 : argv[*at] + 1;

    for (unsigned i = 0; i < ARRAY_SIZE(options); i++) {
        size_t len = strlen(options[i]);

        if (strncmp(argv[*at], "--", 2) != 0 || strncmp(word, options[i], len) != 0)
            continue;
        if (word[len] == '=')
            return take_option(x, options[i], word + len + 1);
        if (word[len])
            continue;
        if (*at + 1 >= argc) {
            log_error("exec: --%s: a value must follow", options[i]);
            return -EINVAL;
        }
        return take_option(x, options[i], argv[++*at]);
    }
    return unknown_option(argv[*at], word);
}

static void set_command(struct vm_config *config, int count, char **words)
{
    config->command = words;
    config->command_count = (unsigned)count;
    for (int i = 0; i < count; i++)
        config->command_size += strlen(words[i]) + 1;
}

/* 0; -EINVAL after a message; 1 after --help. */
static int parse(struct exec *x, int argc, char **argv)
{
    int i;

    for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        int err = 0;

        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            exec_print_help(stdout);
            return 1;
        }
        if (argv[i][0] == '-') {
            err = parse_option(x, argc, argv, &i);
        } else if (x->name) {
            log_error("exec: %s: the command stands behind \"--\" (hv exec %s -- %s ...)", argv[i],
                      x->name, argv[i]);
            err = -EINVAL;
        } else {
            x->name = argv[i];
        }
        if (err)
            return err;
    }
    if (!x->name || i + 1 >= argc) {
        log_error("exec: %s (hv exec NAME -- COMMAND ...); see hv help exec",
                  x->name ? "no command" : "no guest is named");
        return -EINVAL;
    }
    set_command(&x->config, argc - i - 1, argv + i + 1);
    return 0;
}

/* The run. */

static void finish(struct exec *x, int status)
{
    x->status = status;
    loop_stop(x->loop);
}

static void ended(void *opaque, const struct command_end *end)
{
    struct exec *x = opaque;

    session_say_end(end, x->config.command[0]);
    if (end->how == COMMAND_NO_STATUS)
        log_error("the guest ended, or hv there did, before the command");
    finish(x, command_end_status(end));
}

static void key_pressed(void *opaque, enum console_key key)
{
    struct exec *x = opaque;

    if (key == CONSOLE_QUIT)
        finish(x, STATUS_SIGNAL_BASE + SIGINT);
}

static void signal_arrived(void *opaque, uint32_t events)
{
    struct exec *x = opaque;
    struct signalfd_siginfo info;

    (void)events;
    if (read(x->signal_fd, &info, sizeof(info)) != sizeof(info))
        return;
    if (info.ssi_signo == SIGWINCH)
        session_resize(x->session);
    else if (!x->signalled && session_signal(x->session, (int)info.ssi_signo))
        x->signalled = true;
    else
        finish(x, STATUS_SIGNAL_BASE + (int)info.ssi_signo);
}

static int catch_signals(struct exec *x)
{
    static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH};
    sigset_t set;

    sigemptyset(&set);
    for (unsigned i = 0; i < ARRAY_SIZE(caught); i++)
        sigaddset(&set, caught[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    x->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (x->signal_fd < 0 || !loop_watch_add(x->loop, x->signal_fd, EPOLLIN, signal_arrived, x))
        return -errno;
    return 0;
}

/* One line: the guests that can be meant. */
static void say_unknown(const char *name)
{
    char *names = NULL;
    size_t len;
    FILE *f = open_memstream(&names, &len);
    unsigned count = f ? address_list(f) : 0;

    if (f)
        fclose(f);
    if (count)
        log_error("exec: no guest called %s runs (these do: %s)", name, names);
    else
        log_error("exec: no guest called %s runs, nor any other of yours", name);
    free(names);
}

static int connect_guest(const char *name)
{
    char why[400];
    int fd = address_connect(name, why, sizeof(why));

    if (fd == -ENOENT || fd == -ECONNREFUSED)
        say_unknown(name);
    else if (fd < 0)
        log_error("exec: %s: %s", name, why);
    return fd;
}

/* Takes `fd`. */
static int run(struct exec *x, int fd, const char *spec, size_t len, bool terminal)
{
    int err;

    x->loop = loop_create();
    err = x->loop ? catch_signals(x) : -errno;
    if (err) {
        close(fd);
    } else {
        x->session = session_create(&(struct session_config){.loop = x->loop,
                                                             .fd = fd,
                                                             .spec = spec,
                                                             .spec_len = len,
                                                             .in = STDIN_FILENO,
                                                             .out = STDOUT_FILENO,
                                                             .err = STDERR_FILENO,
                                                             .terminal = terminal,
                                                             .ended = ended,
                                                             .key = key_pressed,
                                                             .opaque = x});
        err = x->session ? loop_run(x->loop) : -errno;
    }
    session_destroy(x->session);
    loop_destroy(x->loop);
    if (x->signal_fd >= 0)
        close(x->signal_fd);
    if (err)
        log_error("exec: %s", strerrordesc_np(-err));
    return err ? STATUS_HV_FAILED : x->status;
}

int cmd_exec(int argc, char **argv)
{
    bool terminal = terminal_is_ours(STDIN_FILENO) && isatty(STDOUT_FILENO);
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    struct exec x = {.signal_fd = -1, .status = STATUS_HV_FAILED};
    int parsed = parse(&x, argc, argv), fd, status = STATUS_HV_FAILED;
    char *spec = NULL;
    size_t len;

    if (parsed)
        return parsed > 0 ? STATUS_OK : STATUS_HV_FAILED;
    occupy_standard_fds();
    if (terminal)
        ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    fd = connect_guest(x.name);
    if (fd < 0)
        return STATUS_HV_FAILED;
    if (command_spec(&x.config, terminal, size.ws_row, size.ws_col, &spec, &len) == 0)
        status = run(&x, fd, spec, len, terminal);
    else
        close(fd);
    free(spec);
    return status;
}
