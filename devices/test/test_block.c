/* Opening disk images: what is refused and with which words, locks, what is learnt of the file. */
#include "devices/block/block.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/test/fake.h"

static char dir[64], path[128], logged[1024];
static unsigned lines;
static struct loop *loop;
static struct block *b, *other;

static void keep_line(void *opaque, enum log_level level, const char *line)
{
    (void)opaque;
    (void)level;
    lines++;
    strncat(logged, line, sizeof(logged) - strlen(logged) - 1);
}

static void set_up(void)
{
    strcpy(dir, "/tmp/hv-block-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    strcpy(path, dir);
    strcat(path, "/disk");
    loop = loop_create();
    ck_assert_ptr_nonnull(loop);
    b = other = NULL;
    lines = 0;
    logged[0] = '\0';
    log_set_sink(keep_line, NULL);
}

static void tear_down(void)
{
    block_close(b);
    block_close(other);
    loop_destroy(loop);
    log_set_sink(NULL, NULL);
    chmod(path, 0600);
    unlink(path);
    rmdir(path);
    ck_assert_int_eq(rmdir(dir), 0);
}

static void make_file(off_t size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, size), 0);
    close(fd);
}

static int open_as(bool readonly, bool snapshot, enum block_cache cache, struct block **out)
{
    struct block_config config = {
        .path = path, .readonly = readonly, .snapshot = snapshot, .cache = cache, .depth = 8};

    return block_open(&config, loop, out);
}

static void expect_refused(int err, const char *words)
{
    ck_assert_int_eq(open_as(false, false, BLOCK_WRITEBACK, &b), err);
    ck_assert_ptr_null(b);
    ck_assert_uint_eq(lines, 1);
    ck_assert_msg(strstr(logged, path) != NULL, "no path: %s", logged);
    ck_assert_msg(strstr(logged, words) != NULL, "no \"%s\": %s", words, logged);
}

START_TEST(missing_image_is_refused_with_a_way_to_make_one)
{
    expect_refused(-ENOENT, "truncate -s");
}
END_TEST

START_TEST(directory_is_refused)
{
    ck_assert_int_eq(mkdir(path, 0700), 0);
    expect_refused(-EINVAL, "a directory");
}
END_TEST

START_TEST(fifo_is_refused_without_waiting_for_its_other_end)
{
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    expect_refused(-EINVAL, "a FIFO");
    ck_assert_int_eq(open_as(true, false, BLOCK_WRITEBACK, &b), -EINVAL);
}
END_TEST

START_TEST(socket_is_refused)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    strcpy(addr.sun_path, path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    expect_refused(-EINVAL, "a socket");
    close(fd);
}
END_TEST

START_TEST(character_device_is_refused)
{
    ck_assert_int_eq(symlink("/dev/zero", path), 0);
    expect_refused(-EINVAL, "a character device");
    unlink(path);
}
END_TEST

START_TEST(empty_image_is_refused)
{
    make_file(0);
    expect_refused(-EINVAL, "empty");
}
END_TEST

START_TEST(size_of_no_whole_sectors_is_refused)
{
    make_file(1000);
    expect_refused(-EINVAL, "no multiple of 512");
    ck_assert_ptr_nonnull(strstr(logged, "truncate -s %512"));
}
END_TEST

START_TEST(unreadable_image_is_refused)
{
    pid_t pid;
    int status;

    make_file(4096);
    chmod(path, 0);
    chmod(dir, 0755);
    /* root reads everything */
    pid = fork();
    if (pid == 0) {
        if (getuid() == 0 && setuid(65534) < 0)
            _exit(1);
        if (open_as(false, false, BLOCK_WRITEBACK, &b) != -EACCES)
            _exit(2);
        _exit(strstr(logged, "readonly=on") && lines == 1 ? 0 : 3);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(second_writer_is_refused)
{
    make_file(4096);
    ck_assert_int_eq(open_as(false, false, BLOCK_WRITEBACK, &other), 0);
    expect_refused(-EBUSY, "in use by this same machine");
}
END_TEST

START_TEST(holder_in_another_process_is_named)
{
    int to_us[2], to_child[2], status;
    char want[64], byte;
    pid_t pid;

    make_file(4096);
    ck_assert_int_eq(pipe(to_us), 0);
    ck_assert_int_eq(pipe(to_child), 0);
    pid = fork();
    if (pid == 0) {
        struct loop *own = loop_create();
        struct block_config config = {.path = path, .depth = 1, .threads_only = true};

        close(to_child[1]);
        if (block_open(&config, own, &b) < 0 || write(to_us[1], "x", 1) != 1)
            _exit(1);
        (void)!read(to_child[0], &byte, 1);
        _exit(0);
    }
    ck_assert_int_eq(read(to_us[0], &byte, 1), 1);
    snprintf(want, sizeof(want), "test_block (process %d)", (int)pid);
    expect_refused(-EBUSY, want);
    close(to_child[1]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    /* The kernel dropped its lock. */
    ck_assert_int_eq(open_as(false, false, BLOCK_WRITEBACK, &b), 0);
    close(to_us[0]);
    close(to_us[1]);
    close(to_child[0]);
}
END_TEST

START_TEST(readers_share_and_keep_writers_out)
{
    make_file(4096);
    ck_assert_int_eq(open_as(true, false, BLOCK_WRITEBACK, &other), 0);
    ck_assert_int_eq(open_as(false, true, BLOCK_WRITEBACK, &b), 0);
    block_close(b);
    b = NULL;
    expect_refused(-EBUSY, "in use");
    block_close(other);
    other = NULL;
    ck_assert_int_eq(open_as(false, false, BLOCK_WRITEBACK, &b), 0);
}
END_TEST

START_TEST(snapshot_of_what_is_written_is_refused)
{
    make_file(4096);
    ck_assert_int_eq(open_as(false, false, BLOCK_WRITEBACK, &other), 0);
    ck_assert_int_eq(open_as(false, true, BLOCK_WRITEBACK, &b), -EBUSY);
}
END_TEST

START_TEST(qcow2_header_in_a_raw_image_is_data)
{
    int fd;

    make_file(65536);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(write(fd, "QFI\xfb\0\0\0\3\0\0\0\0\0\0\1\0\0\0\0\x0b", 20), 20);
    close(fd);
    ck_assert_int_eq(open_as(false, false, BLOCK_WRITEBACK, &b), 0);
    ck_assert_uint_eq(block_info(b)->size, 65536);
    ck_assert_uint_eq(lines, 0);
}
END_TEST

START_TEST(plain_file_has_sectors_of_512_and_can_discard)
{
    make_file(1 << 20);
    ck_assert_int_eq(open_as(false, false, BLOCK_WRITEBACK, &b), 0);
    ck_assert_uint_eq(block_info(b)->logical, 512);
    ck_assert_uint_eq(block_info(b)->physical, 512);
    ck_assert(!block_info(b)->readonly);
    ck_assert(block_info(b)->discard);
    /* The look for it left the file alone. */
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_size, 1 << 20);
    ck_assert_int_eq(st.st_blocks, 0);
}
END_TEST

START_TEST(read_only_file_opens_read_only)
{
    make_file(4096);
    chmod(path, 0400);
    ck_assert_int_eq(open_as(true, false, BLOCK_WRITEBACK, &b), 0);
    ck_assert(block_info(b)->readonly);
    ck_assert(!block_info(b)->discard);
}
END_TEST

/* From here on io_uring_setup is unknown to this process, as on kernels and hosts without it. */
static void forbid_io_uring(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

    ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void note(struct block_request *req, int result)
{
    *(int *)req->opaque = result;
}

START_TEST(host_without_io_uring_gets_threads_and_one_line_of_log)
{
    uint8_t buf[512];
    int result = 1;
    struct iovec v = {.iov_base = buf, .iov_len = sizeof(buf)};
    struct block_request req = {.op = BLOCK_READ, .len = sizeof(buf), .iov = &v, .iov_count = 1};

    make_file(4096);
    forbid_io_uring();
    ck_assert_int_eq(open_as(false, false, BLOCK_WRITEBACK, &b), 0);
    ck_assert_uint_eq(lines, 1);
    ck_assert_msg(strstr(logged, "no io_uring here") != NULL, "%s", logged);
    req.done = note;
    req.opaque = &result;
    block_submit(b, &req);
    block_drain(b);
    ck_assert_int_eq(result, 0);
}
END_TEST

START_TEST(null_is_closed)
{
    block_close(NULL);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("block");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, missing_image_is_refused_with_a_way_to_make_one);
    tcase_add_test(tc, directory_is_refused);
    tcase_add_test(tc, fifo_is_refused_without_waiting_for_its_other_end);
    tcase_add_test(tc, socket_is_refused);
    tcase_add_test(tc, character_device_is_refused);
    tcase_add_test(tc, empty_image_is_refused);
    tcase_add_test(tc, size_of_no_whole_sectors_is_refused);
    tcase_add_test(tc, unreadable_image_is_refused);
    tcase_add_test(tc, second_writer_is_refused);
    tcase_add_test(tc, holder_in_another_process_is_named);
    tcase_add_test(tc, readers_share_and_keep_writers_out);
    tcase_add_test(tc, snapshot_of_what_is_written_is_refused);
    tcase_add_test(tc, qcow2_header_in_a_raw_image_is_data);
    tcase_add_test(tc, plain_file_has_sectors_of_512_and_can_discard);
    tcase_add_test(tc, read_only_file_opens_read_only);
    tcase_add_test(tc, host_without_io_uring_gets_threads_and_one_line_of_log);
    tcase_add_test(tc, null_is_closed);
    return fake_run(tc);
}
