/*
 * A plan: an INI file (docs/test-plans.md) whose sections are tests, expanded into the boots that
 * it asks for. The values of `hv run` options are checked by hv's own option table, so that
 * whatever is wrong in a plan is found before anything boots. A file that a plan names need not
 * exist: that is for the boot to find out.
 *
 * Thread: main. Errors: one line in the log, then -errno.
 */
#ifndef HV_SUITE_PLAN_H
#define HV_SUITE_PLAN_H

#include "hv/suite/suite.h"

#define PLAN_TIMEOUT   "300s" /* of a boot for which the plan says none */
#define PLAN_SCALE_MAX 1000

struct plan {
    char *path;              /* as given */
    char *dir;               /* the directory it lies in; absolute: paths in it start there */
    struct boot_spec *specs; /* in the order of the file */
    unsigned count;
};

/* `scale` multiplies every limit of time. plan_free is allowed on *plan in any case. */
int plan_read(struct plan *plan, const char *path, unsigned scale);
void plan_free(struct plan *plan);

/* Which of the boots are wanted. */
struct plan_selection {
    const char *const *filters; /* globs on names; a boot must match one of them */
    unsigned filter_count;      /* 0: all */
    unsigned repeat;            /* how often each; at least 1 */
    unsigned shard, shards;     /* the shard-th of shards, from 1 */
};

/* Drops the others; that none is left is an error. */
int plan_select(struct plan *plan, const struct plan_selection *selection);

/* Frees what `spec` owns. */
void boot_spec_free(struct boot_spec *spec);

#endif
