/*
 * One boot: an `hv run` process of its own with three pipes (console, standard output and error),
 * of which the judges see each line and the log directory keeps what fits. Nothing of it outlives
 * hv test, however that ends.
 *
 * Thread: main; everything happens in callbacks of the loop.
 */
#ifndef HV_SUITE_JOB_H
#define HV_SUITE_JOB_H

#include "hv/suite/suite.h"

struct job;
struct loop;

/* What all boots of a suite share. Borrowed; must outlive the jobs. */
struct job_context {
    struct loop *loop;
    const char *hv;       /* the program; absolute */
    const char *plan_dir; /* where it starts; absolute */
    const char *logs;     /* the log directory as the user called it */
    const char *logs_abs; /* the same from anywhere */
    int logs_fd;
    uint64_t log_limit; /* bytes of each log */
    uint64_t grace_ms;  /* how much longer than its limit hv may take */
    bool instructions;  /* the clock counts instructions */
    /* The record is complete, verdict and all. The job may be destroyed in it. */
    void (*ended)(void *opaque, struct job *job);
    void *opaque;
};

/* What can be said of a boot before it runs. -ENOMEM; boot_record_free is allowed in any case. */
int boot_record_init(struct boot_record *record, const struct job_context *context,
                     const struct boot_spec *spec);
void boot_record_free(struct boot_record *record);

/*
 * Starts the boot `spec` and fills *record, which is as boot_record_init made it. `number` makes
 * the machine's name unique. NULL: it could not be started; the record says why, and `ended` is
 * not called.
 */
struct job *job_start(const struct job_context *context, const struct boot_spec *spec,
                      unsigned number, struct boot_record *record);

/* Kills what still runs. */
void job_destroy(struct job *job);

/* The suite was interrupted: asks hv to end, and kills it when it does not. Its verdict is
 * VERDICT_NOT_RUN. */
void job_interrupt(struct job *job);
void job_kill(struct job *job);

struct boot_record *job_record(const struct job *job);
uint64_t job_started_ns(const struct job *job); /* loop_now_ns then */

/* The last line of its console, raw and cut short; never NULL. */
const char *job_last_line(const struct job *job);

#endif
