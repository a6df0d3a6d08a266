/* The 9P server under a hostile guest: ways out of the directory, and messages that are none. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

/* Opening a FIFO would wait for ever, and a device would do what devices do. */
START_TEST(only_files_and_directories_are_opened)
{
    ck_assert_int_eq(mkfifo(p9_client_path(&c, "fifo"), 0666), 0);
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, "fifo"), 0);
    ck_assert_int_eq(p9_client_open(&c, 1, O_RDONLY), -ENXIO);
    ck_assert_int_eq(p9_client_open(&c, 1, O_RDWR), -ENXIO);
    p9_client_begin(&c, P9_MKNOD);
    p9_put(&c.w, 4, P9_CLIENT_ROOT);
    p9_put_text(&c.w, "null", 4);
    p9_put(&c.w, 4, S_IFCHR | 0666);
    p9_put(&c.w, 4, 1);
    p9_put(&c.w, 4, 3);
    p9_put(&c.w, 4, 0);
    ck_assert_int_eq(p9_client_do(&c), -EPERM);
}
END_TEST

START_TEST(read_only_directory_is_not_changed)
{
    close_all();
    p9_client_start(&c, false);
    p9_client_put_file(&c, "file", "content");
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, "file"), 0);
    ck_assert_int_eq(p9_client_open(&c, 1, O_RDWR), -EROFS);
    ck_assert_int_eq(p9_client_open(&c, 1, O_RDONLY | O_TRUNC), -EROFS);
    ck_assert_int_eq(p9_client_open(&c, 1, O_RDONLY), 0);
    ck_assert_int_eq(p9_client_write(&c, 1, 0, "x", 1), -EROFS);
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 2, ""), 0);
    ck_assert_int_eq(p9_client_create(&c, 2, "new", O_RDWR, 0644), -EROFS);
    ck_assert_int_eq(p9_client_name(&c, P9_MKDIR, P9_CLIENT_ROOT, "dir"), -EROFS);
    ck_assert_int_eq(p9_client_name(&c, P9_UNLINKAT, P9_CLIENT_ROOT, "file"), -EROFS);
    ck_assert_int_eq(p9_client_read(&c, 1, 0, 100), 0);
    ck_assert_uint_eq(p9_get(&c.r, 4), 7);
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

/* Each place costs a descriptor of the host, so there is an end; and all of it comes back. */
START_TEST(many_fids_end_in_an_error_and_are_given_back)
{
    uint32_t fid = 1;
    int err = 0;

    p9_client_put_file(&c, "file", "x");
    for (; fid < 5000 && !err; fid++)
        err = p9_client_walk(&c, P9_CLIENT_ROOT, fid, "file");
    ck_assert(err == 0 || err == -EMFILE);
    ck_assert_uint_ge(p9_fid_count(c.s), err ? 200 : 5000);
    p9_reset(c.s);
    ck_assert_uint_eq(p9_fid_count(c.s), 0);
}
END_TEST

START_TEST(messages_cut_short_are_errors_and_no_more)
{
    static const uint8_t types[] = {
        P9_STATFS,  P9_LOPEN,   P9_LCREATE,   P9_SYMLINK,     P9_MKNOD,    P9_RENAME, P9_READLINK,
        P9_GETATTR, P9_SETATTR, P9_XATTRWALK, P9_XATTRCREATE, P9_READDIR,  P9_FSYNC,  P9_LOCK,
        P9_GETLOCK, P9_LINK,    P9_MKDIR,     P9_RENAMEAT,    P9_UNLINKAT, P9_ATTACH, P9_WALK,
        P9_READ,    P9_WRITE,   P9_CLUNK,     P9_REMOVE,      P9_VERSION,  0,         1,
        7,          127,        255};
    uint8_t message[64];

    for (unsigned i = 0; i < sizeof(types); i++)
        for (uint8_t len = 7; len < sizeof(message); len++) {
            memset(message, 0xff, sizeof(message));
            memset(message, 0, 4);
            message[0] = len;
            message[4] = types[i];
            ck_assert_uint_ge(p9_client_raw(&c, message, len, sizeof(c.answer)), 7);
        }
}
END_TEST

START_TEST(sizes_that_lie_and_answers_without_room_write_nothing)
{
    uint8_t message[19] = {19, 0, 0, 0, P9_GETATTR, 1, 0};

    ck_assert_uint_eq(p9_client_raw(&c, message, 3, 100), 0);
    message[0] = 200; /* longer than what was sent */
    ck_assert_uint_eq(p9_client_raw(&c, message, 19, 200), 0);
    message[0] = 6; /* shorter than any message */
    ck_assert_uint_eq(p9_client_raw(&c, message, 19, 200), 0);
    message[0] = 19;
    ck_assert_uint_eq(p9_client_raw(&c, message, 19, 10), 0);
    ck_assert_uint_eq(c.answer[0], 0xaa);
    ck_assert_uint_gt(p9_client_raw(&c, message, 19, 200), 100);
}
END_TEST

/* The count in a read is the guest's; what it gave as room is what counts. */
START_TEST(read_is_bounded_by_the_room_that_was_given)
{
    uint8_t message[23] = {23, 0, 0, 0, P9_READ, 1, 0, 1};

    p9_client_put_file(&c, "file", "0123456789");
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, "file"), 0);
    ck_assert_int_eq(p9_client_open(&c, 1, O_RDONLY), 0);
    memset(message + 19, 0xff, 4);
    ck_assert_uint_eq(p9_client_raw(&c, message, 23, 15), 15);
    ck_assert(memcmp(c.answer + 11, "0123", 4) == 0);
    ck_assert_uint_eq(c.answer[15], 0xaa);
    ck_assert_uint_eq(p9_client_raw(&c, message, 23, 11), 11); /* room for nothing */
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
    tcase_add_test(tc, only_files_and_directories_are_opened);
    tcase_add_test(tc, names_of_255_bytes_and_of_every_byte_value);
    tcase_add_test(tc, fids_in_use_unknown_or_of_the_wrong_kind_are_refused);
    tcase_add_test(tc, many_fids_end_in_an_error_and_are_given_back);
    tcase_add_test(tc, messages_cut_short_are_errors_and_no_more);
    tcase_add_test(tc, sizes_that_lie_and_answers_without_room_write_nothing);
    tcase_add_test(tc, read_is_bounded_by_the_room_that_was_given);
    tcase_add_test(tc, read_only_directory_is_not_changed);
    return fake_run(tc);
}
