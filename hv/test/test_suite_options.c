/* The command line of `hv test`: each option good and bad. */
#include "devices/core/log.h"
#include "hv/suite/options.h"
#include "hv/test/run_suite.h"

static struct test_options o;
static char message[1024];
static unsigned messages;

static void note(void *opaque, enum log_level level, const char *line)
{
    (void)opaque;
    (void)level;
    snprintf(message, sizeof(message), "%s", line);
    messages++;
}

static int parse(const char *const *words)
{
    char *argv[32] = {(char *)"test"};
    int argc = 1;

    for (; *words; words++)
        argv[argc++] = (char *)*words;
    messages = 0;
    log_set_sink(note, NULL);
    return options_parse(&o, argc, argv);
}

#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})

#define REFUSED(part, ...)                                                                         \
    do {                                                                                           \
        ck_assert_int_lt(PARSE(__VA_ARGS__), 0);                                                   \
        ck_assert_uint_eq(messages, 1);                                                            \
        ck_assert_msg(strstr(message, part) != NULL, "\"%s\" lacks \"%s\"", message, part);        \
    } while (0)

START_TEST(defaults)
{
    ck_assert_int_eq(PARSE("p"), 0);
    ck_assert_str_eq(o.plan, "p");
    ck_assert_str_eq(o.logs, "hv-test-logs");
    ck_assert_uint_eq(o.log_limit, 16 * MIB);
    ck_assert_uint_eq(o.grace_ms, 30000);
    ck_assert(o.scale == 1 && o.jobs == 0 && o.bisect == 0);
    ck_assert(o.selection.repeat == 1 && o.selection.shard == 1 && o.selection.shards == 1);
    ck_assert(!o.tap && !o.list && !o.fail_fast && !o.junit && !o.json && !o.hv);
}
END_TEST

START_TEST(each_option_reaches_its_field)
{
    ck_assert_int_eq(PARSE("-j4", "--junit=j.xml", "--json", "j", "--tap", "--list", "--fail-fast",
                           "p", "--filter", "a*", "--filter=b", "--repeat", "3", "--shard", "2/5",
                           "--logs=l", "--log-limit", "1M", "--grace", "2s", "--scale", "20",
                           "--bisect", "panic,boot", "--hv", "h"),
                     0);
    ck_assert_uint_eq(o.jobs, 4);
    ck_assert_str_eq(o.junit, "j.xml");
    ck_assert_str_eq(o.json, "j");
    ck_assert(o.tap && o.list && o.fail_fast);
    ck_assert_uint_eq(o.selection.filter_count, 2);
    ck_assert_str_eq(o.selection.filters[1], "b");
    ck_assert(o.selection.repeat == 3 && o.selection.shard == 2 && o.selection.shards == 5);
    ck_assert_str_eq(o.logs, "l");
    ck_assert_uint_eq(o.log_limit, MIB);
    ck_assert_uint_eq(o.grace_ms, 40000);
    ck_assert_uint_eq(o.bisect, 1u << VERDICT_PANIC | 1u << VERDICT_BOOT);
    ck_assert_str_eq(o.hv, "h");
    ck_assert_int_eq(PARSE("p", "--fail-fast", "--keep-going", "-j", "7"), 0);
    ck_assert(!o.fail_fast && o.jobs == 7);
}
END_TEST

START_TEST(bad_use_is_one_line)
{
    REFUSED("no plan is named", "--tap");
    REFUSED("one plan at a time (p is one already)", "p", "q");
    REFUSED("--fliter: unknown option (did you mean --filter?)", "p", "--fliter", "x");
    REFUSED("-x: unknown option", "p", "-x");
    REFUSED("--tap: takes no value", "p", "--tap=on");
    REFUSED("--junit: a value must follow", "p", "--junit");
    REFUSED("must not be empty", "p", "--junit=");
    REFUSED("must not be empty", "");
    REFUSED("1 to 1024", "p", "-j", "0");
    REFUSED("1 to 1024", "p", "-j2x");
    REFUSED("1 to 2000", "p", "--repeat", "2001");
    REFUSED("1 to 1000", "p", "--scale", "-1");
    REFUSED("not I/N", "p", "--shard", "3/2");
    REFUSED("not I/N", "p", "--shard", "0/2");
    REFUSED("not I/N", "p", "--shard", "2");
    REFUSED("not a size", "p", "--log-limit", "1K");
    REFUSED("not a time", "p", "--grace", "0");
    REFUSED("not a list of panic", "p", "--bisect", "pass");
    REFUSED("not a list of panic", "p", "--bisect", "");
    REFUSED("not a list of panic", "p", "--bisect", "panic,,boot");
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(defaults),
        CASE(each_option_reaches_its_field),
        CASE(bad_use_is_one_line),
    };

    return run_suite("suite_options", cases, ARRAY_SIZE(cases));
}
