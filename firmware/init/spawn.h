/* Starts a command behind pipes or a terminal. */
#ifndef FIRMWARE_INIT_SPAWN_H
#define FIRMWARE_INIT_SPAWN_H

#include <sys/types.h>

#include "firmware/init/spec.h"

/* What the agent holds of a command that runs. The descriptors are nonblocking, close-on-exec. */
struct spawned {
    pid_t pid;     /* also its session and process group */
    int fd[3];     /* the other ends of its streams; with a terminal [1] is that and [2] is -1 */
    int report_fd; /* spawn_problem reads it when the process has ended */
};

/* Why a command's process ended before it was the command. */
struct spawn_problem {
    int in_directory; /* the directory could not be entered; else execve failed */
    int error;        /* errno */
};

/*
 * Starts it. 0; or a negative errno, nothing is left of it, and `*what` names what failed.
 * The caller owns the descriptors; with a terminal fd[0] is a duplicate of fd[1].
 */
int spawn(struct spawned *spawned, const struct spec *spec, const char **what);

/* When the process has ended: 1 and the problem, or 0: it was the command that ended. */
int spawn_problem(const struct spawned *spawned, struct spawn_problem *problem);

#endif
