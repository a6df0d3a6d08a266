/* Options and help of `hv test`: see options.h. Called by main.c. */
#include "hv/suite/options.h"

#include <errno.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/nearest.h"
#include "devices/core/number.h"
#include "devices/core/util.h"
#include "hv/config.h"
#include "hv/suite/logfile.h"

#define JOBS_MAX      1024
#define LOG_LIMIT_MAX (UINT64_C(1) << 40)
#define GRACE_MAX_MS  (UINT64_C(24) * 3600 * 1000)

void options_print_help(FILE *out)
{
    fputs(
        "Boots guests by a plan, several at a time, and says of each whether it passed.\n"
        "\n"
        "Examples:\n"
        "  hv test boots.ini\n"
        "  hv test boots.ini --junit report.xml --logs logs -j 4\n"
        "  hv test boots.ini --filter 'boot:*' --repeat 20 --fail-fast\n"
        "  git bisect run hv test boots.ini --filter smoke --bisect panic,boot\n"
        "\n"
        "A plan:\n"
        "  [smoke]\n"
        "  kernel = arch/x86/boot/bzImage\n"
        "  memory = 256M 1G\n"
        "  matrix = memory\n"
        "  command = uname -r; test -d /proc/1\n"
        "  forbid-console = (WARNING|BUG):\n"
        "\n"
        "Usage: hv test PLAN [OPTION]...\n"
        "\n"
        "  -j, --jobs N       machines at a time; default: as many as processors. Fewer run when\n"
        "                     four fifths of the free memory do not hold more\n"
        "  --filter GLOB      only boots whose names match; may be repeated\n"
        "  --shard I/N        only the I-th of N parts\n"
        "  --repeat N         each boot N times\n"
        "  --list             print the names of the boots, and run none\n"
        "  --fail-fast        start no more after the first that does not pass; without it, and\n"
        "                     with --keep-going, all are run\n"
        "  --scale N          multiply all limits of time, for a slow machine\n"
        "  --grace TIME       how much longer than its limit hv may take before it is killed "
        "(30s)\n"
        "  --junit FILE       write a report as JUnit XML\n"
        "  --json FILE        write one as JSON\n"
        "  --tap              write TAP 14 to standard output\n"
        "  --logs DIR         where logs go, a directory for each boot (hv-test-logs)\n"
        "  --log-limit SIZE   of each log: its first and last half are kept (16M)\n"
        "  --bisect VERDICT,...  for git bisect run: 1 when one of the boots has such a verdict\n"
        "                     (panic, boot, deadline, splat, fail), 0 when all pass, else 125: "
        "skip\n"
        "  --hv FILE          the hv that runs the machines; default: the one beside hv-test\n"
        "\n"
        "Keys of a plan: the long options of hv run without dashes, and command, matrix,\n"
        "repeat, expect-status, expect-end, expect-console, forbid-console, the same for stdout\n"
        "and stderr, ktap, allow-splat, max-boot-ms, max-boot-instructions. [defaults] holds for\n"
        "all that do not have the same key; KEY = without a value takes it back.\n"
        "\n"
        "Status 0: all passed; 1: a guest failed; 125: hv or the host failed, or nothing was run;\n"
        "128+n: ended by signal n.\n",
        out);
}

typedef int set_fn(struct test_options *o, const char *option, const char *value);

static int bad(const char *option, const char *value, const char *what)
{
    log_error("test: %s %s: %s; see hv help test", option, value, what);
    return -EINVAL;
}

static int set_count(const char *option, const char *value, unsigned max, unsigned *to)
{
    const char *s = value;
    uint64_t n;

    if (number_digits(&s, &n) || *s || n < 1 || n > max) {
        log_error("test: %s %s: not a whole number from 1 to %u", option, value, max);
        return -EINVAL;
    }
    *to = (unsigned)n;
    return 0;
}

static int set_jobs(struct test_options *o, const char *option, const char *value)
{
    return set_count(option, value, JOBS_MAX, &o->jobs);
}

static int set_repeat(struct test_options *o, const char *option, const char *value)
{
    return set_count(option, value, SUITE_MAX_BOOTS, &o->selection.repeat);
}

static int set_scale(struct test_options *o, const char *option, const char *value)
{
    return set_count(option, value, PLAN_SCALE_MAX, &o->scale);
}

static int set_filter(struct test_options *o, const char *option, const char *value)
{
    if (o->selection.filter_count >= OPTIONS_MAX_FILTERS)
        return bad(option, value, "too many (at most 64)");
    o->filters[o->selection.filter_count++] = value;
    return 0;
}

static int set_shard(struct test_options *o, const char *option, const char *value)
{
    const char *s = value;
    uint64_t shard, shards;

    if (number_digits(&s, &shard) || *s++ != '/' || number_digits(&s, &shards) || *s || shard < 1 ||
        shard > shards || shards > SUITE_MAX_BOOTS)
        return bad(option, value, "not I/N with 1 <= I <= N (like 1/4)");
    o->selection.shard = (unsigned)shard;
    o->selection.shards = (unsigned)shards;
    return 0;
}

static int set_log_limit(struct test_options *o, const char *option, const char *value)
{
    int err = parse_size(value, &o->log_limit);

    if (err || o->log_limit < LOGFILE_MIN_LIMIT || o->log_limit > LOG_LIMIT_MAX)
        return bad(option, value, "not a size from 4K to 1T (a bare number is MiB)");
    return 0;
}

static int set_grace(struct test_options *o, const char *option, const char *value)
{
    if (parse_duration(value, &o->grace_ms) || o->grace_ms < 1 || o->grace_ms > GRACE_MAX_MS)
        return bad(option, value, "not a time up to a day (30s, 2m)");
    return 0;
}

/* Verdicts that say nothing about the guest, or nothing bad, cannot be what is looked for. */
static int set_bisect(struct test_options *o, const char *option, const char *value)
{
    static const enum verdict possible[] = {VERDICT_PANIC, VERDICT_BOOT, VERDICT_DEADLINE,
                                            VERDICT_SPLAT, VERDICT_FAIL};

    for (const char *s = value; *s || s == value;) {
        size_t len = strcspn(s, ","), i = 0;

        while (i < ARRAY_SIZE(possible) && (strlen(verdict_name(possible[i])) != len ||
                                            memcmp(verdict_name(possible[i]), s, len) != 0))
            i++;
        if (i == ARRAY_SIZE(possible))
            return bad(option, value, "not a list of panic, boot, deadline, splat and fail");
        o->bisect |= 1u << possible[i];
        s += len + (s[len] == ',');
    }
    return 0;
}

static int set_text(const char **to, const char *option, const char *value)
{
    if (!*value)
        return bad(option, "\"\"", "must not be empty");
    *to = value;
    return 0;
}

static int set_junit(struct test_options *o, const char *option, const char *value)
{
    return set_text(&o->junit, option, value);
}

static int set_json(struct test_options *o, const char *option, const char *value)
{
    return set_text(&o->json, option, value);
}

static int set_logs(struct test_options *o, const char *option, const char *value)
{
    return set_text(&o->logs, option, value);
}

static int set_hv(struct test_options *o, const char *option, const char *value)
{
    return set_text(&o->hv, option, value);
}

static int set_flag(bool *to, bool on)
{
    *to = on;
    return 0;
}

static int set_tap(struct test_options *o, const char *option, const char *value)
{
    (void)option;
    (void)value;
    return set_flag(&o->tap, true);
}

static int set_list(struct test_options *o, const char *option, const char *value)
{
    (void)option;
    (void)value;
    return set_flag(&o->list, true);
}

/* Of the two the last counts. */
static int set_fail_fast(struct test_options *o, const char *option, const char *value)
{
    (void)value;
    return set_flag(&o->fail_fast, strcmp(option, "--fail-fast") == 0);
}

static const struct option {
    const char *name;
    bool value;
    set_fn *set;
} table[] = {
    {"--jobs", true, set_jobs},     {"--filter", true, set_filter},
    {"--shard", true, set_shard},   {"--repeat", true, set_repeat},
    {"--list", false, set_list},    {"--fail-fast", false, set_fail_fast},
    {"--scale", true, set_scale},   {"--keep-going", false, set_fail_fast},
    {"--grace", true, set_grace},   {"--junit", true, set_junit},
    {"--json", true, set_json},     {"--tap", false, set_tap},
    {"--logs", true, set_logs},     {"--log-limit", true, set_log_limit},
    {"--bisect", true, set_bisect}, {"--hv", true, set_hv},
};

static const struct option *option_find(const char *word, size_t len)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (strlen(table[i].name) == len && memcmp(table[i].name, word, len) == 0)
            return &table[i];
    return NULL;
}

static int unknown(const char *word, size_t len)
{
    char name[NEAREST_WORD_MAX + 1] = "";
    struct nearest nearest = {.word = name};

    if (len < sizeof(name))
        memcpy(name, word, len);
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        nearest_offer(&nearest, table[i].name);
    log_error("test: %.*s: unknown option%s%s%s; see hv help test", (int)len, word,
              nearest.best ? " (did you mean " : "", nearest.best ? nearest.best : "",
              nearest.best ? "?)" : "");
    return -EINVAL;
}

/* "--name VALUE" or "--name=VALUE", "-j N" or "-jN", at argv[*at]. */
static int take_option(struct test_options *o, int argc, char **argv, int *at)
{
    const char *word = argv[*at], *value = NULL;
    size_t len = strcspn(word, "=");
    const struct option *option;

    if (strncmp(word, "-j", 2) == 0) {
        option = &table[0];
        value = word[2] ? word + 2 : NULL;
    } else {
        option = option_find(word, len);
        value = word[len] ? word + len + 1 : NULL;
    }
    if (!option)
        return unknown(word, len);
    if (!option->value && value) {
        log_error("test: %s: takes no value", option->name);
        return -EINVAL;
    }
    if (option->value && !value) {
        if (*at + 1 >= argc) {
            log_error("test: %s: a value must follow; see hv help test", option->name);
            return -EINVAL;
        }
        value = argv[++*at];
    }
    return option->set(o, option->name, value);
}

static int take_word(struct test_options *o, int argc, char **argv, int *at)
{
    const char *word = argv[*at];

    if (word[0] == '-' && word[1])
        return take_option(o, argc, argv, at);
    if (o->plan) {
        log_error("test: %s: one plan at a time (%s is one already)", word, o->plan);
        return -EINVAL;
    }
    return set_text(&o->plan, "PLAN", word);
}

int options_parse(struct test_options *o, int argc, char **argv)
{
    *o = (struct test_options){.logs = "hv-test-logs",
                               .log_limit = 16 * MIB,
                               .grace_ms = 30000,
                               .scale = 1,
                               .selection = {.repeat = 1, .shard = 1, .shards = 1}};
    o->selection.filters = o->filters;
    for (int i = 1; i < argc; i++) {
        int err;

        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            options_print_help(stdout);
            return 1;
        }
        err = take_word(o, argc, argv, &i);
        if (err)
            return err;
    }
    if (!o->plan) {
        log_error("test: no plan is named (hv test PLAN); see hv help test");
        return -EINVAL;
    }
    o->grace_ms *= o->scale;
    return 0;
}
