/* The console's reader, its escape keys, and the exit status table. */
#include <stdio.h>
#include <string.h>

#include "hv/console.h"
#include "hv/console_watch.h"
#include "hv/outcome.h"
#include "hv/test/run_suite.h"

static struct console_watch watch;
static int panics;

static void on_panic(void *opaque)
{
    (void)opaque;
    panics++;
}

static void start(void)
{
    panics = 0;
    console_watch_init(&watch, on_panic, NULL);
}

static void feed(const char *text)
{
    console_watch_feed(&watch, (const uint8_t *)text, strlen(text));
}

START_TEST(panic_line_is_seen_with_and_without_time_stamp)
{
    static const char *const lines[] = {
        "Kernel panic - not syncing: x\n",
        "[    1.234567] Kernel panic - not syncing: VFS: unable\r\n",
        "[    1.234567][    T1] Kernel panic - not syncing: x\n",
        "<0>[    1.234567] Kernel panic - not syncing: x\n",
    };

    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
        start();
        feed("hello\n");
        feed(lines[i]);
        ck_assert(console_watch_panicked(&watch));
        ck_assert_int_eq(panics, 1);
        ck_assert(strncmp(watch.splat, "Kernel panic", 12) == 0);
    }
}
END_TEST

START_TEST(panic_text_inside_a_line_is_no_panic)
{
    start();
    feed("grep: Kernel panic - not syncing: x\n");
    feed("Kernel panic - not syncing, but the line does not end");
    ck_assert(!console_watch_panicked(&watch));
    ck_assert_int_eq(panics, 0);
}
END_TEST

START_TEST(panic_fed_byte_by_byte_is_seen_once)
{
    static const char text[] = "[ 1.0] Kernel panic - not syncing: a\nKernel panic - not syncing\n";

    start();
    for (const char *p = text; *p; p++)
        console_watch_feed(&watch, (const uint8_t *)p, 1);
    ck_assert_int_eq(panics, 1);
    ck_assert_str_eq(watch.splat, "Kernel panic - not syncing: a");
}
END_TEST

START_TEST(first_report_wins_over_later_ones)
{
    start();
    feed("[    0.5] WARNING: CPU: 0 PID: 1 at x.c:3 f+0x1\n[    0.6] BUG: unable to\n");
    feed("[    0.7] Kernel panic - not syncing: Fatal exception\n");
    ck_assert(strncmp(watch.splat, "WARNING: CPU: 0", 15) == 0);
    ck_assert(console_watch_panicked(&watch));
}
END_TEST

START_TEST(init_line_sets_the_boot_time)
{
    start();
    feed("[    0.5] Run /init as init process\n");
    ck_assert_uint_ne(watch.init_ns, 0);
    ck_assert_uint_ne(watch.first_byte_ns, 0);
}
END_TEST

START_TEST(what_our_own_program_says_is_kept)
{
    start();
    feed("not hv-init: x\n[    0.5] hv-init: no 9p (CONFIG_9P_FS)\nhv-init: second\n");
    ck_assert_str_eq(watch.says, "no 9p (CONFIG_9P_FS)");
}
END_TEST

START_TEST(the_last_lines_are_kept_in_order)
{
    char text[32];

    start();
    for (int i = 0; i < 50; i++) {
        snprintf(text, sizeof(text), "line %d\n", i);
        feed(text);
    }
    feed("open");
    ck_assert_str_eq(console_watch_line(&watch, 0), "open");
    ck_assert_str_eq(console_watch_line(&watch, 1), "line 49");
    ck_assert_str_eq(console_watch_line(&watch, WATCH_LINES - 1), "line 31");
    ck_assert_ptr_null(console_watch_line(&watch, WATCH_LINES));
    ck_assert_ptr_null(console_watch_line(&watch, 4000000000u));
}
END_TEST

START_TEST(no_output_has_no_lines)
{
    start();
    ck_assert_ptr_null(console_watch_line(&watch, 0));
}
END_TEST

START_TEST(endless_line_and_control_bytes_are_bounded)
{
    start();
    for (int i = 0; i < 100000; i++)
        feed("A\x1b\x01");
    feed("\n");
    ck_assert_uint_eq(strlen(console_watch_line(&watch, 0)), WATCH_LINE_MAX - 1);
}
END_TEST

static unsigned keys[3];

static void on_key(void *opaque, enum console_key key)
{
    (void)opaque;
    keys[key]++;
}

START_TEST(escape_keys_act_and_do_not_reach_the_guest)
{
    struct console_escape e = {.key = on_key};
    uint8_t buf[] = "a\001hb\001p\001x";
    size_t len = console_escape_filter(&e, buf, 8);

    ck_assert_uint_eq(len, 2);
    ck_assert_int_eq(memcmp(buf, "ab", 2), 0);
    ck_assert_uint_eq(keys[CONSOLE_HELP], 1);
    ck_assert_uint_eq(keys[CONSOLE_POWER], 1);
    ck_assert_uint_eq(keys[CONSOLE_QUIT], 1);
}
END_TEST

START_TEST(escape_twice_sends_one_even_across_reads)
{
    struct console_escape e = {.key = on_key};
    uint8_t first[] = {CONSOLE_ESCAPE}, second[] = {CONSOLE_ESCAPE, 'x'};

    ck_assert_uint_eq(console_escape_filter(&e, first, 1), 0);
    ck_assert_uint_eq(console_escape_filter(&e, second, 2), 2);
    ck_assert_uint_eq(second[0], CONSOLE_ESCAPE);
    ck_assert_uint_eq(second[1], 'x');
}
END_TEST

START_TEST(every_end_has_its_name_and_status)
{
    static const struct {
        struct outcome outcome;
        const char *name;
        int status;
    } rows[] = {
        {{.end = END_POWEROFF}, "poweroff", 0},
        {{.end = END_REBOOT}, "reboot", 0},
        {{.end = END_PANIC}, "panic", 255},
        {{.end = END_TRIPLE_FAULT}, "triple-fault", 255},
        {{.end = END_DEBUG_EXIT, .guest_status = 0}, "debug-exit", 0},
        {{.end = END_DEBUG_EXIT, .guest_status = 42}, "debug-exit", 42},
        {{.end = END_DEBUG_EXIT, .guest_status = 123}, "debug-exit", 123},
        {{.end = END_DEBUG_EXIT, .guest_status = 124}, "debug-exit", 123},
        {{.end = END_DEBUG_EXIT, .guest_status = UINT32_MAX}, "debug-exit", 123},
        {{.end = END_DEADLINE}, "deadline", 124},
        {{.end = END_SIGNAL, .signal = 15}, "signal", 143},
        {{.end = END_VMM_ERROR}, "vmm-error", 125},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        ck_assert_str_eq(outcome_name(rows[i].outcome.end), rows[i].name);
        ck_assert_int_eq(outcome_status(&rows[i].outcome), rows[i].status);
    }
}
END_TEST

START_TEST(owed_status_decides_only_where_the_machine_ended_well)
{
    static const struct {
        struct outcome outcome;
        int status;
    } rows[] = {
        {{.end = END_POWEROFF, .command = {COMMAND_EXITED, 0, ""}}, 0},
        {{.end = END_POWEROFF, .command = {COMMAND_EXITED, 255, ""}}, 255},
        {{.end = END_REBOOT, .command = {COMMAND_EXITED, 3, ""}}, 3},
        {{.end = END_POWEROFF, .command = {COMMAND_SIGNALLED, 9, ""}}, 137},
        {{.end = END_POWEROFF, .command = {COMMAND_NO_EXEC, 2, ""}}, 127},
        {{.end = END_POWEROFF, .command = {COMMAND_NO_EXEC, 13, ""}}, 126},
        {{.end = END_POWEROFF, .command = {COMMAND_REFUSED, 0, "x"}}, 125},
        {{.end = END_VMM_ERROR, .command = {COMMAND_LOST, 0, "x"}}, 125},
        {{.end = END_POWEROFF}, 255},
        {{.end = END_REBOOT}, 255},
        {{.end = END_DEBUG_EXIT, .guest_status = 0}, 255},
        {{.end = END_DEBUG_EXIT, .guest_status = 7}, 7},
        {{.end = END_DEBUG_EXIT, .command = {COMMAND_EXITED, 5, ""}}, 5},
        {{.end = END_PANIC, .command = {COMMAND_EXITED, 0, ""}}, 255},
        {{.end = END_TRIPLE_FAULT, .command = {COMMAND_EXITED, 0, ""}}, 255},
        {{.end = END_DEADLINE, .command = {COMMAND_EXITED, 0, ""}}, 124},
        {{.end = END_SIGNAL, .signal = 2, .command = {COMMAND_EXITED, 0, ""}}, 130},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct outcome outcome = rows[i].outcome;

        outcome.owes_status = true;
        ck_assert_msg(outcome_status(&outcome) == rows[i].status, "row %u", i);
    }
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(panic_line_is_seen_with_and_without_time_stamp),
        CASE(panic_text_inside_a_line_is_no_panic),
        CASE(panic_fed_byte_by_byte_is_seen_once),
        CASE(first_report_wins_over_later_ones),
        CASE(init_line_sets_the_boot_time),
        CASE(what_our_own_program_says_is_kept),
        CASE(the_last_lines_are_kept_in_order),
        CASE(no_output_has_no_lines),
        CASE(endless_line_and_control_bytes_are_bounded),
        CASE(escape_keys_act_and_do_not_reach_the_guest),
        CASE(escape_twice_sends_one_even_across_reads),
        CASE(every_end_has_its_name_and_status),
        CASE(owed_status_decides_only_where_the_machine_ended_well),
    };

    return run_suite("console", cases, ARRAY_SIZE(cases));
}
