/* The 9P server, file by file: what a guest may do to a directory, and what it sees. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "devices/core/util.h"
#include "devices/test/fake.h"
#include "devices/test/p9_client.h"

static struct p9_client c;

static void open_writable(void)
{
    umask(0); /* as the device's thread does */
    p9_client_start(&c, true);
}

static void close_all(void)
{
    p9_client_end(&c);
}

START_TEST(version_is_agreed_upon_and_message_size_is_bounded)
{
    p9_client_begin(&c, P9_VERSION);
    p9_put(&c.w, 4, 1u << 30);
    p9_put_text(&c.w, "9P2000.L", 8);
    ck_assert_int_eq(p9_client_do(&c), 0);
    ck_assert_uint_eq(p9_get(&c.r, 4), P9_MSIZE_MAX);
    p9_client_begin(&c, P9_VERSION);
    p9_put(&c.w, 4, 8192);
    p9_put_text(&c.w, "9P2000.u", 8);
    ck_assert_int_eq(p9_client_do(&c), 0);
    ck_assert_uint_eq(p9_get(&c.r, 4), 8192);
    ck_assert_uint_eq(p9_get(&c.r, 2), 7);
    ck_assert(memcmp(c.r.at, "unknown", 7) == 0);
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, ""), -EPROTO);
}
END_TEST

START_TEST(file_is_read_in_pieces_and_at_its_end)
{
    p9_client_put_file(&c, "file", "0123456789");
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, "file"), 0);
    ck_assert_int_eq(p9_client_open(&c, 1, O_RDONLY), 0);
    ck_assert_int_eq(p9_client_read(&c, 1, 3, 4), 0);
    ck_assert_uint_eq(p9_get(&c.r, 4), 4);
    ck_assert(memcmp(c.r.at, "3456", 4) == 0);
    ck_assert_int_eq(p9_client_read(&c, 1, 8, 100), 0);
    ck_assert_uint_eq(p9_get(&c.r, 4), 2);
    ck_assert_int_eq(p9_client_read(&c, 1, 10, 100), 0);
    ck_assert_uint_eq(p9_get(&c.r, 4), 0);
    ck_assert_int_eq(p9_client_read(&c, 1, UINT64_MAX - 5, 100), -EINVAL);
}
END_TEST

START_TEST(file_over_4_gib_is_read_and_written)
{
    int fd = open(p9_client_path(&c, "large"), O_WRONLY | O_CREAT, 0644);

    ck_assert_int_eq(ftruncate(fd, (off_t)(5 * GIB)), 0);
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, "large"), 0);
    ck_assert_int_eq(p9_client_open(&c, 1, O_RDWR), 0);
    ck_assert_int_eq(p9_client_write(&c, 1, 5 * GIB - 2, "abcd", 4), 0);
    ck_assert_int_eq(p9_client_read(&c, 1, 5 * GIB - 1, 10), 0);
    ck_assert_uint_eq(p9_get(&c.r, 4), 3);
    ck_assert(memcmp(c.r.at, "bcd", 3) == 0);
    close(fd);
}
END_TEST

START_TEST(created_file_has_its_mode_and_content)
{
    struct stat st;
    char text[16] = "";
    FILE *f;

    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, ""), 0);
    ck_assert_int_eq(p9_client_create(&c, 1, "new", O_RDWR | O_EXCL, 0666), 0);
    ck_assert_int_eq(p9_client_write(&c, 1, 0, "hello", 5), 0);
    ck_assert_uint_eq(p9_get(&c.r, 4), 5);
    ck_assert_int_eq(p9_client_clunk(&c, 1), 0);
    ck_assert_int_eq(stat(p9_client_path(&c, "new"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0666);
    f = fopen(p9_client_path(&c, "new"), "r");
    ck_assert(f && fgets(text, sizeof(text), f) && fclose(f) == 0);
    ck_assert_str_eq(text, "hello");
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, ""), 0);
    ck_assert_int_eq(p9_client_create(&c, 1, "new", O_RDWR | O_EXCL, 0666), -EEXIST);
}
END_TEST

START_TEST(open_file_lives_on_without_its_name)
{
    p9_client_put_file(&c, "file", "still here");
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, "file"), 0);
    ck_assert_int_eq(p9_client_open(&c, 1, O_RDONLY), 0);
    ck_assert_int_eq(p9_client_name(&c, P9_UNLINKAT, P9_CLIENT_ROOT, "file"), 0);
    ck_assert_int_eq(access(p9_client_path(&c, "file"), F_OK), -1);
    ck_assert_int_eq(p9_client_read(&c, 1, 0, 100), 0);
    ck_assert_uint_eq(p9_get(&c.r, 4), 10);
    p9_client_begin(&c, P9_GETATTR);
    p9_put(&c.w, 4, 1);
    p9_put(&c.w, 8, P9_STATS_BASIC);
    ck_assert_int_eq(p9_client_do(&c), 0);
    c.r.at += 8 + P9_QID_BYTES + 12;
    ck_assert_uint_eq(p9_get(&c.r, 8), 0); /* links */
    c.r.at += 8;
    ck_assert_uint_eq(p9_get(&c.r, 8), 10); /* size */
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 2, "file"), -ENOENT);
}
END_TEST

static void set(uint32_t fid, uint32_t valid, uint32_t mode, uint64_t size, uint64_t mtime)
{
    p9_client_begin(&c, P9_SETATTR);
    p9_put(&c.w, 4, fid);
    p9_put(&c.w, 4, valid);
    p9_put(&c.w, 4, mode);
    p9_put(&c.w, 8, 0); /* user, group */
    p9_put(&c.w, 8, size);
    p9_put(&c.w, 8, 0);
    p9_put(&c.w, 8, 0);
    p9_put(&c.w, 8, mtime);
    p9_put(&c.w, 8, 5);
}

START_TEST(mode_size_and_times_are_set)
{
    struct stat st;

    p9_client_put_file(&c, "file", "0123456789");
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, "file"), 0);
    set(1, P9_SET_MODE | P9_SET_SIZE | P9_SET_MTIME | P9_SET_MTIME_NOW, 0400, 3, 1000);
    ck_assert_int_eq(p9_client_do(&c), 0);
    ck_assert_int_eq(stat(p9_client_path(&c, "file"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0400);
    ck_assert_int_eq(st.st_size, 3);
    ck_assert_int_eq(st.st_mtim.tv_sec, 1000);
    ck_assert_int_eq(st.st_mtim.tv_nsec, 5);
    set(1, P9_SET_SIZE, 0, UINT64_MAX, 0);
    ck_assert_int_eq(p9_client_do(&c), -EFBIG);
    set(1, P9_SET_MTIME, 0, 0, 0); /* now */
    ck_assert_int_eq(p9_client_do(&c), 0);
    ck_assert_int_eq(stat(p9_client_path(&c, "file"), &st), 0);
    ck_assert_int_gt(st.st_mtim.tv_sec, 1000000);
}
END_TEST

/* Entries of the answer: marks them in `seen`, each once. Returns their number; *offset: the
 * last's. */
static unsigned take_entries(bool *seen, unsigned many, uint64_t *offset)
{
    unsigned total = 0, n;
    char name[32];

    while (c.r.at < c.r.end) {
        struct p9_text text;

        c.r.at += P9_QID_BYTES;
        *offset = p9_get(&c.r, 8);
        p9_get(&c.r, 1);
        text = p9_get_text(&c.r);
        ck_assert(!c.r.bad);
        snprintf(name, sizeof(name), "%.*s", (int)text.len, text.at);
        if (sscanf(name, "entry-%u", &n) != 1)
            continue;
        ck_assert(n < many && !seen[n]);
        seen[n] = true;
        total++;
    }
    return total;
}

/* As many as do not fit one answer; each once, none missing. */
static void list_in_parts(unsigned many, uint32_t count)
{
    bool *seen = calloc(many, sizeof(*seen));
    int dir = open(c.dir, O_RDONLY | O_DIRECTORY);
    unsigned total = 0, parts = 0;
    uint64_t offset = 0;
    uint32_t left;
    char name[32];

    for (unsigned i = 0; i < many; i++) {
        snprintf(name, sizeof(name), "entry-%u", i);
        if (mknodat(dir, name, S_IFREG | 0644, 0) < 0)
            ck_abort_msg("%s: %m", name);
    }
    close(dir);
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, ""), 0);
    ck_assert_int_eq(p9_client_open(&c, 1, O_RDONLY | O_DIRECTORY), 0);
    for (;; parts++) {
        p9_client_begin(&c, P9_READDIR);
        p9_put(&c.w, 4, 1);
        p9_put(&c.w, 8, offset);
        p9_put(&c.w, 4, count);
        ck_assert_int_eq(p9_client_do(&c), 0);
        left = (uint32_t)p9_get(&c.r, 4);
        ck_assert_uint_le(left, count);
        ck_assert_uint_eq(left, (uint32_t)(c.r.end - c.r.at));
        if (left == 0)
            break;
        total += take_entries(seen, many, &offset);
    }
    ck_assert_uint_eq(total, many);
    ck_assert_uint_gt(parts, 4);
    free(seen);
}

START_TEST(directory_of_1000_entries_is_listed_in_parts)
{
    list_in_parts(1000, 4000);
}
END_TEST

/* In memory, where that many names take a fraction of a second. */
START_TEST(directory_of_100000_entries_is_listed_in_parts)
{
    char dir[] = "/dev/shm/hv-p9.XXXXXX";

    if (!mkdtemp(dir))
        return; /* no such place; the test of fewer entries is the same otherwise */
    p9_client_end(&c);
    p9_client_serve(&c, dir, true);
    c.made = true;
    list_in_parts(100000, 60000);
}
END_TEST

START_TEST(names_are_made_renamed_and_removed)
{
    struct stat st;

    ck_assert_int_eq(p9_client_name(&c, P9_MKDIR, P9_CLIENT_ROOT, "dir"), 0);
    ck_assert_int_eq(stat(p9_client_path(&c, "dir"), &st), 0);
    ck_assert(S_ISDIR(st.st_mode) && (st.st_mode & 0777) == 0755);
    ck_assert_int_eq(p9_client_name(&c, P9_MKDIR, P9_CLIENT_ROOT, "dir"), -EEXIST);
    p9_client_put_file(&c, "a", "x");
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, "dir"), 0);
    p9_client_begin(&c, P9_RENAMEAT);
    p9_put(&c.w, 4, P9_CLIENT_ROOT);
    p9_put_text(&c.w, "a", 1);
    p9_put(&c.w, 4, 1);
    p9_put_text(&c.w, "b", 1);
    ck_assert_int_eq(p9_client_do(&c), 0);
    ck_assert_int_eq(access(p9_client_path(&c, "dir/b"), F_OK), 0);
    ck_assert_int_eq(p9_client_name(&c, P9_UNLINKAT, P9_CLIENT_ROOT, "dir"), -EISDIR);
    ck_assert_int_eq(p9_client_name(&c, P9_UNLINKAT, 1, "b"), 0);
    p9_client_begin(&c, P9_UNLINKAT);
    p9_put(&c.w, 4, P9_CLIENT_ROOT);
    p9_put_text(&c.w, "dir", 3);
    p9_put(&c.w, 4, P9_AT_REMOVEDIR);
    ck_assert_int_eq(p9_client_do(&c), 0);
    ck_assert_int_eq(access(p9_client_path(&c, "dir"), F_OK), -1);
}
END_TEST

START_TEST(links_are_made_and_read)
{
    struct stat st;

    p9_client_put_file(&c, "file", "x");
    p9_client_begin(&c, P9_SYMLINK);
    p9_put(&c.w, 4, P9_CLIENT_ROOT);
    p9_put_text(&c.w, "sym", 3);
    p9_put_text(&c.w, "/etc/passwd", 11);
    p9_put(&c.w, 4, 0);
    ck_assert_int_eq(p9_client_do(&c), 0);
    ck_assert_uint_eq(p9_get(&c.r, 1), P9_QTSYMLINK);
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, "sym"), 0);
    p9_client_begin(&c, P9_READLINK);
    p9_put(&c.w, 4, 1);
    ck_assert_int_eq(p9_client_do(&c), 0);
    ck_assert_uint_eq(p9_get(&c.r, 2), 11);
    ck_assert(memcmp(c.r.at, "/etc/passwd", 11) == 0);
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 2, "file"), 0);
    p9_client_begin(&c, P9_LINK);
    p9_put(&c.w, 4, P9_CLIENT_ROOT);
    p9_put(&c.w, 4, 2);
    p9_put_text(&c.w, "hard", 4);
    ck_assert_int_eq(p9_client_do(&c), 0);
    ck_assert_int_eq(stat(p9_client_path(&c, "hard"), &st), 0);
    ck_assert_uint_eq(st.st_nlink, 2);
    p9_client_begin(&c, P9_READLINK);
    p9_put(&c.w, 4, 2);
    ck_assert_int_eq(p9_client_do(&c), -EINVAL);
}
END_TEST

static int xattr_walk(uint32_t fid, uint32_t to, const char *name)
{
    p9_client_begin(&c, P9_XATTRWALK);
    p9_put(&c.w, 4, fid);
    p9_put(&c.w, 4, to);
    p9_put_text(&c.w, name, strlen(name));
    return p9_client_do(&c);
}

static int xattr_create(uint32_t fid, const char *name, uint64_t size, uint32_t flags)
{
    p9_client_begin(&c, P9_XATTRCREATE);
    p9_put(&c.w, 4, fid);
    p9_put_text(&c.w, name, strlen(name));
    p9_put(&c.w, 8, size);
    p9_put(&c.w, 4, flags);
    return p9_client_do(&c);
}

START_TEST(attributes_are_set_listed_and_read)
{
    char value[8];

    p9_client_put_file(&c, "file", "x");
    if (setxattr(p9_client_path(&c, "file"), "user.try", "1", 1, 0) < 0 && errno == EOPNOTSUPP)
        return; /* a file system without them; the guest's tests have one */
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, "file"), 0);
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 2, "file"), 0);
    ck_assert_int_eq(xattr_create(2, "user.hv", 5, 0), 0);
    ck_assert_int_eq(p9_client_write(&c, 2, 0, "val", 3), 0);
    ck_assert_int_eq(p9_client_write(&c, 2, 3, "ueX", 3), -ENOSPC);
    ck_assert_int_eq(p9_client_write(&c, 2, 3, "ue", 2), 0);
    ck_assert_int_eq(p9_client_clunk(&c, 2), 0);
    ck_assert_int_eq(getxattr(p9_client_path(&c, "file"), "user.hv", value, 8), 5);
    ck_assert(memcmp(value, "value", 5) == 0);
    ck_assert_int_eq(xattr_walk(1, 3, "user.hv"), 0);
    ck_assert_uint_eq(p9_get(&c.r, 8), 5);
    ck_assert_int_eq(p9_client_read(&c, 3, 1, 100), 0);
    ck_assert_uint_eq(p9_get(&c.r, 4), 4);
    ck_assert(memcmp(c.r.at, "alue", 4) == 0);
    ck_assert_int_eq(xattr_walk(1, 4, ""), 0);
    ck_assert_uint_ge(p9_get(&c.r, 8), 8);
    ck_assert_int_eq(xattr_walk(1, 5, "user.none"), -ENODATA);
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 2, "file"), 0);
    ck_assert_int_eq(xattr_create(2, "user.hv", 0, XATTR_REPLACE), 0);
    ck_assert_int_eq(p9_client_clunk(&c, 2), 0);
    ck_assert_int_eq(getxattr(p9_client_path(&c, "file"), "user.hv", value, 8), -1);
}
END_TEST

static int lock(uint32_t fid, uint8_t type, uint64_t start, uint64_t len)
{
    p9_client_begin(&c, P9_LOCK);
    p9_put(&c.w, 4, fid);
    p9_put(&c.w, 1, type);
    p9_put(&c.w, 4, 0);
    p9_put(&c.w, 8, start);
    p9_put(&c.w, 8, len);
    p9_put(&c.w, 4, 1);
    p9_put_text(&c.w, "guest", 5);
    return p9_client_do(&c) ? -1 : (int)p9_get(&c.r, 1);
}

START_TEST(locks_of_two_opens_exclude_each_other)
{
    p9_client_put_file(&c, "file", "0123456789");
    for (uint32_t fid = 1; fid <= 2; fid++) {
        ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, fid, "file"), 0);
        ck_assert_int_eq(p9_client_open(&c, fid, O_RDWR), 0);
    }
    ck_assert_int_eq(lock(1, P9_LOCK_WRITE, 0, 5), P9_LOCK_SUCCESS);
    ck_assert_int_eq(lock(2, P9_LOCK_WRITE, 4, 1), P9_LOCK_BLOCKED);
    ck_assert_int_eq(lock(2, P9_LOCK_WRITE, 5, 0), P9_LOCK_SUCCESS);
    p9_client_begin(&c, P9_GETLOCK);
    p9_put(&c.w, 4, 2);
    p9_put(&c.w, 1, P9_LOCK_READ);
    p9_put(&c.w, 8, 0);
    p9_put(&c.w, 8, 0);
    p9_put(&c.w, 4, 1);
    p9_put_text(&c.w, "guest", 5);
    ck_assert_int_eq(p9_client_do(&c), 0);
    ck_assert_uint_eq(p9_get(&c.r, 1), P9_LOCK_WRITE);
    ck_assert_uint_eq(p9_get(&c.r, 8), 0);
    ck_assert_uint_eq(p9_get(&c.r, 8), 5);
    ck_assert_int_eq(p9_client_clunk(&c, 1), 0);
    ck_assert_int_eq(lock(2, P9_LOCK_WRITE, 0, 5), P9_LOCK_SUCCESS);
    ck_assert_int_eq(lock(2, P9_LOCK_WRITE, UINT64_MAX, 5), -1);
}
END_TEST

START_TEST(file_system_is_described)
{
    p9_client_begin(&c, P9_STATFS);
    p9_put(&c.w, 4, P9_CLIENT_ROOT);
    ck_assert_int_eq(p9_client_do(&c), 0);
    p9_get(&c.r, 4);
    ck_assert_uint_ge(p9_get(&c.r, 4), 512);
    c.r.at += 6 * 8;
    ck_assert_uint_eq(p9_get(&c.r, 4), 255);
    ck_assert(c.r.at == c.r.end && !c.r.bad);
}
END_TEST

START_TEST(walk_goes_down_up_and_never_above_the_root)
{
    ck_assert_int_eq(mkdir(p9_client_path(&c, "a"), 0755), 0);
    ck_assert_int_eq(mkdir(p9_client_path(&c, "a/b"), 0755), 0);
    p9_client_put_file(&c, "a/file", "x");
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, "a/b"), 0);
    ck_assert_int_eq(p9_client_walk(&c, 1, 2, "../file"), 0);
    ck_assert_int_eq(p9_client_walk(&c, 1, 3, "../../../../../../a/file"), 0);
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 4, "a/none/b"), -ENOENT);
    ck_assert_int_eq(p9_client_clunk(&c, 4), -EBADF); /* none was made */
    ck_assert_int_eq(p9_client_walk(&c, 1, 1, ".."), 0);
    ck_assert_int_eq(p9_client_walk(&c, 1, 5, "file"), 0);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("9p server");

    tcase_add_checked_fixture(tc, open_writable, close_all);
    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, version_is_agreed_upon_and_message_size_is_bounded);
    tcase_add_test(tc, file_is_read_in_pieces_and_at_its_end);
    tcase_add_test(tc, file_over_4_gib_is_read_and_written);
    tcase_add_test(tc, created_file_has_its_mode_and_content);
    tcase_add_test(tc, open_file_lives_on_without_its_name);
    tcase_add_test(tc, mode_size_and_times_are_set);
    tcase_add_test(tc, directory_of_1000_entries_is_listed_in_parts);
    tcase_add_test(tc, directory_of_100000_entries_is_listed_in_parts);
    tcase_add_test(tc, names_are_made_renamed_and_removed);
    tcase_add_test(tc, links_are_made_and_read);
    tcase_add_test(tc, attributes_are_set_listed_and_read);
    tcase_add_test(tc, locks_of_two_opens_exclude_each_other);
    tcase_add_test(tc, file_system_is_described);
    tcase_add_test(tc, walk_goes_down_up_and_never_above_the_root);
    return fake_run(tc);
}
