/* The guest's agent runs commands: status, streams, signals, terminals. hv's side is init_peer.c.
 */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "firmware/init/agent.h"
#include "firmware/test/guarded.h"
#include "firmware/test/init_peer.h"

#define SH     "a/bin/sh\0a-c\0a"
#define A_PATH "ePATH=/usr/bin:/bin"

static struct peer p;

static void setup(void)
{
    p = hv_side_start(agent_run);
}

static void teardown(void)
{
    ck_assert_int_eq(hv_side_end(&p), EPIPE);
}

/* Waits until no process has that number any more. */
static void ck_assert_gone(pid_t pid)
{
    const struct timespec pause = {.tv_nsec = 2000000};

    for (int i = 0; i < 1000 && kill(pid, 0) == 0; i++)
        (void)nanosleep(&pause, NULL);
    ck_assert_int_eq(kill(pid, 0), -1);
    ck_assert_int_eq(errno, ESRCH);
}

START_TEST(exit_status_and_output_come_back)
{
    struct outcome o = hv_side_run(&p, DESCRIPTION(SH "echo out; echo err >&2; exit 7"));

    ck_assert_exited(&o, WIRE_EXITED, 7);
    ck_assert_str_eq(o.out[1], "out\n");
    ck_assert_str_eq(o.out[2], "err\n");
}
END_TEST

START_TEST(signal_that_ends_it_comes_back)
{
    struct outcome o = hv_side_run(&p, DESCRIPTION(SH "kill -TERM $$"));

    ck_assert_exited(&o, WIRE_SIGNALLED, SIGTERM);
}
END_TEST

START_TEST(unknown_and_unusable_programs_are_told_from_exits)
{
    struct outcome o = hv_side_run(&p, DESCRIPTION("ano-such-program\0" A_PATH));

    ck_assert_exited(&o, WIRE_NO_EXEC, ENOENT);
    o = hv_side_run(&p, DESCRIPTION("a"));
    ck_assert_exited(&o, WIRE_NO_EXEC, ENOENT);
    o = hv_side_run(&p, DESCRIPTION("a/etc/passwd"));
    ck_assert_exited(&o, WIRE_NO_EXEC, EACCES);
    o = hv_side_run(&p, DESCRIPTION("a/bin/sh\0a-c\0aexit 127"));
    ck_assert_exited(&o, WIRE_EXITED, 127);
}
END_TEST

START_TEST(program_is_looked_for_in_its_own_path)
{
    char dir[] = "/tmp/init-agent.XXXXXX", file[64], description[256];
    struct outcome o;
    FILE *f;
    int len;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    (void)snprintf(file, sizeof(file), "%s/only-here", dir);
    f = fopen(file, "w");
    ck_assert_ptr_nonnull(f);
    (void)fputs("#!/bin/sh\nexit 42\n", f);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_int_eq(chmod(file, 0755), 0);
    len = snprintf(description, sizeof(description), "aonly-here%cePATH=/bin:%s%c", 0, dir, 0);
    o = hv_side_run(&p, description, (size_t)len);
    (void)unlink(file);
    (void)rmdir(dir);
    ck_assert_exited(&o, WIRE_EXITED, 42);
}
END_TEST

START_TEST(arguments_arrive_as_they_are)
{
    struct outcome o = hv_side_run(&p, DESCRIPTION(SH "for a; do printf '[%s]' \"$a\"; done\0ash\0"
                                                      "aa b\0a\"q\" 'r' $x `y` \\\0al1\nl2\0a"));

    ck_assert_exited(&o, WIRE_EXITED, 0);
    ck_assert_str_eq(o.out[1], "[a b][\"q\" 'r' $x `y` \\][l1\nl2][]");
}
END_TEST

START_TEST(environment_and_directory_are_those_of_the_description)
{
    struct outcome o = hv_side_run(&p, DESCRIPTION("aenv\0" A_PATH "\0eX=a b\nc"));

    ck_assert_exited(&o, WIRE_EXITED, 0);
    ck_assert_str_eq(o.out[1], "PATH=/usr/bin:/bin\nX=a b\nc\n");
    o = hv_side_run(&p, DESCRIPTION("apwd\0d/usr/lib\0" A_PATH));
    ck_assert_str_eq(o.out[1], "/usr/lib\n");
}
END_TEST

START_TEST(missing_directory_is_a_failure_of_its_own)
{
    struct outcome o = hv_side_run(&p, DESCRIPTION("apwd\0d/no/such\0" A_PATH));

    ck_assert_uint_eq(o.last, WIRE_FAIL);
    ck_assert_ptr_nonnull(strstr(o.out[0], "/no/such"));
}
END_TEST

/* Of the signals that have names: two others belong to libc, and may come ignored from outside. */
START_TEST(command_starts_with_default_signals_and_three_descriptors)
{
    struct outcome o = hv_side_run(
        &p, DESCRIPTION(
                SH "sed -nE 's/^(Sig(Blk|Ign)):.*([0-9a-f])(.{7})$/\\1 \\4/p' "
                   "/proc/self/status | tr '\\n' ' '; ls /proc/self/fd | tr '\\n' ' '\0" A_PATH));

    ck_assert_str_eq(o.out[1], "SigBlk 0000000 SigIgn 0000000 0 1 2 3 ");
}
END_TEST

START_TEST(output_waits_for_credit)
{
    enum { TOTAL = 8 << 20, PART = 9000 };
    size_t got = 0, credit = WIRE_WINDOW, owed = 0;
    struct answer a;

    hv_side_command(&p, 7, DESCRIPTION("ahead\0a-c\0a8388608\0a/dev/zero\0" A_PATH));
    for (;;) {
        /* Little by little, and late. */
        while (credit < PART && owed) {
            size_t n = owed < PART ? owed : PART;

            hv_side_send32(&p, 7, WIRE_CREDIT, 1, (uint32_t)n);
            credit += n;
            owed -= n;
        }
        hv_side_receive(&p, &a);
        if (a.type == WIRE_EXIT)
            break;
        if (a.type != WIRE_DATA)
            continue;
        ck_assert_uint_eq(a.stream, 1);
        ck_assert_uint_le(a.len, credit);
        ck_assert(all_zero(a.payload, a.len));
        credit -= a.len;
        owed += a.len;
        got += a.len;
    }
    ck_assert_uint_eq(got, TOTAL);
    ck_assert_uint_eq(a.payload[0], WIRE_EXITED);
}
END_TEST

START_TEST(input_ends_at_eof)
{
    struct outcome o;

    hv_side_command(&p, 7, DESCRIPTION("acat\0" A_PATH));
    hv_side_send(&p, 7, WIRE_DATA, 0, "one ", 4);
    hv_side_send(&p, 7, WIRE_DATA, 0, "two", 3);
    hv_side_send(&p, 7, WIRE_EOF, 0, NULL, 0);
    o = hv_side_outcome(&p, 7);
    ck_assert_exited(&o, WIRE_EXITED, 0);
    ck_assert_str_eq(o.out[1], "one two");
    ck_assert_uint_eq(o.len[0], 7);
}
END_TEST

START_TEST(input_larger_than_the_window_passes_with_credit)
{
    enum { TOTAL = 1 << 20 };
    static const uint8_t bytes[WIRE_PAYLOAD];
    size_t sent = 0, credit = WIRE_WINDOW, got = 0;
    struct answer a;

    hv_side_command(&p, 7, DESCRIPTION("acat\0" A_PATH));
    do {
        while (sent < TOTAL && credit >= sizeof(bytes)) {
            hv_side_send(&p, 7, WIRE_DATA, 0, bytes, sizeof(bytes));
            sent += sizeof(bytes);
            credit -= sizeof(bytes);
            if (sent == TOTAL)
                hv_side_send(&p, 7, WIRE_EOF, 0, NULL, 0);
        }
        hv_side_receive(&p, &a);
        if (a.type == WIRE_CREDIT)
            credit += rd32(a.payload);
        if (a.type == WIRE_DATA) {
            got += a.len;
            hv_side_send32(&p, 7, WIRE_CREDIT, 1, a.len);
        }
        ck_assert_uint_le(credit, WIRE_WINDOW);
    } while (a.type != WIRE_EXIT);
    ck_assert_uint_eq(got, TOTAL);
}
END_TEST

START_TEST(closed_output_is_a_broken_pipe)
{
    struct outcome o;

    hv_side_command(&p, 7, DESCRIPTION("ayes\0" A_PATH));
    hv_side_send(&p, 7, WIRE_CLOSE, 1, NULL, 0);
    o = hv_side_outcome(&p, 7);
    ck_assert_exited(&o, WIRE_SIGNALLED, SIGPIPE);
}
END_TEST

START_TEST(input_that_the_command_closes_is_told_and_dropped)
{
    struct outcome o;
    struct answer a;

    hv_side_command(&p, 7, DESCRIPTION("asleep\0a0.05\0" A_PATH));
    hv_side_send(&p, 7, WIRE_DATA, 0, "nobody reads this", 17);
    o = hv_side_outcome(&p, 7);
    ck_assert_exited(&o, WIRE_EXITED, 0);

    hv_side_command(&p, 8, DESCRIPTION(SH "exec 0<&-; sleep 0.05\0" A_PATH));
    hv_side_receive(&p, &a);
    ck_assert_uint_eq(a.type, WIRE_CLOSE);
    ck_assert_uint_eq(a.stream, 0);
    hv_side_send(&p, 8, WIRE_DATA, 0, "late", 4);
    o = hv_side_outcome(&p, 8);
    ck_assert_exited(&o, WIRE_EXITED, 0);
}
END_TEST

START_TEST(children_left_behind_do_not_delay_the_exit)
{
    struct outcome o = hv_side_run(&p, DESCRIPTION(SH "sleep 30 & echo $!; exit 3\0" A_PATH));
    pid_t orphan = (pid_t)atoi(o.out[1]);

    ck_assert_exited(&o, WIRE_EXITED, 3);
    ck_assert_int_gt(orphan, 1);
    ck_assert_int_eq(kill(orphan, SIGKILL), 0);
    ck_assert_gone(orphan); /* the agent reaps it */
}
END_TEST

START_TEST(signals_reach_the_process_group)
{
    struct outcome o;
    struct answer a;
    pid_t child;

    hv_side_command(&p, 7, DESCRIPTION(SH "sleep 30 & echo $!; wait\0" A_PATH));
    hv_side_receive(&p, &a);
    ck_assert_uint_eq(a.type, WIRE_DATA);
    a.payload[a.len] = '\0';
    child = (pid_t)atoi((const char *)a.payload);
    hv_side_send32(&p, 7, WIRE_SIGNAL, 0, SIGTERM);
    o = hv_side_outcome(&p, 7);
    ck_assert_exited(&o, WIRE_SIGNALLED, SIGTERM);
    ck_assert_gone(child);
}
END_TEST

START_TEST(signal_right_behind_the_start_is_not_lost)
{
    struct outcome o;

    hv_side_command(&p, 7, DESCRIPTION("asleep\0a30\0" A_PATH));
    hv_side_send32(&p, 7, WIRE_SIGNAL, 0, SIGINT);
    o = hv_side_outcome(&p, 7);
    ck_assert_exited(&o, WIRE_SIGNALLED, SIGINT);
}
END_TEST

START_TEST(terminal_is_one_and_has_its_size)
{
    struct outcome o;

    hv_side_command(&p, 7,
                    DESCRIPTION("t30x101\0" SH "test -t 0 && test -t 1 && test -t 2 && tty; "
                                "trap 'stty size; exit 5' WINCH; stty size; "
                                "while :; do sleep 0.02; done\0" A_PATH));
    hv_side_expect(&p, 7, "30 101");
    hv_side_send(&p, 7, WIRE_RESIZE, 0, "\x28\0\x50\0", 4);
    o = hv_side_outcome(&p, 7);
    ck_assert_exited(&o, WIRE_EXITED, 5);
    ck_assert_ptr_nonnull(strstr(o.out[1], "40 80\r\n"));
}
END_TEST

START_TEST(terminal_echoes_interrupts_and_ends)
{
    struct outcome o;

    hv_side_command(&p, 7, DESCRIPTION("t24x80\0acat\0" A_PATH));
    hv_side_send(&p, 7, WIRE_DATA, 0, "hello\n", 6);
    hv_side_expect(&p, 7, "hello\r\nhello\r\n");
    hv_side_send(&p, 7, WIRE_EOF, 0, NULL, 0);
    o = hv_side_outcome(&p, 7);
    ck_assert_exited(&o, WIRE_EXITED, 0);

    hv_side_command(&p, 8, DESCRIPTION("t24x80\0acat\0" A_PATH));
    hv_side_send(&p, 8, WIRE_DATA, 0, "x\n", 2);
    hv_side_expect(&p, 8, "x\r\nx\r\n");
    hv_side_send(&p, 8, WIRE_DATA, 0, "\x03", 1);
    o = hv_side_outcome(&p, 8);
    ck_assert_exited(&o, WIRE_SIGNALLED, SIGINT);
}
END_TEST

/* As cat and others do before they exit; others open it again. */
START_TEST(terminal_that_nobody_has_open_stays)
{
    struct outcome o;

    hv_side_command(&p, 7,
                    DESCRIPTION("t24x80\0" SH "exec <&- >&- 2>&-; sleep 0.15; "
                                "read x </dev/tty; echo got $x >/dev/tty; exit 3\0" A_PATH));
    hv_side_send(&p, 7, WIRE_DATA, 0, "word\n", 5);
    o = hv_side_outcome(&p, 7);
    ck_assert_exited(&o, WIRE_EXITED, 3);
    ck_assert_ptr_nonnull(strstr(o.out[1], "got word\r\n"));
}
END_TEST

START_TEST(terminal_output_is_complete)
{
    struct outcome o = hv_side_run(&p, DESCRIPTION("t24x80\0aseq\0a20000\0" A_PATH));

    ck_assert_exited(&o, WIRE_EXITED, 0);
    ck_assert_uint_eq(o.len[1], 108894 + 20000); /* each line feed became two bytes */
}
END_TEST

START_TEST(two_commands_run_at_once)
{
    struct outcome o;
    struct answer a;

    hv_side_command(&p, 7, DESCRIPTION("acat\0" A_PATH));
    hv_side_command(&p, 8, DESCRIPTION(SH "echo second\0" A_PATH));
    o = hv_side_outcome(&p, 8);
    ck_assert_str_eq(o.out[1], "second\n");
    hv_side_send(&p, 7, WIRE_DATA, 0, "first", 5);
    do
        hv_side_receive(&p, &a);
    while (a.type != WIRE_DATA);
    ck_assert_uint_eq(a.session, 7);
    ck_assert_mem_eq(a.payload, "first", 5);
    hv_side_send(&p, 7, WIRE_EOF, 0, NULL, 0);
    o = hv_side_outcome(&p, 7);
    ck_assert_exited(&o, WIRE_EXITED, 0);
}
END_TEST

START_TEST(one_command_too_many_is_refused)
{
    struct outcome o;

    for (uint32_t i = 0; i < WIRE_SESSIONS; i++)
        hv_side_command(&p, 10 + i, DESCRIPTION("acat\0" A_PATH));
    hv_side_command(&p, 50, DESCRIPTION("atrue\0" A_PATH));
    o = hv_side_outcome(&p, 50);
    ck_assert_uint_eq(o.last, WIRE_FAIL);
    for (uint32_t i = 0; i < WIRE_SESSIONS; i++) {
        hv_side_send(&p, 10 + i, WIRE_EOF, 0, NULL, 0);
        o = hv_side_outcome(&p, 10 + i);
        ck_assert_exited(&o, WIRE_EXITED, 0);
    }
    o = hv_side_run(&p, DESCRIPTION("atrue\0" A_PATH));
    ck_assert_exited(&o, WIRE_EXITED, 0);
}
END_TEST

/* After a hang-up the command goes, by SIGKILL if SIGHUP is not enough, and nothing is said. */
START_TEST(hang_up_ends_the_command)
{
    static const char *const commands[] = {"echo $$; sleep 30", "trap '' HUP; echo $$; sleep 30"};
    char description[128];
    struct outcome o;
    struct answer a;
    pid_t pid;
    int len = snprintf(description, sizeof(description), "a/bin/sh%ca-c%ca%s%c%s%c", 0, 0,
                       commands[_i], 0, "ePATH=/usr/bin:/bin", 0);

    hv_side_command(&p, 7, description, (size_t)len);
    hv_side_receive(&p, &a);
    ck_assert_uint_eq(a.type, WIRE_DATA);
    a.payload[a.len] = '\0';
    pid = (pid_t)atoi((const char *)a.payload);
    hv_side_send(&p, 7, WIRE_HANGUP, 0, NULL, 0);
    ck_assert_gone(pid);
    o = hv_side_run(&p, DESCRIPTION("atrue\0" A_PATH));
    ck_assert_exited(&o, WIRE_EXITED, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("firmware/init-agent");
    TCase *t = tcase_create("commands");

    tcase_set_timeout(t, 20); /* of a machine that is busy with other things */
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, exit_status_and_output_come_back);
    tcase_add_test(t, signal_that_ends_it_comes_back);
    tcase_add_test(t, unknown_and_unusable_programs_are_told_from_exits);
    tcase_add_test(t, program_is_looked_for_in_its_own_path);
    tcase_add_test(t, arguments_arrive_as_they_are);
    tcase_add_test(t, environment_and_directory_are_those_of_the_description);
    tcase_add_test(t, missing_directory_is_a_failure_of_its_own);
    tcase_add_test(t, command_starts_with_default_signals_and_three_descriptors);
    tcase_add_test(t, children_left_behind_do_not_delay_the_exit);
    tcase_add_test(t, signals_reach_the_process_group);
    tcase_add_test(t, signal_right_behind_the_start_is_not_lost);
    tcase_add_test(t, two_commands_run_at_once);
    tcase_add_test(t, one_command_too_many_is_refused);
    tcase_add_loop_test(t, hang_up_ends_the_command, 0, 2);
    suite_add_tcase(s, t);
    t = tcase_create("streams");
    tcase_set_timeout(t, 20); /* of a machine that is busy with other things */
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, output_waits_for_credit);
    tcase_add_test(t, input_ends_at_eof);
    tcase_add_test(t, input_larger_than_the_window_passes_with_credit);
    tcase_add_test(t, closed_output_is_a_broken_pipe);
    tcase_add_test(t, input_that_the_command_closes_is_told_and_dropped);
    tcase_add_test(t, terminal_is_one_and_has_its_size);
    tcase_add_test(t, terminal_echoes_interrupts_and_ends);
    tcase_add_test(t, terminal_that_nobody_has_open_stays);
    tcase_add_test(t, terminal_output_is_complete);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
