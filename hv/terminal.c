/* Raw mode of the terminal at standard input: see terminal.h. */
#include "hv/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "devices/core/util.h"

/* Written before raw mode is entered, read by the handler of a crash: hence not in a struct. */
static struct termios cooked;
static volatile sig_atomic_t terminal_is_raw;

/* May run twice, and from a signal handler: the flag is cleared first. */
void terminal_restore(void)
{
    if (!terminal_is_raw)
        return;
    terminal_is_raw = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &cooked);
}

/* Async-signal-safe: tcsetattr and raise are. SA_RESETHAND makes the second one final. */
static void crash_handler(int signal)
{
    terminal_restore();
    raise(signal);
}

/*
 * ISIG off: Ctrl-C belongs to the guest. The crash handlers are set only now, so that sanitizers
 * and core dumps behave as usual where no terminal is at stake.
 */
int terminal_make_raw(bool newlines)
{
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    struct sigaction action = {.sa_handler = crash_handler, .sa_flags = (int)SA_RESETHAND};
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, &cooked) < 0)
        return -errno;
    for (unsigned i = 0; i < ARRAY_SIZE(crashes); i++)
        sigaction(crashes[i], &action, NULL);
    atexit(terminal_restore);
    raw = cooked;
    cfmakeraw(&raw);
    if (newlines)
        raw.c_oflag |= OPOST;
    terminal_is_raw = 1;
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0) {
        terminal_is_raw = 0;
        return -errno;
    }
    return 0;
}

bool terminal_is_ours(int fd)
{
    return isatty(fd) && tcgetpgrp(fd) == getpgrp();
}
