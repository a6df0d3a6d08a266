/*
 * The terminal at standard input: raw mode and the way back. It is restored by terminal_restore, at
 * exit, and by a handler of the signals that a crash raises, so that no way out of hv leaves it
 * raw.
 *
 * Thread: main.
 */
#ifndef HV_TERMINAL_H
#define HV_TERMINAL_H

#include <stdbool.h>

/* Whether `fd` is a terminal that hv may read: one in the background would stop hv by SIGTTIN. */
bool terminal_is_ours(int fd);

/*
 * Raw mode. With `newlines`, "\n" on its own still begins a line, as hv's messages and a serial
 * console expect; without, output is as raw as a program behind a pseudo-terminal means it. 0 or
 * -errno.
 */
int terminal_make_raw(bool newlines);

/* Does nothing when it is not raw. Async-signal-safe. */
void terminal_restore(void);

#endif
