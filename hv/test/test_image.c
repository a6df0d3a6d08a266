/* Opening and reading the files that are loaded: everything that is no file is refused at once. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "hv/test/loader_world.h"
#include "hv/test/run_suite.h"

static char dir[64];

static void in_directory(void)
{
    world_reset();
    snprintf(dir, sizeof(dir), "/tmp/hv-image-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static const char *below(const char *name)
{
    static char path[96];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void expect_refused(const char *path, int err, const char *text)
{
    struct image img;

    ck_assert_int_eq(image_open(&img, path), err);
    ck_assert_int_eq(img.fd, -1);
    expect_line(path, text);
}

START_TEST(a_regular_file_opens_with_its_size)
{
    struct image img;
    const char *path;

    world_reset();
    path = file_of("kernel", 6);
    ck_assert_int_eq(image_open(&img, path), 0);
    ck_assert_uint_eq(img.size, 6);
    ck_assert_str_eq(img.path, path);
    ck_assert_int_ne(fcntl(img.fd, F_GETFD) & FD_CLOEXEC, 0);
    image_close(&img);
    ck_assert_int_eq(img.fd, -1);
    image_close(&img);
    ck_assert_uint_eq(world.errors, 0);
}
END_TEST

START_TEST(a_missing_file_is_refused_with_its_name)
{
    world_reset();
    expect_refused("/nonexistent/vmlinuz", -ENOENT, "No such file or directory (check the path)");
    expect_refused("", -ENOENT, "No such file");
}
END_TEST

START_TEST(an_empty_file_is_refused)
{
    world_reset();
    expect_refused(file_of("", 0), -ENODATA, "is empty");
}
END_TEST

START_TEST(a_directory_is_refused)
{
    world_reset();
    expect_refused("/tmp", -EISDIR, "is a directory");
}
END_TEST

START_TEST(a_fifo_is_refused_without_waiting_for_a_writer)
{
    in_directory();
    ck_assert_int_eq(mkfifo(below("fifo"), 0600), 0);
    expect_refused(below("fifo"), -EINVAL, "is a FIFO");
    unlink(below("fifo"));
    rmdir(dir);
}
END_TEST

START_TEST(a_device_is_refused)
{
    world_reset();
    expect_refused("/dev/zero", -EINVAL, "is a device");
}
END_TEST

START_TEST(a_socket_is_refused)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    in_directory();
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/socket", dir);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    expect_refused(below("socket"), -EINVAL, "is a socket");
    close(fd);
    unlink(below("socket"));
    rmdir(dir);
}
END_TEST

START_TEST(a_symbolic_link_loop_is_refused_with_the_reason)
{
    in_directory();
    ck_assert_int_eq(symlink("loop", below("loop")), 0);
    expect_refused(below("loop"), -ELOOP, "Too many levels of symbolic links");
    unlink(below("loop"));
    rmdir(dir);
}
END_TEST

START_TEST(an_unreadable_file_is_refused_with_a_way_out)
{
    FILE *f;

    in_directory();
    ck_assert_int_eq(chmod(dir, 0755), 0);
    f = fopen(below("secret"), "w");
    ck_assert_ptr_nonnull(f);
    fputs("kernel", f);
    fclose(f);
    ck_assert_int_eq(chmod(below("secret"), 0), 0);
    /* Root may read everything: become nobody, in this process of the test's own. */
    if (geteuid() == 0)
        ck_assert_int_eq(seteuid(65534), 0);
    expect_refused(below("secret"), -EACCES, "Permission denied (try: sudo chmod a+r");
    ck_assert_int_eq(seteuid(getuid()), 0);
    unlink(below("secret"));
    rmdir(dir);
}
END_TEST

START_TEST(too_many_open_files_is_refused_with_a_way_out)
{
    struct rlimit old, none;
    struct image img;
    const char *path;
    int err;

    world_reset();
    path = file_of("kernel", 6);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = (struct rlimit){0, old.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    err = image_open(&img, path);
    setrlimit(RLIMIT_NOFILE, &old);
    ck_assert_int_eq(err, -EMFILE);
    expect_line(path, "ulimit -n");
}
END_TEST

START_TEST(read_gives_exactly_the_range_that_was_asked_for)
{
    struct image img;
    char buf[4] = "....";

    world_reset();
    ck_assert_int_eq(image_open(&img, file_of("0123456789", 10)), 0);
    ck_assert_int_eq(image_read(&img, 6, buf, 4), 0);
    ck_assert_mem_eq(buf, "6789", 4);
    ck_assert_int_eq(image_read(&img, 10, buf, 0), 0);
    image_close(&img);
}
END_TEST

START_TEST(read_beyond_the_end_is_enodata_without_a_line)
{
    struct image img;
    char buf[4];

    world_reset();
    ck_assert_int_eq(image_open(&img, file_of("0123456789", 10)), 0);
    ck_assert_int_eq(image_read(&img, 7, buf, 4), -ENODATA);
    ck_assert_int_eq(image_read(&img, 11, buf, 0), -ENODATA);
    ck_assert_int_eq(image_read(&img, UINT64_MAX, buf, 2), -ENODATA);
    image_close(&img);
    ck_assert_uint_eq(world.errors, 0);
}
END_TEST

START_TEST(read_of_a_file_that_shrank_is_enodata)
{
    struct image img;
    char buf[4];
    const char *path;

    world_reset();
    path = file_of("0123456789", 10);
    ck_assert_int_eq(image_open(&img, path), 0);
    ck_assert_int_eq(truncate(path, 5), 0);
    ck_assert_int_eq(image_read(&img, 4, buf, 4), -ENODATA);
    image_close(&img);
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(a_regular_file_opens_with_its_size),
        CASE(a_missing_file_is_refused_with_its_name),
        CASE(an_empty_file_is_refused),
        CASE(a_directory_is_refused),
        CASE(a_fifo_is_refused_without_waiting_for_a_writer),
        CASE(a_device_is_refused),
        CASE(a_socket_is_refused),
        CASE(a_symbolic_link_loop_is_refused_with_the_reason),
        CASE(an_unreadable_file_is_refused_with_a_way_out),
        CASE(too_many_open_files_is_refused_with_a_way_out),
        CASE(read_gives_exactly_the_range_that_was_asked_for),
        CASE(read_beyond_the_end_is_enodata_without_a_line),
        CASE(read_of_a_file_that_shrank_is_enodata),
    };

    return run_suite("image", cases, ARRAY_SIZE(cases));
}
