/*
 * hv-test, the program behind `hv test`: from a plan to verdicts. A program of its own, so that the
 * monitor, which is started once a boot, stays small.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "hv/cmd.h"
#include "hv/suite/options.h"
#include "hv/suite/plan.h"
#include "hv/suite/report.h"
#include "hv/suite/schedule.h"

struct program {
    struct test_options options;
    struct plan plan;
    struct boot_record *records;
    struct job_context context;
    char *hv, *logs; /* absolute */
};

/* The hv that lies beside this program. */
static char *hv_beside(void)
{
    char self[PATH_MAX], *path;
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (n < 0)
        return NULL;
    self[n] = '\0';
    return asprintf(&path, "%s/hv", dirname(self)) < 0 ? NULL : path;
}

static int find_hv(struct program *p)
{
    const char *named = p->options.hv;

    p->hv = named ? realpath(named, NULL) : hv_beside();
    if (!p->hv || access(p->hv, X_OK) < 0) {
        log_error("test: %s: %s (--hv names the hv that is to run)",
                  named   ? named
                  : p->hv ? p->hv
                          : "hv",
                  strerrordesc_np(errno));
        return -ENOENT;
    }
    p->context.hv = p->hv;
    return 0;
}

/* Two runs in one directory would write each other's logs. The lock ends with the process. */
static int open_logs(struct program *p)
{
    const char *logs = p->options.logs;
    int fd;

    if (mkdir(logs, 0777) < 0 && errno != EEXIST) {
        log_error("test: --logs %s: cannot make it: %s", logs, strerrordesc_np(errno));
        return -EIO;
    }
    fd = p->context.logs_fd = open(logs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    p->logs = fd < 0 ? NULL : realpath(logs, NULL);
    if (!p->logs) {
        log_error("test: --logs %s: %s", logs, strerrordesc_np(errno));
        return -EIO;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        log_error("test: %s: %s (--logs DIR takes another directory)", logs,
                  errno == EWOULDBLOCK ? "another hv test writes its logs there"
                                       : strerrordesc_np(errno));
        return -EBUSY;
    }
    p->context.logs = logs;
    p->context.logs_abs = p->logs;
    return 0;
}

/* That there is no such directory should not be found out after an hour of boots. */
static int check_report(const char *option, const char *path)
{
    char *copy = path ? strdup(path) : NULL;
    int err = 0;

    if (copy && access(path, W_OK) < 0 && access(dirname(copy), W_OK | X_OK) < 0) {
        log_error("test: %s %s: cannot be written: %s", option, path, strerrordesc_np(errno));
        err = -EIO;
    }
    free(copy);
    return err;
}

static int prepare(struct program *p)
{
    const char *clock_name = getenv("HV_CLOCK");
    int err = check_report("--junit", p->options.junit);

    if (!err)
        err = check_report("--json", p->options.json);
    if (!err)
        err = find_hv(p);
    if (!err)
        err = open_logs(p);
    if (err)
        return err;
    p->context.plan_dir = p->plan.dir;
    p->context.log_limit = p->options.log_limit;
    p->context.grace_ms = p->options.grace_ms;
    p->context.instructions = clock_name && strcmp(clock_name, "instructions") == 0;
    p->records = calloc(p->plan.count, sizeof(*p->records));
    for (unsigned i = 0; p->records && !err && i < p->plan.count; i++)
        err = boot_record_init(&p->records[i], &p->context, &p->plan.specs[i]);
    if (err || !p->records) {
        log_error("out of memory");
        return -ENOMEM;
    }
    return 0;
}

static void complete(void *opaque, unsigned index)
{
    struct program *p = opaque;

    if (!p->options.tap)
        return;
    tap_record(stdout, index + 1, &p->records[index]);
    fflush(stdout);
}

/* Those that we may use: a container has fewer than the machine. */
static unsigned processors(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        n = CPU_COUNT(&set);
    return n < 1 ? 1 : (unsigned)n;
}

static uint64_t unix_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int write_reports(struct program *p, const struct suite *suite)
{
    int err = 0;

    if (p->options.junit)
        err = junit_write(suite, p->options.junit);
    if (p->options.json) {
        int json = json_write(suite, p->options.json);

        err = err ? err : json;
    }
    summary_print(p->options.tap ? stderr : stdout, suite);
    return err;
}

static int run(struct program *p)
{
    struct schedule schedule = {.specs = p->plan.specs,
                                .records = p->records,
                                .count = p->plan.count,
                                .jobs = p->options.jobs ? p->options.jobs : processors(),
                                .memory = schedule_memory(),
                                .fail_fast = p->options.fail_fast,
                                .quiet = p->options.tap,
                                .context = p->context,
                                .complete = complete,
                                .opaque = p};
    struct suite suite = {.plan = p->options.plan,
                          .records = p->records,
                          .count = p->plan.count,
                          .started_ms = unix_ms()};
    uint64_t start_ns = loop_now_ns();
    int signal = 0, err;

    if (p->options.tap)
        tap_begin(stdout, suite.count);
    err = schedule_run(&schedule, &signal);
    suite.elapsed_ms = (loop_now_ns() - start_ns) / 1000000;
    suite.interrupted = signal != 0;
    if (write_reports(p, &suite))
        err = -EIO;
    if (signal)
        return STATUS_SIGNAL_BASE + signal;
    return err ? STATUS_HV_FAILED : suite_status(&suite, p->options.bisect);
}

static int list(const struct plan *plan)
{
    for (unsigned i = 0; i < plan->count; i++)
        puts(plan->specs[i].name);
    return STATUS_OK;
}

static int test(struct program *p)
{
    int status = STATUS_HV_FAILED;

    if (plan_read(&p->plan, p->options.plan, p->options.scale) == 0 &&
        plan_select(&p->plan, &p->options.selection) == 0) {
        if (p->options.list)
            status = list(&p->plan);
        else if (prepare(p) == 0)
            status = run(p);
    }
    for (unsigned i = 0; p->records && i < p->plan.count; i++)
        boot_record_free(&p->records[i]);
    free(p->records);
    plan_free(&p->plan);
    if (p->context.logs_fd >= 0)
        close(p->context.logs_fd);
    free(p->hv);
    free(p->logs);
    return status;
}

/* Lost output must not look like success. */
static int finish_stdout(int status)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    log_error("test: standard output: %s", errno ? strerrordesc_np(errno) : "write error");
    return status == STATUS_OK ? STATUS_HV_FAILED : status;
}

int main(int argc, char **argv)
{
    static struct program p = {.context.logs_fd = -1};
    int parsed;

    occupy_standard_fds();
    signal(SIGPIPE, SIG_IGN);
    parsed = options_parse(&p.options, argc, argv);
    if (parsed)
        return finish_stdout(parsed > 0 ? STATUS_OK : STATUS_HV_FAILED);
    return finish_stdout(test(&p));
}
