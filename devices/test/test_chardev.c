/*
 * The console's back end against readers and writers of every temper: slow, gone, blocked, files
 * with a limit, descriptors that are not there. The machine's side must never wait.
 */
#include "devices/core/chardev.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/test/fake.h"

#define LAG_MS (CHARDEV_LAG_MS * 3) /* with allowance for a busy host */

static struct fake_console c;
static char out[200000];

static void set_up(void)
{
    log_set_level(LOG_ERROR); /* losses are expected here */
    signal(SIGXFSZ, SIG_IGN);
    fake_console_open(&c, NULL);
}

static void tear_down(void)
{
    fake_console_close(&c);
}

static size_t put(const char *text)
{
    return chardev_write(c.chr, (const uint8_t *)text, strlen(text));
}

/* Fills pipe and ring until nothing more is taken; returns how much was. */
static size_t stuff(void)
{
    static const uint8_t block[1024];
    size_t total = 0, n;

    do {
        n = chardev_write(c.chr, block, sizeof(block));
        total += n;
    } while (n == sizeof(block));
    return total;
}

/* Output. */

/* Leaves one byte, a dot, in the ring: it came so soon after a newline that it is held back. */
static void start_burst(void)
{
    do {
        put("\n");
        put(".");
        fake_console_read(&c, out, sizeof(out));
    } while (strcmp(out, "\n") != 0);
}

START_TEST(line_is_out_at_its_newline_without_the_loop)
{
    start_burst();
    ck_assert_uint_eq(put("hello"), 5);
    ck_assert_uint_eq(fake_console_read(&c, out, sizeof(out)), 0);
    put(" world\n");
    fake_console_read(&c, out, sizeof(out));
    ck_assert_str_eq(out, ".hello world\n");
}
END_TEST

START_TEST(first_byte_after_silence_is_out_at_once)
{
    put("a");
    fake_console_read(&c, out, sizeof(out));
    ck_assert_str_eq(out, "a");
    start_burst();
    fake_console_run(&c, LAG_MS);
    fake_console_read(&c, out, sizeof(out));
    usleep(LAG_MS * 1000);
    put("b");
    fake_console_read(&c, out, sizeof(out));
    ck_assert_str_eq(out, "b");
}
END_TEST

START_TEST(prompt_without_newline_is_out_after_the_lag)
{
    start_burst();
    put("$ ");
    fake_console_run(&c, LAG_MS);
    fake_console_read(&c, out, sizeof(out));
    ck_assert_str_eq(out, ".$ ");
    /* Nothing waits any more, so nothing wakes the loop. */
    usleep(LAG_MS * 1000);
    ck_assert_int_eq(loop_step(c.loop), 0);
}
END_TEST

START_TEST(long_text_without_newline_is_out_in_batches)
{
    start_burst();
    for (unsigned i = 1; i < CHARDEV_FLUSH_BYTES - 1; i++)
        put("x");
    ck_assert_uint_eq(fake_console_read(&c, out, sizeof(out)), 0);
    put("x");
    ck_assert_uint_eq(fake_console_read(&c, out, sizeof(out)), CHARDEV_FLUSH_BYTES);
}
END_TEST

START_TEST(blocked_reader_costs_drops_not_time)
{
    static const uint8_t block[4096] = {'\n'};
    struct chardev_stats stats;
    uint64_t start = loop_now_ns();
    size_t taken = 0;

    /* 100 MB to a pipe that nobody reads: hv stays in this thread all the while. */
    for (unsigned i = 0; i < 25600; i++)
        taken += chardev_write(c.chr, block, sizeof(block));
    ck_assert_uint_lt(loop_now_ns() - start, UINT64_C(20000000000));
    stats = chardev_get_stats(c.chr);
    ck_assert_uint_eq(stats.written, UINT64_C(25600) * 4096);
    ck_assert_uint_eq(stats.written - stats.dropped, taken);
    ck_assert_uint_ge(taken, CHARDEV_RING_BYTES);
    ck_assert_uint_lt(taken, 4 * CHARDEV_RING_BYTES);
    ck_assert_uint_eq(chardev_room(c.chr), 0);
}
END_TEST

START_TEST(what_was_taken_arrives_in_order_once_the_reader_reads)
{
    size_t taken = 0, got = 0, n;
    uint8_t byte = 0;

    while (chardev_write(c.chr, &byte, 1) == 1) {
        byte = (uint8_t)(++taken % 251); /* prime: no part of the ring looks like another */
    }
    do {
        fake_console_run(&c, 0);
        n = fake_console_read(&c, out, sizeof(out));
        for (size_t i = 0; i < n; i++)
            ck_assert_uint_eq((uint8_t)out[i], (got + i) % 251);
        got += n;
    } while (n > 0);
    ck_assert_uint_eq(got, taken);
    ck_assert_uint_eq(chardev_room(c.chr), CHARDEV_RING_BYTES);
}
END_TEST

static unsigned drains;

static void count_drain(void *opaque)
{
    (void)opaque;
    drains++;
}

START_TEST(drained_comes_once_after_full_and_only_then)
{
    const struct chardev_user user = {.drained = count_drain};

    drains = 0;
    chardev_attach(c.chr, &user);
    put("no reason\n");
    fake_console_run(&c, LAG_MS);
    ck_assert_uint_eq(drains, 0);
    stuff();
    fake_console_run(&c, LAG_MS);
    ck_assert_uint_eq(drains, 0);
    while (fake_console_read(&c, out, sizeof(out)) > 0)
        fake_console_run(&c, 0);
    ck_assert_uint_eq(drains, 1);
    put("still no reason");
    fake_console_run(&c, LAG_MS);
    ck_assert_uint_eq(drains, 1);
    ck_assert_uint_eq(chardev_room(c.chr), CHARDEV_RING_BYTES);
}
END_TEST

START_TEST(stalled_output_lets_the_loop_sleep)
{
    stuff();
    fake_console_run(&c, LAG_MS);
    usleep(LAG_MS * 1000);
    ck_assert_int_eq(loop_step(c.loop), 0);
}
END_TEST

START_TEST(reader_that_left_means_drops_for_good)
{
    close(c.out_fd);
    c.out_fd = -1;
    put("gone\n");
    ck_assert_uint_eq(put("more\n"), 0);
    ck_assert_uint_eq(chardev_get_stats(c.chr).dropped, 10);
    /* The guest is not held back on account of it. */
    ck_assert_uint_eq(chardev_room(c.chr), CHARDEV_RING_BYTES);
}
END_TEST

static char tapped[64];

static void tap(void *opaque, const uint8_t *buf, size_t len)
{
    (void)opaque;
    strncat(tapped, (const char *)buf, len);
}

START_TEST(tap_sees_all_even_without_any_output)
{
    const struct chardev_config config = {.in_fd = -1, .out_fd = -1, .tap = tap};
    struct chardev *chr = chardev_create(c.loop, &config);

    tapped[0] = '\0';
    ck_assert_uint_eq(chardev_write(chr, (const uint8_t *)"quiet\nend", 9), 9);
    ck_assert_str_eq(tapped, "quiet\nend");
    ck_assert_uint_eq(chardev_get_stats(chr).dropped, 0);
    ck_assert_uint_eq(chardev_room(chr), CHARDEV_RING_BYTES);
    chardev_destroy(chr);
}
END_TEST

static int temporary(void)
{
    char name[] = "/tmp/hv-chardev-XXXXXX";
    int fd = mkstemp(name);

    ck_assert_int_ge(fd, 0);
    unlink(name);
    return fd;
}

static struct chardev *on_fds(int in_fd, int out_fd, uint64_t limit)
{
    const struct chardev_config config = {.in_fd = in_fd, .out_fd = out_fd, .limit = limit};
    struct chardev *chr = chardev_create(c.loop, &config);

    ck_assert_ptr_nonnull(chr);
    return chr;
}

START_TEST(file_stops_at_its_limit)
{
    int fd = temporary();
    struct chardev *chr = on_fds(-1, fd, 1000);
    struct stat st;

    for (unsigned i = 0; i < 50; i++)
        chardev_write(chr, (const uint8_t *)"0123456789012345678901234567890\n", 32);
    ck_assert_int_eq(fstat(fd, &st), 0);
    ck_assert_int_eq(st.st_size, 1000);
    ck_assert_uint_eq(chardev_get_stats(chr).dropped, 600);
    chardev_destroy(chr);
    close(fd);
}
END_TEST

START_TEST(file_size_limit_of_the_process_is_survived)
{
    const struct rlimit small = {.rlim_cur = 100, .rlim_max = 100};
    int fd = temporary();
    struct chardev *chr = on_fds(-1, fd, 0);

    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (unsigned i = 0; i < 50; i++)
        chardev_write(chr, (const uint8_t *)"0123456789012345678901234567890\n", 32);
    ck_assert_uint_eq(chardev_get_stats(chr).dropped, 1500);
    chardev_destroy(chr);
    close(fd);
}
END_TEST

START_TEST(full_disk_is_survived)
{
    int fd = open("/dev/full", O_WRONLY);
    struct chardev *chr = on_fds(-1, fd, 0);

    chardev_write(chr, (const uint8_t *)"lost\n", 5);
    ck_assert_uint_eq(chardev_get_stats(chr).dropped, 5);
    ck_assert_uint_eq(chardev_write(chr, (const uint8_t *)"again\n", 6), 6);
    chardev_destroy(chr);
    close(fd);
}
END_TEST

START_TEST(closed_descriptors_are_a_console_without_ends)
{
    struct chardev *chr = on_fds(999, 998, 0);

    ck_assert_uint_eq(chardev_write(chr, (const uint8_t *)"x\n", 2), 2);
    chardev_input_room(chr, 16);
    fake_console_run(&c, 1);
    chardev_destroy(chr);
    chardev_destroy(NULL);
    chardev_flush(NULL, 10);
}
END_TEST

START_TEST(flags_of_inherited_descriptors_are_left_alone)
{
    ck_assert_int_eq(fcntl(c.chr_in, F_GETFL) & O_NONBLOCK, 0);
    ck_assert_int_eq(fcntl(c.chr_out, F_GETFL) & O_NONBLOCK, 0);
}
END_TEST

START_TEST(blocked_socket_does_not_block_us)
{
    int s[2];
    struct chardev *chr;
    uint8_t block[4096] = {0};

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    chr = on_fds(s[0], s[0], 0); /* both directions on one descriptor */
    while (chardev_write(chr, block, sizeof(block)) == sizeof(block))
        ;
    ck_assert_uint_gt(chardev_get_stats(chr).dropped, 0);
    close(s[1]); /* before destroy, which would wait a second for it */
    chardev_destroy(chr);
    close(s[0]);
}
END_TEST

START_TEST(pty_that_nobody_reads_does_not_block_us)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
    struct chardev *chr;
    uint8_t block[4096];

    ck_assert_int_ge(master, 0);
    ck_assert_int_eq(grantpt(master) | unlockpt(master), 0);
    slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    ck_assert_int_ge(slave, 0);
    memset(block, 'x', sizeof(block));
    chr = on_fds(-1, slave, 0); /* as a terminal is that hv was started on */
    while (chardev_write(chr, block, sizeof(block)) == sizeof(block))
        ;
    ck_assert_uint_gt(chardev_get_stats(chr).dropped, 0);
    ck_assert_int_eq(fcntl(slave, F_GETFL) & O_NONBLOCK, 0);
    close(master);
    chardev_destroy(chr);
    close(slave);
}
END_TEST

static void *slow_reader(void *opaque)
{
    char buf[512];

    for (unsigned i = 0; i < 2000; i++) {
        if (read(c.out_fd, buf, sizeof(buf)) <= 0)
            usleep(50);
    }
    return opaque;
}

static void *writer(void *opaque)
{
    for (unsigned i = 0; i < 20000; i++) {
        chardev_room(c.chr);
        put(i % 64 ? "x" : "line\n");
        chardev_input_room(c.chr, i % 17);
    }
    return opaque;
}

static void stop_loop(void *opaque)
{
    loop_stop(opaque);
}

START_TEST(writers_a_slow_reader_and_the_loop_get_along)
{
    struct loop_timer *end = loop_timer_add(c.loop, stop_loop, c.loop);
    pthread_t thread[3];

    fake_console_type(&c, "some input for the device");
    loop_timer_arm(end, 100000000);
    for (unsigned i = 0; i < 3; i++)
        pthread_create(&thread[i], NULL, i ? writer : slow_reader, NULL);
    ck_assert_int_eq(loop_run(c.loop), 0);
    for (unsigned i = 0; i < 3; i++)
        pthread_join(thread[i], NULL);
    do
        chardev_flush(c.chr, 100);
    while (fake_console_read(&c, out, sizeof(out)) > 0);
    ck_assert_uint_eq(chardev_room(c.chr), CHARDEV_RING_BYTES);
}
END_TEST

START_TEST(flush_gives_up_in_time)
{
    uint64_t start = loop_now_ns();

    stuff();
    chardev_flush(c.chr, 50);
    ck_assert_uint_ge(loop_now_ns() - start, UINT64_C(50000000));
    ck_assert_uint_lt(loop_now_ns() - start, UINT64_C(2000000000));
    close(c.out_fd);
    c.out_fd = -1;
}
END_TEST

/* Input. */

static char got[65536];
static size_t got_len, next_room;

static void take(void *opaque, const uint8_t *buf, size_t len)
{
    (void)opaque;
    ck_assert_uint_le(got_len + len, sizeof(got) - 1);
    memcpy(got + got_len, buf, len);
    got_len += len;
    got[got_len] = '\0';
    chardev_input_room(c.chr, next_room);
}

static void attach(size_t room, size_t later)
{
    const struct chardev_user user = {.input = take};

    got_len = 0;
    next_room = later;
    chardev_attach(c.chr, &user);
    chardev_input_room(c.chr, room);
}

START_TEST(input_comes_as_far_as_there_is_room)
{
    attach(4, 0);
    fake_console_type(&c, "abcdefgh");
    fake_console_run(&c, 1);
    ck_assert_str_eq(got, "abcd");
    ck_assert_int_eq(loop_step(c.loop), 0);
    chardev_input_room(c.chr, 1);
    fake_console_run(&c, 1);
    ck_assert_str_eq(got, "abcde");
}
END_TEST

START_TEST(device_without_room_leaves_input_to_the_host)
{
    int waiting = 0;

    attach(0, 0);
    fake_console_type(&c, "for the next reader");
    fake_console_run(&c, 1);
    ck_assert_uint_eq(got_len, 0);
    while (waiting < 19) {
        char byte;

        if (read(c.chr_in, &byte, 1) != 1)
            break;
        waiting++;
    }
    ck_assert_int_eq(waiting, 19);
}
END_TEST

START_TEST(end_of_input_stops_quietly)
{
    attach(16, 16);
    fake_console_type(&c, "last");
    close(c.in_fd);
    c.in_fd = -1;
    fake_console_run(&c, 1);
    ck_assert_str_eq(got, "last");
    for (unsigned i = 0; i < 10; i++)
        loop_step(c.loop);
    ck_assert_int_eq(loop_step(c.loop), 0);
    chardev_input_room(c.chr, 16);
    fake_console_run(&c, 1);
    ck_assert_int_eq(loop_step(c.loop), 0);
}
END_TEST

START_TEST(pty_without_anyone_attached_holds_nobody_back)
{
    const struct chardev_user user = {.input = take};
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK), slave;
    struct chardev *pipes = c.chr;
    uint8_t block[4096];
    struct termios raw;

    ck_assert_int_eq(grantpt(master) | unlockpt(master) | tcgetattr(master, &raw), 0);
    cfmakeraw(&raw);
    tcsetattr(master, TCSANOW, &raw);
    close(open(ptsname(master), O_RDWR | O_NOCTTY)); /* hangs up */
    c.chr = on_fds(master, master, 0);
    got_len = 0;
    next_room = 16;
    chardev_attach(c.chr, &user);
    chardev_input_room(c.chr, 16);
    memset(block, 'x', sizeof(block));
    for (unsigned i = 0; i < 100; i++)
        chardev_write(c.chr, block, sizeof(block));
    ck_assert_uint_eq(chardev_room(c.chr), CHARDEV_RING_BYTES);
    fake_console_run(&c, 1);
    usleep(20000);
    ck_assert_int_eq(loop_step(c.loop), 0); /* nor does the hang-up spin */

    /* Who attaches later is heard within a moment. */
    slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    ck_assert_int_eq(write(slave, "hi", 2), 2);
    for (unsigned i = 0; i < 50 && got_len < 2; i++)
        fake_console_run(&c, 20);
    ck_assert_uint_eq(got_len, 2);
    close(slave);
    chardev_destroy(c.chr);
    c.chr = pipes;
    close(master);
}
END_TEST

static struct chardev *file_chr;

static void take_file(void *opaque, const uint8_t *buf, size_t len)
{
    (void)opaque;
    (void)buf;
    ck_assert_uint_le(len, 16);
    got_len += len;
    chardev_input_room(file_chr, 16);
}

START_TEST(file_as_input_is_read_to_its_end)
{
    const struct chardev_user user = {.input = take_file};
    int fd = temporary();

    ck_assert_int_eq(ftruncate(fd, 5000), 0);
    got_len = 0;
    file_chr = on_fds(fd, -1, 0);
    chardev_attach(file_chr, &user);
    chardev_input_room(file_chr, 16);
    for (unsigned i = 0; i < 2000 && got_len < 5000; i++)
        fake_console_run(&c, 0);
    ck_assert_uint_eq(got_len, 5000);
    fake_console_run(&c, 1);
    ck_assert_int_eq(loop_step(c.loop), 0);
    chardev_destroy(file_chr);
    close(fd);
}
END_TEST

START_TEST(dev_null_as_input_ends_at_once)
{
    const struct chardev_user user = {.input = take_file};
    int fd = open("/dev/null", O_RDONLY);

    got_len = 0;
    file_chr = on_fds(fd, -1, 0);
    chardev_attach(file_chr, &user);
    chardev_input_room(file_chr, 16);
    fake_console_run(&c, 1);
    ck_assert_uint_eq(got_len, 0);
    ck_assert_int_eq(loop_step(c.loop), 0);
    chardev_destroy(file_chr);
    close(fd);
}
END_TEST

static unsigned escapes;

/* Takes every '!' out. */
static size_t filter(void *opaque, uint8_t *buf, size_t len)
{
    size_t kept = 0;

    (void)opaque;
    for (size_t i = 0; i < len; i++) {
        if (buf[i] == '!')
            escapes++;
        else
            buf[kept++] = buf[i];
    }
    return kept;
}

static const struct chardev_config filtered = {.in_fd = -1, .out_fd = -1, .filter = filter};

START_TEST(escape_keys_work_while_the_guest_takes_nothing)
{
    struct fake_console f;

    escapes = 0;
    fake_console_open(&f, &filtered);
    fake_console_type(&f, "ab!c!d");
    fake_console_run(&f, 1);
    ck_assert_uint_eq(escapes, 2);
    fake_console_close(&f);
}
END_TEST

START_TEST(filtered_input_waits_for_the_device_in_order)
{
    const struct chardev_user user = {.input = take};
    struct fake_console saved = c;

    escapes = 0;
    fake_console_open(&c, &filtered);
    fake_console_type(&c, "ab!cdef!gh");
    fake_console_run(&c, 1);
    got_len = 0;
    next_room = 3;
    chardev_attach(c.chr, &user);
    chardev_input_room(c.chr, 3);
    fake_console_run(&c, 1);
    ck_assert_str_eq(got, "abcdefgh");
    ck_assert_uint_eq(escapes, 2);
    fake_console_close(&c);
    c = saved;
}
END_TEST

START_TEST(hundred_megabytes_of_input_are_bounded)
{
    static uint8_t block[65536];
    struct fake_console f;
    uint64_t pushed = 0;

    /* No room at all, and a filter, which reads ahead: the worst case. */
    fake_console_open(&f, &filtered);
    for (unsigned i = 0; i < 1600; i++) {
        ssize_t n = write(f.in_fd, block, sizeof(block));

        pushed += n > 0 ? (uint64_t)n : 0;
        fake_console_run(&f, 0);
    }
    /* The pipe, and the few KiB that chardev holds. */
    ck_assert_uint_le(pushed, 65536 + 8192);
    ck_assert_int_eq(loop_step(f.loop), 0);
    fake_console_close(&f);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("chardev");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, line_is_out_at_its_newline_without_the_loop);
    tcase_add_test(tc, first_byte_after_silence_is_out_at_once);
    tcase_add_test(tc, prompt_without_newline_is_out_after_the_lag);
    tcase_add_test(tc, long_text_without_newline_is_out_in_batches);
    tcase_add_test(tc, blocked_reader_costs_drops_not_time);
    tcase_add_test(tc, what_was_taken_arrives_in_order_once_the_reader_reads);
    tcase_add_test(tc, drained_comes_once_after_full_and_only_then);
    tcase_add_test(tc, stalled_output_lets_the_loop_sleep);
    tcase_add_test(tc, reader_that_left_means_drops_for_good);
    tcase_add_test(tc, tap_sees_all_even_without_any_output);
    tcase_add_test(tc, file_stops_at_its_limit);
    tcase_add_test(tc, file_size_limit_of_the_process_is_survived);
    tcase_add_test(tc, full_disk_is_survived);
    tcase_add_test(tc, closed_descriptors_are_a_console_without_ends);
    tcase_add_test(tc, flags_of_inherited_descriptors_are_left_alone);
    tcase_add_test(tc, blocked_socket_does_not_block_us);
    tcase_add_test(tc, pty_that_nobody_reads_does_not_block_us);
    tcase_add_test(tc, writers_a_slow_reader_and_the_loop_get_along);
    tcase_add_test(tc, flush_gives_up_in_time);
    tcase_add_test(tc, input_comes_as_far_as_there_is_room);
    tcase_add_test(tc, device_without_room_leaves_input_to_the_host);
    tcase_add_test(tc, end_of_input_stops_quietly);
    tcase_add_test(tc, pty_without_anyone_attached_holds_nobody_back);
    tcase_add_test(tc, file_as_input_is_read_to_its_end);
    tcase_add_test(tc, dev_null_as_input_ends_at_once);
    tcase_add_test(tc, escape_keys_work_while_the_guest_takes_nothing);
    tcase_add_test(tc, filtered_input_waits_for_the_device_in_order);
    tcase_add_test(tc, hundred_megabytes_of_input_are_bounded);
    return fake_run(tc);
}
