/*
 * Starts hv as a process that ends when this one does, in a session of its own. Main thread.
 */
#ifndef HV_SUITE_SPAWN_H
#define HV_SUITE_SPAWN_H

#include <sys/types.h>

#include "hv/suite/suite.h"

#define SPAWN_CONSOLE "/dev/fd/3" /* how the process reaches its console pipe */

struct process {
    pid_t pid;
    int pidfd;             /* readable once it has ended */
    int out[STREAM_COUNT]; /* read ends; non-blocking, close-on-exec */
};

/*
 * Runs argv[0] in `dir`, with nothing on its standard input. 0, or -errno with nothing left. That
 * `dir` or the program cannot be used shows as a line on the process's standard error, and status
 * 125.
 */
int spawn(struct process *process, const char *dir, char *const argv[]);

/* Closes what is open, and waits for the process, which it kills. */
void process_destroy(struct process *process);

/* Sends a signal to the process and what it started in its session's first group. */
void process_signal(const struct process *process, int signal);

/* Once pidfd is readable: ends what is left of its group. Returns its status, 128+n for a signal,
 * which *killed_by tells. */
int process_reap(struct process *process, int *killed_by);

#endif
