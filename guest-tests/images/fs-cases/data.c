/* What is in files: reading, writing, mapping, running. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest-tests/images/fs-cases/cases.h"

static void write_and_read_back(void)
{
    put("f", "hello");
    EXPECT(strcmp(get("f"), "hello") == 0);
    EXPECT(info("f").st_size == 5);
}

static void truncate_on_open(void)
{
    put("f", "a long text");
    put("f", "short");
    EXPECT(strcmp(get("f"), "short") == 0);
}

static void append_goes_to_the_end(void)
{
    int fd;

    put("f", "one");
    fd = open("f", O_WRONLY | O_APPEND);
    EXPECT(write(fd, "two", 3) == 3);
    put("g", "x");
    EXPECT(lseek(fd, 0, SEEK_SET) == 0 && write(fd, "three", 5) == 5);
    close(fd);
    EXPECT(strcmp(get("f"), "onetwothree") == 0);
}

static void append_by_two_descriptors(void)
{
    int a, b;

    put("f", "");
    a = open("f", O_WRONLY | O_APPEND);
    b = open("f", O_WRONLY | O_APPEND);
    EXPECT(write(a, "a", 1) == 1 && write(b, "b", 1) == 1 && write(a, "c", 1) == 1);
    close(a);
    close(b);
    EXPECT(strcmp(get("f"), "abc") == 0);
}

static void truncate_shorter_and_longer(void)
{
    char zeros[8] = "xxxxxxx";
    int fd;

    put("f", "0123456789");
    EXPECT(truncate("f", 4) == 0 && strcmp(get("f"), "0123") == 0);
    EXPECT(truncate("f", 10) == 0 && info("f").st_size == 10);
    fd = open("f", O_RDONLY);
    EXPECT(pread(fd, zeros, 6, 4) == 6 && memcmp(zeros, "\0\0\0\0\0\0", 6) == 0);
    close(fd);
    EXPECT(mkdir("d", 0755) == 0);
    FAILS(truncate("d", 0), EISDIR);
    FAILS(truncate("none", 0), ENOENT);
}

static void sparse_file_over_4_gib(void)
{
    int fd = open("f", O_RDWR | O_CREAT, 0644);
    char c = 0;

    EXPECT(pwrite(fd, "end", 3, 5368709120) == 3);
    EXPECT(info("f").st_size == 5368709123);
    EXPECT(pread(fd, &c, 1, 5368709122) == 1 && c == 'd');
    EXPECT(pread(fd, &c, 1, 4294967296) == 1 && c == 0);
    close(fd);
}

static void map_private(void)
{
    char *at;
    int fd;

    put("f", "mapped");
    fd = open("f", O_RDONLY);
    at = mmap(NULL, 6, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    EXPECT(at != MAP_FAILED && memcmp(at, "mapped", 6) == 0);
    if (at != MAP_FAILED) {
        at[0] = 'M';
        munmap(at, 6);
    }
    close(fd);
    EXPECT(strcmp(get("f"), "mapped") == 0);
}

static void execute_a_script(void)
{
    int status = -1, fd;

    put("run", "#!/bin/sh\nexit 7\n");
    EXPECT(chmod("run", 0755) == 0);
    fd = open("run", O_RDONLY);
    EXPECT(fd >= 0);
    close(fd);
    status = system("./run");
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void sync_to_disk(void)
{
    int fd = open("f", O_RDWR | O_CREAT, 0644), dir = open(".", O_RDONLY | O_DIRECTORY);

    EXPECT(write(fd, "x", 1) == 1 && fsync(fd) == 0 && fdatasync(fd) == 0);
    EXPECT(fsync(dir) == 0);
    close(fd);
    close(dir);
}

static void large_blocks(void)
{
    enum { SIZE = 3 << 20 };
    unsigned char *out = malloc(SIZE), *in = malloc(SIZE);
    int fd = open("f", O_RDWR | O_CREAT, 0644);

    for (unsigned i = 0; i < SIZE; i++)
        out[i] = (unsigned char)(i * 31 + i / 4096);
    EXPECT(write(fd, out, SIZE) == SIZE);
    EXPECT(pread(fd, in, SIZE, 0) == SIZE && memcmp(in, out, SIZE) == 0);
    EXPECT(pread(fd, in, 100000, 12345) == 100000 && memcmp(in, out + 12345, 100000) == 0);
    EXPECT(pread(fd, in, SIZE, SIZE - 7) == 7);
    close(fd);
    free(out);
    free(in);
}

static void many_open_files(void)
{
    static int fds[200];
    char name[16], c;

    for (unsigned i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "f%u", i);
        fds[i] = open(name, O_RDWR | O_CREAT, 0644);
        c = (char)i;
        EXPECT(fds[i] >= 0 && write(fds[i], &c, 1) == 1);
    }
    for (unsigned i = 0; i < 200; i++) {
        EXPECT(pread(fds[i], &c, 1, 0) == 1 && c == (char)i);
        close(fds[i]);
    }
}

static void permissions_of_a_read_only_open(void)
{
    int fd;

    put("f", "x");
    fd = open("f", O_RDONLY);
    FAILS(write(fd, "y", 1), EBADF);
    close(fd);
    fd = open("f", O_WRONLY);
    char c;
    FAILS(read(fd, &c, 1), EBADF);
    close(fd);
}

static void read_and_write_at_odd_places(void)
{
    static const off_t places[] = {0, 1, 4095, 4096, 4097, 8191, 65535, 1048575, 3000001};
    char text[8], zero;
    int fd = open("f", O_RDWR | O_CREAT, 0644);

    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        EXPECT(pwrite(fd, "odd!", 4, places[i]) == 4);
        EXPECT(pread(fd, text, 4, places[i]) == 4 && memcmp(text, "odd!", 4) == 0);
    }
    EXPECT(info("f").st_size == 3000005);
    EXPECT(pread(fd, &zero, 1, 2000000) == 1 && zero == 0);
    FAILS(pread(fd, text, 1, -1), EINVAL);
    FAILS(pwrite(fd, text, 1, -1), EINVAL);
    close(fd);
}

static void read_at_the_end_and_beyond(void)
{
    char text[8];
    int fd;

    put("f", "12345");
    fd = open("f", O_RDONLY);
    EXPECT(pread(fd, text, 8, 3) == 2 && pread(fd, text, 8, 5) == 0 &&
           pread(fd, text, 8, 999) == 0);
    EXPECT(lseek(fd, 0, SEEK_END) == 5 && lseek(fd, -2, SEEK_CUR) == 3);
    FAILS(lseek(fd, -1, SEEK_SET), EINVAL);
    close(fd);
}

static void write_of_nothing(void)
{
    int fd;

    put("f", "12345");
    fd = open("f", O_WRONLY);
    EXPECT(write(fd, "", 0) == 0 && pwrite(fd, "", 0, 100) == 0 && info("f").st_size == 5);
    close(fd);
}

static void pieces_in_one_call(void)
{
    char a[2], b[3];
    struct iovec out[3] = {{"ab", 2}, {"", 0}, {"cde", 3}}, in[2] = {{a, 2}, {b, 3}};
    int fd = open("f", O_RDWR | O_CREAT, 0644);

    EXPECT(writev(fd, out, 3) == 5 && strcmp(get("f"), "abcde") == 0);
    EXPECT(lseek(fd, 0, SEEK_SET) == 0 && readv(fd, in, 2) == 5 && b[2] == 'e');
    close(fd);
}

static void copies_of_a_descriptor_share_their_place(void)
{
    int fd = open("f", O_RDWR | O_CREAT, 0644), copy = dup(fd);

    EXPECT(write(fd, "ab", 2) == 2 && write(copy, "cd", 2) == 2 && lseek(fd, 0, SEEK_CUR) == 4);
    close(fd);
    EXPECT(write(copy, "e", 1) == 1 && strcmp(get("f"), "abcde") == 0);
    close(copy);
}

static void two_opens_have_places_of_their_own(void)
{
    char c = 0;
    int a, b;

    put("f", "12");
    a = open("f", O_RDWR);
    b = open("f", O_RDONLY);
    EXPECT(pwrite(a, "x", 1, 0) == 1 && read(b, &c, 1) == 1 && c == 'x');
    EXPECT(ftruncate(a, 1) == 0 && read(b, &c, 1) == 0);
    close(a);
    close(b);
}

static void append_by_two_processes(void)
{
    enum { LINES = 50 };
    int status = 0, fd;

    put("f", "");
    for (unsigned i = 0; i < 2; i++)
        if (fork() == 0) {
            fd = open("f", O_WRONLY | O_APPEND);
            for (unsigned n = 0; n < LINES; n++)
                if (write(fd, "0123456\n", 8) != 8)
                    _exit(1);
            _exit(0);
        }
    while (wait(&status) > 0)
        EXPECT(status == 0);
    EXPECT(info("f").st_size == 2 * LINES * 8L);
}

static void holes_are_zeros_and_take_no_room(void)
{
    int fd = open("f", O_RDWR | O_CREAT, 0644);
    char text[4] = "xxx";

    EXPECT(ftruncate(fd, 100 << 20) == 0 && info("f").st_blocks < 1000);
    EXPECT(pread(fd, text, 3, 50 << 20) == 3 && memcmp(text, "\0\0\0", 3) == 0);
    EXPECT(lseek(fd, 0, SEEK_HOLE) >= 0);
    FAILS(lseek(fd, 200 << 20, SEEK_DATA), ENXIO);
    close(fd);
}

static void size_beyond_what_a_file_may_have(void)
{
    put("f", "x");
    EXPECT(truncate("f", INT64_MAX) < 0 ? errno == EFBIG || errno == EINVAL : true);
    FAILS(truncate("f", -1), EINVAL);
    EXPECT(strncmp(get("f"), "x", 1) == 0);
}

static void map_shared_is_written_back(void)
{
    char *at;
    int fd;

    put("f", "mapped");
    fd = open("f", O_RDWR);
    at = mmap(NULL, 6, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    EXPECT(at != MAP_FAILED);
    if (at == MAP_FAILED)
        return;
    at[0] = 'M';
    EXPECT(msync(at, 6, MS_SYNC) == 0 && strcmp(get("f"), "Mapped") == 0);
    at[1] = 'A';
    EXPECT(munmap(at, 6) == 0 && fsync(fd) == 0);
    close(fd);
    EXPECT(strcmp(get("f"), "MApped") == 0);
}

static void map_shared_by_two_processes(void)
{
    char *at;
    int fd = open("f", O_RDWR | O_CREAT, 0644), status;
    pid_t child;

    EXPECT(ftruncate(fd, 8192) == 0);
    at = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    EXPECT(at != MAP_FAILED);
    if (at == MAP_FAILED)
        return;
    child = fork();
    if (child == 0) {
        at[5000] = 'c';
        _exit(0);
    }
    EXPECT(waitpid(child, &status, 0) == child && at[5000] == 'c');
    munmap(at, 8192);
    close(fd);
}

static void map_outlives_descriptor_and_name(void)
{
    char *at;
    int fd;

    put("f", "mapped");
    fd = open("f", O_RDONLY);
    at = mmap(NULL, 6, PROT_READ, MAP_SHARED, fd, 0);
    EXPECT(close(fd) == 0 && unlink("f") == 0);
    EXPECT(at != MAP_FAILED && memcmp(at, "mapped", 6) == 0);
    EXPECT(at == MAP_FAILED || at[4095] == 0); /* behind the end: zeros */
}

static void map_asks_for_what_the_open_allows(void)
{
    int fd;

    put("f", "mapped");
    fd = open("f", O_RDONLY);
    EXPECT(mmap(NULL, 6, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EACCES);
    close(fd);
}

static void copy_within_the_kernel(void)
{
    off_t from = 1;
    int in, out;

    put("f", "0123456789");
    in = open("f", O_RDONLY);
    out = open("g", O_RDWR | O_CREAT, 0644);
    EXPECT(sendfile(out, in, &from, 4) == 4 && from == 5 && strcmp(get("g"), "1234") == 0);
    from = 8;
    EXPECT(copy_file_range(in, &from, out, NULL, 10, 0) == 2 || errno == EXDEV ||
           errno == EOPNOTSUPP);
    EXPECT(ftruncate(out, 4) == 0);
    close(in);
    close(out);
}

static void room_ahead_of_its_use(void)
{
    int fd = open("f", O_RDWR | O_CREAT, 0644), err;

    err = fallocate(fd, 0, 0, 10000) < 0 ? errno : 0;
    EXPECT(err == EOPNOTSUPP || (err == 0 && info("f").st_size == 10000));
    /* The library writes zeros where the file system knows no such thing. */
    EXPECT(posix_fallocate(fd, 0, 20000) == 0 && info("f").st_size == 20000);
    close(fd);
}

static void read_past_the_cache(void)
{
    static char block[4096] __attribute__((aligned(4096)));
    int fd;

    put("f", "direct");
    fd = open("f", O_RDONLY | O_DIRECT);
    EXPECT(fd >= 0 || errno == EINVAL);
    EXPECT(fd < 0 || (read(fd, block, sizeof(block)) == 6 && memcmp(block, "direct", 6) == 0));
    close(fd);
}

static void file_without_a_name(void)
{
    int fd = open(".", O_RDWR | O_TMPFILE, 0600);

    EXPECT(fd >= 0 || errno == EOPNOTSUPP || errno == EISDIR);
    EXPECT(fd < 0 || write(fd, "x", 1) == 1);
    close(fd);
}

static void execute_a_program_from_here(void)
{
    char block[65536];
    int from = open("/proc/self/exe", O_RDONLY), to = open("run", O_WRONLY | O_CREAT, 0755), status;
    ssize_t n;
    pid_t child;

    while ((n = read(from, block, sizeof(block))) > 0)
        EXPECT(write(to, block, (size_t)n) == n);
    close(from);
    EXPECT(close(to) == 0);
    child = fork();
    if (child == 0) {
        execl("./run", "run", "--exit", "7", (char *)NULL);
        _exit(1);
    }
    EXPECT(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7);
    EXPECT(chmod("run", 0644) == 0 && execl("./run", "run", (char *)NULL) < 0 && errno == EACCES);
}

const struct fs_case data_cases[] = {CASE(write_and_read_back),
                                     CASE(truncate_on_open),
                                     CASE(append_goes_to_the_end),
                                     CASE(append_by_two_descriptors),
                                     CASE(truncate_shorter_and_longer),
                                     CASE(sparse_file_over_4_gib),
                                     CASE(map_private),
                                     CASE(execute_a_script),
                                     CASE(sync_to_disk),
                                     CASE(large_blocks),
                                     CASE(many_open_files),
                                     CASE(permissions_of_a_read_only_open),
                                     CASE(read_and_write_at_odd_places),
                                     CASE(read_at_the_end_and_beyond),
                                     CASE(write_of_nothing),
                                     CASE(pieces_in_one_call),
                                     CASE(copies_of_a_descriptor_share_their_place),
                                     CASE(two_opens_have_places_of_their_own),
                                     CASE(append_by_two_processes),
                                     CASE(holes_are_zeros_and_take_no_room),
                                     CASE(size_beyond_what_a_file_may_have),
                                     CASE(map_shared_is_written_back),
                                     CASE(map_shared_by_two_processes),
                                     CASE(map_outlives_descriptor_and_name),
                                     CASE(map_asks_for_what_the_open_allows),
                                     CASE(copy_within_the_kernel),
                                     CASE(room_ahead_of_its_use),
                                     CASE(read_past_the_cache),
                                     CASE(file_without_a_name),
                                     CASE(execute_a_program_from_here),
                                     {NULL, NULL}};
