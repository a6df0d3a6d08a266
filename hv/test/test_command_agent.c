/* The switch: several clients, a guest that breaks rules, clients that do. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "hv/test/fake_guest.h"
#include "hv/test/run_suite.h"

static struct world w;
static int main_fd;
static struct sockaddr_un where = {.sun_family = AF_UNIX};

static void no_log(void *opaque, enum log_level level, const char *line)
{
    (void)opaque;
    (void)level;
    (void)line;
}

/* A switch that others can connect to, by an abstract address. */
static void begin(void)
{
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    log_set_sink(no_log, NULL);
    snprintf(where.sun_path + 1, sizeof(where.sun_path) - 1, "hv-test-%d", (int)getpid());
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&where, sizeof(where)), 0);
    ck_assert_int_eq(listen(listener, 32), 0);
    main_fd = world_open(&w, listener);
}

static void end(void)
{
    close(main_fd);
    world_close(&w);
}

static int join(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(connect(fd, (struct sockaddr *)&where, sizeof(where)), 0);
    world_settle(&w);
    return fd;
}

/* The next frame on a client's descriptor; its type, or -1: none, or 0: the end of all. */
static int client_get(int fd, struct got *got)
{
    uint8_t header[WIRE_HEADER];
    ssize_t n;

    world_settle(&w);
    n = recv(fd, header, sizeof(header), MSG_DONTWAIT);
    if (n <= 0)
        return n == 0 ? 0 : -1;
    ck_assert_int_eq(n, WIRE_HEADER);
    got->frame = (struct frame){load_le32(header), header[4], header[5], load_le16(header + 6),
                                got->payload};
    if (got->frame.len)
        ck_assert_int_eq(recv(fd, got->payload, got->frame.len, MSG_WAITALL), got->frame.len);
    return got->frame.type;
}

static void start(int fd)
{
    frame_put(fd, WIRE_MAIN, WIRE_SPEC, 0, "ax", 3);
    frame_put(fd, WIRE_MAIN, WIRE_START, 0, NULL, 0);
    world_settle(&w);
}

/* Starts a command and gives the guest's number of it. */
static uint32_t start_seen(int fd)
{
    start(fd);
    ck_assert(guest_wait(&w, WIRE_START));
    return w.got.frame.session;
}

START_TEST(numbers_are_given_and_rewritten)
{
    static struct got got;
    int a, b;
    uint32_t na, nb;

    begin();
    guest_ready(&w);
    a = join();
    b = join();
    ck_assert_int_eq(client_get(a, &got), WIRE_READY);
    ck_assert_int_eq(client_get(b, &got), WIRE_READY);
    ck_assert_int_eq(client_get(main_fd, &got), WIRE_READY);
    ck_assert_uint_eq(start_seen(main_fd), WIRE_MAIN);
    nb = start_seen(b);
    na = start_seen(a);
    ck_assert_uint_ne(na, nb);
    ck_assert_uint_gt(na, WIRE_MAIN);
    guest_data(&w, na, 1, "for a");
    guest_data(&w, nb, 1, "for b!");
    ck_assert_int_eq(client_get(a, &got), WIRE_DATA);
    ck_assert_uint_eq(got.frame.session, WIRE_MAIN);
    ck_assert_int_eq(memcmp(got.payload, "for a", 5), 0);
    ck_assert_int_eq(client_get(b, &got), WIRE_DATA);
    ck_assert_uint_eq(got.frame.len, 6);
    close(a);
    close(b);
    end();
}
END_TEST

START_TEST(clients_wait_for_ready)
{
    int a;

    begin();
    a = join();
    start(main_fd);
    start(a);
    ck_assert(!guest_get(&w));
    guest_ready(&w);
    ck_assert(guest_wait(&w, WIRE_START));
    ck_assert(guest_wait(&w, WIRE_START));
    ck_assert(!guest_get(&w));
    close(a);
    end();
}
END_TEST

START_TEST(client_that_goes_hangs_its_session_up_only)
{
    static struct got got;
    uint32_t n;
    int a;

    begin();
    guest_ready(&w);
    start_seen(main_fd);
    a = join();
    n = start_seen(a);
    close(a);
    ck_assert(guest_wait(&w, WIRE_HANGUP));
    ck_assert_uint_eq(w.got.frame.session, n);
    guest_data(&w, n, 1, "late");
    guest_exit(&w, n, WIRE_SIGNALLED, SIGHUP);
    guest_data(&w, WIRE_MAIN, 1, "fine");
    ck_assert_int_eq(client_get(main_fd, &got), WIRE_READY);
    ck_assert_int_eq(client_get(main_fd, &got), WIRE_DATA);
    ck_assert_int_eq(w.broken, 0);
    end();
}
END_TEST

START_TEST(client_that_never_spoke_is_not_hung_up)
{
    int a;

    begin();
    guest_ready(&w);
    a = join();
    close(a);
    ck_assert(!guest_get(&w));
    end();
}
END_TEST

START_TEST(one_client_too_many_learns_why)
{
    static struct got got;
    int fd[WIRE_SESSIONS];

    begin();
    for (unsigned i = 0; i < WIRE_SESSIONS; i++)
        fd[i] = join();
    ck_assert_int_eq(client_get(fd[WIRE_SESSIONS - 2], &got), -1);
    ck_assert_int_eq(client_get(fd[WIRE_SESSIONS - 1], &got), WIRE_FAIL);
    ck_assert_int_eq(client_get(fd[WIRE_SESSIONS - 1], &got), 0);
    /* A place that becomes free is given again. */
    close(fd[0]);
    world_settle(&w);
    fd[0] = join();
    ck_assert_int_eq(client_get(fd[0], &got), -1);
    for (unsigned i = 0; i < WIRE_SESSIONS; i++)
        close(fd[i]);
    end();
}
END_TEST

START_TEST(guest_that_ignores_credit_loses_the_session)
{
    static uint8_t data[WIRE_PAYLOAD];
    static struct got got;
    int a;
    uint32_t n;

    begin();
    guest_ready(&w);
    start_seen(main_fd);
    a = join();
    n = start_seen(a);
    for (int i = 0; i < 4; i++)
        guest_put(&w, n, WIRE_DATA, 1, data, sizeof(data));
    guest_put(&w, n, WIRE_DATA, 2, "x", 1); /* a window of its own */
    ck_assert(!guest_get(&w));
    guest_put(&w, n, WIRE_DATA, 1, "x", 1);
    ck_assert(guest_wait(&w, WIRE_HANGUP));
    ck_assert_uint_eq(w.got.frame.session, n);
    guest_data(&w, WIRE_MAIN, 1, "fine");
    ck_assert_int_eq(client_get(main_fd, &got), WIRE_READY);
    ck_assert_int_eq(client_get(main_fd, &got), WIRE_DATA);
    close(a);
    end();
}
END_TEST

/* Each a session of its own, which the guest loses by one frame. */
START_TEST(frames_that_a_guest_may_not_send_end_the_session)
{
    static const struct {
        uint8_t type, stream, len;
    } rows[] = {
        {WIRE_SPEC, 0, 1},   {WIRE_START, 0, 0},  {WIRE_SIGNAL, 0, 4}, {WIRE_RESIZE, 0, 4},
        {WIRE_HANGUP, 0, 0}, {WIRE_DATA, 0, 1},   {WIRE_DATA, 3, 1},   {WIRE_DATA, 255, 1},
        {WIRE_DATA, 1, 0},   {WIRE_EOF, 0, 0},    {WIRE_EOF, 1, 1},    {WIRE_CLOSE, 1, 0},
        {WIRE_CREDIT, 0, 4}, {WIRE_CREDIT, 1, 4}, {WIRE_CREDIT, 0, 3}, {WIRE_READY, 0, 0},
        {WIRE_EXIT, 0, 4},   {WIRE_EXIT, 1, 5},   {WIRE_FAIL, 2, 3},
    };

    begin();
    guest_ready(&w);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        int a = join();
        uint32_t n = start_seen(a);

        guest_put(&w, n, rows[i].type, rows[i].stream, "\1\0\0\0\0", rows[i].len);
        ck_assert_msg(guest_wait(&w, WIRE_HANGUP), "row %u", i);
        ck_assert_uint_eq(w.got.frame.session, n);
        close(a);
        world_settle(&w);
    }
    ck_assert_int_eq(w.broken, 0);
    end();
}
END_TEST

START_TEST(sessions_that_do_not_exist_are_nobodys)
{
    static const uint32_t numbers[] = {WIRE_AGENT, 2, 77, UINT32_MAX};

    begin();
    guest_ready(&w);
    for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) {
        guest_data(&w, numbers[i], 1, "x");
        guest_exit(&w, numbers[i], WIRE_EXITED, 0);
    }
    ck_assert_int_eq(w.broken, 0);
    ck_assert(!guest_get(&w));
    end();
}
END_TEST

START_TEST(frame_that_is_too_long_or_unknown_ends_the_guest)
{
    static const uint8_t bad[][WIRE_HEADER] = {
        {1, 0, 0, 0, WIRE_DATA, 1, 0x01, 0x40}, /* WIRE_PAYLOAD + 1 */
        {1, 0, 0, 0, WIRE_DATA, 1, 0xff, 0xff},
        {1, 0, 0, 0, 0, 0, 0, 0},
        {1, 0, 0, 0, WIRE_FAIL + 1, 0, 0, 0},
        {1, 0, 0, 0, WIRE_HANGUP + 1, 0, 0, 0},
        {1, 0, 0, 0, 255, 0, 0, 0},
    };
    static struct got got;

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        begin();
        guest_ready(&w);
        start_seen(main_fd);
        ck_assert_int_eq(send(w.port, bad[i], WIRE_HEADER, 0), WIRE_HEADER);
        world_settle(&w);
        ck_assert_int_eq(w.broken, 1);
        ck_assert_int_eq(client_get(main_fd, &got), WIRE_READY);
        ck_assert_int_eq(client_get(main_fd, &got), 0);
        end();
    }
}
END_TEST

START_TEST(frames_that_a_client_may_not_send_end_it)
{
    static const struct {
        uint32_t session;
        uint8_t type, stream, len;
    } rows[] = {
        {WIRE_AGENT, WIRE_READY, 0, 0},   {WIRE_MAIN, WIRE_EXIT, 0, 5},
        {WIRE_MAIN + 1, WIRE_DATA, 0, 1}, {WIRE_MAIN, WIRE_DATA, 1, 1},
        {WIRE_MAIN, WIRE_CREDIT, 1, 4},   {WIRE_MAIN, WIRE_SIGNAL, 0, 3},
        {WIRE_MAIN, WIRE_CLOSE, 0, 0},
    };
    static struct got got;

    begin();
    guest_ready(&w);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        int a = join();

        start_seen(a);
        ck_assert_int_eq(client_get(a, &got), WIRE_READY);
        frame_put(a, rows[i].session, rows[i].type, rows[i].stream, "\1\0\0\0\0", rows[i].len);
        ck_assert_int_eq(client_get(a, &got), WIRE_FAIL);
        ck_assert(guest_wait(&w, WIRE_HANGUP));
        close(a);
        world_settle(&w);
    }
    end();
}
END_TEST

/* The guest reads nothing: clients are stopped, nothing is lost, and each gets its turn. */
START_TEST(guest_that_does_not_read_stops_its_clients)
{
    static uint8_t data[WIRE_PAYLOAD];
    unsigned sent = 0, got[3] = {0};
    int a, fds[2], small = 4096;
    uint32_t n;

    begin();
    setsockopt(w.port, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    guest_ready(&w);
    a = join();
    n = start_seen(a);
    start_seen(main_fd);
    fds[0] = main_fd;
    fds[1] = a;
    for (int i = 0; i < 200; i++)
        for (int j = 0; j < 2; j++) {
            uint8_t frame[FRAME_MAX] = {WIRE_MAIN, 0, 0, 0, WIRE_SPEC, 0, 0, 0x40};

            memcpy(frame + WIRE_HEADER, data, sizeof(data));
            if (send(fds[j], frame, sizeof(frame), MSG_DONTWAIT) == (ssize_t)sizeof(frame))
                sent++;
            else
                i = 200;
            world_settle(&w);
        }
    ck_assert_uint_lt(sent, 200);
    while (guest_get(&w))
        got[w.got.frame.session == n ? 1 : w.got.frame.session == WIRE_MAIN ? 0 : 2]++;
    ck_assert_uint_ge(got[0] + got[1], sent);
    ck_assert_uint_eq(got[2], 0);
    ck_assert_uint_gt(got[0], 4);
    ck_assert_uint_gt(got[1], 4);
    close(a);
    end();
}
END_TEST

/* The worst that a lawful guest can make wait: windows of one byte a frame. */
START_TEST(client_that_does_not_read_keeps_all_its_windows)
{
    enum { ONE = WIRE_HEADER + 1, FRAMES = 512 };
    static uint8_t frames[FRAMES * ONE], back[2 * WIRE_WINDOW * ONE + 100];
    const size_t expected = WIRE_HEADER + 2 * WIRE_WINDOW * ONE + WIRE_HEADER + 5;
    size_t have = 0;
    ssize_t n;
    int a;

    begin();
    guest_ready(&w);
    a = join();
    store_le32(frames, start_seen(a));
    for (unsigned i = 0; i < FRAMES; i++) {
        uint8_t one[ONE] = {0, 0, 0, 0, WIRE_DATA, (uint8_t)(1 + i % 2), 1, 0, 'x'};

        memcpy(one, frames, 4);
        memcpy(frames + i * ONE, one, ONE);
    }
    for (unsigned i = 0; i < 2 * WIRE_WINDOW / FRAMES; i++) {
        ck_assert_int_eq(send(w.port, frames, sizeof(frames), MSG_DONTWAIT), sizeof(frames));
        world_settle(&w);
    }
    guest_exit(&w, load_le32(frames), WIRE_EXITED, 0);
    while ((n = recv(a, back + have, sizeof(back) - have, MSG_DONTWAIT)) > 0) {
        have += (size_t)n;
        world_settle(&w);
    }
    ck_assert_uint_eq(have, expected);
    ck_assert_uint_eq(back[have - 5 - WIRE_HEADER + 4], WIRE_EXIT);
    close(a);
    end();
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(numbers_are_given_and_rewritten),
        CASE(clients_wait_for_ready),
        CASE(client_that_goes_hangs_its_session_up_only),
        CASE(client_that_never_spoke_is_not_hung_up),
        CASE(one_client_too_many_learns_why),
        CASE(guest_that_ignores_credit_loses_the_session),
        CASE(frames_that_a_guest_may_not_send_end_the_session),
        CASE(sessions_that_do_not_exist_are_nobodys),
        CASE(frame_that_is_too_long_or_unknown_ends_the_guest),
        CASE(frames_that_a_client_may_not_send_end_it),
        CASE(guest_that_does_not_read_stops_its_clients),
        CASE(client_that_does_not_read_keeps_all_its_windows),
    };

    return run_suite("command agent", cases, ARRAY_SIZE(cases));
}
