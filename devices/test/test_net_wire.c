/* The wire between guests: two ends, a hub, ends that come, go, stall or talk nonsense. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/test/fake.h"
#include "devices/test/fake_net.h"

#define ENDS 4

static struct loop *loop;
static struct fake_end end[ENDS];
static char dir[] = "/tmp/hv-wire-XXXXXX", path[64], option[96];

static void set_up(void)
{
    memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/w", dir);
    snprintf(option, sizeof(option), "socket,path=%s", path);
    loop = loop_create();
    memset(end, 0, sizeof(end));
    fake_log_start();
}

static void tear_down(void)
{
    for (unsigned i = 0; i < ENDS; i++)
        fake_end_close(&end[i]);
    loop_destroy(loop);
    unlink(path);
    ck_assert_int_eq(rmdir(dir), 0); /* nothing is left behind */
}

static void open_ends(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        ck_assert_int_eq(fake_end_open(&end[i], option, loop), 0);
    for (unsigned i = 0; i < count && count > 1; i++)
        ck_assert(fake_until_link(loop, &end[i], true, 2000));
    fake_run_ms(loop, 5); /* a connected end may wait to be accepted */
}

/* A raw peer, which plays a hostile or stuck one. */
static int raw_peer(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    return fd;
}

START_TEST(first_end_alone_has_no_link_and_loses_frames)
{
    open_ends(1);
    ck_assert(!net_link_up(end[0].net));
    ck_assert_int_eq(fake_end_send(&end[0], 60, 1), 0);
    ck_assert_uint_eq(net_offloads(end[0].net), 0);
    ck_assert_int_eq(access(path, F_OK), 0);
    fake_end_close(&end[0]);
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(frames_of_all_sizes_pass_both_ways)
{
    static const size_t sizes[] = {14, 15, 60, 1514, 9000, NET_FRAME_MAX};

    open_ends(2);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        unsigned a = i % 2, b = 1 - a, got = end[b].got;

        ck_assert_int_eq(fake_end_send(&end[a], sizes[i], (uint8_t)i), 0);
        ck_assert(fake_until(loop, &end[b].got, got + 1, 2000));
        ck_assert(fake_end_has(&end[b], sizes[i], (uint8_t)i));
    }
}
END_TEST

START_TEST(sender_faster_than_receiver_waits_and_loses_nothing)
{
    unsigned sent = 0;

    open_ends(2);
    end[1].take = false;
    net_want_read(end[1].net, 0, false);
    while (sent < 1000 && fake_end_send(&end[0], 60000, (uint8_t)sent) == 0)
        sent++;
    ck_assert_uint_lt(sent, 1000);
    ck_assert_uint_gt(sent, 0);
    end[1].take = true;
    net_want_read(end[1].net, 0, true);
    ck_assert(fake_until(loop, &end[0].writable, 1, 2000));
    ck_assert(fake_until(loop, &end[1].got, sent, 2000));
    ck_assert(fake_end_has(&end[1], 60000, (uint8_t)(sent - 1)));
}
END_TEST

START_TEST(peer_that_never_reads_holds_the_sender_up_for_a_moment_only)
{
    open_ends(2);
    end[1].take = false;
    net_want_read(end[1].net, 0, false);
    for (unsigned i = 0; i < 1000 && fake_end_send(&end[0], 60000, 0) == 0; i++)
        ;
    ck_assert(fake_until(loop, &end[0].writable, 1, 2000));
    for (unsigned i = 0; i < 1000; i++)
        ck_assert_int_eq(fake_end_send(&end[0], 60000, 0), 0); /* dropped */
    end[1].take = true;
    net_want_read(end[1].net, 0, true);
    fake_run_ms(loop, 20);
    ck_assert_int_eq(fake_end_send(&end[0], 60, 9), 0);
    fake_run_ms(loop, 20);
    ck_assert(fake_end_has(&end[1], 60, 9));
}
END_TEST

START_TEST(guest_without_buffers_reads_nothing_and_resumes)
{
    open_ends(2);
    net_want_read(end[1].net, 0, false);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(fake_end_send(&end[0], 100, (uint8_t)i), 0);
    fake_run_ms(loop, 20);
    ck_assert_uint_eq(end[1].got, 0);
    net_want_read(end[1].net, 0, true);
    ck_assert(fake_until(loop, &end[1].got, 3, 2000));
}
END_TEST

START_TEST(batch_that_ended_early_goes_on_after_want_read)
{
    uint8_t buf[200];
    struct iovec iov = {buf, sizeof(buf)};

    open_ends(2);
    end[1].take = false;
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(fake_end_send(&end[0], 100, (uint8_t)i), 0);
    /* All three are inside after one call: the socket is empty, only the buffer is not. */
    ck_assert_int_eq(net_recv(end[1].net, 0, &iov, 1), 112);
    end[1].take = true;
    net_want_read(end[1].net, 0, true);
    ck_assert(fake_until(loop, &end[1].got, 2, 2000));
}
END_TEST

START_TEST(frame_longer_than_the_buffers_is_dropped_and_the_next_comes)
{
    uint8_t buf[NET_HEADER_BYTES + 1514];
    struct iovec iov = {buf, sizeof(buf)};

    open_ends(2);
    end[1].take = false;
    ck_assert_int_eq(fake_end_send(&end[0], 1515, 1), 0);
    ck_assert_int_eq(fake_end_send(&end[0], 1514, 2), 0);
    ck_assert_int_eq(net_recv(end[1].net, 0, &iov, 1), -EMSGSIZE);
    ck_assert_int_eq(net_recv(end[1].net, 0, &iov, 1), sizeof(buf));
    ck_assert_int_eq(net_recv(end[1].net, 0, &iov, 1), -EAGAIN);
}
END_TEST

START_TEST(third_end_makes_a_hub_where_all_hear_all_others)
{
    open_ends(3);
    for (unsigned from = 0; from < 3; from++) {
        unsigned before[3] = {end[0].got, end[1].got, end[2].got};

        ck_assert_int_eq(fake_end_send(&end[from], 500, (uint8_t)from), 0);
        for (unsigned to = 0; to < 3; to++) {
            if (to == from)
                continue;
            ck_assert(fake_until(loop, &end[to].got, before[to] + 1, 2000));
            ck_assert(fake_end_has(&end[to], 500, (uint8_t)from));
        }
        fake_run_ms(loop, 5);
        ck_assert_uint_eq(end[from].got, before[from]); /* no echo */
    }
}
END_TEST

START_TEST(stuck_end_of_a_hub_does_not_hold_up_the_others)
{
    open_ends(4);
    end[3].take = false;
    net_want_read(end[3].net, 0, false);
    for (unsigned i = 0; i < 200; i++) {
        ck_assert_int_eq(fake_end_send(&end[1], 60000, (uint8_t)i), 0);
        ck_assert(fake_until(loop, &end[2].got, i + 1, 2000));
        ck_assert(fake_until(loop, &end[0].got, i + 1, 2000));
    }
    end[3].take = true;
    net_want_read(end[3].net, 0, true);
    fake_run_ms(loop, 50);
    ck_assert_uint_gt(end[3].got, 0); /* what fitted, and the rest was dropped */
    ck_assert_uint_lt(end[3].got, 200);
}
END_TEST

START_TEST(hub_whose_own_guest_does_not_read_passes_frames_on)
{
    open_ends(3);
    end[0].take = false;
    net_want_read(end[0].net, 0, false);
    for (unsigned i = 0; i < 100; i++) {
        ck_assert_int_eq(fake_end_send(&end[1], 60000, (uint8_t)i), 0);
        ck_assert(fake_until(loop, &end[2].got, i + 1, 2000));
    }
    end[0].take = true;
    net_want_read(end[0].net, 0, true);
    fake_run_ms(loop, 20);
    ck_assert_uint_gt(end[0].got, 2);
    ck_assert_uint_lt(end[0].got, 100);
}
END_TEST

START_TEST(peer_that_leaves_takes_the_link_down_and_one_that_comes_up)
{
    open_ends(2);
    fake_end_close(&end[1]);
    ck_assert(fake_until_link(loop, &end[0], false, 2000));
    ck_assert_int_eq(fake_end_send(&end[0], 60, 1), 0);
    ck_assert_int_eq(fake_end_open(&end[1], option, loop), 0);
    ck_assert(fake_until_link(loop, &end[0], true, 2000));
    ck_assert_int_eq(fake_end_send(&end[0], 60, 2), 0);
    ck_assert(fake_until(loop, &end[1].got, 1, 2000));
    ck_assert(fake_end_has(&end[1], 60, 2));
}
END_TEST

START_TEST(peer_that_leaves_frees_a_sender_that_waits)
{
    open_ends(2);
    net_want_read(end[1].net, 0, false);
    for (unsigned i = 0; i < 1000 && fake_end_send(&end[0], 60000, 0) == 0; i++)
        ;
    fake_end_close(&end[1]);
    ck_assert(fake_until(loop, &end[0].writable, 1, 50));
    ck_assert_int_eq(fake_end_send(&end[0], 60, 0), 0);
}
END_TEST

START_TEST(listener_that_leaves_is_replaced_by_another_end)
{
    open_ends(3);
    fake_end_close(&end[0]);
    ck_assert(fake_until_link(loop, &end[1], false, 2000));
    ck_assert(fake_until_link(loop, &end[1], true, 2000));
    ck_assert(fake_until_link(loop, &end[2], true, 2000));
    ck_assert_int_eq(fake_end_send(&end[1], 70, 7), 0);
    ck_assert(fake_until(loop, &end[2].got, 1, 2000));
    ck_assert_int_eq(fake_end_open(&end[0], option, loop), 0);
    ck_assert_int_eq(fake_end_send(&end[0], 70, 8), 0);
    ck_assert(fake_until(loop, &end[1].got, 1, 2000));
    ck_assert(fake_until(loop, &end[2].got, 2, 2000));
    ck_assert(fake_end_has(&end[2], 70, 8));
}
END_TEST

/* A guest of its own, which says in `heard` that it got a frame and lives until `stop` closes. */
static void be_an_end(int heard, int stop)
{
    struct pollfd p = {.fd = stop, .events = POLLIN};
    bool told = false;

    loop_destroy(loop);
    loop = loop_create();
    if (fake_end_open(&end[0], option, loop))
        _exit(1);
    while (poll(&p, 1, 0) == 0) {
        fake_end_send(&end[0], 60, 0);
        fake_run_ms(loop, 3);
        if (end[0].got && !told)
            told = write(heard, "", 1) == 1;
    }
    fake_end_close(&end[0]);
    _exit(0);
}

START_TEST(ends_that_start_at_the_same_time_meet)
{
    for (unsigned round = 0; round < 5; round++) {
        int heard[2], stop[2], status;
        pid_t pid[ENDS];
        char c;

        ck_assert_int_eq(pipe(heard), 0);
        ck_assert_int_eq(pipe(stop), 0);
        for (unsigned i = 0; i < ENDS; i++) {
            pid[i] = fork();
            if (pid[i] == 0) {
                close(stop[1]);
                be_an_end(heard[1], stop[0]);
            }
        }
        close(heard[1]);
        for (unsigned i = 0; i < ENDS; i++)
            ck_assert_int_eq(read(heard[0], &c, 1), 1);
        close(stop[1]);
        for (unsigned i = 0; i < ENDS; i++) {
            ck_assert_int_eq(waitpid(pid[i], &status, 0), pid[i]);
            ck_assert_int_eq(status, 0);
        }
        close(heard[0]);
        close(stop[0]);
    }
}
END_TEST

START_TEST(stale_socket_file_is_replaced)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    close(fd);
    ck_assert_int_eq(access(path, F_OK), 0);
    open_ends(2);
}
END_TEST

static void expect_refused(const char *text, int err, const char *words)
{
    ck_assert_int_eq(fake_end_open(&end[0], text, loop), err);
    ck_assert_uint_eq(fake_log_count, 1);
    ck_assert_msg(strstr(fake_log_line, words) != NULL, "%s", fake_log_line);
}

START_TEST(path_of_a_regular_file_is_refused_and_the_file_stays)
{
    close(open(path, O_CREAT | O_WRONLY, 0600));
    expect_refused(option, -ENOTSOCK, "no socket");
    ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(path_in_a_missing_directory_is_refused)
{
    expect_refused("socket,path=/nonexistent/dir/w", -ENOENT, "No such file");
}
END_TEST

START_TEST(path_of_108_bytes_is_refused)
{
    char text[256];

    snprintf(text, sizeof(text), "socket,path=/tmp/%0103d", 0);
    expect_refused(text, -ENAMETOOLONG, "at most 107");
}
END_TEST

START_TEST(missing_path_is_refused)
{
    expect_refused("socket", -EINVAL, "path=");
}
END_TEST

START_TEST(length_beyond_any_frame_ends_the_connection)
{
    static const uint8_t hostile[] = {0xff, 0xff, 0xff, 0xff, 1, 2, 3};
    char c;
    int fd;

    open_ends(1);
    fd = raw_peer();
    ck_assert(fake_until_link(loop, &end[0], true, 2000));
    ck_assert_int_eq(send(fd, hostile, sizeof(hostile), 0), sizeof(hostile));
    ck_assert(fake_until_link(loop, &end[0], false, 2000));
    errno = 0;
    ck_assert_int_le(recv(fd, &c, 1, 0), 0);
    ck_assert_int_ne(errno, EAGAIN);
    ck_assert_uint_eq(end[0].got, 0);
    close(fd);
}
END_TEST

START_TEST(runts_are_dropped_and_bytes_that_dribble_in_make_a_frame)
{
    uint8_t stream[4 + 4 + 13 + 4 + 60] = {0, 0, 0, 0, 0, 0, 0, 13};
    int fd;

    open_ends(1);
    fd = raw_peer();
    stream[4 + 4 + 13 + 3] = 60;
    for (size_t i = 0; i < sizeof(stream); i++) {
        ck_assert_int_eq(send(fd, stream + i, 1, 0), 1);
        fake_run_ms(loop, 1);
    }
    ck_assert(fake_until(loop, &end[0].got, 1, 2000));
    ck_assert_uint_eq(end[0].last_len, NET_HEADER_BYTES + 60);
    close(fd);
}
END_TEST

START_TEST(peers_beyond_the_limit_are_refused)
{
    int fd[20];
    char c;

    open_ends(1);
    for (unsigned i = 0; i < 20; i++) {
        fd[i] = raw_peer();
        fake_run_ms(loop, 2);
    }
    errno = 0;
    ck_assert_int_eq(recv(fd[14], &c, 1, 0), -1);
    ck_assert_int_eq(errno, EAGAIN);
    ck_assert_int_eq(recv(fd[15], &c, 1, 0), 0);
    for (unsigned i = 0; i < 20; i++)
        close(fd[i]);
    ck_assert(fake_until_link(loop, &end[0], false, 2000));
}
END_TEST

START_TEST(ends_that_come_and_go_100_times_leave_no_descriptor)
{
    int before, after;

    open_ends(2);
    before = dup(0);
    close(before);
    for (unsigned i = 0; i < 100; i++) {
        ck_assert_int_eq(fake_end_open(&end[2], option, loop), 0);
        fake_end_send(&end[2], 60, 0);
        fake_run_ms(loop, 1);
        fake_end_close(&end[2]);
        fake_run_ms(loop, 1);
    }
    fake_run_ms(loop, 5);
    after = dup(0);
    close(after);
    ck_assert_int_eq(before, after);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("wire");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, first_end_alone_has_no_link_and_loses_frames);
    tcase_add_test(tc, frames_of_all_sizes_pass_both_ways);
    tcase_add_test(tc, sender_faster_than_receiver_waits_and_loses_nothing);
    tcase_add_test(tc, peer_that_never_reads_holds_the_sender_up_for_a_moment_only);
    tcase_add_test(tc, guest_without_buffers_reads_nothing_and_resumes);
    tcase_add_test(tc, batch_that_ended_early_goes_on_after_want_read);
    tcase_add_test(tc, frame_longer_than_the_buffers_is_dropped_and_the_next_comes);
    tcase_add_test(tc, third_end_makes_a_hub_where_all_hear_all_others);
    tcase_add_test(tc, stuck_end_of_a_hub_does_not_hold_up_the_others);
    tcase_add_test(tc, hub_whose_own_guest_does_not_read_passes_frames_on);
    tcase_add_test(tc, peer_that_leaves_takes_the_link_down_and_one_that_comes_up);
    tcase_add_test(tc, peer_that_leaves_frees_a_sender_that_waits);
    tcase_add_test(tc, listener_that_leaves_is_replaced_by_another_end);
    tcase_add_test(tc, ends_that_start_at_the_same_time_meet);
    tcase_add_test(tc, stale_socket_file_is_replaced);
    tcase_add_test(tc, path_of_a_regular_file_is_refused_and_the_file_stays);
    tcase_add_test(tc, path_in_a_missing_directory_is_refused);
    tcase_add_test(tc, path_of_108_bytes_is_refused);
    tcase_add_test(tc, missing_path_is_refused);
    tcase_add_test(tc, length_beyond_any_frame_ends_the_connection);
    tcase_add_test(tc, runts_are_dropped_and_bytes_that_dribble_in_make_a_frame);
    tcase_add_test(tc, peers_beyond_the_limit_are_refused);
    tcase_add_test(tc, ends_that_come_and_go_100_times_leave_no_descriptor);
    return fake_run(tc);
}
