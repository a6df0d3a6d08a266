/* snapshot=on: what the guest writes is read back, and the base stays what it was. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/block/internal.h"
#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/test/fake.h"

#define SIZE    (256 * 1024 + 512) /* the last cluster is not whole */
#define SECTORS (SIZE / 512)
#define JOBS    64

static char path[64];
static struct loop *loop;
static struct block *b;
static uint8_t base[SIZE], shadow[SIZE], buf[SIZE];
static int last_result;
static unsigned errors;

static void drop_line(void *opaque, enum log_level level, const char *line)
{
    (void)opaque;
    (void)level;
    (void)line;
}

static void open_snapshot(void)
{
    struct block_config config = {.path = path, .snapshot = true, .depth = JOBS};

    ck_assert_int_eq(block_open(&config, loop, &b), 0);
}

static void set_up(void)
{
    uint64_t seed = 7;
    int fd;

    strcpy(path, "/tmp/hv-overlay-XXXXXX");
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    for (unsigned i = 0; i < SIZE; i += 8)
        store_le64(base + i, fake_random(&seed));
    memcpy(shadow, base, SIZE);
    ck_assert_int_eq(write(fd, base, SIZE), SIZE);
    close(fd);
    loop = loop_create();
    log_set_sink(drop_line, NULL);
    errors = 0;
    open_snapshot();
}

static void expect_base_untouched(void)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t more;

    ck_assert_int_eq(read(fd, buf, SIZE), SIZE);
    ck_assert_int_eq(read(fd, &more, 1), 0);
    close(fd);
    ck_assert_int_eq(memcmp(buf, base, SIZE), 0);
}

static void tear_down(void)
{
    block_close(b);
    expect_base_untouched();
    loop_destroy(loop);
    unlink(path);
    block_host = (struct block_syscalls){preadv, pwritev, fdatasync, fallocate};
}

static void on_done(struct block_request *req, int result)
{
    (void)req;
    last_result = result;
    errors += result != 0;
}

static int run(enum block_op op, uint64_t sector, uint64_t sectors, uint8_t *data)
{
    struct iovec v[2] = {{.iov_base = data, .iov_len = 300},
                         {.iov_base = data + 300, .iov_len = sectors * 512 - 300}};
    struct block_request req = {.op = op,
                                .offset = sector * 512,
                                .len = sectors * 512,
                                .iov = v,
                                .iov_count = 2,
                                .done = on_done};

    last_result = 1;
    block_submit(b, &req);
    block_drain(b);
    return last_result;
}

static void expect_shadow(void)
{
    ck_assert_int_eq(run(BLOCK_READ, 0, SECTORS, buf), 0);
    ck_assert_int_eq(memcmp(buf, shadow, SIZE), 0);
}

START_TEST(fresh_overlay_reads_the_base)
{
    expect_shadow();
}
END_TEST

START_TEST(sector_write_keeps_the_rest_of_its_cluster)
{
    memset(buf, 0xee, 512);
    ck_assert_int_eq(run(BLOCK_WRITE, 11, 1, buf), 0);
    memset(shadow + 11 * 512, 0xee, 512);
    expect_shadow();
}
END_TEST

START_TEST(last_partial_cluster_is_written_and_read)
{
    memset(buf, 0xdd, 1024);
    ck_assert_int_eq(run(BLOCK_WRITE, SECTORS - 2, 2, buf), 0);
    memset(shadow + SIZE - 1024, 0xdd, 1024);
    expect_shadow();
}
END_TEST

START_TEST(random_operations_match_a_plain_array)
{
    uint64_t seed = 99;

    for (unsigned i = 0; i < 600; i++) {
        uint64_t sector = fake_random(&seed) % SECTORS;
        uint64_t most = SECTORS - sector < 40 ? SECTORS - sector : 40;
        uint64_t n = 1 + fake_random(&seed) % most;
        unsigned what = (unsigned)(fake_random(&seed) % 4);

        if (what == 0) {
            memset(buf, (int)i, n * 512);
            ck_assert_int_eq(run(BLOCK_WRITE, sector, n, buf), 0);
            memset(shadow + sector * 512, (int)i, n * 512);
        } else if (what == 1) {
            ck_assert_int_eq(run(BLOCK_ZERO, sector, n, buf), 0);
            memset(shadow + sector * 512, 0, n * 512);
        } else {
            ck_assert_int_eq(run(BLOCK_READ, sector, n, buf), 0);
            ck_assert_int_eq(memcmp(buf, shadow + sector * 512, n * 512), 0);
        }
    }
    expect_shadow();
}
END_TEST

START_TEST(discard_zeroes_whole_clusters_only)
{
    ck_assert_int_eq(run(BLOCK_DISCARD, 1, 22, buf), 0);
    memset(shadow + 4096, 0, 4096);
    expect_shadow();
    ck_assert_int_eq(run(BLOCK_DISCARD, 33, 3, buf), 0);
    expect_shadow();
}
END_TEST

/* Time for another thread to come between a look at the bitmap and its change. */
static ssize_t slow_pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    usleep(200);
    return pwritev(fd, iov, count, offset);
}

START_TEST(sectors_of_one_cluster_written_at_once_all_survive)
{
    static struct block_request req[JOBS];
    static struct iovec v[JOBS];

    block_host.pwritev = slow_pwritev;
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < JOBS; i++) {
            uint64_t sector = round * JOBS + i;

            memset(shadow + sector * 512, (int)(round + i), 512);
            v[i] = (struct iovec){.iov_base = shadow + sector * 512, .iov_len = 512};
            req[i] = (struct block_request){.op = BLOCK_WRITE,
                                            .offset = sector * 512,
                                            .len = 512,
                                            .iov = &v[i],
                                            .iov_count = 1,
                                            .done = on_done};
            block_submit(b, &req[i]);
        }
        block_drain(b);
    }
    ck_assert_uint_eq(errors, 0);
    expect_shadow();
}
END_TEST

START_TEST(next_snapshot_starts_from_the_base_again)
{
    memset(buf, 1, 4096);
    ck_assert_int_eq(run(BLOCK_WRITE, 0, 8, buf), 0);
    ck_assert_int_eq(run(BLOCK_FLUSH, 0, 1, buf), 0);
    block_close(b);
    open_snapshot();
    expect_shadow();
}
END_TEST

static unsigned calls, fail_at;

static ssize_t bad_pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    if (__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) == fail_at) {
        errno = ENOSPC;
        return -1;
    }
    return pwritev(fd, iov, count, offset);
}

START_TEST(write_that_finds_the_disk_full_leaves_the_old_bytes)
{
    for (fail_at = 1; fail_at <= 3; fail_at++) {
        calls = 0;
        block_host.pwritev = bad_pwritev;
        memset(buf, 0x11, 8192);
        /* Two clusters in part: copy up, copy up, write. */
        ck_assert_int_eq(run(BLOCK_WRITE, 4, 8, buf), -ENOSPC);
        ck_assert_uint_eq(calls, fail_at);
        block_host.pwritev = pwritev;
        expect_shadow();
        block_close(b);
        open_snapshot();
    }
    memset(buf, 0x11, 8192);
    ck_assert_int_eq(run(BLOCK_WRITE, 4, 8, buf), 0);
    memset(shadow + 2048, 0x11, 4096);
    expect_shadow();
}
END_TEST

START_TEST(base_that_shrank_gives_io_errors)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    ck_assert_int_eq(ftruncate(fd, 4096), 0);
    ck_assert_int_eq(run(BLOCK_READ, 16, 8, buf), -EIO);
    memset(buf, 0, 512);
    ck_assert_int_eq(run(BLOCK_WRITE, 17, 1, buf), -EIO);
    ck_assert_int_eq(run(BLOCK_READ, 0, 8, buf), 0);
    ck_assert_int_eq(pwrite(fd, base, SIZE, 0), SIZE);
    close(fd);
}
END_TEST

START_TEST(overlay_leaves_no_name_behind)
{
    struct stat st;

    ck_assert_int_eq(fstat(b->image.fd, &st), 0);
    ck_assert_uint_eq(st.st_nlink, b->overlay ? 1 : 0); /* 0: a reflink is our own unnamed file */
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("overlay");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, fresh_overlay_reads_the_base);
    tcase_add_test(tc, sector_write_keeps_the_rest_of_its_cluster);
    tcase_add_test(tc, last_partial_cluster_is_written_and_read);
    tcase_add_test(tc, random_operations_match_a_plain_array);
    tcase_add_test(tc, discard_zeroes_whole_clusters_only);
    tcase_add_test(tc, sectors_of_one_cluster_written_at_once_all_survive);
    tcase_add_test(tc, next_snapshot_starts_from_the_base_again);
    tcase_add_test(tc, write_that_finds_the_disk_full_leaves_the_old_bytes);
    tcase_add_test(tc, base_that_shrank_gives_io_errors);
    tcase_add_test(tc, overlay_leaves_no_name_behind);
    return fake_run(tc);
}
