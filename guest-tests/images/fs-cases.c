/*
 * What programs expect of a file system, tried in a directory: `fs-cases DIR`. Runs in a guest on a
 * directory that the host shares (guest-tests/linux-share), and just as well on any other. One line
 * a case, "ok NAME" or "not ok NAME: what was wrong"; the last is "fs-cases: N passed, N failed".
 *
 * Static, without anything but libc; each case starts with an empty directory of its own.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static unsigned passed, failed;
static const char *problem;

/* Notes the first expectation that does not hold; the case goes on. */
#define EXPECT(holds)                                                                              \
    do {                                                                                           \
        if (!(holds) && !problem)                                                                  \
            problem = #holds;                                                                      \
    } while (0)
#define FAILS(call, number) EXPECT((call) < 0 && errno == (number))

static void put(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    EXPECT(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    EXPECT(close(fd) == 0);
}

static const char *get(const char *name)
{
    static char text[256];
    int fd = open(name, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    close(fd);
    text[n < 0 ? 0 : n] = '\0';
    return n < 0 ? "(cannot be read)" : text;
}

static struct stat info(const char *name)
{
    struct stat st = {0};

    EXPECT(lstat(name, &st) == 0);
    return st;
}

static bool there(const char *name)
{
    struct stat st;

    return lstat(name, &st) == 0;
}

static void create_exclusive(void)
{
    int fd = open("f", O_RDWR | O_CREAT | O_EXCL, 0600);

    EXPECT(fd >= 0);
    close(fd);
    FAILS(open("f", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
    EXPECT((info("f").st_mode & 07777) == 0600);
}

static void create_obeys_umask(void)
{
    mode_t before = umask(027);

    put("f", "x");
    EXPECT((info("f").st_mode & 07777) == 0640);
    EXPECT(mkdir("d", 0777) == 0 && (info("d").st_mode & 07777) == 0750);
    umask(before);
}

static void open_missing(void)
{
    FAILS(open("none", O_RDONLY), ENOENT);
    FAILS(open("none/below", O_RDONLY), ENOENT);
    put("f", "x");
    FAILS(open("f/below", O_RDONLY), ENOTDIR);
}

static void open_directory_to_write(void)
{
    EXPECT(mkdir("d", 0755) == 0);
    FAILS(open("d", O_WRONLY), EISDIR);
    FAILS(open("d", O_RDWR | O_CREAT, 0644), EISDIR);
}

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

static void ftruncate_of_a_file_without_permission(void)
{
    int fd = open("f", O_RDWR | O_CREAT, 0644);

    EXPECT(write(fd, "0123456789", 10) == 10 && fchmod(fd, 0) == 0);
    EXPECT(ftruncate(fd, 3) == 0);
    EXPECT(info("f").st_size == 3);
    close(fd);
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

static void unlink_while_open(void)
{
    char text[8] = "";
    struct stat st;
    int fd;

    put("f", "alive");
    fd = open("f", O_RDWR);
    EXPECT(unlink("f") == 0 && !there("f"));
    EXPECT(fstat(fd, &st) == 0 && st.st_size == 5);
    EXPECT(pread(fd, text, 5, 0) == 5 && strcmp(text, "alive") == 0);
    EXPECT(pwrite(fd, "A", 1, 0) == 1 && pread(fd, text, 1, 0) == 1 && text[0] == 'A');
    close(fd);
}

static void unlink_and_create_again_while_open(void)
{
    char text[8] = "";
    int fd;

    put("f", "old");
    fd = open("f", O_RDONLY);
    EXPECT(unlink("f") == 0);
    put("f", "new");
    EXPECT(pread(fd, text, 3, 0) == 3 && strcmp(text, "old") == 0);
    EXPECT(strcmp(get("f"), "new") == 0);
    close(fd);
}

static void unlink_errors(void)
{
    FAILS(unlink("none"), ENOENT);
    EXPECT(mkdir("d", 0755) == 0);
    FAILS(unlink("d"), EISDIR);
    put("f", "x");
    FAILS(rmdir("f"), ENOTDIR);
}

static void rename_to_a_new_name(void)
{
    put("a", "x");
    EXPECT(rename("a", "b") == 0 && !there("a") && strcmp(get("b"), "x") == 0);
    FAILS(rename("a", "c"), ENOENT);
}

static void rename_over_a_file(void)
{
    ino_t number;

    put("a", "new");
    put("b", "old");
    number = info("a").st_ino;
    EXPECT(rename("a", "b") == 0 && !there("a"));
    EXPECT(strcmp(get("b"), "new") == 0 && info("b").st_ino == number);
}

static void rename_over_a_file_that_is_open(void)
{
    char text[8] = "";
    int fd;

    put("a", "new");
    put("b", "old");
    fd = open("b", O_RDONLY);
    EXPECT(rename("a", "b") == 0);
    EXPECT(read(fd, text, 3) == 3 && strcmp(text, "old") == 0);
    close(fd);
}

static void rename_between_directories(void)
{
    EXPECT(mkdir("d", 0755) == 0 && mkdir("e", 0755) == 0);
    put("d/f", "x");
    EXPECT(rename("d/f", "e/g") == 0 && !there("d/f") && strcmp(get("e/g"), "x") == 0);
}

static void rename_of_directories(void)
{
    EXPECT(mkdir("d", 0755) == 0 && mkdir("e", 0755) == 0);
    put("d/f", "x");
    EXPECT(rename("d", "e") == 0 && strcmp(get("e/f"), "x") == 0);
    EXPECT(mkdir("g", 0755) == 0);
    put("g/full", "x");
    EXPECT(rename("e", "g") < 0 && (errno == ENOTEMPTY || errno == EEXIST));
    FAILS(rename("g", "g/inside"), EINVAL);
    put("file", "x");
    FAILS(rename("g", "file"), ENOTDIR);
    FAILS(rename("file", "g"), EISDIR);
}

static void rename_of_an_open_file(void)
{
    int fd;

    put("a", "x");
    fd = open("a", O_RDWR);
    EXPECT(rename("a", "b") == 0);
    EXPECT(pwrite(fd, "y", 1, 0) == 1);
    close(fd);
    EXPECT(strcmp(get("b"), "y") == 0);
}

static void directory_is_empty_or_not(void)
{
    EXPECT(mkdir("d", 0755) == 0);
    FAILS(mkdir("d", 0755), EEXIST);
    put("d/f", "x");
    EXPECT(rmdir("d") < 0 && (errno == ENOTEMPTY || errno == EEXIST));
    EXPECT(unlink("d/f") == 0 && rmdir("d") == 0 && !there("d"));
    FAILS(rmdir("d"), ENOENT);
}

static void directory_link_count(void)
{
    nlink_t before = info(".").st_nlink;

    EXPECT(mkdir("d", 0755) == 0);
    EXPECT(info(".").st_nlink >= before);
    EXPECT(S_ISDIR(info("d").st_mode));
}

static void deep_directories(void)
{
    int depth = 0, top = open(".", O_RDONLY | O_DIRECTORY);

    while (depth < 40 && mkdir("deeper", 0755) == 0 && chdir("deeper") == 0)
        depth++;
    EXPECT(depth == 40);
    put("bottom", "x");
    EXPECT(strcmp(get("bottom"), "x") == 0);
    EXPECT(fchdir(top) == 0);
    close(top);
}

static void list_of_many_entries(void)
{
    static bool seen[2000];
    unsigned found = 0, n;
    char name[16];
    DIR *dir;

    memset(seen, 0, sizeof(seen));
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(name, sizeof(name), "e%u", i);
        EXPECT(mknod(name, S_IFREG | 0644, 0) == 0);
    }
    dir = opendir(".");
    for (struct dirent *e; (e = readdir(dir));)
        if (sscanf(e->d_name, "e%u", &n) == 1 && n < 2000 && !seen[n]) {
            seen[n] = true;
            found++;
            EXPECT(e->d_type == DT_REG || e->d_type == DT_UNKNOWN);
        }
    closedir(dir);
    EXPECT(found == 2000);
}

static void list_while_removing(void)
{
    char name[16];
    unsigned removed = 0;
    DIR *dir;

    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "e%u", i);
        put(name, "");
    }
    dir = opendir(".");
    for (struct dirent *e; (e = readdir(dir));)
        removed += e->d_name[0] == 'e' && unlink(e->d_name) == 0;
    closedir(dir);
    EXPECT(removed == 300);
}

static void list_rewound(void)
{
    unsigned first = 0, second = 0;
    DIR *dir;

    put("a", "");
    put("b", "");
    dir = opendir(".");
    while (readdir(dir))
        first++;
    put("c", "");
    rewinddir(dir);
    while (readdir(dir))
        second++;
    closedir(dir);
    EXPECT(first == 4 && second == 5);
}

static void names_of_every_byte(void)
{
    char name[4] = "x?y";

    for (int byte = 1; byte < 256; byte++) {
        if (byte == '/')
            continue;
        name[1] = (char)byte;
        put(name, "x");
        EXPECT(there(name) && unlink(name) == 0);
    }
}

static void names_of_255_bytes(void)
{
    char name[257];

    memset(name, 'n', 256);
    name[256] = '\0';
    FAILS(open(name, O_WRONLY | O_CREAT, 0644), ENAMETOOLONG);
    name[255] = '\0';
    put(name, "x");
    EXPECT(strcmp(get(name), "x") == 0);
}

static void symbolic_links(void)
{
    char text[32] = "";

    EXPECT(symlink("target", "l") == 0 && S_ISLNK(info("l").st_mode));
    EXPECT(readlink("l", text, sizeof(text)) == 6 && strcmp(text, "target") == 0);
    FAILS(open("l", O_RDONLY), ENOENT);
    put("target", "x");
    EXPECT(strcmp(get("l"), "x") == 0);
    FAILS(symlink("other", "l"), EEXIST);
    FAILS(open("l", O_RDONLY | O_NOFOLLOW), ELOOP);
    EXPECT(unlink("l") == 0 && there("target"));
    FAILS(readlink("target", text, sizeof(text)), EINVAL);
}

static void symbolic_link_loop(void)
{
    EXPECT(symlink("b", "a") == 0 && symlink("a", "b") == 0);
    FAILS(open("a", O_RDONLY), ELOOP);
}

static void symbolic_link_to_a_directory(void)
{
    EXPECT(mkdir("d", 0755) == 0 && symlink("d", "l") == 0);
    put("l/f", "x");
    EXPECT(strcmp(get("d/f"), "x") == 0);
}

static void hard_links(void)
{
    put("a", "x");
    EXPECT(link("a", "b") == 0 && info("a").st_nlink == 2);
    EXPECT(info("a").st_ino == info("b").st_ino);
    put("b", "y");
    EXPECT(strcmp(get("a"), "y") == 0);
    FAILS(link("a", "b"), EEXIST);
    EXPECT(unlink("a") == 0 && info("b").st_nlink == 1 && strcmp(get("b"), "y") == 0);
    EXPECT(mkdir("d", 0755) == 0);
    FAILS(link("d", "e"), EPERM);
}

static void modes(void)
{
    put("f", "x");
    EXPECT(chmod("f", 0751) == 0 && (info("f").st_mode & 07777) == 0751);
    EXPECT(mkdir("d", 0755) == 0 && chmod("d", 01777) == 0 && (info("d").st_mode & 07777) == 01777);
    FAILS(chmod("none", 0644), ENOENT);
}

static void modes_of_an_open_file(void)
{
    int fd = open("f", O_RDWR | O_CREAT, 0644);

    EXPECT(fchmod(fd, 0600) == 0 && (info("f").st_mode & 07777) == 0600);
    close(fd);
}

static void times_are_set(void)
{
    struct timespec t[2] = {{1000000000, 123456789}, {1100000000, 987654321}};
    struct stat st;

    put("f", "x");
    EXPECT(utimensat(AT_FDCWD, "f", t, 0) == 0);
    st = info("f");
    EXPECT(st.st_atim.tv_sec == 1000000000 && st.st_mtim.tv_sec == 1100000000);
    EXPECT(st.st_mtim.tv_nsec == 987654321);
    t[0].tv_nsec = UTIME_OMIT;
    t[1].tv_sec = 5;
    EXPECT(utimensat(AT_FDCWD, "f", t, 0) == 0);
    st = info("f");
    EXPECT(st.st_atim.tv_sec == 1000000000 && st.st_mtim.tv_sec == 5);
}

static void times_change_by_themselves(void)
{
    struct timespec old[2] = {{1000, 0}, {1000, 0}};

    put("f", "x");
    EXPECT(utimensat(AT_FDCWD, "f", old, 0) == 0);
    put("f", "y");
    EXPECT(info("f").st_mtim.tv_sec > 1000);
    EXPECT(utimensat(AT_FDCWD, "f", NULL, 0) == 0 && info("f").st_mtim.tv_sec > 1000000);
}

static void symbolic_links_have_times(void)
{
    struct timespec t[2] = {{7, 0}, {8, 0}};

    EXPECT(symlink("nowhere", "l") == 0);
    EXPECT(utimensat(AT_FDCWD, "l", t, AT_SYMLINK_NOFOLLOW) == 0 && info("l").st_mtim.tv_sec == 8);
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

/* A lock of another process; its exit status says what it found. */
static int locked_by_another(const char *name, short type, off_t start, off_t len)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
    int status;
    pid_t child = fork();

    if (child == 0) {
        int fd = open(name, O_RDWR);

        _exit(fcntl(fd, F_SETLK, &lock) < 0 ? errno : 0);
    }
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}

static void record_locks(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 5};
    int fd, got;

    put("f", "0123456789");
    fd = open("f", O_RDWR);
    EXPECT(fcntl(fd, F_SETLK, &lock) == 0);
    got = locked_by_another("f", F_WRLCK, 4, 1);
    EXPECT(got == EAGAIN || got == EACCES);
    EXPECT(locked_by_another("f", F_WRLCK, 5, 5) == 0);
    lock.l_type = F_UNLCK;
    EXPECT(fcntl(fd, F_SETLK, &lock) == 0);
    EXPECT(locked_by_another("f", F_WRLCK, 0, 0) == 0);
    close(fd);
}

static void record_locks_end_with_their_process(void)
{
    put("f", "x");
    EXPECT(locked_by_another("f", F_WRLCK, 0, 0) == 0);
    EXPECT(locked_by_another("f", F_WRLCK, 0, 0) == 0);
}

static void whole_file_locks(void)
{
    int a, b;

    put("f", "x");
    a = open("f", O_RDWR);
    b = open("f", O_RDWR);
    EXPECT(flock(a, LOCK_EX) == 0);
    FAILS(flock(b, LOCK_EX | LOCK_NB), EAGAIN);
    EXPECT(flock(a, LOCK_UN) == 0 && flock(b, LOCK_EX | LOCK_NB) == 0);
    close(a);
    close(b);
}

/* Where the host's file system has none, the guest must say so and no other thing. */
static void attributes(void)
{
    char value[8];

    put("f", "x");
    if (setxattr("f", "user.a", "one", 3, 0) < 0) {
        EXPECT(errno == EOPNOTSUPP);
        return;
    }
    EXPECT(getxattr("f", "user.a", value, sizeof(value)) == 3 && memcmp(value, "one", 3) == 0);
    FAILS(setxattr("f", "user.a", "two", 3, XATTR_CREATE), EEXIST);
    EXPECT(setxattr("f", "user.a", "2", 1, XATTR_REPLACE) == 0);
    EXPECT(getxattr("f", "user.a", value, sizeof(value)) == 1);
    EXPECT(listxattr("f", NULL, 0) >= 7);
    EXPECT(removexattr("f", "user.a") == 0);
    FAILS(getxattr("f", "user.a", value, sizeof(value)), ENODATA);
}

static void fifos_and_sockets(void)
{
    int status;
    pid_t child;
    char c = 0;

    EXPECT(mkfifo("p", 0644) == 0 && S_ISFIFO(info("p").st_mode));
    child = fork();
    if (child == 0) {
        int fd = open("p", O_WRONLY);

        _exit(write(fd, "!", 1) != 1);
    }
    int fd = open("p", O_RDONLY);
    EXPECT(read(fd, &c, 1) == 1 && c == '!');
    close(fd);
    waitpid(child, &status, 0);
    EXPECT(status == 0);
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

static void room_is_told(void)
{
    struct statvfs fs;

    EXPECT(statvfs(".", &fs) == 0 && fs.f_bsize >= 512 && fs.f_blocks > 0 && fs.f_namemax == 255);
}

static void many_open_files(void)
{
    static int fds[500];
    char name[16], c;

    for (unsigned i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "f%u", i);
        fds[i] = open(name, O_RDWR | O_CREAT, 0644);
        c = (char)i;
        EXPECT(fds[i] >= 0 && write(fds[i], &c, 1) == 1);
    }
    for (unsigned i = 0; i < 500; i++) {
        EXPECT(pread(fds[i], &c, 1, 0) == 1 && c == (char)i);
        close(fds[i]);
    }
}

static void lookups_of_dot_dot(void)
{
    EXPECT(mkdir("d", 0755) == 0 && mkdir("d/e", 0755) == 0);
    put("f", "x");
    EXPECT(strcmp(get("d/e/../../f"), "x") == 0);
    EXPECT(info("d/e/..").st_ino == info("d").st_ino);
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

#define CASE(name)                                                                                 \
    {                                                                                              \
#name, name                                                                                \
    }
static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {CASE(create_exclusive),
             CASE(create_obeys_umask),
             CASE(open_missing),
             CASE(open_directory_to_write),
             CASE(write_and_read_back),
             CASE(truncate_on_open),
             CASE(append_goes_to_the_end),
             CASE(append_by_two_descriptors),
             CASE(truncate_shorter_and_longer),
             CASE(ftruncate_of_a_file_without_permission),
             CASE(sparse_file_over_4_gib),
             CASE(unlink_while_open),
             CASE(unlink_and_create_again_while_open),
             CASE(unlink_errors),
             CASE(rename_to_a_new_name),
             CASE(rename_over_a_file),
             CASE(rename_over_a_file_that_is_open),
             CASE(rename_between_directories),
             CASE(rename_of_directories),
             CASE(rename_of_an_open_file),
             CASE(directory_is_empty_or_not),
             CASE(directory_link_count),
             CASE(deep_directories),
             CASE(list_of_many_entries),
             CASE(list_while_removing),
             CASE(list_rewound),
             CASE(names_of_every_byte),
             CASE(names_of_255_bytes),
             CASE(symbolic_links),
             CASE(symbolic_link_loop),
             CASE(symbolic_link_to_a_directory),
             CASE(hard_links),
             CASE(modes),
             CASE(modes_of_an_open_file),
             CASE(times_are_set),
             CASE(times_change_by_themselves),
             CASE(symbolic_links_have_times),
             CASE(map_private),
             CASE(execute_a_script),
             CASE(record_locks),
             CASE(record_locks_end_with_their_process),
             CASE(whole_file_locks),
             CASE(attributes),
             CASE(fifos_and_sockets),
             CASE(sync_to_disk),
             CASE(large_blocks),
             CASE(room_is_told),
             CASE(many_open_files),
             CASE(lookups_of_dot_dot),
             CASE(permissions_of_a_read_only_open)};

/* In a fresh directory, which is left for who wants to look at it when the case fails. */
static void run_case(unsigned i)
{
    problem = NULL;
    if (mkdir(cases[i].name, 0755) < 0 || chdir(cases[i].name) < 0) {
        problem = strerror(errno);
    } else {
        cases[i].run();
        if (chdir("..") < 0)
            exit(1);
    }
    if (problem) {
        failed++;
        printf("not ok %s: %s\n", cases[i].name, problem);
    } else {
        passed++;
        printf("ok %s\n", cases[i].name);
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc != 2 || chdir(argv[1]) < 0) {
        fprintf(stderr, "usage: fs-cases DIR\n");
        return 2;
    }
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        run_case(i);
    printf("fs-cases: %u passed, %u failed\n", passed, failed);
    return failed > 0;
}
