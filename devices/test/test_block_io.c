/*
 * Requests against images, with both engines (loop index 0: io_uring, 1: threads) and with system
 * calls that fail on the n-th call.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/block/internal.h"
#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/test/fake.h"

#define SIZE (1 << 20)

static char path[64];
static struct loop *loop;
static struct block *b;
static unsigned done_count, batches;
static uint8_t image[SIZE], buf[SIZE] __attribute__((aligned(4096)));

struct job {
    struct block_request req;
    struct iovec iov[BLOCK_SEGMENTS];
    bool done;
    int result;
};

static void drop_line(void *opaque, enum log_level level, const char *line)
{
    (void)opaque;
    (void)level;
    (void)line;
}

static void set_up(void)
{
    uint64_t seed = 1;
    int fd;

    strcpy(path, "/var/tmp/hv-block-XXXXXX");
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    for (unsigned i = 0; i < SIZE; i += 8)
        store_le64(image + i, fake_random(&seed));
    ck_assert_int_eq(write(fd, image, SIZE), SIZE);
    close(fd);
    loop = loop_create();
    b = NULL;
    done_count = batches = 0;
    log_set_sink(drop_line, NULL);
}

static void tear_down(void)
{
    block_close(b);
    loop_destroy(loop);
    unlink(path);
    block_host = (struct block_syscalls){preadv, pwritev, fdatasync, fallocate};
}

static void open_with(int engine, struct block_config config)
{
    config.path = path;
    config.threads_only = engine != 0;
    config.depth = config.depth ? config.depth : 16;
    ck_assert_int_eq(block_open(&config, loop, &b), 0);
}

static void on_done(struct block_request *req, int result)
{
    struct job *job = req->opaque;

    ck_assert(!job->done);
    job->done = true;
    job->result = result;
    done_count++;
}

static void submit(struct job *job, enum block_op op, uint64_t offset, uint64_t len)
{
    job->req.op = op;
    job->req.offset = offset;
    job->req.len = len;
    job->req.done = on_done;
    job->req.opaque = job;
    job->done = false;
    block_submit(b, &job->req);
    ck_assert(!job->done);
}

static void wait_for(const struct job *job)
{
    for (unsigned i = 0; i < 100000 && !job->done; i++) {
        if (loop_step(loop) == 0)
            usleep(100);
    }
    ck_assert(job->done);
}

static int run(enum block_op op, uint64_t offset, uint64_t len, void *data)
{
    static struct job job;

    memset(&job.req, 0, sizeof(job.req));
    job.iov[0] = (struct iovec){.iov_base = data, .iov_len = len};
    job.req.iov = job.iov;
    job.req.iov_count = data ? 1 : 0;
    submit(&job, op, offset, len);
    block_kick(b);
    ck_assert(!job.done);
    wait_for(&job);
    return job.result;
}

static void read_file(uint8_t *to)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    memset(to, 0, SIZE);
    ck_assert_int_ge(read(fd, to, SIZE), 0);
    close(fd);
}

static void expect_file_is(const uint8_t *want)
{
    static uint8_t have[SIZE];

    read_file(have);
    ck_assert_int_eq(memcmp(have, want, SIZE), 0);
}

START_TEST(read_returns_the_files_bytes)
{
    open_with(_i, (struct block_config){0});
    ck_assert_int_eq(run(BLOCK_READ, 512, 8192, buf), 0);
    ck_assert_int_eq(memcmp(buf, image + 512, 8192), 0);
    ck_assert_int_eq(run(BLOCK_READ, SIZE - 512, 512, buf), 0);
    ck_assert_int_eq(memcmp(buf, image + SIZE - 512, 512), 0);
}
END_TEST

START_TEST(write_changes_its_range_and_nothing_else)
{
    open_with(_i, (struct block_config){0});
    memset(buf, 0xa5, 4096);
    memset(image + 1024, 0xa5, 4096);
    ck_assert_int_eq(run(BLOCK_WRITE, 1024, 4096, buf), 0);
    ck_assert_int_eq(run(BLOCK_FLUSH, 0, 0, NULL), 0);
    expect_file_is(image);
}
END_TEST

/* `count` segments of odd lengths and addresses that add up to `len`. */
static void scatter(struct job *job, uint8_t *base, unsigned count, size_t len)
{
    size_t at = 0;

    for (unsigned i = 0; i < count; i++) {
        size_t part = i == count - 1 ? len - at : len / count - 1 + i % 3;

        job->iov[i] = (struct iovec){.iov_base = base + at, .iov_len = part};
        at += part;
    }
    job->req.iov = job->iov;
    job->req.iov_count = count;
}

START_TEST(two_hundred_odd_segments_are_read_and_written_in_order)
{
    static struct job job;

    open_with(_i & 1, (struct block_config){.cache = _i & 2 ? BLOCK_NONE : BLOCK_WRITEBACK});
    scatter(&job, buf + 1, 200, SIZE / 2);
    submit(&job, BLOCK_READ, SIZE / 2, SIZE / 2);
    block_kick(b);
    wait_for(&job);
    ck_assert_int_eq(job.result, 0);
    ck_assert_int_eq(memcmp(buf + 1, image + SIZE / 2, SIZE / 2), 0);
    scatter(&job, buf + 1, 201, SIZE / 2);
    submit(&job, BLOCK_WRITE, 0, SIZE / 2);
    block_kick(b);
    wait_for(&job);
    ck_assert_int_eq(job.result, 0);
    memcpy(image, image + SIZE / 2, SIZE / 2);
    expect_file_is(image);
}
END_TEST

START_TEST(ten_unaligned_requests_share_four_bounce_buffers)
{
    static struct job job[10];
    static uint8_t into[10][401 * KIB];

    open_with(_i, (struct block_config){.cache = BLOCK_NONE});
    for (unsigned i = 0; i < 10; i++) {
        scatter(&job[i], into[i] + 1, 3, 400 * KIB);
        submit(&job[i], BLOCK_READ, 0, 400 * KIB);
    }
    block_kick(b);
    for (unsigned i = 0; i < 10; i++) {
        wait_for(&job[i]);
        ck_assert_int_eq(job[i].result, 0);
        ck_assert_int_eq(memcmp(into[i] + 1, image, 400 * KIB), 0);
    }
}
END_TEST

START_TEST(more_requests_than_depth_all_finish)
{
    static struct job job[64];

    open_with(_i, (struct block_config){.depth = 4});
    for (unsigned i = 0; i < 64; i++) {
        scatter(&job[i], buf + i * 512, 1, 512);
        submit(&job[i], i % 5 ? BLOCK_READ : BLOCK_FLUSH, i * 512, i % 5 ? 512 : 0);
    }
    block_kick(b);
    for (unsigned i = 0; i < 64; i++) {
        wait_for(&job[i]);
        ck_assert_int_eq(job[i].result, 0);
        if (i % 5)
            ck_assert_int_eq(memcmp(buf + i * 512, image + i * 512, 512), 0);
    }
    ck_assert_uint_eq(done_count, 64);
}
END_TEST

START_TEST(nothing_starts_before_kick_and_drain_finishes_all)
{
    static struct job job[3];

    open_with(_i, (struct block_config){0});
    for (unsigned i = 0; i < 3; i++) {
        /* Each to its own place: the threads of the pool write at the same time. */
        scatter(&job[i], buf + i * 4096, 1, 4096);
        submit(&job[i], BLOCK_READ, 0, 4096);
    }
    usleep(2000);
    ck_assert_int_eq(loop_step(loop), 0);
    block_drain(b);
    ck_assert_uint_eq(done_count, 3);
}
END_TEST

static void count_batch(void *opaque)
{
    (void)opaque;
    batches++;
}

START_TEST(batch_of_reads_from_the_cache_ends_once)
{
    static struct job job[16];

    open_with(0, (struct block_config){0});
    block_set_batch(b, count_batch, NULL);
    for (unsigned i = 0; i < 16; i++) {
        scatter(&job[i], buf, 1, 4096);
        submit(&job[i], BLOCK_READ, 0, 4096);
    }
    block_kick(b);
    wait_for(&job[15]);
    ck_assert_uint_eq(done_count, 16);
    if (b->ops == &engine_uring)
        ck_assert_uint_eq(batches, 1);
}
END_TEST

START_TEST(shrunk_file_gives_io_errors_and_no_signal)
{
    open_with(_i, (struct block_config){0});
    ck_assert_int_eq(truncate(path, 4096 + 512), 0);
    ck_assert_int_eq(run(BLOCK_READ, 65536, 4096, buf), -EIO);
    ck_assert_int_eq(run(BLOCK_READ, 4096, 4096, buf), -EIO);
    ck_assert_int_eq(run(BLOCK_READ, 0, 4096, buf), 0);
    ck_assert_int_eq(run(BLOCK_FLUSH, 0, 0, NULL), -EIO);
}
END_TEST

START_TEST(full_host_gives_an_error_and_later_writes_work)
{
    struct rlimit rl = {.rlim_cur = SIZE / 2, .rlim_max = RLIM_INFINITY};

    /* A file-size limit stands in for a full disk: the same path, another number. */
    signal(SIGXFSZ, SIG_IGN);
    open_with(1, (struct block_config){0});
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &rl), 0);
    ck_assert_int_eq(run(BLOCK_WRITE, SIZE / 2 + 4096, 4096, buf), -EFBIG);
    rl.rlim_cur = RLIM_INFINITY;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &rl), 0);
    ck_assert_int_eq(run(BLOCK_WRITE, SIZE / 2 + 4096, 4096, buf), 0);
}
END_TEST

START_TEST(discard_and_zeroes_read_back_as_zero)
{
    open_with(_i, (struct block_config){0});
    ck_assert_int_eq(run(BLOCK_DISCARD, 8192, 8192, NULL), 0);
    memset(image + 8192, 0, 8192);
    ck_assert_int_eq(run(BLOCK_ZERO, 512, 1024, NULL), 0);
    memset(image + 512, 0, 1024);
    ck_assert_int_eq(run(BLOCK_ZERO, SIZE - 70144, 70144, NULL), 0);
    memset(image + SIZE - 70144, 0, 70144);
    expect_file_is(image);
}
END_TEST

START_TEST(zeroes_are_written_where_the_host_has_no_shortcut)
{
    open_with(_i, (struct block_config){0});
    b->no_punch = b->no_zero_range = true;
    ck_assert_int_eq(run(BLOCK_ZERO, 512, SIZE / 2, NULL), 0);
    memset(image + 512, 0, SIZE / 2);
    expect_file_is(image);
    /* No hint can be passed on, and that is no error. */
    ck_assert_int_eq(run(BLOCK_DISCARD, 0, 512, NULL), 0);
}
END_TEST

START_TEST(unmap_makes_a_hole)
{
    static struct job job;
    struct stat before, after;

    open_with(_i, (struct block_config){0});
    ck_assert_int_eq(run(BLOCK_FLUSH, 0, 0, NULL), 0);
    ck_assert_int_eq(stat(path, &before), 0);
    job.req.unmap = true;
    submit(&job, BLOCK_ZERO, 0, SIZE / 2);
    block_kick(b);
    wait_for(&job);
    ck_assert_int_eq(job.result, 0);
    ck_assert_int_eq(stat(path, &after), 0);
    ck_assert_int_lt(after.st_blocks, before.st_blocks);
    ck_assert_int_eq(after.st_size, SIZE);
}
END_TEST

START_TEST(read_only_image_refuses_writes_discards_and_zeroes)
{
    open_with(_i, (struct block_config){.readonly = true});
    ck_assert_int_eq(run(BLOCK_WRITE, 0, 512, buf), -EROFS);
    ck_assert_int_eq(run(BLOCK_DISCARD, 0, 4096, NULL), -EROFS);
    ck_assert_int_eq(run(BLOCK_ZERO, 0, 512, NULL), -EROFS);
    ck_assert_int_eq(run(BLOCK_FLUSH, 0, 0, NULL), 0);
    expect_file_is(image);
}
END_TEST

/* System calls that fail on a call of our choice; everything else goes through. */
static unsigned calls, fail_at, syncs, syncs_at_once, most_at_once;
static int fail_errno;
static size_t most_bytes = SIZE_MAX;

static bool fails(void)
{
    if (__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) != fail_at)
        return false;
    errno = fail_errno;
    return true;
}

static ssize_t bad_preadv(int fd, const struct iovec *iov, int count, off_t offset)
{
    struct iovec first = iov[0];

    if (fails())
        return -1;
    first.iov_len = first.iov_len < most_bytes ? first.iov_len : most_bytes;
    return most_bytes == SIZE_MAX ? preadv(fd, iov, count, offset) : preadv(fd, &first, 1, offset);
}

static ssize_t bad_pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    struct iovec first = iov[0];

    if (fails())
        return -1;
    first.iov_len = first.iov_len < most_bytes ? first.iov_len : most_bytes;
    return most_bytes == SIZE_MAX ? pwritev(fd, iov, count, offset)
                                  : pwritev(fd, &first, 1, offset);
}

static int bad_fdatasync(int fd)
{
    unsigned now = __atomic_add_fetch(&syncs_at_once, 1, __ATOMIC_RELAXED);

    (void)fd;
    most_at_once = now > most_at_once ? now : most_at_once;
    syncs++;
    usleep(1000);
    __atomic_sub_fetch(&syncs_at_once, 1, __ATOMIC_RELAXED);
    return fails() ? -1 : 0;
}

static int bad_fallocate(int fd, int mode, off_t offset, off_t len)
{
    return fails() ? -1 : fallocate(fd, mode, offset, len);
}

static void open_bad(unsigned at, int err, struct block_config config)
{
    open_with(1, config);
    block_host = (struct block_syscalls){bad_preadv, bad_pwritev, bad_fdatasync, bad_fallocate};
    calls = syncs = most_at_once = 0;
    fail_at = at;
    fail_errno = err;
    most_bytes = SIZE_MAX;
}

START_TEST(first_failed_flush_fails_all_later_ones)
{
    open_bad(2, EIO, (struct block_config){0});
    ck_assert_int_eq(run(BLOCK_FLUSH, 0, 0, NULL), 0);
    ck_assert_int_eq(run(BLOCK_FLUSH, 0, 0, NULL), -EIO);
    ck_assert_int_eq(run(BLOCK_FLUSH, 0, 0, NULL), -EIO);
    ck_assert_uint_eq(syncs, 2); /* the host was not asked again */
    ck_assert_int_eq(run(BLOCK_READ, 0, 512, buf), 0);
    block_close(b);
    open_bad(0, 0, (struct block_config){0});
    ck_assert_int_eq(run(BLOCK_FLUSH, 0, 0, NULL), 0);
}
END_TEST

START_TEST(flushes_at_once_share_and_never_overlap)
{
    static struct job job[20];

    open_bad(_i ? 2 : 0, EIO, (struct block_config){0});
    for (unsigned i = 0; i < 20; i++) {
        submit(&job[i], BLOCK_FLUSH, 0, 0);
        block_kick(b);
    }
    for (unsigned i = 0; i < 20; i++) {
        wait_for(&job[i]);
        ck_assert_int_eq(job[i].result, _i && i > 0 ? -EIO : 0);
    }
    ck_assert_uint_eq(most_at_once, 1);
    ck_assert_uint_eq(syncs, 2);
}
END_TEST

START_TEST(unsafe_cache_never_syncs)
{
    open_bad(0, 0, (struct block_config){.cache = BLOCK_UNSAFE});
    ck_assert_int_eq(run(BLOCK_FLUSH, 0, 0, NULL), 0);
    ck_assert_uint_eq(syncs, 0);
}
END_TEST

START_TEST(nth_call_that_fails_fails_only_its_request)
{
    static const int errors[] = {EIO, ENOSPC, EDQUOT, ENOMEM};

    for (unsigned n = 1; n <= 3; n++) {
        for (unsigned e = 0; e < ARRAY_SIZE(errors); e++) {
            open_bad(n, errors[e], (struct block_config){0});
            ck_assert_int_eq(run(BLOCK_WRITE, 0, 512, buf), n == 1 ? -errors[e] : 0);
            ck_assert_int_eq(run(BLOCK_READ, 0, 512, buf), n == 2 ? -errors[e] : 0);
            ck_assert_int_eq(run(BLOCK_ZERO, 0, 512, NULL), n == 3 ? -errors[e] : 0);
            ck_assert_int_eq(run(BLOCK_WRITE, 0, 512, buf), 0);
            block_close(b);
            b = NULL;
        }
    }
}
END_TEST

START_TEST(short_transfers_go_on_where_they_stopped)
{
    static struct job job;

    open_bad(3, EINTR, (struct block_config){0});
    most_bytes = 100;
    scatter(&job, buf, 7, 4096);
    submit(&job, BLOCK_READ, 512, 4096);
    block_kick(b);
    wait_for(&job);
    ck_assert_int_eq(job.result, 0);
    ck_assert_int_eq(memcmp(buf, image + 512, 4096), 0);
    ck_assert_uint_gt(calls, 40);
}
END_TEST

START_TEST(zeroing_falls_back_when_the_host_cannot)
{
    open_bad(1, EOPNOTSUPP, (struct block_config){0});
    ck_assert_int_eq(run(BLOCK_ZERO, 0, 8192, NULL), 0);
    ck_assert(b->no_zero_range);
    memset(image, 0, 8192);
    expect_file_is(image);
    ck_assert_uint_eq(calls, 2);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("block I/O");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, read_returns_the_files_bytes, 0, 2);
    tcase_add_loop_test(tc, write_changes_its_range_and_nothing_else, 0, 2);
    tcase_add_loop_test(tc, two_hundred_odd_segments_are_read_and_written_in_order, 0, 4);
    tcase_add_loop_test(tc, ten_unaligned_requests_share_four_bounce_buffers, 0, 2);
    tcase_add_loop_test(tc, more_requests_than_depth_all_finish, 0, 2);
    tcase_add_loop_test(tc, nothing_starts_before_kick_and_drain_finishes_all, 0, 2);
    tcase_add_test(tc, batch_of_reads_from_the_cache_ends_once);
    tcase_add_loop_test(tc, shrunk_file_gives_io_errors_and_no_signal, 0, 2);
    tcase_add_test(tc, full_host_gives_an_error_and_later_writes_work);
    tcase_add_loop_test(tc, discard_and_zeroes_read_back_as_zero, 0, 2);
    tcase_add_loop_test(tc, zeroes_are_written_where_the_host_has_no_shortcut, 0, 2);
    tcase_add_loop_test(tc, unmap_makes_a_hole, 0, 2);
    tcase_add_loop_test(tc, read_only_image_refuses_writes_discards_and_zeroes, 0, 2);
    tcase_add_test(tc, first_failed_flush_fails_all_later_ones);
    tcase_add_loop_test(tc, flushes_at_once_share_and_never_overlap, 0, 2);
    tcase_add_test(tc, unsafe_cache_never_syncs);
    tcase_add_test(tc, nth_call_that_fails_fails_only_its_request);
    tcase_add_test(tc, short_transfers_go_on_where_they_stopped);
    tcase_add_test(tc, zeroing_falls_back_when_the_host_cannot);
    return fake_run(tc);
}
