/*
 * What the parts of `hv test` pass to each other: one boot as the plan wants it (boot_spec), and
 * one boot as it went (boot_record). A plan (plan.h) is expanded into specs; the schedule
 * (schedule.h) runs each as an `hv run` process of its own and fills in a record (job.h); the
 * judges (expect.h, splat.h, ktap.h) read the guest's output line by line; verdict.h makes one
 * verdict of all that; the writers (junit.h, report.h) turn records into files.
 *
 * Thread: everything of hv/suite/ runs on the main thread. Strings are owned by the structure that
 * they are in.
 */
#ifndef HV_SUITE_SUITE_H
#define HV_SUITE_SUITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In order of weight: of several that apply to one boot, the first counts. */
enum verdict {
    VERDICT_NONE,     /* not judged yet */
    VERDICT_HOST,     /* hv or the host failed: nothing is known about the guest */
    VERDICT_PANIC,    /* the kernel panicked, and that was not expected */
    VERDICT_BOOT,     /* it ended, or passed a deadline, before its init or its command started */
    VERDICT_DEADLINE, /* it passed a deadline later */
    VERDICT_SPLAT,    /* oops, warning, lockup or sanitizer report */
    VERDICT_FAIL,     /* the test failed: status, end, output, KTAP, or a budget */
    VERDICT_NOT_RUN,  /* the suite was ended before its turn, or in the middle of it */
    VERDICT_PASS,
    VERDICT_COUNT
};

/* "pass", "fail", "panic", ...: in reports, and for --bisect. */
const char *verdict_name(enum verdict verdict);

enum { SUITE_MAX_REGEX = 32, SUITE_MAX_BOOTS = 2000, SUITE_REASON_MAX = 300 };

enum suite_stream { STREAM_CONSOLE, STREAM_STDOUT, STREAM_STDERR, STREAM_COUNT };

/* A line that must be there, or must not. */
struct line_rule {
    char *regex; /* POSIX extended; matched against one line without its end */
    enum suite_stream stream;
    bool forbid;
};

struct expectation {
    int status;       /* of hv run; 0 unless the plan says otherwise */
    char *end;        /* "poweroff", ...; NULL: any that fits the status */
    bool allow_splat; /* a splat does not make the boot fail */
    enum { KTAP_NONE, KTAP_CONSOLE, KTAP_STDOUT } ktap; /* where results must come from */
    struct line_rule rule[SUITE_MAX_REGEX];
    unsigned rules;
    uint64_t max_boot_ms;           /* from start to init; 0: no budget */
    uint64_t max_boot_instructions; /* the same, where the clock counts instructions */
};

struct boot_spec {
    char *name; /* unique in the plan: STANZA, or STANZA:VALUE:VALUE, with "#2" for a repetition */
    char *stanza;  /* the plan's */
    unsigned line; /* of the stanza in the plan */
    char **run;    /* NULL-ended words behind `hv`: "run", "-k", ... "--", "sh", "-c", ... */
    bool has_command;
    uint64_t memory; /* bytes; what it takes of the host, for the schedule */
    unsigned cpus;
    uint64_t timeout_ms; /* hv's own --timeout; never 0 */
    unsigned repeat;     /* how often the plan wants it; of what plan_select chose, 1 */
    struct expectation expect;
};

/* A kernel's report about itself, whole. */
struct splat {
    char *title;    /* its first line, without time stamp */
    char *text;     /* all its lines, each ended by a newline; bounded */
    unsigned count; /* how often one with that title came; the text is that of the first */
};

enum ktap_status { KTAP_PASSED, KTAP_FAILED, KTAP_SKIPPED, KTAP_CRASHED, KTAP_EMPTY };

/* A test case that the guest reported: leaves, and inner nodes that have no leaves. */
struct ktap_case {
    char *name; /* path of names, separated by "." */
    enum ktap_status status;
    char *log; /* diagnostic lines of a case that did not pass; NULL: none; bounded */
};

/* Counts as `kunit.py parse` prints them: leaves only. */
struct ktap_counts {
    unsigned passed, failed, skipped, crashed, errors;
};

struct ktap_result {
    bool found; /* a version line was seen */
    struct ktap_counts counts;
    struct ktap_case *cases;
    unsigned case_count;
    unsigned unlisted; /* cases that count, and for which the list has no place */
    char error[200];   /* the first thing that was wrong with its form; "" for none */
};

struct boot_record {
    const struct boot_spec *spec; /* not owned */
    enum verdict verdict;
    char reason[SUITE_REASON_MAX]; /* one line; "" for a pass */
    int status;                    /* of hv run as a process; -1: it never ran */
    char end[24];                  /* of the result file; "" when there was none to be had */
    int guest_status;              /* -1: none */
    double first_byte_ms, boot_ms, total_ms; /* < 0: not known */
    bool instructions;                       /* those are millions of instructions */
    uint64_t started_ms;                     /* UNIX time */
    uint64_t dropped;                        /* bytes of output that the logs do not hold */
    struct splat *splats;
    unsigned splat_count;
    struct ktap_result ktap;
    char *reproduce; /* a shell command that reruns exactly this boot */
    char *dir;       /* where its logs are */
    char *tail;      /* the console's last lines; NULL for a pass */
};

/* A whole run of `hv test`, for the writers. */
struct suite {
    const char *plan; /* its file name */
    const struct boot_record *records;
    unsigned count;
    uint64_t started_ms, elapsed_ms;
    bool interrupted; /* by a signal: records without a verdict did not run */
};

#endif
