/* One boot from start to verdict: see job.h. Called by schedule.c. */
#include "hv/suite/job.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "devices/core/loop.h"
#include "hv/suite/expect.h"
#include "hv/suite/facts.h"
#include "hv/suite/ktap.h"
#include "hv/suite/lines.h"
#include "hv/suite/logfile.h"
#include "hv/suite/reproduce.h"
#include "hv/suite/spawn.h"
#include "hv/suite/splat.h"
#include "hv/suite/splat_names.h"
#include "hv/suite/tail.h"
#include "hv/suite/verdict.h"
#include "hv/symbols.h"

#define NS_PER_MS   UINT64_C(1000000)
#define CHUNK       65536
#define READS       4  /* chunks of one stream before the others have their turn */
#define DRAIN_READS 64 /* after the end: more than a pipe of ours holds */
#define RESULT      "result.json"
#define NAME_CHARS  36

static const struct {
    const char *name, *log;
} streams[STREAM_COUNT] = {
    [STREAM_CONSOLE] = {"console", "console.log"},
    [STREAM_STDOUT] = {"stdout", "stdout.log"},
    [STREAM_STDERR] = {"stderr", "stderr.log"},
};

struct stream {
    struct job *job;
    enum suite_stream kind;
    struct loop_watch *watch;
    struct lines lines;
    struct logfile log;
};

struct job {
    const struct job_context *context;
    const struct boot_spec *spec;
    struct boot_record *record;
    struct process process;
    struct loop_watch *end_watch;
    struct loop_timer *timer; /* for the next thing to do to one that does not end */
    struct stream stream[STREAM_COUNT];
    struct logfile merged;
    struct tail tail;                                    /* of the console */
    char said[sizeof(((struct boot_facts *)0)->detail)]; /* hv's last message */
    struct expect *expect;
    struct splats *splats;
    struct ktap *ktap; /* NULL: not asked for */
    uint64_t started_ns;
    char stamp[64]; /* what stands before the lines that are being cut */
    size_t stamp_len;
    char *dir; /* of its logs; absolute */
    int dir_fd;
    bool interrupted, overdue;
    int signals; /* SIGTERMs that were sent */
};

struct boot_record *job_record(const struct job *job)
{
    return job->record;
}

uint64_t job_started_ns(const struct job *job)
{
    return job->started_ns;
}

const char *job_last_line(const struct job *job)
{
    return tail_last(&job->tail);
}

/* Output. */

/* When the lines that come next came, and from where. */
static void stamp(struct job *job, enum suite_stream kind)
{
    uint64_t ms = (loop_now_ns() - job->started_ns) / NS_PER_MS;

    job->stamp_len = (size_t)snprintf(job->stamp, sizeof(job->stamp), "[%5" PRIu64 ".%03u] %-7s ",
                                      ms / 1000, (unsigned)(ms % 1000), streams[kind].name);
}

static void put_merged(struct job *job, const char *line, size_t len)
{
    logfile_put(&job->merged, job->stamp, job->stamp_len);
    logfile_put(&job->merged, line, len);
    logfile_put(&job->merged, "\n", 1);
}

/* hv's own messages explain a boot that never was. */
static void note_message(struct job *job, const char *line, size_t len)
{
    if (len > 4 && memcmp(line, "hv: ", 4) == 0)
        snprintf(job->said, sizeof(job->said), "%.*s", (int)(len < 400 ? len - 4 : 396), line + 4);
}

static void line_came(void *opaque, const char *line, size_t len)
{
    struct stream *stream = opaque;
    struct job *job = stream->job;

    put_merged(job, line, len);
    expect_feed(job->expect, stream->kind, line, len);
    if (stream->kind == STREAM_CONSOLE) {
        splats_feed(job->splats, line, len);
        tail_put(&job->tail, line, len);
    } else if (stream->kind == STREAM_STDERR) {
        note_message(job, line, len);
    }
    if (job->ktap &&
        stream->kind == (job->spec->expect.ktap == KTAP_STDOUT ? STREAM_STDOUT : STREAM_CONSOLE))
        ktap_feed(job->ktap, line, len);
}

/* False once there is nothing more to read, for now or for ever. */
static bool read_once(struct stream *stream)
{
    static char chunk[CHUNK];
    struct job *job = stream->job;
    ssize_t n = read(job->process.out[stream->kind], chunk, sizeof(chunk));

    if (n < 0 && errno == EINTR)
        return true;
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            loop_watch_set(stream->watch, 0);
        return false;
    }
    stamp(job, stream->kind);
    logfile_put(&stream->log, chunk, (size_t)n);
    lines_feed(&stream->lines, chunk, (size_t)n);
    return true;
}

static void read_stream(struct stream *stream, int reads)
{
    while (reads-- && read_once(stream))
        ;
    logfile_flush(&stream->log);
    logfile_flush(&stream->job->merged);
}

static void output_came(void *opaque, uint32_t events)
{
    (void)events;
    read_stream(opaque, READS);
}

/* The end. */

/* A log that is not whole is no proof of anything. Returns the first error. */
static int close_logs(struct job *job)
{
    int err = 0;

    for (int i = 0; i < STREAM_COUNT; i++) {
        job->record->dropped += logfile_close(&job->stream[i].log);
        if (!err)
            err = job->stream[i].log.err;
    }
    logfile_close(&job->merged);
    return err ? err : job->merged.err;
}

static void host_failed(struct boot_record *record, const char *what, const char *why)
{
    record->verdict = VERDICT_HOST;
    snprintf(record->reason, sizeof(record->reason), "%s%s%s", what, *why ? ": " : "", why);
}

static void say_killed(struct boot_facts *facts, int killed_by)
{
    if (!killed_by)
        return;
    facts->complete = false;
    snprintf(facts->why_not, sizeof(facts->why_not), "hv was killed by signal %d (%s)", killed_by,
             strsignal(killed_by));
}

static void judge(struct job *job, int killed_by)
{
    struct boot_record *record = job->record;
    struct boot_facts facts = {.said_linux = splats_saw_linux(job->splats)};
    char rule[SUITE_REASON_MAX];
    bool broken;

    facts_read(job->dir, RESULT, record, &facts);
    say_killed(&facts, killed_by);
    /* Its last message says more than "could not start". */
    if (job->said[0] && !facts.complete && !killed_by && record->status == 125)
        snprintf(facts.why_not, sizeof(facts.why_not), "%s", job->said);
    if (job->said[0] && facts.complete && strcmp(record->end, "vmm-error") == 0)
        snprintf(facts.detail, sizeof(facts.detail), "%s", job->said);
    broken = expect_broken(job->expect, rule);
    verdict_reach(record, &facts, broken ? rule : NULL);
}

/* What stands behind "--symbols=" among the words, or NULL; *fixed: the kernel is told to stay. */
static const char *symbols_of(const struct boot_spec *spec, bool *fixed)
{
    const char *path = NULL;

    *fixed = false;
    for (char **word = spec->run; *word && strcmp(*word, "--") != 0; word++) {
        if (strncmp(*word, "--symbols=", strlen("--symbols=")) == 0)
            path = *word + strlen("--symbols=");
        *fixed |= strstr(*word, "nokaslr") != NULL;
    }
    return path;
}

/* A file that cannot be read is hv's to tell: it has refused it. */
static void name_splats(struct job *job)
{
    struct symbols symbols = {.image.fd = -1};
    bool fixed;
    const char *file = symbols_of(job->spec, &fixed);
    char *path;

    if (!file || job->record->splat_count == 0 || job->record->status == 125 ||
        asprintf(&path, "%s%s%s", *file == '/' ? "" : job->context->plan_dir,
                 *file == '/' ? "" : "/", file) < 0)
        return;
    if (symbols_open(&symbols, path) == 0 && symbols_load(&symbols) == 0)
        splat_names_add(job->record->splats, job->record->splat_count, &symbols, fixed);
    symbols_close(&symbols);
    free(path);
}

/* What was read is handed over, whatever becomes of the verdict. */
static void collect(struct job *job)
{
    struct boot_record *record = job->record;

    record->splats = splats_finish(job->splats, &record->splat_count);
    name_splats(job);
    if (job->ktap)
        ktap_finish(job->ktap, &record->ktap);
}

static void reach_verdict(struct job *job, int killed_by, int log_err)
{
    struct boot_record *record = job->record;

    judge(job, killed_by);
    if (job->interrupted) {
        record->verdict = VERDICT_NOT_RUN;
        snprintf(record->reason, sizeof(record->reason), "interrupted");
    } else if (job->overdue) {
        host_failed(record, "hv did not end in time, and was killed", "");
    } else if (log_err) {
        host_failed(record, "its logs could not be written", strerrordesc_np(-log_err));
    }
    if (record->verdict != VERDICT_PASS)
        record->tail = tail_text(&job->tail);
}

static void process_ended(void *opaque, uint32_t events)
{
    struct job *job = opaque;
    int killed_by, err;

    (void)events;
    loop_watch_set(job->end_watch, 0);
    loop_timer_disarm(job->timer);
    job->record->total_ms = (double)(loop_now_ns() - job->started_ns) / (double)NS_PER_MS;
    job->record->status = process_reap(&job->process, &killed_by);
    /* What it wrote is in the pipes; a stranger that holds one open is not waited for. */
    for (int i = 0; i < STREAM_COUNT; i++) {
        read_stream(&job->stream[i], DRAIN_READS);
        stamp(job, job->stream[i].kind);
        lines_finish(&job->stream[i].lines);
    }
    err = close_logs(job);
    collect(job);
    reach_verdict(job, killed_by, err);
    job->context->ended(job->context->opaque, job);
}

/* Ending one that does not end by itself. */

void job_kill(struct job *job)
{
    job->interrupted = true;
    process_signal(&job->process, SIGKILL);
}

/*
 * While a command runs in the guest, hv passes the first signal on to it, and ends by the second.
 * Only a hv that does not even end by that is killed.
 */
void job_interrupt(struct job *job)
{
    uint64_t grace_ns = job->context->grace_ms * NS_PER_MS;

    job->interrupted = true;
    process_signal(&job->process, SIGTERM);
    job->signals++;
    loop_timer_arm(job->timer, job->signals == 1 ? grace_ns / 15 : grace_ns / 3);
}

static void time_passed(void *opaque)
{
    struct job *job = opaque;

    if (job->interrupted && job->signals == 1) {
        job_interrupt(job);
        return;
    }
    job->overdue = !job->interrupted;
    process_signal(&job->process, SIGKILL);
}

/* The start. */

/* Only files that hv test makes itself are removed: the directory's name may be an old friend's. */
static int open_dir(struct job *job)
{
    const char *name = job->spec->name;

    if (mkdirat(job->context->logs_fd, name, 0777) < 0 && errno != EEXIST)
        return -errno;
    job->dir_fd =
        openat(job->context->logs_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (job->dir_fd < 0 || (unlinkat(job->dir_fd, RESULT, 0) < 0 && errno != ENOENT))
        return -errno;
    return 0;
}

static int open_logs(struct job *job)
{
    const struct job_context *context = job->context;
    int err = open_dir(job);

    for (int i = 0; !err && i < STREAM_COUNT; i++)
        err = logfile_open(&job->stream[i].log, job->dir_fd, streams[i].log, context->log_limit);
    return err ? err : logfile_open(&job->merged, job->dir_fd, "merged.log", context->log_limit);
}

static int create_judges(struct job *job)
{
    job->expect = expect_create(&job->spec->expect);
    job->splats = splats_create();
    job->ktap = job->spec->expect.ktap == KTAP_NONE ? NULL : ktap_create();
    if (!job->expect || !job->splats || (job->spec->expect.ktap != KTAP_NONE && !job->ktap))
        return -ENOMEM;
    for (int i = 0; i < STREAM_COUNT; i++)
        if (lines_init(&job->stream[i].lines, line_came, &job->stream[i]))
            return -ENOMEM;
    return 0;
}

/* "boot.vmlinuz.4711.3": what hv takes for a name, and nobody else's at the moment. */
static char *make_name(const char *boot, unsigned number)
{
    char *name;

    if (asprintf(&name, "%.*s.%d.%u", NAME_CHARS, boot, (int)getpid(), number) < 0)
        return NULL;
    for (char *s = name; *s; s++)
        if (strchr(":+#=,@%", *s))
            *s = '.';
    if (*name == '.')
        *name = '_';
    return name;
}

static int start_process(struct job *job, unsigned number)
{
    char *name = make_name(job->spec->name, number), *name_word = NULL, *result_word = NULL;
    size_t count = 0;
    char **argv;
    int err = -ENOMEM;

    while (job->spec->run[count])
        count++;
    argv = calloc(count + 5, sizeof(*argv));
    if (name && asprintf(&name_word, "--name=%s", name) < 0)
        name_word = NULL;
    if (asprintf(&result_word, "--result=%s/" RESULT, job->dir) < 0)
        result_word = NULL;
    if (argv && name_word && result_word) {
        argv[0] = (char *)job->context->hv;
        argv[1] = job->spec->run[0];
        argv[2] = name_word;
        argv[3] = result_word;
        argv[4] = (char *)"--console=" SPAWN_CONSOLE;
        memcpy(argv + 5, job->spec->run + 1, (count - 1) * sizeof(*argv));
        err = spawn(&job->process, job->context->plan_dir, argv);
    }
    free(argv);
    free(name);
    free(name_word);
    free(result_word);
    return err;
}

static int watch_process(struct job *job)
{
    struct loop *loop = job->context->loop;

    job->timer = loop_timer_add(loop, time_passed, job);
    job->end_watch = loop_watch_add(loop, job->process.pidfd, EPOLLIN, process_ended, job);
    if (!job->timer || !job->end_watch)
        return -ENOMEM;
    for (int i = 0; i < STREAM_COUNT; i++) {
        struct stream *s = &job->stream[i];

        s->watch = loop_watch_add(loop, job->process.out[i], EPOLLIN, output_came, s);
        if (!s->watch)
            return -errno;
    }
    loop_timer_arm(job->timer, (job->spec->timeout_ms + job->context->grace_ms) * NS_PER_MS);
    return 0;
}

static struct job *job_new(const struct job_context *context, const struct boot_spec *spec,
                           struct boot_record *record)
{
    struct job *job = calloc(1, sizeof(*job));

    if (!job)
        return NULL;
    job->context = context;
    job->spec = spec;
    job->record = record;
    job->process = (struct process){.pid = -1, .pidfd = -1};
    job->dir_fd = job->merged.fd = -1;
    for (int i = 0; i < STREAM_COUNT; i++) {
        job->stream[i].job = job;
        job->stream[i].kind = (enum suite_stream)i;
        job->stream[i].log.fd = job->process.out[i] = -1;
    }
    if (asprintf(&job->dir, "%s/%s", context->logs_abs, spec->name) < 0)
        job->dir = NULL;
    return job;
}

int boot_record_init(struct boot_record *record, const struct job_context *context,
                     const struct boot_spec *spec)
{
    *record = (struct boot_record){.spec = spec,
                                   .status = -1,
                                   .guest_status = -1,
                                   .first_byte_ms = -1,
                                   .boot_ms = -1,
                                   .total_ms = -1,
                                   .instructions = context->instructions};
    record->reproduce = reproduce_text(context->plan_dir, context->hv, spec->run);
    if (asprintf(&record->dir, "%s/%s", context->logs, spec->name) < 0)
        record->dir = NULL;
    return record->reproduce && record->dir ? 0 : -ENOMEM;
}

static uint64_t unix_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / NS_PER_MS;
}

struct job *job_start(const struct job_context *context, const struct boot_spec *spec,
                      unsigned number, struct boot_record *record)
{
    struct job *job = job_new(context, spec, record);
    const char *what = "it could not be started";
    int err = job && job->dir ? 0 : -ENOMEM;

    record->started_ms = unix_ms();
    if (!err) {
        err = open_logs(job);
        if (err)
            what = "its logs cannot be made";
    }
    if (!err)
        err = create_judges(job);
    if (!err) {
        job->started_ns = loop_now_ns();
        err = start_process(job, number);
    }
    if (!err)
        err = watch_process(job);
    if (!err)
        return job;
    host_failed(record, what, strerrordesc_np(-err));
    job_destroy(job);
    return NULL;
}

void job_destroy(struct job *job)
{
    if (!job)
        return;
    loop_watch_remove(job->end_watch);
    loop_timer_remove(job->timer);
    for (int i = 0; i < STREAM_COUNT; i++) {
        loop_watch_remove(job->stream[i].watch);
        lines_destroy(&job->stream[i].lines);
        logfile_close(&job->stream[i].log);
    }
    process_destroy(&job->process);
    logfile_close(&job->merged);
    expect_destroy(job->expect);
    splats_destroy(job->splats);
    ktap_destroy(job->ktap);
    if (job->dir_fd >= 0)
        close(job->dir_fd);
    free(job->dir);
    free(job);
}

void boot_record_free(struct boot_record *record)
{
    splats_free(record->splats, record->splat_count);
    ktap_result_free(&record->ktap);
    free(record->reproduce);
    free(record->dir);
    free(record->tail);
    memset(record, 0, sizeof(*record));
}
