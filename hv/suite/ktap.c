/*
 * The reader of KTAP. A tree of tests, of which only the branch that is being read exists: a stack
 * of frames, each in one of the states below. A line is offered to the innermost frame until one
 * consumes it. The rules are those of kunit_parser.py, which is the tool that a kernel's developer
 * will compare with; ktap_line.h says what the lines look like.
 */
#include "hv/suite/ktap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/util.h"
#include "hv/suite/ktap_cases.h"
#include "hv/suite/ktap_line.h"

enum state {
    MAIN_VERSION, /* the outermost frame, before its version line */
    MAIN_PLAN,
    VERSION, /* a test: a version line or a "# Subtest:" line makes it a suite */
    SUBTEST,
    PLAN,
    CASES,  /* a suite: what comes is its cases */
    RESULT, /* its own result is to come */
};

struct frame {
    enum state state;
    bool suite;
    char name[KTAP_NAME_MAX];
    size_t name_len; /* of the whole name, of which `name` may be a part */
    uint64_t number; /* that its result should have */
    bool planned;
    uint64_t plan, next; /* number of cases, and of the next one */
    uint64_t subtests;
    enum ktap_status status; /* KTAP_CRASHED until a result says otherwise */
    uint64_t count[KTAP_EMPTY + 1], errors;
    unsigned first_case; /* in the list, of those below it */
    struct ktap_text log;
};

struct ktap {
    bool found, started, ended;
    bool done;     /* as many as the outermost plan promised */
    size_t prefix; /* bytes before the version line, and so before each line */
    uint64_t late; /* failures behind the end of the outermost plan */
    unsigned depth;
    struct frame frame[KTAP_MAX_DEPTH + 2]; /* suites, and a case in the innermost one */
    struct ktap_text pending;               /* lines before the next case */
    /* The last line, as far as it is compared with a name. */
    struct ktap_line last;
    char last_match[KTAP_NAME_MAX];
    struct ktap_cases cases;
    char error[200];
    struct ktap_counts counts;
};

struct ktap *ktap_create(void)
{
    return calloc(1, sizeof(struct ktap));
}

static void free_cases(struct ktap_case *list, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        free(list[i].name);
        free(list[i].log);
    }
    free(list);
}

void ktap_destroy(struct ktap *ktap)
{
    if (ktap)
        free_cases(ktap->cases.list, ktap->cases.count);
    free(ktap);
}

static struct frame *top(struct ktap *ktap)
{
    return &ktap->frame[ktap->depth - 1];
}

static void push(struct ktap *ktap, enum state state, uint64_t number)
{
    struct frame *frame = &ktap->frame[ktap->depth++];

    memset(frame, 0, offsetof(struct frame, log));
    frame->state = state;
    frame->number = number;
    frame->next = 1;
    frame->status = KTAP_CRASHED;
    frame->first_case = ktap->cases.count;
    frame->log.len = 0;
}

/* The names of the first `depth` frames; the outermost has none. */
static void path_of(const struct ktap *ktap, unsigned depth, char path[KTAP_PATH_MAX])
{
    path[0] = '\0';
    for (unsigned i = 1; i < depth; i++)
        if (ktap->frame[i].name[0])
            ktap_path_add(path, ktap->frame[i].name);
}

static void wrong(struct ktap *ktap, uint64_t times, const char *what)
{
    char path[KTAP_PATH_MAX];

    top(ktap)->errors += times;
    if (ktap->error[0])
        return;
    path_of(ktap, ktap->depth, path);
    snprintf(ktap->error, sizeof(ktap->error), "%.120s%s%s", path, path[0] ? ": " : "", what);
}

static bool has_name(const struct frame *frame, const char *match, size_t len)
{
    size_t kept = len < KTAP_NAME_MAX ? len : KTAP_NAME_MAX - 1;
    char copy[KTAP_NAME_MAX];

    if (!len || len != frame->name_len)
        return false;
    ktap_name_copy(copy, match, len);
    return !memcmp(copy, frame->name, kept);
}

/* Is this the suite's own result? `line` NULL: the stream has ended, and its last line counts. */
static bool is_own_result(const struct ktap *ktap, const struct frame *frame,
                          const struct ktap_line *line)
{
    if (!line)
        line = &ktap->last;
    return line->kind == KTAP_LINE_RESULT && has_name(frame, line->match, line->match_len);
}

static void check_version(struct ktap *ktap, const struct ktap_line *line)
{
    bool good =
        line->kind == KTAP_LINE_KTAP ? line->number == 1 : line->number == 13 || line->number == 14;

    if (!good)
        wrong(ktap, 1, "a version of KTAP or TAP that is not known");
}

static bool is_version(const struct ktap_line *line)
{
    return line && (line->kind == KTAP_LINE_KTAP || line->kind == KTAP_LINE_TAP);
}

/* The plan, or that there is none. True when it was this line. */
static bool take_plan(struct frame *frame, const struct ktap_line *line)
{
    frame->planned = line && line->kind == KTAP_LINE_PLAN;
    if (frame->planned)
        frame->plan = line->number < UINT32_MAX ? line->number : UINT32_MAX;
    frame->state = frame->suite ? CASES : RESULT;
    return frame->planned;
}

static void add_case(struct ktap *ktap, const struct frame *frame, uint64_t number)
{
    char path[KTAP_PATH_MAX], digits[24];

    path_of(ktap, ktap->depth - (frame ? 1 : 0), path);
    snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number);
    ktap_path_add(path, frame && frame->name[0] ? frame->name : digits);
    ktap_cases_add(&ktap->cases, path, frame ? frame->status : KTAP_CRASHED,
                   frame ? &frame->log : &ktap->pending);
}

/* The cases that the plan promised and that did not come. */
static void add_missing(struct ktap *ktap, struct frame *frame)
{
    uint64_t missing = frame->plan - frame->next + 1;

    wrong(ktap, missing, "fewer results than its plan promised");
    frame->count[KTAP_CRASHED] += missing;
    frame->subtests += missing;
    for (; frame->next <= frame->plan && ktap->cases.count < KTAP_MAX_CASES; frame->next++) {
        add_case(ktap, NULL, frame->next);
        ktap->pending.len = 0;
    }
    frame->next = frame->plan + 1;
}

static enum ktap_status status_of_counts(const struct frame *frame)
{
    static const enum ktap_status order[] = {KTAP_CRASHED, KTAP_FAILED, KTAP_PASSED, KTAP_SKIPPED};

    for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
        if (frame->count[order[i]])
            return order[i];
    return KTAP_EMPTY;
}

/* Adds the frame's own status where its cases do not tell it. True when it counts as one then. */
static bool count_itself(struct frame *frame)
{
    enum ktap_status below = status_of_counts(frame);

    if (below == KTAP_EMPTY || (below == KTAP_PASSED && frame->status == KTAP_FAILED)) {
        if (frame->status != KTAP_EMPTY)
            frame->count[frame->status]++;
        return frame->status != KTAP_EMPTY;
    }
    return false;
}

/* The innermost frame is complete: its counts become its parent's. */
static void pop(struct ktap *ktap)
{
    struct frame *frame = top(ktap), *parent = frame - 1;
    bool itself;

    if (frame->suite && !frame->subtests &&
        (frame->status == KTAP_CRASHED || frame->status == KTAP_PASSED)) {
        frame->status = KTAP_EMPTY;
        wrong(ktap, 1, "no tests in it");
    }
    itself = count_itself(frame);
    if (itself || (!frame->subtests && ktap->depth > 1))
        add_case(ktap, frame, frame->number);
    ktap->depth--;
    if (!ktap->depth) {
        ktap->done = true;
        return;
    }
    for (unsigned i = 0; i < KTAP_EMPTY; i++)
        parent->count[i] += frame->count[i];
    parent->errors += frame->errors;
    parent->subtests++;
    parent->next++;
}

/* Takes its name from its result, and gives it to the cases that came before it was known. */
static void name_by_result(struct ktap *ktap, struct frame *frame, const struct ktap_line *line)
{
    char path[KTAP_PATH_MAX];

    if (frame->name_len || !line->name_len)
        return;
    frame->name_len = line->name_len;
    ktap_name_copy(frame->name, line->name, line->name_len);
    path_of(ktap, ktap->depth - 1, path);
    ktap_cases_insert(&ktap->cases, frame->first_case, path[0] ? strlen(path) + 1 : 0, frame->name);
}

static bool in_version(struct ktap *ktap, struct frame *frame, const struct ktap_line *line)
{
    frame->state = frame->state == MAIN_VERSION ? MAIN_PLAN : SUBTEST;
    if (!is_version(line))
        return false;
    check_version(ktap, line);
    frame->suite = true;
    return true;
}

static bool in_subtest(struct frame *frame, const struct ktap_line *line)
{
    frame->state = PLAN;
    if (!line || line->kind != KTAP_LINE_SUBTEST)
        return false;
    frame->suite = true;
    frame->name_len = line->name_len;
    ktap_name_copy(frame->name, line->name, line->name_len);
    return true;
}

static bool in_cases(struct ktap *ktap, struct frame *frame, const struct ktap_line *line)
{
    bool more = !frame->planned || frame->next <= frame->plan;

    if (more && line && (ktap->depth == 1 || !is_own_result(ktap, frame, line))) {
        if (ktap->depth > KTAP_MAX_DEPTH && (is_version(line) || line->kind == KTAP_LINE_SUBTEST)) {
            wrong(ktap, 1, "suites in suites too deep");
            return true;
        }
        push(ktap, VERSION, frame->next);
        ktap_text_move(&top(ktap)->log, &ktap->pending);
        return false;
    }
    if (more && frame->planned && frame->plan)
        add_missing(ktap, frame);
    ktap_text_move(&frame->log, &ktap->pending);
    frame->state = RESULT;
    if (ktap->depth == 1)
        pop(ktap);
    return false;
}

static bool in_result(struct ktap *ktap, struct frame *frame, const struct ktap_line *line)
{
    bool taken = false;

    if (frame->name_len && !is_own_result(ktap, frame, line)) {
        wrong(ktap, 1, "its own result is missing");
    } else if (!line) {
        frame->status = KTAP_EMPTY;
        wrong(ktap, 1, "the results end before its own");
    } else if (line->kind == KTAP_LINE_RESULT) {
        taken = true;
        name_by_result(ktap, frame, line);
        if (line->number != frame->number)
            wrong(ktap, 1, "a result has another number than the next");
        frame->status = line->skip ? KTAP_SKIPPED : line->ok ? KTAP_PASSED : KTAP_FAILED;
    }
    pop(ktap);
    return taken;
}

/* Offers a line that is no diagnostic, or the end (NULL), to the innermost frame. */
static bool offer(struct ktap *ktap, const struct ktap_line *line)
{
    struct frame *frame = top(ktap);

    switch (frame->state) {
    case MAIN_VERSION:
    case VERSION:
        return in_version(ktap, frame, line);
    case MAIN_PLAN:
        frame->suite = true;
        return take_plan(frame, line);
    case SUBTEST:
        return in_subtest(frame, line);
    case PLAN:
        return take_plan(frame, line);
    case CASES:
        return in_cases(ktap, frame, line);
    case RESULT:
        break;
    }
    return in_result(ktap, frame, line);
}

/* A frame that waits for nothing but its plan's end needs no further line to be complete. */
static void settle(struct ktap *ktap)
{
    struct frame *frame = ktap->depth ? top(ktap) : NULL;

    if (ktap->depth == 1 && frame->state == CASES && frame->planned && frame->next > frame->plan)
        in_cases(ktap, frame, NULL);
}

static void keep_diagnostic(struct ktap *ktap, const char *line, size_t len)
{
    struct frame *frame = top(ktap);

    /* "# Subtest:" must follow a version line at once. */
    if (frame->state == SUBTEST)
        frame->state = PLAN;
    ktap_text_add(frame->state == CASES ? &ktap->pending : &frame->log, line, len);
}

static void take(struct ktap *ktap, const char *text, size_t len)
{
    struct ktap_line line = ktap_line_read(text, len);

    if (ktap->done) {
        ktap->late += line.kind == KTAP_LINE_RESULT && !line.ok && !line.skip;
        return;
    }
    if (!ktap->started) {
        ktap->started = true;
        push(ktap, MAIN_VERSION, 0);
    }
    if (line.kind == KTAP_LINE_OTHER)
        keep_diagnostic(ktap, text, len);
    else
        while (ktap->depth && !offer(ktap, &line))
            ;
    settle(ktap);
    ktap->last = line;
    if (line.kind == KTAP_LINE_RESULT) {
        ktap_name_copy(ktap->last_match, line.match, line.match_len);
        ktap->last.match = ktap->last_match;
    }
}

/* Cuts a line as it was printed to what follows the stream's prefix. */
static void feed_line(struct ktap *ktap, const char *line, size_t len)
{
    size_t prefix;

    if (ktap->ended)
        return;
    len = ktap_line_trim(line, len);
    if ((!ktap->found || ktap->done) &&
        (ktap_line_starts_stream(line, len, "KTAP version", &prefix) ||
         ktap_line_starts_stream(line, len, "TAP version", &prefix))) {
        ktap->found = true;
        ktap->prefix = prefix;
    } else if (!ktap->found) {
        /* kunit.py reads these too, and one may look like a result. */
        if (memmem(line, len, "kunit executor: ", strlen("kunit executor: ")))
            take(ktap, line, len);
        return;
    } else if (ktap_line_ends_stream(line, len)) {
        ktap->ended = true;
        return;
    }
    prefix = ktap->prefix < len ? ktap->prefix : len;
    take(ktap, line + prefix, len - prefix);
}

void ktap_feed(struct ktap *ktap, const char *line, size_t len)
{
    size_t start = 0;

    /* Python's idea of where a line ends, in ASCII. */
    for (size_t i = 0; i < len; i++)
        if (line[i] && strchr("\r\v\f\x1c\x1d\x1e", line[i])) {
            feed_line(ktap, line + start, i - start);
            start = i + 1;
        }
    if (start < len || start == 0)
        feed_line(ktap, line + start, len - start);
}

static unsigned saturated(uint64_t n)
{
    return n < UINT32_MAX ? (unsigned)n : UINT32_MAX;
}

static void end_stream(struct ktap *ktap)
{
    while (ktap->depth)
        offer(ktap, NULL);
}

void ktap_finish(struct ktap *ktap, struct ktap_result *result)
{
    const struct frame *main = &ktap->frame[0];

    end_stream(ktap);
    *result = (struct ktap_result){
        .found = ktap->found,
        .counts.passed = saturated(main->count[KTAP_PASSED]),
        .counts.failed = saturated(main->count[KTAP_FAILED]),
        .counts.skipped = saturated(main->count[KTAP_SKIPPED]),
        .counts.crashed = saturated(main->count[KTAP_CRASHED]),
        .counts.errors = saturated(main->errors),
        .cases = ktap->cases.list,
        .case_count = ktap->cases.count,
        .unlisted = ktap->cases.unlisted,
    };
    memcpy(result->error, ktap->error, sizeof(result->error));
    if (!ktap->started)
        result->counts.errors = 1;
    if (!ktap->found) {
        snprintf(result->error, sizeof(result->error), "no line says KTAP version or TAP version");
    } else if (ktap->late && !result->error[0]) {
        snprintf(result->error, sizeof(result->error),
                 "%llu failures behind the end of the plan, which count for nothing",
                 (unsigned long long)ktap->late);
    }
    ktap->cases = (struct ktap_cases){0};
}

void ktap_result_free(struct ktap_result *result)
{
    free_cases(result->cases, result->case_count);
    *result = (struct ktap_result){0};
}

bool ktap_good(const struct ktap_result *result)
{
    const struct ktap_counts *n = &result->counts;

    return result->found && !n->failed && !n->crashed && !n->errors && !result->error[0] &&
           n->passed + n->skipped > 0;
}
