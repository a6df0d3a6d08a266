/*
 * The 9P server: one request in, one answer out. The table below says who carries out which type.
 * See p9.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "devices/fs/p9_internal.h"
#include "devices/virtio/queue.h"

#define MSIZE_MIN  4096
#define INO_BITS   48 /* of a qid's path; the rest tells file systems apart */
#define DIALECT    "9P2000.L"
#define NO_DIALECT "unknown"

int p9_step(int dir, const char *name)
{
    int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

const char *p9_proc_path(int fd, char text[P9_PROC_PATH])
{
    snprintf(text, P9_PROC_PATH, "/proc/self/fd/%d", fd);
    return text;
}

/* Whatever number a file system has, the first one seen, the root's, keeps its inode numbers. */
static unsigned device_index(struct p9 *s, dev_t dev)
{
    for (unsigned i = 0; i < s->devices; i++)
        if (s->device[i] == dev)
            return i;
    if (s->devices == P9_DEVICES_MAX)
        return P9_DEVICES_MAX; /* these share a number; only the guest's caches could mind */
    s->device[s->devices] = dev;
    return s->devices++;
}

struct p9_qid p9_qid_of(struct p9 *s, mode_t mode, dev_t dev, ino_t ino, uint32_t version)
{
    uint64_t high = (uint64_t)device_index(s, dev) << INO_BITS;

    return (struct p9_qid){.type = S_ISDIR(mode)   ? P9_QTDIR
                                   : S_ISLNK(mode) ? P9_QTSYMLINK
                                                   : P9_QTFILE,
                           .version = version,
                           .path = (uint64_t)ino ^ high};
}

/* The version changes with the content: a guest that caches sees that it has to read again. */
int p9_stat(struct p9 *s, int fd, struct stat *st, struct p9_qid *qid)
{
    uint64_t version;

    if (fstatat(fd, "", st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    version = (uint64_t)st->st_mtim.tv_sec * 1000000007 + (uint64_t)st->st_mtim.tv_nsec +
              (uint64_t)st->st_size;
    *qid = p9_qid_of(s, st->st_mode, st->st_dev, st->st_ino, (uint32_t)(version ^ version >> 32));
    return 0;
}

int p9_get_new_name(struct p9_call *c, char name[P9_NAME_BUFFER])
{
    int err = p9_copy_name(p9_get_text(&c->in), name, P9_NAME_BUFFER);

    if (err)
        return err;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return -EINVAL;
    return c->s->writable ? 0 : -EROFS;
}

/* Tversion begins anew: everything that was open is gone. */
static int do_version(struct p9_call *c)
{
    struct p9 *s = c->s;
    uint32_t msize = (uint32_t)p9_get(&c->in, 4);
    struct p9_text dialect = p9_get_text(&c->in);
    bool known =
        dialect.len == strlen(DIALECT) && memcmp(dialect.at, DIALECT, strlen(DIALECT)) == 0;
    const char *answer = known ? DIALECT : NO_DIALECT;

    if (c->in.bad || msize < MSIZE_MIN)
        return -EINVAL;
    p9_reset(s);
    s->msize = msize < P9_MSIZE_MAX ? msize : P9_MSIZE_MAX;
    s->greeted = known;
    p9_put(&c->out, 4, s->msize);
    p9_put_text(&c->out, answer, strlen(answer));
    return 0;
}

/* There is one tree, and the user's name changes nothing about what hv may do. */
static int do_attach(struct p9_call *c)
{
    uint32_t number = (uint32_t)p9_get(&c->in, 4);
    struct p9_qid qid;
    struct stat st;
    int err;

    p9_get(&c->in, 4); /* afid: nobody is asked to prove who he is */
    p9_get_text(&c->in);
    p9_get_text(&c->in);
    p9_get(&c->in, 4);
    if (c->in.bad)
        return -EINVAL;
    err = p9_stat(c->s, c->s->root->fd, &st, &qid);
    if (!err)
        err = p9_fid_add(c->s, number, c->s->root, NULL);
    if (!err)
        p9_put_qid(&c->out, &qid);
    return err;
}

/* Requests are carried out one after the other, so the one to be given up has been answered. */
static int do_flush(struct p9_call *c)
{
    p9_get(&c->in, 2);
    return 0;
}

static int (*const handlers[P9_TYPES])(struct p9_call *c) = {
    [P9_STATFS] = p9_do_statfs,
    [P9_LOPEN] = p9_do_lopen,
    [P9_LCREATE] = p9_do_lcreate,
    [P9_SYMLINK] = p9_do_symlink,
    [P9_MKNOD] = p9_do_mknod,
    [P9_RENAME] = p9_do_rename,
    [P9_READLINK] = p9_do_readlink,
    [P9_GETATTR] = p9_do_getattr,
    [P9_SETATTR] = p9_do_setattr,
    [P9_XATTRWALK] = p9_do_xattrwalk,
    [P9_XATTRCREATE] = p9_do_xattrcreate,
    [P9_READDIR] = p9_do_readdir,
    [P9_FSYNC] = p9_do_fsync,
    [P9_LOCK] = p9_do_lock,
    [P9_GETLOCK] = p9_do_getlock,
    [P9_LINK] = p9_do_link,
    [P9_MKDIR] = p9_do_mkdir,
    [P9_RENAMEAT] = p9_do_renameat,
    [P9_UNLINKAT] = p9_do_unlinkat,
    [P9_VERSION] = do_version,
    [P9_ATTACH] = do_attach,
    [P9_FLUSH] = do_flush,
    [P9_WALK] = p9_do_walk,
    [P9_READ] = p9_do_read,
    [P9_WRITE] = p9_do_write,
    [P9_CLUNK] = p9_do_clunk,
    [P9_REMOVE] = p9_do_remove,
};

static int carry_out(struct p9_call *c, uint8_t type)
{
    int err;

    if (type >= P9_TYPES || !handlers[type])
        return -EOPNOTSUPP;
    if (!c->s->greeted && type != P9_VERSION)
        return -EPROTO;
    err = handlers[type](c);
    if (!err && c->in.bad)
        err = -EINVAL;
    return !err && c->out.bad ? -EMSGSIZE : err;
}

/* Puts the header in front; returns the length of the whole, 0 when the guest left no room. */
static uint32_t finish(struct p9_call *c, uint8_t type, uint16_t tag)
{
    uint32_t len = (uint32_t)(c->out.at - c->out.start);
    struct p9_writer header = {.start = c->out.start, .at = c->out.start, .end = c->out.end};

    p9_put(&header, 4, len + c->payload);
    p9_put(&header, 1, type);
    p9_put(&header, 2, tag);
    if (c->chain->in_len < len)
        return 0;
    virtq_chain_write(c->chain, 0, c->out.start, len);
    return len + c->payload;
}

uint32_t p9_serve(struct p9 *s, const struct virtq_chain *chain)
{
    size_t len = virtq_chain_read(chain, 0, s->request, sizeof(s->request));
    struct p9_call c = {.s = s,
                        .chain = chain,
                        .in = {.at = s->request, .end = s->request + len},
                        .out = {.start = s->answer,
                                .at = s->answer + P9_HEADER,
                                .end = s->answer + sizeof(s->answer)}};
    uint32_t size = (uint32_t)p9_get(&c.in, 4);
    uint8_t type = (uint8_t)p9_get(&c.in, 1);
    uint16_t tag = (uint16_t)p9_get(&c.in, 2);
    int err;

    if (c.in.bad || size < P9_HEADER || size > chain->out_len)
        return 0;
    if (size < len) /* what the driver sent behind the message is no part of it */
        c.in.end = s->request + size;
    err = carry_out(&c, type);
    if (!err)
        return finish(&c, (uint8_t)(type + 1), tag);
    c.out.at = c.out.start + P9_HEADER;
    c.out.bad = false;
    c.payload = 0;
    p9_put(&c.out, 4, (uint32_t)-err);
    return finish(&c, P9_RLERROR, tag);
}

void p9_reset(struct p9 *s)
{
    p9_fids_clear(s);
    s->greeted = false;
}

int p9_create(const char *path, bool writable, struct p9 **out)
{
    struct p9 *s;
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), err;

    if (fd < 0)
        return -errno;
    p9_limit_descriptors();
    s = calloc(1, sizeof(*s));
    if (!s) {
        close(fd);
        return -ENOMEM;
    }
    err = p9_node_new(NULL, fd, &s->root);
    if (err) {
        free(s);
        return err;
    }
    s->writable = writable;
    *out = s;
    return 0;
}

void p9_destroy(struct p9 *s)
{
    if (!s)
        return;
    p9_fids_clear(s);
    p9_node_put(s->root);
    free(s);
}
