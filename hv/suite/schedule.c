/* Which boot runs when: see schedule.h. Called by main.c. */
#include "hv/suite/schedule.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "hv/suite/progress.h"

#define TICK_NS (UINT64_C(250) * 1000 * 1000)

struct runner {
    const struct schedule *schedule;
    struct job_context context;
    struct progress progress;
    struct job **jobs; /* schedule->jobs slots; NULL: free */
    unsigned running, next, completed;
    uint64_t memory;     /* of those that run */
    const char *stopped; /* why no more are started; NULL: they are */
    int signal;          /* the first that came; 0 */
    int signal_fd;
    struct loop_timer *tick;
};

uint64_t schedule_memory(void)
{
    FILE *f = fopen("/proc/meminfo", "re");
    char line[200];
    uint64_t kib = 0;

    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "MemAvailable: %" SCNu64 " kB", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib ? kib * KIB / 5 * 4 : UINT64_MAX;
}

/* Tells of all that are complete with none before them missing. */
static void report(struct runner *r)
{
    const struct schedule *s = r->schedule;

    while (r->completed < s->count && s->records[r->completed].verdict != VERDICT_NONE)
        s->complete(s->opaque, r->completed++);
}

static void ended(struct runner *r, const struct boot_record *record)
{
    progress_ended(&r->progress, record);
    if (r->schedule->fail_fast && record->verdict != VERDICT_PASS && !r->stopped)
        r->stopped = "an earlier boot did not pass (--fail-fast)";
    report(r);
}

static bool fits(const struct runner *r, const struct boot_spec *spec)
{
    if (r->running == 0)
        return true;
    return r->running < r->schedule->jobs &&
           range_fits(r->memory, spec->memory, r->schedule->memory);
}

static void start(struct runner *r, unsigned index)
{
    struct boot_record *record = &r->schedule->records[index];
    struct job *job = job_start(&r->context, record->spec, index, record);
    unsigned slot = 0;

    if (!job) {
        ended(r, record);
        return;
    }
    while (r->jobs[slot])
        slot++;
    r->jobs[slot] = job;
    r->running++;
    r->memory += record->spec->memory;
}

/* The next in the plan's order waits until it fits: a large one would starve otherwise. */
static void start_more(struct runner *r)
{
    while (!r->stopped && r->next < r->schedule->count && fits(r, &r->schedule->specs[r->next]))
        start(r, r->next++);
    if (r->running == 0)
        loop_stop(r->context.loop);
}

static void job_ended(void *opaque, struct job *job)
{
    struct runner *r = opaque;
    struct boot_record *record = job_record(job);

    for (unsigned i = 0; i < r->schedule->jobs; i++)
        if (r->jobs[i] == job)
            r->jobs[i] = NULL;
    r->running--;
    r->memory -= record->spec->memory;
    job_destroy(job);
    ended(r, record);
    start_more(r);
    progress_draw(&r->progress, r->jobs, r->schedule->jobs);
}

static void tick(void *opaque)
{
    struct runner *r = opaque;

    progress_draw(&r->progress, r->jobs, r->schedule->jobs);
    loop_timer_arm(r->tick, TICK_NS);
}

static void signal_came(void *opaque, uint32_t events)
{
    struct runner *r = opaque;
    struct signalfd_siginfo info;
    bool again = r->signal != 0;

    (void)events;
    if (read(r->signal_fd, &info, sizeof(info)) != sizeof(info))
        return;
    if (!again) {
        r->signal = (int)info.ssi_signo;
        r->stopped = "interrupted";
        progress_finish(&r->progress);
        log_info("interrupted: %u machines are asked to end (once more: they are killed)",
                 r->running);
    }
    for (unsigned i = 0; i < r->schedule->jobs; i++)
        if (r->jobs[i])
            (again ? job_kill : job_interrupt)(r->jobs[i]);
}

static int catch_signals(struct runner *r)
{
    static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct sigaction old;
    sigset_t set;

    sigemptyset(&set);
    for (unsigned i = 0; i < ARRAY_SIZE(caught); i++) {
        /* One that was ignored when we came (nohup) stays so. */
        if (sigaction(caught[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaddset(&set, caught[i]);
    }
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    /* Ignored, it would take the status of our children away. */
    signal(SIGCHLD, SIG_DFL);
    r->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (r->signal_fd < 0 || !loop_watch_add(r->context.loop, r->signal_fd, EPOLLIN, signal_came, r))
        return -errno;
    return 0;
}

static int prepare(struct runner *r)
{
    const struct schedule *s = r->schedule;
    int err;

    r->jobs = calloc(s->jobs, sizeof(struct job *));
    r->context = s->context;
    r->context.loop = loop_create();
    r->context.ended = job_ended;
    r->context.opaque = r;
    if (!r->jobs || !r->context.loop)
        return -ENOMEM;
    err = catch_signals(r);
    if (err)
        return err;
    progress_init(&r->progress, stderr, s->count);
    r->progress.quiet = s->quiet;
    r->tick = loop_timer_add(r->context.loop, tick, r);
    if (!r->tick)
        return -ENOMEM;
    if (r->progress.live)
        loop_timer_arm(r->tick, TICK_NS);
    return 0;
}

static void fill_not_run(struct runner *r)
{
    for (; r->next < r->schedule->count; r->next++) {
        struct boot_record *record = &r->schedule->records[r->next];

        record->verdict = VERDICT_NOT_RUN;
        snprintf(record->reason, sizeof(record->reason), "%s",
                 r->stopped ? r->stopped : "hv test failed");
        progress_ended(&r->progress, record);
    }
    report(r);
}

int schedule_run(const struct schedule *schedule, int *signal)
{
    struct runner r = {.schedule = schedule, .signal_fd = -1};
    int err = prepare(&r);

    if (!err) {
        start_more(&r);
        err = loop_run(r.context.loop);
        fill_not_run(&r);
        progress_finish(&r.progress);
    }
    for (unsigned i = 0; r.jobs && i < schedule->jobs; i++)
        job_destroy(r.jobs[i]);
    free(r.jobs);
    loop_destroy(r.context.loop);
    if (r.signal_fd >= 0)
        close(r.signal_fd);
    if (err)
        log_error("test: %s", strerrordesc_np(-err));
    *signal = r.signal;
    return err;
}
