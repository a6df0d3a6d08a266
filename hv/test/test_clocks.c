/* Which time limit passes when: no timer, the time is a number. */
#include "hv/clocks.h"
#include "hv/config.h"
#include "hv/console_watch.h"
#include "hv/test/config_world.h"
#include "hv/test/run_suite.h"

#define MS    UINT64_C(1000000)
#define START (5000 * MS)

static uint64_t limit[LIMIT_COUNT];
static struct clock_facts facts;
static uint64_t wait_ns;

static void start(void)
{
    memset(limit, 0, sizeof(limit));
    facts = (struct clock_facts){.start_ns = START};
    wait_ns = 0;
}

/* The limit that has passed `ms` after the start. */
static enum run_limit judge(uint64_t ms)
{
    return clocks_judge(limit, &facts, START + ms * MS, &wait_ns);
}

START_TEST(no_limit_never_passes_and_needs_no_timer)
{
    start();
    ck_assert_int_eq(judge(UINT64_C(1) << 40), LIMIT_COUNT);
    ck_assert_uint_eq(wait_ns, UINT64_MAX);
}
END_TEST

START_TEST(each_limit_passes_at_its_time_and_not_before)
{
    for (unsigned i = 0; i < LIMIT_COUNT; i++) {
        start();
        limit[i] = 2000;
        ck_assert_int_eq(judge(0), LIMIT_COUNT);
        ck_assert_uint_eq(wait_ns, 2000 * MS);
        ck_assert_int_eq(judge(1999), LIMIT_COUNT);
        ck_assert_uint_eq(wait_ns, 1 * MS);
        ck_assert_int_eq(judge(2000), i);
    }
}
END_TEST

START_TEST(what_is_met_neither_passes_nor_wakes)
{
    start();
    limit[LIMIT_FIRST_BYTE] = 10;
    limit[LIMIT_INIT] = 20;
    limit[LIMIT_WHOLE] = 30;
    facts.met[LIMIT_FIRST_BYTE] = true;
    ck_assert_int_eq(judge(10), LIMIT_COUNT);
    ck_assert_uint_eq(wait_ns, 10 * MS);
    facts.met[LIMIT_INIT] = true;
    ck_assert_int_eq(judge(29), LIMIT_COUNT);
    ck_assert_uint_eq(wait_ns, 1 * MS);
    ck_assert_int_eq(judge(30), LIMIT_WHOLE);
}
END_TEST

START_TEST(silence_counts_from_the_last_output)
{
    start();
    limit[LIMIT_SILENCE] = 100;
    facts.output_ns = START + 70 * MS;
    ck_assert_int_eq(judge(100), LIMIT_COUNT);
    ck_assert_uint_eq(wait_ns, 70 * MS);
    facts.output_ns = START + 169 * MS;
    ck_assert_int_eq(judge(170), LIMIT_COUNT);
    ck_assert_uint_eq(wait_ns, 99 * MS);
    ck_assert_int_eq(judge(269), LIMIT_SILENCE);
    /* What came before the vCPUs started does not count. */
    facts.output_ns = START - 90 * MS;
    ck_assert_int_eq(judge(99), LIMIT_COUNT);
}
END_TEST

START_TEST(the_first_to_pass_is_named_and_of_equals_the_narrower)
{
    start();
    limit[LIMIT_WHOLE] = limit[LIMIT_INIT] = 50;
    ck_assert_int_eq(judge(1000), LIMIT_INIT);
    limit[LIMIT_WHOLE] = 49;
    ck_assert_int_eq(judge(1000), LIMIT_WHOLE);
}
END_TEST

START_TEST(the_longest_limit_does_not_wrap)
{
    start();
    limit[LIMIT_SILENCE] = UINT64_C(365) * 24 * 3600 * 1000;
    facts.output_ns = START + 1;
    ck_assert_int_eq(judge(1), LIMIT_COUNT);
    ck_assert_uint_gt(wait_ns, UINT64_C(364) * 24 * 3600 * 1000 * MS);
}
END_TEST

START_TEST(the_watch_keeps_the_time_of_output_when_asked_to)
{
    static struct console_watch watch;

    console_watch_init(&watch, NULL, NULL);
    console_watch_feed(&watch, (const uint8_t *)"a", 1);
    ck_assert_uint_eq(console_watch_last_output(&watch), 0);
    watch.timed = true;
    console_watch_feed(&watch, (const uint8_t *)"b", 1);
    ck_assert_uint_ge(console_watch_last_output(&watch), watch.first_byte_ns);
}
END_TEST

START_TEST(each_option_sets_its_limit)
{
    static const char *const words[LIMIT_COUNT] = {
        [LIMIT_FIRST_BYTE] = "--first-byte-timeout=1500ms",
        [LIMIT_INIT] = "--boot-timeout=1500ms",
        [LIMIT_SILENCE] = "--silence-timeout=1500ms",
        [LIMIT_WHOLE] = "--timeout=1500ms",
    };
    static const char *const names[LIMIT_COUNT] = {"first-byte", "init", "silence", "whole"};
    struct config_world w;

    world_start(&w);
    for (unsigned i = 0; i < LIMIT_COUNT; i++) {
        ck_assert_int_eq(PARSE(&w, "-kbz", words[i]), 0);
        ck_assert_int_eq(config_validate(&w.config), 0);
        for (unsigned k = 0; k < LIMIT_COUNT; k++)
            ck_assert_uint_eq(w.config.timeout_ms[k], k == i ? 1500 : 0);
        ck_assert_str_eq(clocks_name(i), names[i]);
    }
    REFUSED(&w, "--silence-timeout soon: not a time", "--silence-timeout", "soon");
    world_end(&w);
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(no_limit_never_passes_and_needs_no_timer),
        CASE(each_limit_passes_at_its_time_and_not_before),
        CASE(what_is_met_neither_passes_nor_wakes),
        CASE(silence_counts_from_the_last_output),
        CASE(the_first_to_pass_is_named_and_of_equals_the_narrower),
        CASE(the_longest_limit_does_not_wrap),
        CASE(the_watch_keeps_the_time_of_output_when_asked_to),
        CASE(each_option_sets_its_limit),
    };

    return run_suite("clocks", cases, ARRAY_SIZE(cases));
}
