/* The console's host end: see console.h. */
#include "hv/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "devices/core/chardev.h"
#include "devices/core/log.h"
#include "hv/console_watch.h"
#include "hv/terminal.h"

size_t console_escape_filter(void *opaque, uint8_t *buf, size_t len)
{
    struct console_escape *e = opaque;
    size_t out = 0;

    for (size_t i = 0; i < len; i++) {
        uint8_t c = buf[i];

        if (!e->pending && c == CONSOLE_ESCAPE) {
            e->pending = true;
            continue;
        }
        if (e->pending && (c == 'x' || c == 'h' || c == 'p'))
            e->key(e->opaque, c == 'x' ? CONSOLE_QUIT : c == 'h' ? CONSOLE_HELP : CONSOLE_POWER);
        else
            buf[out++] = c;
        e->pending = false;
    }
    return out;
}

void console_print_help(void)
{
    log_info("Ctrl-A x: end the run   Ctrl-A p: press the power button   Ctrl-A h: this help   "
             "Ctrl-A Ctrl-A: send Ctrl-A");
}

/* stdin may be anything: a terminal becomes raw, a pipe or file is read as the guest asks for it.
 */
static void open_stdio(struct console *console)
{
    console->out_fd = STDOUT_FILENO;
    console->in_fd = STDIN_FILENO;
    if (!isatty(STDIN_FILENO))
        return;
    console->raw_wanted = terminal_is_ours(STDIN_FILENO);
    if (!console->raw_wanted)
        console->in_fd = -1;
}

static int open_pty(struct console *console)
{
    struct termios raw;
    const char *name;
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK), slave, err;

    if (fd < 0 || grantpt(fd) < 0 || unlockpt(fd) < 0 || !(name = ptsname(fd))) {
        err = -errno;
        log_error("--console pty: cannot make a pseudo-terminal: %s", strerror(-err));
        if (fd >= 0)
            close(fd);
        return err;
    }
    if (tcgetattr(fd, &raw) == 0) {
        cfmakeraw(&raw);
        tcsetattr(fd, TCSANOW, &raw);
    }
    /* Opened and closed once: a pty that nobody is attached to then reports a hang-up, and what the
     * guest prints is dropped instead of holding the guest back. */
    slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave >= 0)
        close(slave);
    console->owned_fd = console->in_fd = console->out_fd = fd;
    log_info("the console is at %s (for example: screen %s)", name, name);
    return 0;
}

static int open_file(struct console *console, const char *path)
{
    /* O_NONBLOCK so that a FIFO without a reader is an error, not a wait; undone below. */
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    int err;

    if (fd < 0) {
        err = -errno;
        log_error("--console %s: %s%s", path, strerror(-err),
                  err == -ENXIO ? " (a FIFO that nobody reads)" : "");
        return err;
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    console->owned_fd = console->out_fd = fd;
    return 0;
}

int console_open(struct console *console, const char *where, uint64_t limit, struct loop *loop,
                 struct console_watch *watch)
{
    struct chardev_config config = {.limit = limit, .tap = console_watch_feed, .tap_opaque = watch};
    int err = 0;

    console->in_fd = console->out_fd = console->owned_fd = -1;
    console->raw_wanted = console->raw = false;
    if (strcmp(where, "stdio") == 0)
        open_stdio(console);
    else if (strcmp(where, "pty") == 0)
        err = open_pty(console);
    else if (strcmp(where, "none") != 0)
        err = open_file(console, where);
    if (err)
        return err;
    config.in_fd = console->in_fd;
    config.out_fd = console->out_fd;
    if (console->raw_wanted) {
        config.filter = console_escape_filter;
        config.filter_opaque = &console->escape;
    }
    console->chr = chardev_create(loop, &config);
    if (!console->chr) {
        err = -errno;
        log_error("--console %s: %s", where, strerror(-err));
        console_close(console);
    }
    return err;
}

int console_enter_raw(struct console *console)
{
    int err = console->raw_wanted ? terminal_make_raw(true) : 0;

    if (err)
        log_error("--console stdio: the terminal refuses raw mode: %s", strerror(-err));
    else
        console->raw = console->raw_wanted;
    return err;
}

void console_leave_raw(struct console *console)
{
    if (console->raw)
        terminal_restore();
    console->raw = false;
}

void console_close(struct console *console)
{
    if (!console->chr && !console->raw && console->owned_fd <= 0)
        return;
    chardev_destroy(console->chr);
    console->chr = NULL;
    console_leave_raw(console);
    if (console->owned_fd >= 0)
        close(console->owned_fd);
    console->owned_fd = -1;
}
