/*
 * Runs boots side by side, as many as there are processors and memory for, and keeps their order.
 *
 * Thread: main.
 */
#ifndef HV_SUITE_SCHEDULE_H
#define HV_SUITE_SCHEDULE_H

#include "hv/suite/job.h"
#include "hv/suite/suite.h"

struct schedule {
    const struct boot_spec *specs;
    struct boot_record *records; /* `count` of them, as boot_record_init makes them */
    unsigned count;
    unsigned jobs;   /* at a time; at least 1 */
    uint64_t memory; /* bytes that guests may have at a time; one always runs */
    bool fail_fast;
    bool quiet;                 /* no line for each boot: TAP has one */
    struct job_context context; /* all but loop, ended and opaque */
    /* Called in the order of the records, each as soon as it and all before it are complete. */
    void (*complete)(void *opaque, unsigned index);
    void *opaque;
};

/*
 * Until each record has a verdict. SIGINT, SIGTERM, SIGHUP or SIGQUIT ends it early: the first asks
 * the machines to end, the second kills them; *signal tells which came first (0: none). 0, or
 * -errno after a message when nothing could be run.
 */
int schedule_run(const struct schedule *schedule, int *signal);

/* What guests may have together: 80 % of what the host says is free. */
uint64_t schedule_memory(void);

#endif
