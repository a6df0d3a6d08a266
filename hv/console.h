/*
 * The host's end of the console: which file descriptors the guest's serial port is connected to,
 * the terminal's raw mode, and the escape keys.
 *
 * How the terminal is restored on every way out: hv/terminal.h.
 */
#ifndef HV_CONSOLE_H
#define HV_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chardev;
struct console_watch;
struct loop;

#define CONSOLE_ESCAPE 0x01 /* Ctrl-A */

/* What the keys behind the escape key ask for. */
enum console_key { CONSOLE_QUIT, CONSOLE_HELP, CONSOLE_POWER };

/* Filters escape sequences from a stream of input. A zeroed struct is the initial state. */
struct console_escape {
    bool pending; /* the last byte was the escape key */
    void (*key)(void *opaque, enum console_key key);
    void *opaque;
};

/*
 * A chardev filter (opaque is the struct): Ctrl-A x, h and p call `key`, Ctrl-A Ctrl-A stands for
 * one Ctrl-A, Ctrl-A with any other key passes that key alone. Works in place.
 */
size_t console_escape_filter(void *opaque, uint8_t *buf, size_t len);

struct console {
    struct chardev *chr; /* owned */
    int in_fd, out_fd;   /* -1: none */
    int owned_fd;        /* a file or pty that was opened here; -1: none */
    bool raw_wanted;     /* stdin is a terminal that is ours */
    bool raw;            /* it is in raw mode now */
    struct console_escape escape;
};

/*
 * `where` is "stdio", "none", "pty" or the path of a file, which is created or truncated. Output
 * is shown to `watch`. 0 or -errno after one message. Main thread.
 */
int console_open(struct console *console, const char *where, uint64_t limit, struct loop *loop,
                 struct console_watch *watch);

/* Restores the terminal and closes what was opened; accepts a zeroed or half-open console. */
void console_close(struct console *console);

/* Puts the terminal in raw mode if stdin is one. Just before the guest runs. */
int console_enter_raw(struct console *console);

/* Gives the terminal back before hv prints its last words; console_close does the rest. */
void console_leave_raw(struct console *console);

/* Tells the keys, on stderr. */
void console_print_help(void);

#endif
