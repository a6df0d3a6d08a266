/* The 9P server under a hostile guest: ways out of the directory, and files that are none. See also
 * test_p9_limits.c. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/test/fake.h"
#include "devices/test/p9_client.h"

static struct p9_client c;
static char outside[80];

/* A file beside the directory that is served: nobody must reach it. */
static void open_writable(void)
{
    FILE *f;

    umask(0);
    p9_client_start(&c, true);
    snprintf(outside, sizeof(outside), "%s.secret", c.dir);
    f = fopen(outside, "w");
    ck_assert(f && fputs("secret", f) >= 0 && fclose(f) == 0);
}

static void close_all(void)
{
    unlink(outside);
    p9_client_end(&c);
}

static const char *secret_name(void)
{
    return strrchr(outside, '/') + 1;
}

/* A name is one step. What has a slash in it, or is empty, is none. */
START_TEST(names_that_are_paths_are_refused)
{
    static const char *const names[] = {"", "a/b", "/", "/etc/passwd", "../x", "dir/"};

    p9_client_put_file(&c, "file", "x");
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        p9_client_begin(&c, P9_WALK);
        p9_put(&c.w, 4, P9_CLIENT_ROOT);
        p9_put(&c.w, 4, 1);
        p9_put(&c.w, 2, 1);
        p9_put_text(&c.w, names[i], strlen(names[i]));
        ck_assert_int_eq(p9_client_do(&c), -EINVAL);
        ck_assert_int_eq(p9_client_name(&c, P9_MKDIR, P9_CLIENT_ROOT, names[i]), -EINVAL);
        ck_assert_int_eq(p9_client_name(&c, P9_UNLINKAT, P9_CLIENT_ROOT, names[i]), -EINVAL);
    }
    p9_client_begin(&c, P9_MKDIR);
    p9_put(&c.w, 4, P9_CLIENT_ROOT);
    p9_put_text(&c.w, "nul\0inside", 10);
    p9_put(&c.w, 8, 0755);
    ck_assert_int_eq(p9_client_do(&c), -EINVAL);
    ck_assert_int_eq(p9_client_name(&c, P9_MKDIR, P9_CLIENT_ROOT, ".."), -EINVAL);
    ck_assert_int_eq(p9_client_name(&c, P9_UNLINKAT, P9_CLIENT_ROOT, "."), -EINVAL);
}
END_TEST

START_TEST(dot_dot_does_not_lead_out)
{
    char path[128];

    snprintf(path, sizeof(path), "../%s", secret_name());
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, path), -ENOENT);
    ck_assert_int_eq(mkdir(p9_client_path(&c, "dir"), 0755), 0);
    snprintf(path, sizeof(path), "dir/../../%s", secret_name());
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, path), -ENOENT);
    /* Also not when the host moves the directory away while the guest stands in it. */
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 2, "dir"), 0);
    snprintf(path, sizeof(path), "%s.moved", c.dir);
    ck_assert_int_eq(rename(p9_client_path(&c, "dir"), path), 0);
    snprintf(path, sizeof(path), "../%s", secret_name());
    ck_assert_int_eq(p9_client_walk(&c, 2, 3, path), -ENOENT);
    p9_client_put_file(&c, "inside", "x");
    ck_assert_int_eq(p9_client_walk(&c, 2, 3, "../inside"), 0);
    snprintf(path, sizeof(path), "%s.moved", c.dir);
    ck_assert_int_eq(rmdir(path), 0);
}
END_TEST

START_TEST(symbolic_links_are_never_followed)
{
    ck_assert_int_eq(symlink(outside, p9_client_path(&c, "link")), 0);
    ck_assert_int_eq(symlink("..", p9_client_path(&c, "up")), 0);
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, "link"), 0);
    ck_assert_int_eq(p9_client_open(&c, 1, O_RDONLY), -ELOOP);
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 2, ""), 0);
    ck_assert_int_eq(p9_client_create(&c, 2, "link", O_RDWR, 0644), -ELOOP);
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 3, "up"), 0);
    ck_assert_int_lt(p9_client_walk(&c, 3, 4, secret_name()), 0);
    ck_assert_int_lt(p9_client_name(&c, P9_MKDIR, 3, "made"), 0);
    /* Attributes of the link itself, not of what it leads to. */
    p9_client_begin(&c, P9_SETATTR);
    p9_put(&c.w, 4, 1);
    p9_put(&c.w, 4, P9_SET_SIZE);
    p9_put(&c.w, 4, 0);
    for (unsigned i = 0; i < 6; i++)
        p9_put(&c.w, 8, 0);
    ck_assert_int_eq(p9_client_do(&c), -EINVAL);
}
END_TEST

/* A link that takes a file's place between walk and open changes nothing: the file is held. */
START_TEST(file_that_becomes_a_link_is_still_the_file)
{
    p9_client_put_file(&c, "file", "harmless");
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, "file"), 0);
    ck_assert_int_eq(unlink(p9_client_path(&c, "file")), 0);
    ck_assert_int_eq(symlink(outside, p9_client_path(&c, "file")), 0);
    ck_assert_int_eq(p9_client_open(&c, 1, O_RDONLY), 0);
    ck_assert_int_eq(p9_client_read(&c, 1, 0, 100), 0);
    ck_assert_uint_eq(p9_get(&c.r, 4), 8);
    ck_assert(memcmp(c.r.at, "harmless", 8) == 0);
}
END_TEST

/* Neither by Tlopen nor by way of a Tlcreate that finds the name taken. */
static void cannot_be_opened(const char *name)
{
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, name), 0);
    ck_assert_int_eq(p9_client_open(&c, 1, O_RDONLY), -ENXIO);
    ck_assert_int_eq(p9_client_open(&c, 1, O_RDWR), -ENXIO);
    ck_assert_int_eq(p9_client_open(&c, 1, O_WRONLY | O_TRUNC), -ENXIO);
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 2, ""), 0);
    ck_assert_int_eq(p9_client_create(&c, 2, name, O_RDONLY, 0644), -ENXIO);
    ck_assert_int_eq(p9_client_create(&c, 2, name, O_RDWR | O_TRUNC, 0644), -ENXIO);
    ck_assert_int_eq(p9_client_create(&c, 2, name, O_RDWR | O_EXCL, 0644), -EEXIST);
    ck_assert_int_eq(p9_client_clunk(&c, 1), 0);
    ck_assert_int_eq(p9_client_clunk(&c, 2), 0);
}

/* Opening a FIFO would wait for ever; a socket is not for opening. */
START_TEST(fifos_and_sockets_are_not_opened)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    ck_assert_int_eq(mkfifo(p9_client_path(&c, "fifo"), 0666), 0);
    cannot_be_opened("fifo");
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", c.dir);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    cannot_be_opened("socket");
    close(fd);
}
END_TEST

/* A device would do what devices do. Those of the host are there to be tried, without being root.
 */
START_TEST(device_nodes_are_neither_opened_nor_made)
{
    p9_client_begin(&c, P9_MKNOD);
    p9_put(&c.w, 4, P9_CLIENT_ROOT);
    p9_put_text(&c.w, "null", 4);
    p9_put(&c.w, 4, S_IFCHR | 0666);
    p9_put(&c.w, 4, 1);
    p9_put(&c.w, 4, 3);
    p9_put(&c.w, 4, 0);
    ck_assert_int_eq(p9_client_do(&c), -EPERM);
    close_all();
    p9_client_serve(&c, "/dev", true);
    cannot_be_opened("null");
    cannot_be_opened("zero");
    p9_client_end(&c);
    open_writable();
}
END_TEST

/* What the directory has in it is served, whatever other names it has elsewhere. */
START_TEST(hard_link_of_a_file_outside_is_served)
{
    ck_assert_int_eq(link(outside, p9_client_path(&c, "hard")), 0);
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, "hard"), 0);
    ck_assert_int_eq(p9_client_open(&c, 1, O_RDONLY), 0);
    ck_assert_int_eq(p9_client_read(&c, 1, 0, 100), 0);
    ck_assert_uint_eq(p9_get(&c.r, 4), 6);
}
END_TEST

static int set_attributes(uint32_t fid, uint32_t valid)
{
    p9_client_begin(&c, P9_SETATTR);
    p9_put(&c.w, 4, fid);
    p9_put(&c.w, 4, valid);
    for (unsigned i = 0; i < 3; i++)
        p9_put(&c.w, 4, 0);
    for (unsigned i = 0; i < 5; i++)
        p9_put(&c.w, 8, 0);
    return p9_client_do(&c);
}

static int xattr_create(uint32_t fid, uint64_t size)
{
    p9_client_begin(&c, P9_XATTRCREATE);
    p9_put(&c.w, 4, fid);
    p9_put_text(&c.w, "user.x", 6);
    p9_put(&c.w, 8, size);
    p9_put(&c.w, 4, 0);
    return p9_client_do(&c);
}

/* The file `path` below a directory of the host: seen, but neither opened nor changed. */
static void only_seen(const char *dir, const char *path)
{
    p9_client_serve(&c, dir, true);
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, path), 0);
    ck_assert_int_eq(p9_client_open(&c, 1, O_RDONLY), -EACCES);
    ck_assert_int_eq(p9_client_open(&c, 1, O_RDWR), -EACCES);
    ck_assert_int_eq(set_attributes(1, P9_SET_MTIME), -EACCES);
    ck_assert_int_eq(xattr_create(1, 5), -EACCES);
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 2, ""), 0);
    ck_assert_int_eq(p9_client_create(&c, 2, "new", O_RDWR, 0644), -EACCES);
    ck_assert_int_eq(p9_client_name(&c, P9_MKDIR, P9_CLIENT_ROOT, "new"), -EACCES);
    ck_assert_int_eq(p9_client_name(&c, P9_UNLINKAT, P9_CLIENT_ROOT, "new"), -EACCES);
    ck_assert_int_eq(p9_client_open(&c, 2, O_RDONLY | O_DIRECTORY), 0);
    p9_client_begin(&c, P9_READDIR);
    p9_put(&c.w, 4, 2);
    p9_put(&c.w, 8, 0);
    p9_put(&c.w, 4, 4000);
    ck_assert_int_eq(p9_client_do(&c), 0);
    ck_assert_uint_gt(p9_get(&c.r, 4), 0);
    p9_client_end(&c);
}

/* Whoever shares / shares /proc, too: hv's own memory, and the environment of all processes. */
START_TEST(files_of_the_host_kernel_are_listed_but_not_opened)
{
    char path[64];

    close_all();
    snprintf(path, sizeof(path), "%d/mem", (int)getpid());
    only_seen("/proc", path);
    snprintf(path, sizeof(path), "%d/environ", (int)getpid());
    only_seen("/proc", path);
    only_seen("/proc", "version");
    if (access("/sys/devices/system/cpu/online", R_OK) == 0)
        only_seen("/sys", "devices/system/cpu/online");
    /* Its links lead nowhere: not to the host's root, and not to descriptors of hv. */
    p9_client_serve(&c, "/proc", false);
    snprintf(path, sizeof(path), "%d/root", (int)getpid());
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, path), 0);
    ck_assert_int_eq(p9_client_walk(&c, 1, 2, "etc"), -ENOTDIR);
    ck_assert_int_eq(p9_client_open(&c, 1, O_RDONLY), -ELOOP);
    snprintf(path, sizeof(path), "%d/fd/0", (int)getpid());
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 3, path), 0);
    ck_assert_int_eq(p9_client_open(&c, 3, O_RDONLY), -ELOOP);
    p9_client_end(&c);
    open_writable();
}
END_TEST

/* Where a mount point is in a directory that is shared, what is mounted there is shared. */
START_TEST(files_beyond_a_mount_point_are_served)
{
    struct stat st, shm;

    if (stat("/dev", &st) < 0 || stat("/dev/shm", &shm) < 0 || st.st_dev == shm.st_dev)
        return; /* no such mount point here */
    close_all();
    p9_client_serve(&c, "/dev", false);
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, "shm"), 0);
    ck_assert_int_eq(p9_client_open(&c, 1, O_RDONLY), 0);
    p9_client_end(&c);
    open_writable();
}
END_TEST

static int two_names(uint8_t type, const char *a, const char *b)
{
    p9_client_begin(&c, type);
    p9_put(&c.w, 4, P9_CLIENT_ROOT);
    p9_put_text(&c.w, a, strlen(a));
    if (type == P9_RENAMEAT)
        p9_put(&c.w, 4, P9_CLIENT_ROOT);
    p9_put_text(&c.w, b, strlen(b));
    p9_put(&c.w, 4, 0);
    return p9_client_do(&c);
}

static void names_are_not_changed(void)
{
    static const uint32_t kinds[] = {S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR};

    ck_assert_int_eq(p9_client_name(&c, P9_MKDIR, P9_CLIENT_ROOT, "dir"), -EROFS);
    ck_assert_int_eq(p9_client_name(&c, P9_UNLINKAT, P9_CLIENT_ROOT, "file"), -EROFS);
    ck_assert_int_eq(two_names(P9_SYMLINK, "new", "target"), -EROFS);
    ck_assert_int_eq(two_names(P9_RENAMEAT, "file", "new"), -EROFS);
    p9_client_begin(&c, P9_LINK);
    p9_put(&c.w, 4, P9_CLIENT_ROOT);
    p9_put(&c.w, 4, 1);
    p9_put_text(&c.w, "new", 3);
    ck_assert_int_eq(p9_client_do(&c), -EROFS);
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        p9_client_begin(&c, P9_MKNOD);
        p9_put(&c.w, 4, P9_CLIENT_ROOT);
        p9_put_text(&c.w, "new", 3);
        p9_put(&c.w, 4, kinds[i] | 0666);
        p9_put(&c.w, 8, 0);
        p9_put(&c.w, 4, 0);
        ck_assert_int_eq(p9_client_do(&c), -EROFS);
    }
}

START_TEST(read_only_directory_is_changed_by_no_message)
{
    static const uint32_t flags[] = {O_WRONLY, O_RDWR, O_TRUNC, O_WRONLY | O_APPEND, O_ACCMODE};
    struct stat before, after;

    close_all();
    p9_client_start(&c, false);
    p9_client_put_file(&c, "file", "content");
    ck_assert_int_eq(stat(p9_client_path(&c, "file"), &before), 0);
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, "file"), 0);
    for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        ck_assert_int_eq(p9_client_open(&c, 1, flags[i]), -EROFS);
        ck_assert_int_eq(p9_client_create(&c, P9_CLIENT_ROOT, "new", flags[i], 0644), -EROFS);
    }
    ck_assert_int_eq(p9_client_create(&c, P9_CLIENT_ROOT, "file", O_RDONLY, 0644), -EROFS);
    for (uint32_t bit = 1; bit <= P9_SET_MTIME_NOW; bit <<= 1)
        ck_assert_int_eq(set_attributes(1, bit), -EROFS);
    ck_assert_int_eq(xattr_create(1, 0), -EROFS);
    names_are_not_changed();
    ck_assert_int_eq(p9_client_open(&c, 1, O_RDONLY), 0);
    ck_assert_int_eq(p9_client_write(&c, 1, 0, "x", 1), -EROFS);
    ck_assert_int_eq(p9_client_read(&c, 1, 0, 100), 0);
    ck_assert_uint_eq(p9_get(&c.r, 4), 7);
    ck_assert_int_eq(stat(p9_client_path(&c, "file"), &after), 0);
    ck_assert_int_eq(after.st_ctim.tv_nsec, before.st_ctim.tv_nsec);
    ck_assert_int_eq(access(p9_client_path(&c, "new"), F_OK), -1);
}
END_TEST

START_TEST(names_of_255_bytes_and_of_every_byte_value)
{
    char name[257];

    memset(name, 'n', 256);
    name[256] = '\0';
    ck_assert_int_eq(p9_client_name(&c, P9_MKDIR, P9_CLIENT_ROOT, name), -ENAMETOOLONG);
    name[255] = '\0';
    ck_assert_int_eq(p9_client_name(&c, P9_MKDIR, P9_CLIENT_ROOT, name), 0);
    for (unsigned byte = 1; byte < 256; byte++) {
        snprintf(name, sizeof(name), "x%cy", (int)byte);
        if (byte == '/')
            continue;
        ck_assert_int_eq(p9_client_name(&c, P9_MKDIR, P9_CLIENT_ROOT, name), 0);
        ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, byte, name), 0);
    }
}
END_TEST

START_TEST(fids_in_use_unknown_or_of_the_wrong_kind_are_refused)
{
    p9_client_put_file(&c, "file", "x");
    ck_assert_int_eq(p9_client_walk(&c, 99, 1, "file"), -EBADF);
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, "file"), 0);
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, "file"), -EBADF);
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, P9_NO_FID, "file"), -EBADF);
    ck_assert_int_eq(p9_client_read(&c, 1, 0, 1), -EBADF); /* not opened */
    ck_assert_int_eq(p9_client_open(&c, 1, O_RDONLY), 0);
    ck_assert_int_eq(p9_client_open(&c, 1, O_RDONLY), -EBADF);
    ck_assert_int_eq(p9_client_write(&c, 1, 0, "x", 1), -EBADF); /* opened to be read */
    p9_client_begin(&c, P9_READDIR);
    p9_put(&c.w, 4, 1);
    p9_put(&c.w, 8, 0);
    p9_put(&c.w, 4, 1000);
    ck_assert_int_eq(p9_client_do(&c), -ENOTDIR);
    ck_assert_int_eq(p9_client_clunk(&c, 99), -EBADF);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("9p hostile");

    tcase_add_checked_fixture(tc, open_writable, close_all);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, names_that_are_paths_are_refused);
    tcase_add_test(tc, dot_dot_does_not_lead_out);
    tcase_add_test(tc, symbolic_links_are_never_followed);
    tcase_add_test(tc, file_that_becomes_a_link_is_still_the_file);
    tcase_add_test(tc, fifos_and_sockets_are_not_opened);
    tcase_add_test(tc, device_nodes_are_neither_opened_nor_made);
    tcase_add_test(tc, hard_link_of_a_file_outside_is_served);
    tcase_add_test(tc, files_of_the_host_kernel_are_listed_but_not_opened);
    tcase_add_test(tc, files_beyond_a_mount_point_are_served);
    tcase_add_test(tc, read_only_directory_is_changed_by_no_message);
    tcase_add_test(tc, names_of_255_bytes_and_of_every_byte_value);
    tcase_add_test(tc, fids_in_use_unknown_or_of_the_wrong_kind_are_refused);
    return fake_run(tc);
}
