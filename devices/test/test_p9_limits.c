/* The 9P server under a hostile guest: what it may hold at most, and messages that are none. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/core/util.h"
#include "devices/test/fake.h"
#include "devices/test/p9_client.h"

#define MANY 100000

static struct p9_client c;

static void open_writable(void)
{
    p9_client_start(&c, true);
}

static void close_all(void)
{
    p9_client_end(&c);
}

static void limit_descriptors(rlim_t count)
{
    struct rlimit limit = {count, count};

    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* As p9_client_do, with room for a small answer only: for requests by the hundred thousand. */
static int do_quickly(void)
{
    size_t len = (size_t)(c.w.at - c.w.start);

    c.request[0] = (uint8_t)len;
    p9_client_raw(&c, c.request, len, 64);
    return c.answer[4] == P9_RLERROR ? -(int)load_le32(c.answer + 7) : 0;
}

static int walk_quickly(uint32_t fid, const char *name)
{
    p9_client_begin(&c, P9_WALK);
    p9_put(&c.w, 4, P9_CLIENT_ROOT);
    p9_put(&c.w, 4, fid);
    p9_put(&c.w, 2, *name ? 1 : 0);
    if (*name)
        p9_put_text(&c.w, name, strlen(name));
    return do_quickly();
}

/* Each place is a descriptor of the host: they end before those do that hv needs. */
START_TEST(guest_with_100000_fids_leaves_hv_its_descriptors)
{
    unsigned got = 0;

    close_all();
    limit_descriptors(1024);
    open_writable();
    p9_client_put_file(&c, "file", "x");
    for (uint32_t fid = 1; fid <= MANY; fid++) {
        int err = walk_quickly(fid, "file");

        got += err == 0;
        if (err != 0 && err != -EMFILE)
            ck_abort_msg("fid %u: %d", fid, err);
    }
    ck_assert_uint_ge(got, 512);
    ck_assert_uint_le(got, 1024 - 128);
    ck_assert_int_eq(p9_client_open(&c, 1, O_RDONLY), -EMFILE);
    for (unsigned i = 0; i < 128; i++)
        ck_assert_int_ge(open("/dev/null", O_RDONLY), 0);
    p9_reset(c.s);
    ck_assert_uint_eq(p9_fid_count(c.s), 0);
}
END_TEST

/* Two servers share the process' descriptors, and give them back when they end. */
START_TEST(limit_of_descriptors_is_that_of_all_servers)
{
    static struct p9_client other;
    uint32_t fid = 1;

    close_all();
    limit_descriptors(1024);
    open_writable();
    p9_client_put_file(&c, "file", "x");
    while (walk_quickly(fid, "file") == 0)
        fid++;
    ck_assert_int_eq(p9_create(c.dir, false, &other.s), -EMFILE);
    ck_assert_int_eq(p9_client_clunk(&c, 1), 0);
    ck_assert_int_eq(p9_create(c.dir, false, &other.s), 0);
    ck_assert_int_eq(walk_quickly(1, "file"), -EMFILE);
    p9_destroy(other.s);
    ck_assert_int_eq(walk_quickly(1, "file"), 0);
}
END_TEST

/* Many fids of one place take memory alone, and have an end, too. */
START_TEST(number_of_fids_is_bounded)
{
    uint32_t fid = 1;
    int err = 0;

    while (!err && fid < 1000000)
        err = walk_quickly(fid++, "");
    ck_assert_int_eq(err, -ENFILE);
    ck_assert_uint_ge(p9_fid_count(c.s), MANY);
    p9_reset(c.s);
    ck_assert_uint_eq(p9_fid_count(c.s), 0);
}
END_TEST

static int xattr_create(uint32_t fid, uint64_t size)
{
    p9_client_begin(&c, P9_XATTRCREATE);
    p9_put(&c.w, 4, fid);
    p9_put_text(&c.w, "user.x", 6);
    p9_put(&c.w, 8, size);
    p9_put(&c.w, 4, 0);
    return p9_client_do(&c);
}

/* The size is the guest's word: one attribute's is bounded, and that of all together. */
START_TEST(memory_for_attributes_is_bounded)
{
    uint32_t fid = 1;
    int err = 0;

    p9_client_put_file(&c, "file", "x");
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, "file"), 0);
    ck_assert_int_eq(xattr_create(1, UINT64_MAX), -E2BIG);
    ck_assert_int_eq(xattr_create(1, 65537), -E2BIG);
    for (; fid < 1000 && !err; fid++) {
        ck_assert_int_eq(walk_quickly(fid + 1, "file"), 0);
        err = xattr_create(fid, 65536);
    }
    ck_assert_int_eq(err, -ENOSPC);
    ck_assert_uint_ge(fid, 32);
    ck_assert_int_eq(p9_client_clunk(&c, 1), -EIO); /* none of it was written */
    ck_assert_int_eq(xattr_create(fid, 65536), 0);
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
    if (do_quickly() != 0)
        ck_abort_msg("a lock was not answered");
    return c.answer[7];
}

/* A lock is memory of the host's kernel. Those that were given up, or that merged, do not count. */
START_TEST(number_of_locked_ranges_is_bounded)
{
    enum { FIDS = 8, MOST = 1000 };
    unsigned got = 0;
    int status = P9_LOCK_SUCCESS;
    char name[8];

    for (uint32_t fid = 1; fid <= FIDS; fid++) {
        name[0] = (char)('a' + fid);
        name[1] = '\0';
        p9_client_put_file(&c, name, "x");
        ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, fid, name), 0);
        ck_assert_int_eq(p9_client_open(&c, fid, O_RDWR), 0);
    }
    for (unsigned i = 0; i < 3000; i++) /* many calls, one range */
        if (lock(1, P9_LOCK_WRITE, i, 2) != P9_LOCK_SUCCESS)
            ck_abort_msg("call %u", i);
    for (unsigned i = 0; i < FIDS * MOST && status == P9_LOCK_SUCCESS; i++) {
        status = lock(1 + i % FIDS, P9_LOCK_WRITE, 100000 + i * 2, 1);
        got += status == P9_LOCK_SUCCESS;
    }
    ck_assert_int_eq(status, P9_LOCK_ERROR);
    ck_assert_uint_ge(got, 4000);
    ck_assert_uint_lt(got, FIDS * MOST);
    ck_assert_int_eq(lock(1, P9_LOCK_UNLOCK, 0, 0), P9_LOCK_SUCCESS);
    ck_assert_int_eq(lock(2, P9_LOCK_WRITE, 0, 1), P9_LOCK_SUCCESS);
    ck_assert_int_eq(p9_client_clunk(&c, 3), 0);
    ck_assert_int_eq(lock(2, P9_LOCK_WRITE, 2, 1), P9_LOCK_SUCCESS);
}
END_TEST

START_TEST(version_in_between_closes_everything)
{
    p9_client_put_file(&c, "file", "x");
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, "file"), 0);
    ck_assert_int_eq(p9_client_open(&c, 1, O_RDONLY), 0);
    p9_client_begin(&c, P9_VERSION);
    p9_put(&c.w, 4, 8192);
    p9_put_text(&c.w, "9P2000.L", 8);
    ck_assert_int_eq(p9_client_do(&c), 0);
    ck_assert_uint_eq(p9_fid_count(c.s), 0);
    ck_assert_int_eq(p9_client_read(&c, 1, 0, 1), -EBADF);
    p9_client_begin(&c, P9_VERSION); /* messages too small to hold an answer */
    p9_put(&c.w, 4, 100);
    p9_put_text(&c.w, "9P2000.L", 8);
    ck_assert_int_eq(p9_client_do(&c), -EINVAL);
}
END_TEST

START_TEST(walk_of_more_than_16_names_is_refused)
{
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, "./././././././././././././././."), 0);
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 2, "././././././././././././././././."),
                     -EINVAL);
    p9_client_begin(&c, P9_WALK);
    p9_put(&c.w, 4, P9_CLIENT_ROOT);
    p9_put(&c.w, 4, 2);
    p9_put(&c.w, 2, 65535);
    ck_assert_int_eq(p9_client_do(&c), -EINVAL);
}
END_TEST

START_TEST(flush_is_answered_and_unknown_types_are_refused)
{
    static const uint8_t known[] = {8,  12, 14, 16, 18, 20,  22,  24,  26,  30,  32,  40,  50, 52,
                                    54, 70, 72, 74, 76, 100, 104, 108, 110, 116, 118, 120, 122};

    p9_client_begin(&c, P9_FLUSH);
    p9_put(&c.w, 2, 12345);
    ck_assert_int_eq(p9_client_do(&c), 0);
    for (unsigned type = 0; type < 256; type++) {
        if (memchr(known, (int)type, sizeof(known)))
            continue;
        p9_client_begin(&c, (uint8_t)type);
        ck_assert_int_eq(p9_client_do(&c), -EOPNOTSUPP);
    }
}
END_TEST

static void read_directory(uint32_t count, size_t room, uint32_t *len)
{
    uint8_t message[23] = {23, 0, 0, 0, P9_READDIR, 1, 0, 1};

    store_le32(message + 19, count);
    ck_assert_uint_ge(p9_client_raw(&c, message, sizeof(message), room), 11);
    ck_assert_uint_eq(c.answer[4], P9_READDIR + 1);
    *len = load_le32(c.answer + 7);
}

START_TEST(readdir_is_bounded_by_count_room_and_buffer)
{
    uint32_t len;
    char name[256];

    memset(name, 'n', 255);
    name[255] = '\0';
    for (char letter = 'a'; letter <= 'z'; letter++) {
        name[0] = letter;
        p9_client_put_file(&c, name, "");
    }
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, ""), 0);
    ck_assert_int_eq(p9_client_open(&c, 1, O_RDONLY | O_DIRECTORY), 0);
    for (uint32_t count = 0; count < 700; count++) {
        read_directory(count, 4096, &len);
        ck_assert_uint_le(len, count);
        read_directory(UINT32_MAX, 11 + count, &len);
        ck_assert_uint_le(len, count);
        ck_assert_uint_eq(c.answer[11 + count], 0xaa);
    }
    read_directory(UINT32_MAX, 65536, &len);
    ck_assert_uint_gt(len, 26 * 255);
}
END_TEST

/* One valid request of each type, a letter a field: 1 2 4 8: bytes of zeros; r: the fid of the
 * root, f: of a file; t: a text, N: number of a new fid. */
static const struct {
    uint8_t type;
    const char *fields;
} valid[] = {{P9_STATFS, "r"},      {P9_LOPEN, "f4"},         {P9_LCREATE, "rt444"},
             {P9_SYMLINK, "rtt4"},  {P9_MKNOD, "rt4444"},     {P9_RENAME, "frt"},
             {P9_READLINK, "f"},    {P9_GETATTR, "r8"},       {P9_SETATTR, "f444488888"},
             {P9_XATTRWALK, "fNt"}, {P9_XATTRCREATE, "ft84"}, {P9_READDIR, "r84"},
             {P9_FSYNC, "f4"},      {P9_LOCK, "f14884t"},     {P9_GETLOCK, "f1884t"},
             {P9_LINK, "rft"},      {P9_MKDIR, "rt44"},       {P9_RENAMEAT, "rtrt"},
             {P9_UNLINKAT, "rt4"},  {P9_VERSION, "4t"},       {P9_ATTACH, "NNtt4"},
             {P9_FLUSH, "2"},       {P9_WALK, "rN2"},         {P9_READ, "f84"},
             {P9_WRITE, "f84"},     {P9_CLUNK, "f"},          {P9_REMOVE, "f"}};

static void build(unsigned i)
{
    p9_client_begin(&c, valid[i].type);
    for (const char *field = valid[i].fields; *field; field++)
        switch (*field) {
        case 'r':
            p9_put(&c.w, 4, P9_CLIENT_ROOT);
            break;
        case 'f':
        case 'N':
            p9_put(&c.w, 4, *field == 'f' ? 1 : 2);
            break;
        case 't':
            p9_put_text(&c.w, "text", 4);
            break;
        default:
            p9_put(&c.w, (unsigned)(*field - '0'), 0);
        }
}

/* A message whose size says that it ends within its fields: an error, and nothing done. */
START_TEST(every_message_cut_at_each_byte_is_an_error)
{
    p9_client_put_file(&c, "file", "content");
    ck_assert_int_eq(p9_client_walk(&c, P9_CLIENT_ROOT, 1, "file"), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(valid); i++) {
        build(i);
        for (uint32_t len = (uint32_t)(c.w.at - c.w.start) - 1; len >= P9_HEADER; len--) {
            store_le32(c.request, len);
            ck_assert_uint_eq(p9_client_raw(&c, c.request, len, 4096), 11);
            ck_assert_msg(c.answer[4] == P9_RLERROR, "type %u of %u bytes", valid[i].type, len);
        }
    }
    ck_assert_int_eq(access(p9_client_path(&c, "text"), F_OK), -1);
    ck_assert_uint_eq(p9_fid_count(c.s), 2);
}
END_TEST

START_TEST(messages_of_nothing_but_ones_are_errors_and_no_more)
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
            ck_assert_uint_ge(p9_client_raw(&c, message, len, 4096), 7);
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
    TCase *tc = tcase_create("9p limits");

    tcase_add_checked_fixture(tc, open_writable, close_all);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, guest_with_100000_fids_leaves_hv_its_descriptors);
    tcase_add_test(tc, limit_of_descriptors_is_that_of_all_servers);
    tcase_add_test(tc, number_of_fids_is_bounded);
    tcase_add_test(tc, memory_for_attributes_is_bounded);
    tcase_add_test(tc, number_of_locked_ranges_is_bounded);
    tcase_add_test(tc, version_in_between_closes_everything);
    tcase_add_test(tc, walk_of_more_than_16_names_is_refused);
    tcase_add_test(tc, flush_is_answered_and_unknown_types_are_refused);
    tcase_add_test(tc, readdir_is_bounded_by_count_room_and_buffer);
    tcase_add_test(tc, every_message_cut_at_each_byte_is_an_error);
    tcase_add_test(tc, messages_of_nothing_but_ones_are_errors_and_no_more);
    tcase_add_test(tc, sizes_that_lie_and_answers_without_room_write_nothing);
    tcase_add_test(tc, read_is_bounded_by_the_room_that_was_given);
    return fake_run(tc);
}
