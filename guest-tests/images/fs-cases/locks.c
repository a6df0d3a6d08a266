/* Locks: of ranges, by process and by open file, and of whole files. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest-tests/images/fs-cases/cases.h"

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

static void record_locks_for_readers_are_shared(void)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
    int fd, got;

    put("f", "0123456789");
    fd = open("f", O_RDWR);
    EXPECT(fcntl(fd, F_SETLK, &lock) == 0 && locked_by_another("f", F_RDLCK, 0, 0) == 0);
    got = locked_by_another("f", F_WRLCK, 9, 1);
    EXPECT(got == EAGAIN || got == EACCES);
    close(fd);
    EXPECT(locked_by_another("f", F_WRLCK, 9, 1) == 0);
}

static void record_locks_are_cut_in_the_middle(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 9};
    int fd;

    put("f", "0123456789");
    fd = open("f", O_RDWR);
    EXPECT(fcntl(fd, F_SETLK, &lock) == 0);
    lock = (struct flock){.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = 3, .l_len = 3};
    EXPECT(fcntl(fd, F_SETLK, &lock) == 0);
    EXPECT(locked_by_another("f", F_WRLCK, 2, 1) != 0 &&
           locked_by_another("f", F_WRLCK, 6, 1) != 0);
    EXPECT(locked_by_another("f", F_WRLCK, 3, 3) == 0);
    close(fd);
}

static void record_locks_beyond_the_end(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1000, .l_len = 0};
    int fd;

    put("f", "x");
    fd = open("f", O_RDWR);
    EXPECT(fcntl(fd, F_SETLK, &lock) == 0);
    EXPECT(locked_by_another("f", F_WRLCK, 5000000000, 1) != 0);
    EXPECT(locked_by_another("f", F_WRLCK, 0, 1000) == 0);
    close(fd);
}

static void record_locks_need_an_open_that_allows_them(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd;

    put("f", "x");
    fd = open("f", O_RDONLY);
    FAILS(fcntl(fd, F_SETLK, &lock), EBADF);
    lock.l_type = F_RDLCK;
    EXPECT(fcntl(fd, F_SETLK, &lock) == 0);
    close(fd);
}

/* What F_GETLK says of a lock that another process holds. */
static void record_locks_are_told(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 2, .l_len = 3};
    int fd, status;
    pid_t child;

    put("f", "0123456789");
    fd = open("f", O_RDWR);
    EXPECT(fcntl(fd, F_SETLK, &lock) == 0);
    child = fork();
    if (child == 0) {
        struct flock asked = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
        int own = open("f", O_RDWR);

        _exit(fcntl(own, F_GETLK, &asked) < 0 || asked.l_type != F_WRLCK || asked.l_start != 2 ||
              asked.l_len != 3);
    }
    EXPECT(waitpid(child, &status, 0) == child && status == 0);
    close(fd);
}

static void locks_of_open_files(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int a, b;

    put("f", "x");
    a = open("f", O_RDWR);
    b = open("f", O_RDWR);
    EXPECT(fcntl(a, F_OFD_SETLK, &lock) == 0);
    FAILS(fcntl(b, F_OFD_SETLK, &lock), EAGAIN);
    close(a);
    EXPECT(fcntl(b, F_OFD_SETLK, &lock) == 0);
    close(b);
}

static void whole_file_locks_are_shared_and_change(void)
{
    int a, b;

    put("f", "x");
    a = open("f", O_RDWR);
    b = open("f", O_RDWR);
    EXPECT(flock(a, LOCK_SH) == 0 && flock(b, LOCK_SH | LOCK_NB) == 0);
    FAILS(flock(a, LOCK_EX | LOCK_NB), EAGAIN);
    EXPECT(flock(b, LOCK_UN) == 0 && flock(a, LOCK_EX | LOCK_NB) == 0);
    close(a);
    close(b);
}

static void whole_file_locks_end_with_the_last_copy(void)
{
    int a, b, copy;

    put("f", "x");
    a = open("f", O_RDWR);
    b = open("f", O_RDWR);
    copy = dup(a);
    EXPECT(flock(a, LOCK_EX) == 0 && close(a) == 0);
    FAILS(flock(b, LOCK_EX | LOCK_NB), EAGAIN);
    EXPECT(close(copy) == 0 && flock(b, LOCK_EX | LOCK_NB) == 0);
    close(b);
}

const struct fs_case locks_cases[] = {CASE(record_locks),
                                      CASE(record_locks_end_with_their_process),
                                      CASE(whole_file_locks),
                                      CASE(record_locks_for_readers_are_shared),
                                      CASE(record_locks_are_cut_in_the_middle),
                                      CASE(record_locks_beyond_the_end),
                                      CASE(record_locks_need_an_open_that_allows_them),
                                      CASE(record_locks_are_told),
                                      CASE(locks_of_open_files),
                                      CASE(whole_file_locks_are_shared_and_change),
                                      CASE(whole_file_locks_end_with_the_last_copy),
                                      {NULL, NULL}};
