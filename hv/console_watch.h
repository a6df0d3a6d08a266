/*
 * Reads along with the guest's console: remembers the last lines, and recognises what Linux prints
 * when it panics, warns or starts its init. Needs nothing in the guest. The text is the guest's, so
 * it is only ever a hint: a verdict also takes a reset or silence (vm.c).
 *
 * Thread: fed under the console's chardev.lock; the getters after the vCPUs have stopped, except
 * console_watch_panicked and console_watch_last_output, which any thread may call; so may it read
 * first_byte_ns and init_ns.
 */
#ifndef HV_CONSOLE_WATCH_H
#define HV_CONSOLE_WATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WATCH_LINES    20
#define WATCH_LINE_MAX 240 /* bytes kept of a line, NUL included */

struct console_watch {
    char line[WATCH_LINES][WATCH_LINE_MAX]; /* ring; `lines` is its head */
    uint64_t lines;                         /* completed */
    size_t len;                             /* of the line being built */
    char splat[WATCH_LINE_MAX];             /* first line of the first kernel report; or "" */
    char says[WATCH_LINE_MAX]; /* what hv's own program in the guest said first; or "" */
    _Atomic uint64_t first_byte_ns, init_ns; /* loop_now_ns; 0: not seen; relaxed */

    /* Called once, when the panic line is complete. Under chardev.lock. */
    void (*on_panic)(void *opaque);
    void *opaque;

    atomic_bool panicked;            /* released by the tap, acquired by the getter */
    bool timed;                      /* last_output_ns is kept in any case; set before output */
    _Atomic uint64_t last_output_ns; /* relaxed; else kept only after a panic */
};

void console_watch_init(struct console_watch *watch, void (*on_panic)(void *), void *opaque);

/* The chardev's tap; `opaque` is the watch. */
void console_watch_feed(void *opaque, const uint8_t *buf, size_t len);

/* The guest says so itself (pvpanic). Calls on_panic unless a panic was known. Any thread. */
void console_watch_set_panicked(struct console_watch *watch);

bool console_watch_panicked(const struct console_watch *watch);
uint64_t console_watch_last_output(const struct console_watch *watch);

/* The `n`-th line from the end (0: the one being built, if it has text, or the last); or NULL. */
const char *console_watch_line(const struct console_watch *watch, unsigned n);

#endif
