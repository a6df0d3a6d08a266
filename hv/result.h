/*
 * The result file (--result): one JSON object that says how a run ended, written in every case. It
 * is opened and emptied at the start, so a stale one is never taken for this run's, and a crash of
 * hv leaves an empty file, which is no valid JSON.
 */
#ifndef HV_RESULT_H
#define HV_RESULT_H

#include <stdint.h>

#include "hv/outcome.h"

struct vm;

/* A file descriptor, or -errno after one message. Never blocks on a FIFO without a reader. */
int result_open(const char *path);

/*
 * Writes the object. `vm` may be NULL when the machine could not be built; its vCPUs have stopped.
 * -errno after one message: a verdict that cannot be delivered is hv's failure.
 */
int result_write(int fd, const char *path, const char *name, const struct outcome *outcome,
                 const struct vm *vm);

#endif
