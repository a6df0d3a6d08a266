/* What the guest's agent does when frames and descriptions are not as they should be, or in pieces.
 */
#include <check.h>
#include <errno.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "firmware/init/agent.h"
#include "firmware/test/init_peer.h"

static const uint8_t zeros[WIRE_PAYLOAD];

struct frame_case {
    const char *what;
    uint32_t session; /* 7 runs cat, 8 was described only */
    uint8_t type, stream;
    size_t len;
};

static const struct frame_case broken[] = {
    {"unknown type", 7, 99, 0, 0},
    {"type of the other direction", 7, WIRE_EXIT, 0, 5},
    {"to the agent itself", WIRE_AGENT, WIRE_SIGNAL, 0, 4},
    {"description of a command that runs", 7, WIRE_SPEC, 0, 4},
    {"second start", 7, WIRE_START, 0, 0},
    {"short signal", 7, WIRE_SIGNAL, 0, 3},
    {"signal 0", 7, WIRE_SIGNAL, 0, 4},
    {"short size", 7, WIRE_RESIZE, 0, 2},
    {"data for its output", 7, WIRE_DATA, 1, 1},
    {"data for stream 200", 7, WIRE_DATA, 200, 1},
    {"data before the start", 8, WIRE_DATA, 0, 1},
    {"end of its output", 7, WIRE_EOF, 1, 0},
    {"end before the start", 8, WIRE_EOF, 0, 0},
    {"close of its input", 7, WIRE_CLOSE, 0, 0},
    {"close of stream 255", 7, WIRE_CLOSE, 255, 0},
    {"close before the start", 8, WIRE_CLOSE, 1, 0},
    {"credit without a number", 7, WIRE_CREDIT, 1, 0},
    {"credit for its input", 7, WIRE_CREDIT, 0, 4},
    {"credit for stream 3", 7, WIRE_CREDIT, 3, 4},
    {"credit before the start", 8, WIRE_CREDIT, 1, 4},
};

START_TEST(frame_that_breaks_the_rules_ends_the_agent)
{
    const struct frame_case *c = &broken[_i];
    struct peer p = hv_side_start(agent_run);

    hv_side_command(&p, 7, DESCRIPTION("acat\0ePATH=/usr/bin:/bin"));
    hv_side_send(&p, 8, WIRE_SPEC, 0, "acat", 5);
    hv_side_send(&p, c->session, c->type, c->stream, zeros, c->len);
    ck_assert_msg(hv_side_wait(&p) == EPROTO, "%s is taken", c->what);
}
END_TEST

START_TEST(frame_longer_than_frames_may_be_ends_the_agent)
{
    const uint8_t header[WIRE_HEADER] = {7, 0, 0, 0, WIRE_SPEC, 0, 0x01, 0x40}; /* 16385 bytes */
    struct peer p = hv_side_start(agent_run);

    ck_assert_int_eq(send(p.fd, header, sizeof(header), 0), sizeof(header));
    ck_assert_int_eq(hv_side_wait(&p), EPROTO);
}
END_TEST

START_TEST(more_than_a_window_of_input_ends_the_agent)
{
    struct peer p = hv_side_start(agent_run);

    /* A pipe takes 64 KiB of it, the window is as large again. */
    hv_side_command(&p, 7, DESCRIPTION("asleep\0a30\0ePATH=/usr/bin:/bin"));
    for (int i = 0; i < 8; i++)
        hv_side_send(&p, 7, WIRE_DATA, 0, zeros, sizeof(zeros));
    for (int i = 0; i < 2; i++)
        (void)!send(p.fd, "\7\0\0\0\20\0\1\0x", 9, MSG_NOSIGNAL);
    ck_assert_int_eq(hv_side_wait(&p), EPROTO);
}
END_TEST

START_TEST(more_credit_than_the_window_ends_the_agent)
{
    struct peer p = hv_side_start(agent_run);

    hv_side_command(&p, 7, DESCRIPTION("acat\0ePATH=/usr/bin:/bin"));
    hv_side_send32(&p, 7, WIRE_CREDIT, 1, 1);
    ck_assert_int_eq(hv_side_wait(&p), EPROTO);
}
END_TEST

START_TEST(frames_of_commands_that_are_gone_are_dropped)
{
    struct peer p = hv_side_start(agent_run);
    struct outcome o;

    hv_side_send(&p, 9, WIRE_DATA, 0, "late", 4);
    hv_side_send32(&p, 9, WIRE_SIGNAL, 0, SIGTERM);
    hv_side_send(&p, 9, WIRE_HANGUP, 0, NULL, 0);
    o = hv_side_run(&p, DESCRIPTION("atrue\0ePATH=/usr/bin:/bin"));
    ck_assert_exited(&o, WIRE_EXITED, 0);
    ck_assert_int_eq(hv_side_end(&p), EPIPE);
}
END_TEST

START_TEST(main_command_ends_the_agent_once_all_was_said)
{
    struct peer p = hv_side_start(agent_run);
    struct outcome o;

    hv_side_command(&p, 7, DESCRIPTION("acat\0ePATH=/usr/bin:/bin"));
    hv_side_command(&p, WIRE_MAIN, DESCRIPTION("a/bin/sh\0a-c\0aecho bye; exit 4"));
    o = hv_side_outcome(&p, WIRE_MAIN);
    ck_assert_exited(&o, WIRE_EXITED, 4);
    ck_assert_str_eq(o.out[1], "bye\n");
    ck_assert_int_eq(hv_side_wait(&p), 0);
}
END_TEST

static const struct {
    const char *text;
    size_t len;
} descriptions[] = {
    {NULL, 0},
    {"acat", 4}, /* not terminated */
    {DESCRIPTION("")},
    {DESCRIPTION("acat\0")}, /* an empty record */
    {DESCRIPTION("acat\0xyz")},
    {DESCRIPTION("eA=B")},
    {DESCRIPTION("acat\0d/\0d/")},
    {DESCRIPTION("acat\0t24x80\0t24x80")},
    {DESCRIPTION("acat\0t24")},
    {DESCRIPTION("acat\0tx80")},
    {DESCRIPTION("acat\0t24x")},
    {DESCRIPTION("acat\0t24x80x")},
    {DESCRIPTION("acat\0t24x65536")},
    {DESCRIPTION("acat\0t99999999999999999999x1")},
};

START_TEST(malformed_description_fails_and_the_agent_goes_on)
{
    struct peer p = hv_side_start(agent_run);
    struct outcome o = hv_side_run(&p, descriptions[_i].text, descriptions[_i].len);

    ck_assert_uint_eq(o.last, WIRE_FAIL);
    o = hv_side_run(&p, DESCRIPTION("atrue\0ePATH=/usr/bin:/bin"));
    ck_assert_exited(&o, WIRE_EXITED, 0);
    ck_assert_int_eq(hv_side_end(&p), EPIPE);
}
END_TEST

START_TEST(start_without_a_description_fails)
{
    struct peer p = hv_side_start(agent_run);
    struct outcome o;

    hv_side_send(&p, 7, WIRE_START, 0, NULL, 0);
    o = hv_side_outcome(&p, 7);
    ck_assert_uint_eq(o.last, WIRE_FAIL);
    ck_assert_int_eq(hv_side_end(&p), EPIPE);
}
END_TEST

START_TEST(endless_description_fails)
{
    struct peer p = hv_side_start(agent_run);
    struct outcome o;

    for (size_t len = 0; len <= WIRE_SPEC_MAX; len += sizeof(zeros))
        hv_side_send(&p, 7, WIRE_SPEC, 0, zeros, sizeof(zeros));
    hv_side_send(&p, 7, WIRE_START, 0, NULL, 0);
    o = hv_side_outcome(&p, 7);
    ck_assert_uint_eq(o.last, WIRE_FAIL);
    ck_assert_int_eq(hv_side_end(&p), EPIPE);
}
END_TEST

/* execve itself draws the line at a string of 128 KiB. */
START_TEST(description_in_many_pieces_is_put_together)
{
    struct peer p = hv_side_start(agent_run);
    static char text[100000];
    struct outcome o;

    memset(text, 'x', sizeof(text));
    hv_side_send(&p, 7, WIRE_SPEC, 0, DESCRIPTION("a/bin/sh\0a-c\0aecho ${#1}\0ash"));
    text[0] = 'a';
    text[sizeof(text) - 1] = '\0';
    for (size_t at = 0; at < sizeof(text); at += 10000)
        hv_side_send(&p, 7, WIRE_SPEC, 0, text + at, 10000);
    hv_side_send(&p, 7, WIRE_START, 0, NULL, 0);
    o = hv_side_outcome(&p, 7);
    ck_assert_str_eq(o.out[1], "99998\n");
    ck_assert_int_eq(hv_side_end(&p), EPIPE);
}
END_TEST

/* Waits until the agent has read all that was sent. */
static void wait_until_read(const struct peer *p)
{
    const struct timespec pause = {.tv_nsec = 50000};
    int unread = 1;

    for (int i = 0; i < 20000 && unread; i++) {
        ck_assert_int_eq(ioctl(p->fd, SIOCOUTQ, &unread), 0);
        if (unread)
            (void)nanosleep(&pause, NULL);
    }
    ck_assert_int_eq(unread, 0);
}

/* A whole conversation, cut at one byte after the other. */
START_TEST(frames_may_be_cut_anywhere)
{
    static const uint8_t bytes[] =
        "\7\0\0\0\1\0\5\0acat"                   /* spec */
        "\0\7\0\0\0\1\0\13\0ePATH=/bin"          /* spec; its last byte follows */
        "\0\7\0\0\0\2\0\0\0"                     /* start */
        "\7\0\0\0\20\0\4\0some\7\0\0\0\20\0\0\0" /* data; empty data */
        "\7\0\0\0\21\0\0";                       /* eof; the literal's own end is its last byte */
    struct peer p = hv_side_start(agent_run);

    for (size_t cut = 1; cut < sizeof(bytes); cut++) {
        struct outcome o;

        ck_assert_int_eq(send(p.fd, bytes, cut, 0), (ssize_t)cut);
        wait_until_read(&p);
        ck_assert_int_eq(send(p.fd, bytes + cut, sizeof(bytes) - cut, 0),
                         (ssize_t)(sizeof(bytes) - cut));
        o = hv_side_outcome(&p, 7);
        ck_assert_exited(&o, WIRE_EXITED, 0);
        ck_assert_str_eq(o.out[1], "some");
    }
    ck_assert_int_eq(hv_side_end(&p), EPIPE);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof(*(a))))

static Suite *suite(void)
{
    Suite *s = suite_create("firmware/init-wire");
    TCase *t = tcase_create("wire");

    tcase_set_timeout(t, 20); /* of a machine that is busy with other things */
    tcase_add_loop_test(t, frame_that_breaks_the_rules_ends_the_agent, 0, COUNT(broken));
    tcase_add_test(t, frame_longer_than_frames_may_be_ends_the_agent);
    tcase_add_test(t, more_than_a_window_of_input_ends_the_agent);
    tcase_add_test(t, more_credit_than_the_window_ends_the_agent);
    tcase_add_test(t, frames_of_commands_that_are_gone_are_dropped);
    tcase_add_test(t, main_command_ends_the_agent_once_all_was_said);
    tcase_add_loop_test(t, malformed_description_fails_and_the_agent_goes_on, 0,
                        COUNT(descriptions));
    tcase_add_test(t, start_without_a_description_fails);
    tcase_add_test(t, endless_description_fails);
    tcase_add_test(t, description_in_many_pieces_is_put_together);
    tcase_add_test(t, frames_may_be_cut_anywhere);
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
