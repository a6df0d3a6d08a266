/* The kernel's reports on a console: where each begins and ends, and what is none. */
#include <stdio.h>
#include <string.h>

#include "hv/suite/splat.h"
#include "hv/test/run_suite.h"

static struct splats *splats;
static struct splat *list;
static unsigned count;

static void feed(const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");

        splats_feed(splats, text, len);
        text += len + (text[len] == '\n');
    }
}

static void start(void)
{
    splats_destroy(splats);
    splats = splats_create();
}

static void finish(void)
{
    splats_free(list, count);
    list = splats_finish(splats, &count);
    ck_assert_ptr_nonnull(list);
}

/* All of a console at once. */
static void console(const char *text)
{
    start();
    feed(text);
    finish();
}

static void splat_is(unsigned i, const char *title, const char *text)
{
    ck_assert_uint_lt(i, count);
    ck_assert_str_eq(list[i].title, title);
    if (text)
        ck_assert_str_eq(list[i].text, text);
}

#define STAMPED "[    0.000000] Linux version 6.1.0\n"

START_TEST(a_panic_lasts_to_its_end_mark)
{
    static const char panic[] =
        "[    1.000000] Kernel panic - not syncing: no init\n"
        "[    1.000000] CPU: 0 PID: 1 Comm: swapper/0\n"
        "[    1.000000] Call Trace:\n"
        "[    1.000000]  panic+0x10/0x20\n"
        "[    1.000000] Kernel Offset: disabled\n"
        "[    1.000000] ---[ end Kernel panic - not syncing: no init ]---\n";

    start();
    feed(STAMPED "[    0.900000] before\n");
    feed(panic);
    feed("[    1.100000] behind\n");
    finish();
    ck_assert_uint_eq(count, 1);
    splat_is(0, "Kernel panic - not syncing: no init", panic);
    ck_assert_uint_eq(list[0].count, 1);
}
END_TEST

START_TEST(a_warning_lasts_from_its_cut_mark_to_its_end)
{
    static const char warning[] = "[    1.0][    T1] ------------[ cut here ]------------\n"
                                  "[    1.0][    T1] refcount_t: underflow; use-after-free.\n"
                                  "[    1.0][    T1] WARNING: CPU: 0 PID: 1 at lib/a.c:28 f+0x1\n"
                                  "[    1.0][    T1] Modules linked in:\n"
                                  "[    1.0][    T1] not known, but inside\n"
                                  "[    1.0][    T1] ---[ end trace 0000000000000000 ]---\n";

    start();
    feed(warning);
    feed("[    1.0][    T1] behind\n");
    finish();
    ck_assert_uint_eq(count, 1);
    splat_is(0, "WARNING: CPU: 0 PID: 1 at lib/a.c:28 f+0x1", warning);
}
END_TEST

START_TEST(a_cut_mark_without_a_known_line_is_named_by_the_next)
{
    console("------------[ cut here ]------------\nodd: something\nmore\n---[ end trace 0 ]---\n");
    splat_is(0, "odd: something", NULL);
}
END_TEST

START_TEST(an_oops_is_one_report_and_its_panic_another)
{
    console("------------[ cut here ]------------\n"
            "kernel BUG at mm/a.c:10!\n"
            "invalid opcode: 0000 [#1] SMP\n"
            "RIP: 0010:f+0x1/0x2\n"
            "---[ end trace 0000000000000000 ]---\n"
            "RIP: 0010:f+0x1/0x2\n"
            "BUG: unable to handle page fault for address: 0000\n"
            "#PF: supervisor read access in kernel mode\n"
            "Oops: 0000 [#2] SMP\n"
            "Kernel panic - not syncing: Fatal exception\n");
    ck_assert_uint_eq(count, 3);
    splat_is(0, "kernel BUG at mm/a.c:10!", NULL);
    splat_is(1, "BUG: unable to handle page fault for address: 0000",
             "BUG: unable to handle page fault for address: 0000\n"
             "#PF: supervisor read access in kernel mode\nOops: 0000 [#2] SMP\n");
    splat_is(2, "Kernel panic - not syncing: Fatal exception", NULL);
}
END_TEST

START_TEST(a_stall_in_a_warning_is_a_report_of_its_own)
{
    console("------------[ cut here ]------------\n"
            "WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2\n"
            "rcu: INFO: rcu_preempt self-detected stall on CPU\n");
    ck_assert_uint_eq(count, 2);
    splat_is(1, "rcu: INFO: rcu_preempt self-detected stall on CPU", NULL);
}
END_TEST

START_TEST(sanitizers_lie_between_lines)
{
    static const char kasan[] =
        "==================================================================\n"
        "BUG: KASAN: slab-out-of-bounds in f+0x1/0x2\n"
        "Read of size 1 at addr ffff by task insmod/1\n"
        "\n"
        "Call Trace:\n"
        " <TASK>\n"
        "KASAN: null-ptr-deref in range\n"
        "Allocated by task 1:\n"
        "Memory state around the buggy address:\n"
        ">ffff: 00 00\n"
        "==================================================================\n";

    start();
    feed(kasan);
    feed("Disabling lock debugging due to kernel taint\n");
    finish();
    ck_assert_uint_eq(count, 1);
    splat_is(0, "BUG: KASAN: slab-out-of-bounds in f+0x1/0x2", kasan);
}
END_TEST

START_TEST(lockups_last_to_the_end_of_their_backtrace)
{
    static const char lockup[] = "watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [sh:1]\n"
                                 "Modules linked in:\n"
                                 "CPU: 0 PID: 1 Comm: sh\n"
                                 "RIP: 0010:f+0x1/0x2\n"
                                 "RAX: 0000000000000000 RBX: 0000000000000000\n"
                                 "Call Trace:\n"
                                 " <TASK>\n"
                                 " f+0x1/0x2\n"
                                 " </TASK>\n";
    static const char stall[] = "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:\n"
                                "rcu: \t1-...!: (1 GPs behind) idle=0\n"
                                "\t(detected by 0, t=5252 jiffies)\n"
                                "Sending NMI from CPU 0 to CPUs 1:\n"
                                "NMI backtrace for cpu 1\n"
                                "Call Trace:\n"
                                " f+0x1/0x2\n"
                                "rcu: rcu_preempt kthread starved for 5252 jiffies!\n"
                                "task:rcu_preempt state:I stack:0\n"
                                "Call Trace:\n"
                                " g+0x1/0x2\n";

    start();
    feed(lockup);
    feed("eth0: link up\n");
    feed(stall);
    feed("eth0: link down\n");
    finish();
    ck_assert_uint_eq(count, 2);
    splat_is(0, "watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [sh:1]", lockup);
    splat_is(1, "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", stall);
}
END_TEST

START_TEST(lockdep_shows_all_its_locks)
{
    start();
    feed("======================================================\n"
         "WARNING: possible circular locking dependency detected\n");
    for (unsigned i = 0; i < 100; i++)
        feed("-> #0 (lock){+.+.}-{3:3}:\n");
    feed("stack backtrace:\nCPU: 0 PID: 1\nCall Trace:\n <TASK>\n </TASK>\nbehind\n");
    finish();
    ck_assert_uint_eq(count, 1);
    splat_is(0, "WARNING: possible circular locking dependency detected", NULL);
    ck_assert(strncmp(list[0].text, "=====", 5) == 0);
    ck_assert_ptr_nonnull(strstr(list[0].text, " </TASK>\n"));
    ck_assert_ptr_null(strstr(list[0].text, "behind"));
}
END_TEST

START_TEST(what_never_gets_a_backtrace_is_one_line)
{
    start();
    feed("WARNING: this is a pr_warn\nnext\n");
    feed("BUG: sleeping function called from invalid context at a.c:1\n");
    for (unsigned i = 0; i < 500; i++)
        feed("unrelated\n");
    finish();
    ck_assert_uint_eq(count, 2);
    splat_is(0, "WARNING: this is a pr_warn", "WARNING: this is a pr_warn\n");
    splat_is(1, "BUG: sleeping function called from invalid context at a.c:1",
             "BUG: sleeping function called from invalid context at a.c:1\n");
}
END_TEST

START_TEST(hung_tasks_end_where_the_next_begins)
{
    console("INFO: task a:1 blocked for more than 120 seconds.\n"
            "      Not tainted 6.1\n"
            "\"echo 0 > /proc/sys/kernel/hung_task_timeout_secs\" disables this message.\n"
            "task:a state:D stack:0\n"
            "Call Trace:\n"
            " f+0x1/0x2\n"
            "INFO: task b:2 blocked for more than 120 seconds.\n"
            "Call Trace:\n"
            " f+0x1/0x2\n");
    ck_assert_uint_eq(count, 2);
    splat_is(1, "INFO: task b:2 blocked for more than 120 seconds.", NULL);
}
END_TEST

START_TEST(programs_do_not_print_reports_where_the_kernel_stamps_its_own)
{
    static const char *const lines[] = {"WARNING: foo",
                                        "Kernel panic - not syncing: no, not really",
                                        "BUG: in a test", "[x] BUG: y", "<4>BUG: z"};

    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
        start();
        feed(lines[i]);
        finish();
        ck_assert_uint_eq(count, i == 3 ? 0 : 1);
        start();
        feed(STAMPED);
        feed(lines[i]);
        finish();
        ck_assert_uint_eq(count, 0);
    }
    console(STAMPED "<4>[    1.500000] BUG: z\n");
    ck_assert_uint_eq(count, 1);
}
END_TEST

START_TEST(a_program_that_prints_in_between_is_left_out)
{
    console(STAMPED "[    1.0] Kernel panic - not syncing: x\n"
                    "dd: 10 records in\n"
                    "[    1.0] Call Trace:\r\n"
                    "---[ end Kernel panic\n"
                    "[    1.0] ---[ end Kernel panic - not syncing: x ]---\n");
    splat_is(0, "Kernel panic - not syncing: x",
             "[    1.0] Kernel panic - not syncing: x\n[    1.0] Call Trace:\n"
             "[    1.0] ---[ end Kernel panic - not syncing: x ]---\n");
}
END_TEST

START_TEST(a_report_behind_a_prompt_is_seen)
{
    console(STAMPED "a[0]~ # \x1b[0m[ x [    2.000000] Kernel panic - not syncing: x\n"
                    "[    2.000000] CPU: 0\n");
    ck_assert_uint_eq(count, 1);
    splat_is(0, "Kernel panic - not syncing: x",
             "[    2.000000] Kernel panic - not syncing: x\n[    2.000000] CPU: 0\n");
}
END_TEST

START_TEST(the_same_again_is_counted)
{
    console("WARNING: a\nWARNING: b\nWARNING: a\nWARNING: a\n");
    ck_assert_uint_eq(count, 2);
    ck_assert_uint_eq(list[0].count, 3);
    ck_assert_uint_eq(list[1].count, 1);
}
END_TEST

START_TEST(reports_without_end_are_bounded)
{
    char line[100];

    start();
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(line, sizeof(line), "WARNING: number %u\n", i);
        feed(line);
    }
    finish();
    ck_assert_uint_eq(count, SPLAT_MAX);
    splat_is(SPLAT_MAX - 1, "more reports, with other titles", "");
    ck_assert_uint_eq(list[SPLAT_MAX - 1].count, 1000 - (SPLAT_MAX - 1));

    start();
    feed("Kernel panic - not syncing: x\n");
    for (unsigned i = 0; i < 10000; i++)
        feed("and so on, and so on, and so on\n");
    finish();
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_lt(strlen(list[0].text), SPLAT_TEXT_MAX);
}
END_TEST

START_TEST(odd_lines_are_taken)
{
    static char line[100000];

    memset(line, 'x', sizeof(line));
    memcpy(line, "BUG: \0\x1b[2J\xff", 11);
    start();
    splats_feed(splats, line, sizeof(line));
    splats_feed(splats, "", 0);
    splats_feed(splats, "[", 1);
    splats_feed(splats, "<6>[   ", 7);
    splats_feed(splats, "[ 1.5", 5);
    finish();
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_lt(strlen(list[0].title), 300);
    ck_assert(strncmp(list[0].title, "BUG:   [2J\xff", 11) == 0);
}
END_TEST

START_TEST(linux_is_seen)
{
    start();
    feed("a Linux version 6\n");
    ck_assert(!splats_saw_linux(splats));
    feed(STAMPED);
    ck_assert(splats_saw_linux(splats));
    finish();
    ck_assert_uint_eq(count, 0);
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(a_panic_lasts_to_its_end_mark),
        CASE(a_warning_lasts_from_its_cut_mark_to_its_end),
        CASE(a_cut_mark_without_a_known_line_is_named_by_the_next),
        CASE(an_oops_is_one_report_and_its_panic_another),
        CASE(a_stall_in_a_warning_is_a_report_of_its_own),
        CASE(sanitizers_lie_between_lines),
        CASE(lockups_last_to_the_end_of_their_backtrace),
        CASE(lockdep_shows_all_its_locks),
        CASE(what_never_gets_a_backtrace_is_one_line),
        CASE(hung_tasks_end_where_the_next_begins),
        CASE(programs_do_not_print_reports_where_the_kernel_stamps_its_own),
        CASE(a_program_that_prints_in_between_is_left_out),
        CASE(a_report_behind_a_prompt_is_seen),
        CASE(the_same_again_is_counted),
        CASE(reports_without_end_are_bounded),
        CASE(odd_lines_are_taken),
        CASE(linux_is_seen),
    };

    return run_suite("suite-splat", cases, ARRAY_SIZE(cases));
}
