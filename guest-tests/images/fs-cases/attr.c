/* What is known about files: modes, owners, times, extended attributes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "guest-tests/images/fs-cases/cases.h"

#define OTHER 1000 /* a user and group that is not root's */

static void create_obeys_umask(void)
{
    mode_t before = umask(027);

    put("f", "x");
    EXPECT((info("f").st_mode & 07777) == 0640);
    EXPECT(mkdir("d", 0777) == 0 && (info("d").st_mode & 07777) == 0750);
    umask(before);
}

static void ftruncate_of_a_file_without_permission(void)
{
    int fd = open("f", O_RDWR | O_CREAT, 0644);

    EXPECT(write(fd, "0123456789", 10) == 10 && fchmod(fd, 0) == 0);
    EXPECT(ftruncate(fd, 3) == 0);
    EXPECT(info("f").st_size == 3);
    close(fd);
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
    EXPECT(st.st_mtim.tv_nsec == 987654321 || st.st_mtim.tv_nsec == 0); /* 0: whole seconds kept */
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

static void room_is_told(void)
{
    struct statvfs fs;

    EXPECT(statvfs(".", &fs) == 0 && fs.f_bsize >= 512 && fs.f_blocks > 0 && fs.f_namemax == 255);
}

/* What `what` returns as a process of another user; 0, a pass, where this one cannot become one. */
static int as_another(int (*what)(void))
{
    int status;
    pid_t child;

    if (geteuid() != 0)
        return 0;
    child = fork();
    if (child == 0)
        _exit(setgroups(0, NULL) < 0 || setgid(OTHER) < 0 || setuid(OTHER) < 0 ? 99 : what());
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

/* The number of the first call that did not end as it must; 0: all did. */
static int use_what_is_forbidden(void)
{
    if (open("private", O_RDONLY) >= 0 || errno != EACCES)
        return 1;
    if (open("readable", O_RDONLY) < 0)
        return 2;
    if (open("readable", O_RDWR) >= 0 || errno != EACCES)
        return 3;
    if (access("readable", R_OK) < 0 || access("readable", W_OK) == 0 ||
        access("private", R_OK) == 0)
        return 4;
    if (open("closed/f", O_RDONLY) >= 0 || errno != EACCES)
        return 5;
    if (open("dir/new", O_WRONLY | O_CREAT, 0644) >= 0 || errno != EACCES)
        return 6;
    return opendir("closed") || errno != EACCES ? 7 : 0;
}

static void modes_keep_others_out(void)
{
    put("private", "x");
    put("readable", "x");
    EXPECT(chmod("private", 0600) == 0 && chmod("readable", 0644) == 0);
    EXPECT(mkdir("dir", 0755) == 0 && mkdir("closed", 0755) == 0);
    put("closed/f", "x");
    EXPECT(chmod("closed", 0700) == 0);
    EXPECT(as_another(use_what_is_forbidden) == 0);
}

static int change_what_belongs_to_another(void)
{
    struct timespec t[2] = {{1, 0}, {1, 0}};

    if (chmod("f", 0666) == 0 || errno != EPERM)
        return 1;
    if (chown("f", OTHER, OTHER) == 0 || errno != EPERM)
        return 2;
    if (utimensat(AT_FDCWD, "f", t, 0) == 0 || errno != EPERM)
        return 3;
    if (truncate("f", 0) == 0 || errno != EACCES)
        return 4;
    return setxattr("f", "user.a", "x", 1, 0) == 0 || (errno != EACCES && errno != EOPNOTSUPP) ? 5
                                                                                               : 0;
}

static void attributes_belong_to_the_owner(void)
{
    put("f", "x");
    EXPECT(as_another(change_what_belongs_to_another) == 0);
}

static int remove_from_a_sticky_directory(void)
{
    if (unlink("sticky/f") == 0 || (errno != EPERM && errno != EACCES))
        return 1;
    if (rename("sticky/f", "sticky/g") == 0 || (errno != EPERM && errno != EACCES))
        return 2;
    return unlink("open/f") == 0 ? 0 : 3;
}

static void sticky_directories(void)
{
    EXPECT(mkdir("sticky", 0755) == 0 && mkdir("open", 0755) == 0);
    put("sticky/f", "x");
    put("open/f", "x");
    EXPECT(chmod("sticky", 01777) == 0 && chmod("open", 0777) == 0);
    EXPECT(as_another(remove_from_a_sticky_directory) == 0);
}

/* By root, where the host lets hv do so; given back, so that no file of another user stays. */
static void owners(void)
{
    struct stat before;

    put("f", "x");
    before = info("f");
    if (chown("f", OTHER, OTHER) < 0) {
        EXPECT(errno == EPERM);
        return;
    }
    EXPECT(info("f").st_uid == OTHER && info("f").st_gid == OTHER);
    EXPECT(chown("f", (uid_t)-1, 5) == 0 && info("f").st_uid == OTHER && info("f").st_gid == 5);
    EXPECT(symlink("f", "l") == 0 && lchown("l", OTHER, OTHER) == 0);
    EXPECT(info("l").st_uid == OTHER && info("f").st_gid == 5);
    EXPECT(lchown("l", before.st_uid, before.st_gid) == 0);
    EXPECT(chown("f", before.st_uid, before.st_gid) == 0);
}

static void owner_change_takes_set_user_id(void)
{
    struct stat before;

    put("f", "x");
    before = info("f");
    EXPECT(chmod("f", 06755) == 0 && (info("f").st_mode & 07777) == 06755);
    EXPECT(chown("f", before.st_uid, before.st_gid) == 0);
    EXPECT((info("f").st_mode & 07777) == 0755);
}

static void directory_gives_its_group(void)
{
    gid_t own = getgid();

    EXPECT(mkdir("d", 0755) == 0);
    if (chown("d", (uid_t)-1, OTHER) < 0 || chmod("d", 02755) < 0)
        return; /* hv may not */
    put("d/f", "x");
    EXPECT(info("d/f").st_gid == OTHER);
    EXPECT(mkdir("d/e", 0755) == 0 && info("d/e").st_gid == OTHER && info("d/e").st_mode & S_ISGID);
    EXPECT(unlink("d/f") == 0 && rmdir("d/e") == 0 && chown("d", (uid_t)-1, own) == 0);
}

static void access_is_asked(void)
{
    put("f", "x");
    EXPECT(access("f", F_OK) == 0 && access("f", R_OK | W_OK) == 0);
    FAILS(access("none", F_OK), ENOENT);
    EXPECT(chmod("f", 0644) == 0);
    FAILS(access("f", X_OK), EACCES); /* root, too, needs one such bit */
    EXPECT(chmod("f", 0711) == 0 && access("f", X_OK) == 0);
}

static void times_of_an_open_file(void)
{
    struct timespec t[2] = {{-1, 0}, {-1000, 5}};
    struct stat st;
    int fd = open("f", O_RDWR | O_CREAT, 0644);

    EXPECT(futimens(fd, t) == 0 && fstat(fd, &st) == 0);
    /* Before 1970; 0 where there is no such time (Linux' 9p, which keeps whole seconds, too). */
    EXPECT(st.st_atim.tv_sec == -1 || st.st_atim.tv_sec == 0);
    EXPECT(st.st_mtim.tv_sec == -1000 || st.st_mtim.tv_sec == 0);
    t[0].tv_sec = 5;
    t[0].tv_nsec = 1000000000;
    FAILS(futimens(fd, t), EINVAL);
    t[0].tv_nsec = 0;
    EXPECT(futimens(fd, t) == 0);
    t[0].tv_nsec = UTIME_OMIT;
    t[1].tv_nsec = UTIME_NOW;
    EXPECT(futimens(fd, t) == 0 && fstat(fd, &st) == 0);
    EXPECT(st.st_atim.tv_sec == 5 && st.st_mtim.tv_sec > 1000000);
    close(fd);
}

static void times_of_a_directory_follow_its_names(void)
{
    struct timespec old[2] = {{1000, 0}, {1000, 0}};

    EXPECT(mkdir("d", 0755) == 0 && utimensat(AT_FDCWD, "d", old, 0) == 0);
    EXPECT(info("d").st_mtim.tv_sec == 1000);
    put("d/f", "x");
    EXPECT(info("d").st_mtim.tv_sec > 1000000 && utimensat(AT_FDCWD, "d", old, 0) == 0);
    EXPECT(unlink("d/f") == 0 && info("d").st_mtim.tv_sec > 1000000);
}

static void change_time_cannot_be_set(void)
{
    struct timespec old[2] = {{1000, 0}, {1000, 0}};

    put("f", "x");
    EXPECT(utimensat(AT_FDCWD, "f", old, 0) == 0 && info("f").st_ctim.tv_sec > 1000000);
}

static void numbers_tell_files_apart(void)
{
    struct stat a, b;

    put("a", "x");
    put("b", "x");
    a = info("a");
    b = info("b");
    EXPECT(a.st_ino != b.st_ino && a.st_dev == b.st_dev && info(".").st_dev == a.st_dev);
    EXPECT(rename("a", "c") == 0 && info("c").st_ino == a.st_ino);
    EXPECT(a.st_blksize >= 512 && info(".").st_ino != a.st_ino);
}

static void attributes_of_any_length(void)
{
    char value[3000], back[3000], list[4096];

    memset(value, 'v', sizeof(value));
    put("f", "x");
    if (setxattr("f", "user.empty", "", 0, 0) < 0) {
        EXPECT(errno == EOPNOTSUPP);
        return;
    }
    EXPECT(getxattr("f", "user.empty", back, sizeof(back)) == 0);
    EXPECT(setxattr("f", "user.large", value, sizeof(value), 0) == 0);
    EXPECT(getxattr("f", "user.large", NULL, 0) == sizeof(value));
    EXPECT(getxattr("f", "user.large", back, sizeof(back)) == sizeof(back) &&
           memcmp(value, back, sizeof(back)) == 0);
    FAILS(getxattr("f", "user.large", back, 10), ERANGE);
    FAILS(listxattr("f", list, 5), ERANGE);
    EXPECT(listxattr("f", list, sizeof(list)) >= 22);
    FAILS(setxattr("f", "nonsense.x", "x", 1, 0), EOPNOTSUPP);
    FAILS(removexattr("f", "user.none"), ENODATA);
    FAILS(setxattr("f", "user.none", "x", 1, XATTR_REPLACE), ENODATA);
}

static void attributes_of_directories_and_links(void)
{
    char value[8];

    EXPECT(mkdir("d", 0755) == 0 && symlink("d", "l") == 0);
    if (setxattr("d", "user.a", "x", 1, 0) < 0) {
        EXPECT(errno == EOPNOTSUPP);
        return;
    }
    EXPECT(getxattr("l", "user.a", value, sizeof(value)) == 1);
    EXPECT(lsetxattr("l", "user.a", "x", 1, 0) < 0 && (errno == EPERM || errno == EOPNOTSUPP));
    EXPECT(rename("d", "e") == 0 && getxattr("e", "user.a", value, sizeof(value)) == 1);
}

/* Owner rw-, user OTHER rw-, group r--, mask rw-, others ---; as the kernel keeps it: <linux/
 * posix_acl_xattr.h>. */
static void access_control_lists(void)
{
    struct {
        uint32_t version;
        struct {
            uint16_t tag, perm;
            uint32_t id;
        } entry[5];
    } acl = {2,
             {{0x01, 6, UINT32_MAX},
              {0x02, 6, OTHER},
              {0x04, 4, UINT32_MAX},
              {0x10, 6, UINT32_MAX},
              {0x20, 0, UINT32_MAX}}},
      back;

    put("f", "x");
    EXPECT(chmod("f", 0640) == 0);
    if (setxattr("f", "system.posix_acl_access", &acl, sizeof(acl), 0) < 0) {
        EXPECT(errno == EOPNOTSUPP);
        return;
    }
    EXPECT(getxattr("f", "system.posix_acl_access", &back, sizeof(back)) == sizeof(back) &&
           memcmp(&acl, &back, sizeof(back)) == 0);
    EXPECT((info("f").st_mode & 0777) == 0660); /* the mask stands for the group */
    EXPECT(removexattr("f", "system.posix_acl_access") == 0);
}

const struct fs_case attr_cases[] = {CASE(create_obeys_umask),
                                     CASE(ftruncate_of_a_file_without_permission),
                                     CASE(modes),
                                     CASE(modes_of_an_open_file),
                                     CASE(times_are_set),
                                     CASE(times_change_by_themselves),
                                     CASE(symbolic_links_have_times),
                                     CASE(attributes),
                                     CASE(room_is_told),
                                     CASE(modes_keep_others_out),
                                     CASE(attributes_belong_to_the_owner),
                                     CASE(sticky_directories),
                                     CASE(owners),
                                     CASE(owner_change_takes_set_user_id),
                                     CASE(directory_gives_its_group),
                                     CASE(access_is_asked),
                                     CASE(times_of_an_open_file),
                                     CASE(times_of_a_directory_follow_its_names),
                                     CASE(change_time_cannot_be_set),
                                     CASE(numbers_tell_files_apart),
                                     CASE(attributes_of_any_length),
                                     CASE(attributes_of_directories_and_links),
                                     CASE(access_control_lists),
                                     {NULL, NULL}};
