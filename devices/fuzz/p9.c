/*
 * The 9P server under hostile guests, without a device around it: an input is a list of messages
 * (machine.h), most of them right in form. It serves a directory of its own, made anew for each
 * input, beside a file whose content no answer may have in it and no request may change.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/core/util.h"
#include "devices/fs/p9.h"
#include "devices/fs/p9_msg.h"
#include "devices/fs/p9_proto.h"
#include "devices/fuzz/machine.h"
#include "devices/virtio/queue.h"

#define MESSAGES_MAX 200
#define REQUEST_MAX  2048
#define ROOM         4096 /* for an answer, unless the input says otherwise */
#define SECRET       "what lies outside"

/* f: a fid; t: a text, mostly a name; d: as many bytes as the number before says; 1 2 4 8: a number
 * of so many bytes. */
static const struct {
    uint8_t type;
    const char *fields;
} messages[] = {{P9_STATFS, "f"},      {P9_LOPEN, "f4"},         {P9_LCREATE, "ft444"},
                {P9_SYMLINK, "ftt4"},  {P9_MKNOD, "ft4444"},     {P9_RENAME, "fft"},
                {P9_READLINK, "f"},    {P9_GETATTR, "f8"},       {P9_SETATTR, "f444488888"},
                {P9_XATTRWALK, "fft"}, {P9_XATTRCREATE, "ft84"}, {P9_READDIR, "f84"},
                {P9_FSYNC, "f4"},      {P9_LOCK, "f14884t"},     {P9_GETLOCK, "f1884t"},
                {P9_LINK, "fft"},      {P9_MKDIR, "ft44"},       {P9_RENAMEAT, "ftft"},
                {P9_UNLINKAT, "ft4"},  {P9_VERSION, "4t"},       {P9_ATTACH, "fftt4"},
                {P9_FLUSH, "2"},       {P9_WALK, "ff2tt"},       {P9_WALK, "ff2t"},
                {P9_READ, "f84"},      {P9_WRITE, "f84d"},       {P9_CLUNK, "f"},
                {P9_REMOVE, "f"}};

static const char *const texts[] = {"file", "dir",  "out",    "fifo",       "new", "..",
                                    ".",    "deep", "secret", "9P2000.L",   "",    "../secret",
                                    "up",   "a",    "user.x", "/etc/passwd"};

static char base[] = "/tmp/hv-fuzz-p9.XXXXXX", served[64], outside[64];

/* Never through a link: only what lies in the directory itself. */
static void empty(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir)
        abort();
    for (struct dirent *e; (e = readdir(dir));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (unlinkat(fd, e->d_name, 0) == 0)
            continue;
        fchmodat(fd, e->d_name, 0700, 0);
        empty(fd, e->d_name);
        if (unlinkat(fd, e->d_name, AT_REMOVEDIR) < 0)
            abort();
    }
    closedir(dir);
}

static void remove_all(void)
{
    empty(AT_FDCWD, base);
    rmdir(base);
}

static void put_file(int dir, const char *name, const char *content)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    if (fd < 0 || write(fd, content, strlen(content)) < 0)
        abort();
    close(fd);
}

/* Once. */
static void make_base(void)
{
    if (!mkdtemp(base) || atexit(remove_all))
        abort();
    snprintf(served, sizeof(served), "%s/served", base);
    snprintf(outside, sizeof(outside), "%s/secret", base);
    put_file(AT_FDCWD, outside, SECRET);
}

static void make_served(void)
{
    int dir;

    if (mkdir(served, 0755) < 0 || (dir = open(served, O_RDONLY | O_DIRECTORY)) < 0)
        abort();
    put_file(dir, "file", "0123456789");
    if (mkdirat(dir, "dir", 0755) < 0 || mkdirat(dir, "dir/deep", 0755) < 0 ||
        symlinkat("../secret", dir, "out") < 0 || symlinkat("..", dir, "up") < 0 ||
        mkfifoat(dir, "fifo", 0644) < 0)
        abort();
    close(dir);
}

static void check_outside(void)
{
    char text[sizeof(SECRET)] = "";
    int fd = open(outside, O_RDONLY);

    if (fd < 0 || read(fd, text, sizeof(text)) != (ssize_t)strlen(SECRET) || strcmp(text, SECRET))
        abort();
    close(fd);
}

/* Mostly small; else of any size. */
static uint64_t number(struct fuzz_input *in)
{
    uint8_t how = fuzz_u8(in);

    switch (how >> 6) {
    case 0:
        return how;
    case 1:
        return fuzz_u16(in);
    case 2:
        return fuzz_u32(in);
    default:
        return UINT64_MAX - fuzz_u32(in);
    }
}

static void put_text(struct p9_writer *w, struct fuzz_input *in)
{
    uint8_t how = fuzz_u8(in);
    char text[300];

    if (how < 128) {
        const char *chosen = texts[how % ARRAY_SIZE(texts)];

        p9_put_text(w, chosen, strlen(chosen));
        return;
    }
    memset(text, 'n', sizeof(text));
    if (how < 160) {
        p9_put_text(w, text, 240u + how % 32);
        return;
    }
    for (unsigned i = 0; i < how % 16u; i++)
        text[i] = (char)fuzz_u8(in);
    p9_put_text(w, text, how % 16);
}

static void put_fields(struct p9_writer *w, const char *fields, struct fuzz_input *in)
{
    uint64_t value = 0;

    for (; *fields; fields++)
        switch (*fields) {
        case 'f':
            value = fuzz_u8(in);
            p9_put(w, 4, value < 250 ? value % 8 : P9_NO_FID);
            break;
        case 't':
            put_text(w, in);
            break;
        case 'd':
            for (uint64_t i = 0; i < value && !w->bad; i++)
                p9_put(w, 1, 'd');
            break;
        default:
            value = number(in);
            p9_put(w, (unsigned)(*fields - '0'), value);
        }
    w->bad = false; /* cut where there was no room */
}

/* In two pieces each way, in memory of just that size. */
static void serve(struct p9 *s, const uint8_t *message, size_t len, size_t room, unsigned cut)
{
    static struct virtq_chain chain;
    uint8_t *request = malloc(len), *answer = calloc(1, room);
    size_t first = len > cut ? cut : len;
    uint32_t got;

    if (!request || !answer)
        abort();
    memcpy(request, message, len);
    chain.out_count = chain.in_count = 0;
    chain.out_len = len;
    chain.in_len = room;
    if (first > 0)
        chain.iov[chain.out_count++] = (struct iovec){request, first};
    if (len > first)
        chain.iov[chain.out_count++] = (struct iovec){request + first, len - first};
    first = room > cut ? cut : room;
    if (first > 0)
        chain.iov[chain.out_count + chain.in_count++] = (struct iovec){answer, first};
    if (room > first)
        chain.iov[chain.out_count + chain.in_count++] =
            (struct iovec){answer + first, room - first};
    got = p9_serve(s, &chain);
    if (got > room || (got > 0 && (got < P9_HEADER || load_le32(answer) != got)) ||
        memmem(answer, room, SECRET, strlen(SECRET)))
        abort();
    free(request);
    free(answer);
}

/* One message: what kind it is, how much room its answer has, then its fields. */
static void one(struct p9 *s, struct fuzz_input *in)
{
    uint8_t bytes[REQUEST_MAX], kind = fuzz_u8(in), how = fuzz_u8(in);
    struct p9_writer w = {bytes, bytes, bytes + sizeof(bytes), false};
    size_t room = how & 1 ? fuzz_u8(in) : ROOM;
    unsigned i = kind % ARRAY_SIZE(messages);

    p9_put(&w, 4, 0);
    p9_put(&w, 1, messages[i].type);
    p9_put(&w, 2, 1);
    if (kind < 224)
        put_fields(&w, messages[i].fields, in);
    else
        for (unsigned n = fuzz_u8(in); n > 0; n--)
            p9_put(&w, 1, fuzz_u8(in));
    store_le32(bytes, (uint32_t)(w.at - w.start));
    if (how & 2) /* a size that lies */
        bytes[0] = fuzz_u8(in);
    if (how & 4)
        bytes[4] = fuzz_u8(in);
    serve(s, bytes, (size_t)(w.at - w.start), room, how >> 3);
}

static void greet(struct p9 *s)
{
    static const uint8_t version[] = {21, 0, 0,   0,   P9_VERSION, 0xff, 0xff, 0,   0,   1,  0,
                                      8,  0, '9', 'P', '2',        '0',  '0',  '0', '.', 'L'};
    static const uint8_t attach[] = {23,   0,    0,    0, P9_ATTACH, 1, 0, 0, 0, 0, 0, 0xff,
                                     0xff, 0xff, 0xff, 0, 0,         0, 0, 0, 0, 0, 0};

    serve(s, version, sizeof(version), ROOM, 7);
    serve(s, attach, sizeof(attach), ROOM, 7);
}

static void run(struct fuzz_input *in)
{
    uint8_t how = fuzz_u8(in);
    struct p9 *s;

    if (!served[0])
        make_base();
    make_served();
    if (p9_create(served, !(how & 1), &s))
        abort();
    if (!(how & 2))
        greet(s);
    for (unsigned i = 0; i < MESSAGES_MAX && in->at < in->end; i++)
        one(s, in);
    p9_destroy(s);
    empty(AT_FDCWD, served);
    rmdir(served);
    check_outside();
}

const struct fuzz_target fuzz_p9 = {.name = "p9", .run = run};
