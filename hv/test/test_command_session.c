/* A command's host side, behind the switch, with a guest that is played by hand. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "hv/test/fake_guest.h"
#include "hv/test/run_suite.h"

static struct world w;
static struct command_world c;

static void open_both(void)
{
    signal(SIGPIPE, SIG_IGN);
    command_open(&w, &c, world_open(&w, -1));
}

/* Up to the point where the command runs. */
static void begin(void)
{
    open_both();
    guest_ready(&w);
    ck_assert(guest_wait(&w, WIRE_START));
}

static void close_both(void)
{
    command_close(&c);
    world_close(&w);
}

/* What has come on our end of a pipe. */
static const char *text_of(int fd)
{
    static char text[4096];
    ssize_t n = read(fd, text, sizeof(text) - 1);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

START_TEST(each_kind_of_end_has_its_status)
{
    static const struct {
        uint8_t how;
        uint32_t value;
        int status;
    } rows[] = {
        {WIRE_EXITED, 0, 0},
        {WIRE_EXITED, 7, 7},
        {WIRE_EXITED, 255, 255},
        {WIRE_SIGNALLED, 9, 137},
        {WIRE_NO_EXEC, ENOENT, 127},
        {WIRE_NO_EXEC, EACCES, 126},
        {WIRE_EXITED, 256, 255},
        {WIRE_SIGNALLED, 0, 255},
        {WIRE_SIGNALLED, 65, 255},
        {3, 0, 255},
        {WIRE_EXITED, UINT32_MAX, 255},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        begin();
        guest_exit(&w, WIRE_MAIN, rows[i].how, rows[i].value);
        ck_assert(c.ended);
        ck_assert_int_eq(command_end_status(&c.end), rows[i].status);
        close_both();
    }
}
END_TEST

START_TEST(time_of_the_last_output_is_kept)
{
    uint64_t first;

    begin();
    ck_assert_uint_eq(session_last_output(c.session), 0);
    guest_data(&w, WIRE_MAIN, 1, "x");
    first = session_last_output(c.session);
    ck_assert_uint_ne(first, 0);
    guest_put(&w, WIRE_MAIN, WIRE_EOF, 1, NULL, 0);
    ck_assert_uint_eq(session_last_output(c.session), first);
    guest_data(&w, WIRE_MAIN, 2, "y");
    ck_assert_uint_gt(session_last_output(c.session), first);
    close_both();
}
END_TEST

START_TEST(guest_that_cannot_start_it_says_why)
{
    begin();
    guest_put(&w, WIRE_MAIN, WIRE_FAIL, 0, "no memory", 9);
    ck_assert(c.ended);
    ck_assert_int_eq(c.end.how, COMMAND_REFUSED);
    ck_assert_str_eq(c.end.text, "no memory");
    close_both();
}
END_TEST

START_TEST(guest_that_goes_owes_the_status)
{
    begin();
    agent_destroy(w.agent);
    w.agent = NULL;
    world_settle(&w);
    ck_assert(c.ended);
    ck_assert_int_eq(c.end.how, COMMAND_NO_STATUS);
    ck_assert_int_eq(command_end_status(&c.end), 255);
    close_both();
}
END_TEST

START_TEST(description_goes_only_when_the_guest_is_ready)
{
    open_both();
    world_settle(&w);
    ck_assert(!guest_get(&w));
    ck_assert(!session_signal(c.session, SIGTERM));
    guest_ready(&w);
    ck_assert(guest_get(&w));
    ck_assert_int_eq(w.got.frame.type, WIRE_SPEC);
    ck_assert_uint_eq(w.got.frame.session, WIRE_MAIN);
    ck_assert_str_eq((const char *)w.got.payload, "atrue");
    ck_assert(guest_get(&w));
    ck_assert_int_eq(w.got.frame.type, WIRE_START);
    close_both();
}
END_TEST

START_TEST(streams_stay_apart_and_give_credit_back)
{
    begin();
    guest_data(&w, WIRE_MAIN, 1, "out");
    guest_data(&w, WIRE_MAIN, 2, "err");
    guest_data(&w, WIRE_MAIN, 1, "put");
    ck_assert_str_eq(text_of(c.out), "output");
    ck_assert_str_eq(text_of(c.err), "err");
    ck_assert(guest_wait(&w, WIRE_CREDIT));
    ck_assert_int_eq(w.got.frame.stream, 1);
    ck_assert_uint_eq(load_le32(w.got.payload), 3);
    ck_assert(guest_wait(&w, WIRE_CREDIT));
    ck_assert_int_eq(w.got.frame.stream, 2);
    close_both();
}
END_TEST

START_TEST(one_file_for_both_keeps_their_order)
{
    int out[2];
    char text[9] = "";

    signal(SIGPIPE, SIG_IGN);
    ck_assert_int_eq(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
    fcntl(out[1], F_SETPIPE_SZ, 4096);
    for (int i = 0; i < 4096; i++)
        ck_assert_int_eq(write(out[1], "-", 1), 1);
    memset(&c, 0, sizeof(c));
    c.in = c.err = -1;
    command_open_with(&w, &c, world_open(&w, -1), -1, out[1], out[1]);
    c.out = out[0];
    guest_ready(&w);
    ck_assert(guest_wait(&w, WIRE_EOF)); /* of an input that is closed */
    for (int i = 0; i < 4; i++) {
        guest_data(&w, WIRE_MAIN, 1, "o");
        guest_data(&w, WIRE_MAIN, 2, "e");
    }
    guest_exit(&w, WIRE_MAIN, WIRE_EXITED, 0);
    ck_assert(!c.ended);
    for (int i = 0; i < 4096; i++)
        ck_assert_int_eq(read(out[0], text, 1), 1);
    world_settle(&w);
    ck_assert_int_eq(read(out[0], text, 8), 8);
    ck_assert_str_eq(text, "oeoeoeoe");
    ck_assert(c.ended);
    close(out[1]);
    close_both();
}
END_TEST

/* 4 MiB through windows of 64 KiB, a reader that takes pieces of odd sizes. */
START_TEST(slow_reader_gets_every_byte_in_order)
{
    const uint32_t total = 4 << 20;
    uint32_t sent = 0, got = 0, window = WIRE_WINDOW, wrong = 0;
    uint8_t buf[WIRE_PAYLOAD];

    begin();
    while (got < total) {
        uint32_t n = total - sent < window ? total - sent : window;
        ssize_t r;

        n = n < sizeof(buf) ? n : (uint32_t)sizeof(buf);
        for (uint32_t i = 0; i < n; i++)
            buf[i] = (uint8_t)((sent + i) * 2654435761u >> 24);
        if (n)
            guest_put(&w, WIRE_MAIN, WIRE_DATA, 1, buf, n);
        sent += n;
        window -= n;
        if (sent == total && n)
            guest_exit(&w, WIRE_MAIN, WIRE_EXITED, 3);
        ck_assert(!c.ended || got + 65536 >= total);
        r = read(c.out, buf, 7777);
        for (ssize_t i = 0; i < r; i++)
            wrong += buf[i] != (uint8_t)((got + (uint32_t)i) * 2654435761u >> 24);
        got += r > 0 ? (uint32_t)r : 0;
        while (guest_get(&w))
            if (w.got.frame.type == WIRE_CREDIT)
                window += load_le32(w.got.payload);
        ck_assert_uint_le(window, WIRE_WINDOW);
    }
    ck_assert_uint_eq(wrong, 0);
    world_settle(&w);
    ck_assert(c.ended);
    ck_assert_int_eq(command_end_status(&c.end), 3);
    close_both();
}
END_TEST

START_TEST(input_goes_as_far_as_its_window_and_ends)
{
    uint8_t buf[4096] = {0}, credit[4];
    uint32_t sent = 0, got = 0;

    begin();
    fcntl(c.in, F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 64; i++) {
        ssize_t n = write(c.in, buf, sizeof(buf));

        sent += n > 0 ? (uint32_t)n : 0;
        while (guest_get(&w))
            got += w.got.frame.len;
    }
    ck_assert_uint_eq(got, WIRE_WINDOW);
    ck_assert_uint_gt(sent, got);
    close(c.in);
    c.in = -1;
    store_le32(credit, WIRE_WINDOW);
    for (int eof = 0; !eof;) {
        guest_put(&w, WIRE_MAIN, WIRE_CREDIT, 0, credit, 4);
        while (guest_get(&w)) {
            got += w.got.frame.len;
            eof |= w.got.frame.type == WIRE_EOF;
        }
        store_le32(credit, got % WIRE_WINDOW ? got % WIRE_WINDOW : WIRE_WINDOW);
    }
    ck_assert_uint_eq(got, sent);
    close_both();
}
END_TEST

START_TEST(input_of_a_file_is_read_to_its_end)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), null = open("/dev/null", O_RDWR);
    bool eof = false;

    signal(SIGPIPE, SIG_IGN);
    memset(&c, 0, sizeof(c));
    c.in = c.err = c.out = -1;
    lseek(fd, -1000, SEEK_END);
    command_open_with(&w, &c, world_open(&w, -1), fd, null, null);
    guest_ready(&w);
    ck_assert(guest_wait(&w, WIRE_DATA));
    ck_assert_uint_eq(w.got.frame.len, 1000);
    eof = guest_wait(&w, WIRE_EOF);
    ck_assert(eof);
    close(fd);
    close(null);
    close_both();
}
END_TEST

START_TEST(command_that_closes_its_input_gets_no_more)
{
    begin();
    guest_put(&w, WIRE_MAIN, WIRE_CLOSE, 0, NULL, 0);
    ck_assert_int_eq(write(c.in, "x", 1), 1);
    ck_assert(!guest_get(&w));
    close_both();
}
END_TEST

START_TEST(closed_output_is_told_and_the_status_still_comes)
{
    begin();
    close(c.out);
    c.out = -1;
    guest_data(&w, WIRE_MAIN, 1, "lost");
    ck_assert(guest_wait(&w, WIRE_CLOSE));
    ck_assert_int_eq(w.got.frame.stream, 1);
    guest_data(&w, WIRE_MAIN, 2, "kept");
    ck_assert_str_eq(text_of(c.err), "kept");
    guest_exit(&w, WIRE_MAIN, WIRE_SIGNALLED, SIGPIPE);
    ck_assert(c.ended);
    ck_assert_int_eq(command_end_status(&c.end), 128 + SIGPIPE);
    close_both();
}
END_TEST

START_TEST(full_disk_fails_the_run)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC), null = open("/dev/null", O_RDWR);

    signal(SIGPIPE, SIG_IGN);
    memset(&c, 0, sizeof(c));
    c.in = c.err = c.out = -1;
    command_open_with(&w, &c, world_open(&w, -1), null, full, null);
    guest_ready(&w);
    guest_data(&w, WIRE_MAIN, 1, "x");
    ck_assert(c.ended);
    ck_assert_int_eq(command_end_status(&c.end), 125);
    ck_assert_str_eq(c.end.text, "standard output: No space left on device");
    close(full);
    close(null);
    close_both();
}
END_TEST

START_TEST(signals_reach_a_command_that_runs)
{
    begin();
    ck_assert(session_signal(c.session, SIGINT));
    ck_assert(guest_wait(&w, WIRE_SIGNAL));
    ck_assert_uint_eq(load_le32(w.got.payload), SIGINT);
    guest_exit(&w, WIRE_MAIN, WIRE_EXITED, 0);
    ck_assert(!session_signal(c.session, SIGINT));
    close_both();
}
END_TEST

START_TEST(command_is_hung_up_when_its_client_goes)
{
    begin();
    session_destroy(c.session);
    c.session = NULL;
    ck_assert(guest_wait(&w, WIRE_HANGUP));
    ck_assert_uint_eq(w.got.frame.session, WIRE_MAIN);
    close_both();
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(each_kind_of_end_has_its_status),
        CASE(time_of_the_last_output_is_kept),
        CASE(guest_that_cannot_start_it_says_why),
        CASE(guest_that_goes_owes_the_status),
        CASE(description_goes_only_when_the_guest_is_ready),
        CASE(streams_stay_apart_and_give_credit_back),
        CASE(one_file_for_both_keeps_their_order),
        CASE(slow_reader_gets_every_byte_in_order),
        CASE(input_goes_as_far_as_its_window_and_ends),
        CASE(input_of_a_file_is_read_to_its_end),
        CASE(command_that_closes_its_input_gets_no_more),
        CASE(closed_output_is_told_and_the_status_still_comes),
        CASE(full_disk_fails_the_run),
        CASE(signals_reach_a_command_that_runs),
        CASE(command_is_hung_up_when_its_client_goes),
    };

    return run_suite("command session", cases, ARRAY_SIZE(cases));
}
