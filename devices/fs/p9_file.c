/* What is done to an open file: Tlopen, Tlcreate, Tread, Twrite, Tfsync, Treaddir. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "devices/fs/p9_internal.h"
#include "devices/virtio/queue.h"

#define IO_HEADER     (P9_HEADER + 16) /* of Twrite, before its data: fid, offset, count */
#define READ_HEADER   (P9_HEADER + 4)
#define DIRENT_HEADER (P9_QID_BYTES + 8 + 1 + 2)
#define DIRENTS_BYTES (32 * 1024)

/* The protocol has the flags' numbers of Linux on x86; those that a guest may choose: */
#define FLAGS_TAKEN (O_ACCMODE | O_APPEND | O_TRUNC | O_DIRECTORY | O_SYNC | O_DSYNC)

static bool asks_to_write(uint32_t flags)
{
    return (flags & O_ACCMODE) != O_RDONLY || flags & (O_TRUNC | O_CREAT);
}

static void put_open(struct p9_call *c, const struct p9_qid *qid)
{
    p9_put_qid(&c->out, qid);
    p9_put(&c->out, 4, 0); /* iounit: as much as a message holds */
}

/*
 * Opens what an O_PATH descriptor stands for, by way of /proc: not by its name, which may have come
 * to mean another. That is the very inode whose kind was looked at, so nobody can put a device or a
 * FIFO in its place, opening which might block, or do something. The descriptor is one to keep.
 */
static int open_place(struct p9 *s, int place, uint32_t flags, struct p9_qid *qid)
{
    char path[P9_PROC_PATH];
    struct stat st;
    int err = p9_stat(s, place, &st, qid), fd;

    if (err)
        return err;
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return S_ISLNK(st.st_mode) ? -ELOOP : -ENXIO;
    err = S_ISREG(st.st_mode) ? p9_check_place(place) : 0;
    if (err)
        return err;
    fd = open(p9_proc_path(place, path),
              (int)(flags & FLAGS_TAKEN) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return fd < 0 ? -errno : p9_keep(fd);
}

int p9_do_lopen(struct p9_call *c)
{
    struct p9_fid *fid = p9_get_fid(c);
    uint32_t flags = (uint32_t)p9_get(&c->in, 4);
    struct p9_qid qid;
    int fd;

    if (!fid || fid->fd >= 0 || fid->xattr)
        return -EBADF;
    if (c->in.bad)
        return -EINVAL;
    if (asks_to_write(flags) && !c->s->writable)
        return -EROFS;
    fd = open_place(c->s, fid->node->fd, flags, &qid);
    if (fd < 0)
        return fd;
    fid->fd = fd;
    put_open(c, &qid);
    return 0;
}

/* As root, a new file gets the group that the guest says. */
static void give_to(int fd, gid_t gid)
{
    if (geteuid() == 0 && fchown(fd, (uid_t)-1, gid) < 0)
        return; /* a file system without owners */
}

/* A new file, and an O_PATH descriptor of it, both the caller's; p9_keep has seen the first. */
static int make_file(int dir, const char *name, uint32_t flags, mode_t mode, gid_t gid, int *place)
{
    char path[P9_PROC_PATH];
    int fd =
        openat(dir, name, (int)(flags & FLAGS_TAKEN) | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
               mode & 07777);

    fd = fd < 0 ? -errno : p9_keep(fd);
    if (fd < 0)
        return fd;
    give_to(fd, gid);
    *place = open(p9_proc_path(fd, path), O_PATH | O_CLOEXEC);
    if (*place >= 0)
        return fd;
    *place = -errno;
    p9_close(fd);
    return *place;
}

/*
 * Without O_EXCL, what is there already is opened, but only after a look at what it is: O_CREAT
 * alone would open a device or a FIFO. A name that comes and goes meanwhile is not chased for ever.
 */
static int open_or_make(struct p9_call *c, int dir, const char *name, uint32_t flags, mode_t mode,
                        gid_t gid, int *place)
{
    struct p9_qid qid;
    int fd = make_file(dir, name, flags, mode, gid, place);

    for (unsigned tries = 0; fd == -EEXIST && !(flags & O_EXCL) && tries < 8; tries++) {
        *place = p9_step(dir, name);
        if (*place >= 0) {
            fd = open_place(c->s, *place, flags, &qid);
            if (fd < 0)
                close(*place);
            return fd;
        }
        if (*place != -ENOENT)
            return *place;
        fd = make_file(dir, name, flags, mode, gid, place);
    }
    return fd;
}

/* The fid stood for the directory, and stands for the file afterwards. */
static int move_to_file(struct p9_call *c, struct p9_fid *fid, int fd, int place)
{
    struct p9_node *node;
    struct p9_qid qid;
    struct stat st;
    int err = p9_node_new(fid->node, place, &node);

    if (!err) {
        err = p9_stat(c->s, fd, &st, &qid);
        if (!err && S_ISDIR(st.st_mode)) /* was there already */
            err = -EISDIR;
        if (err)
            p9_node_put(node);
    }
    if (err) {
        p9_close(fd);
        return err;
    }
    p9_node_put(fid->node);
    fid->node = node;
    fid->fd = fd;
    put_open(c, &qid);
    return 0;
}

int p9_do_lcreate(struct p9_call *c)
{
    struct p9_fid *fid = p9_get_fid(c);
    char name[P9_NAME_BUFFER];
    int err = p9_get_new_name(c, name), fd, place;
    uint32_t flags = (uint32_t)p9_get(&c->in, 4), mode = (uint32_t)p9_get(&c->in, 4);
    gid_t gid = (gid_t)p9_get(&c->in, 4);

    if (!fid || fid->fd >= 0 || fid->xattr)
        return -EBADF;
    if (err || c->in.bad)
        return err ? err : -EINVAL;
    err = p9_check_place(fid->node->fd);
    if (err)
        return err;
    fd = open_or_make(c, fid->node->fd, name, flags, mode, gid, &place);
    return fd < 0 ? fd : move_to_file(c, fid, fd, place);
}

/* How much of `count` the answer has room for. */
static uint32_t clip(const struct p9_call *c, uint32_t count)
{
    uint64_t room = c->chain->in_len < c->s->msize ? c->chain->in_len : c->s->msize;

    room = room < READ_HEADER ? 0 : room - READ_HEADER;
    return count < room ? count : (uint32_t)room;
}

/* Straight into the guest's memory, behind where the answer's header will be. */
int p9_do_read(struct p9_call *c)
{
    struct p9_fid *fid = p9_get_fid(c);
    uint64_t offset = p9_get(&c->in, 8);
    uint32_t count = clip(c, (uint32_t)p9_get(&c->in, 4));
    struct iovec iov[VIRTQ_MAX_SIZE];
    ssize_t n = 0;

    if (c->in.bad)
        return -EINVAL;
    if (fid && fid->xattr)
        return p9_xattr_read(c, fid->xattr, offset, count);
    if (!fid || fid->fd < 0)
        return -EBADF;
    if (count > 0) {
        unsigned parts = virtq_chain_slice(c->chain, true, READ_HEADER, count, iov);

        n = preadv(fid->fd, iov, (int)parts, (off_t)offset);
    }
    if (n < 0)
        return -errno;
    p9_put(&c->out, 4, (uint32_t)n);
    c->payload = (uint32_t)n;
    return 0;
}

int p9_do_write(struct p9_call *c)
{
    struct p9_fid *fid = p9_get_fid(c);
    uint64_t offset = p9_get(&c->in, 8);
    uint32_t count = (uint32_t)p9_get(&c->in, 4);
    struct iovec iov[VIRTQ_MAX_SIZE];
    unsigned parts;
    ssize_t n;

    if (c->in.bad || count > c->s->msize || c->chain->out_len < IO_HEADER + (uint64_t)count)
        return -EINVAL;
    if (fid && fid->xattr)
        return p9_xattr_write(c, fid->xattr, offset, count);
    if (!fid || fid->fd < 0)
        return -EBADF;
    if (!c->s->writable)
        return -EROFS;
    parts = virtq_chain_slice(c->chain, false, IO_HEADER, count, iov);
    n = count == 0 ? 0 : pwritev(fid->fd, iov, (int)parts, (off_t)offset);
    if (n < 0)
        return -errno;
    p9_put(&c->out, 4, (uint32_t)n);
    return 0;
}

int p9_do_fsync(struct p9_call *c)
{
    struct p9_fid *fid = p9_get_fid(c);
    bool data_only = p9_get(&c->in, 4) != 0;

    if (!fid || fid->fd < 0)
        return -EBADF;
    return (data_only ? fdatasync(fid->fd) : fsync(fid->fd)) < 0 ? -errno : 0;
}

static mode_t mode_of(unsigned char type)
{
    return (mode_t)DTTOIF((mode_t)type);
}

/*
 * Entries as far as they fit. The last one's offset is where the next request goes on, and a
 * directory is read on from there, however many entries it has.
 */
static int put_entries(struct p9_call *c, const struct p9_fid *fid, dev_t dev, size_t limit)
{
    static _Thread_local char buffer[DIRENTS_BYTES] __attribute__((aligned(8)));
    ssize_t n = getdents64(fid->fd, buffer, limit < sizeof(buffer) ? limit : sizeof(buffer));
    uint8_t *end = c->out.at + limit;

    if (n < 0)
        return errno == EINVAL ? 0 : -errno; /* EINVAL: not even one fits */
    for (ssize_t at = 0; at < n;) {
        const struct dirent64 *e = (const struct dirent64 *)(buffer + at);
        size_t len = strlen(e->d_name);
        struct p9_qid qid = p9_qid_of(c->s, mode_of(e->d_type), dev, e->d_ino, 0);

        if ((size_t)(end - c->out.at) < DIRENT_HEADER + len)
            return 0;
        p9_put_qid(&c->out, &qid);
        p9_put(&c->out, 8, (uint64_t)e->d_off);
        p9_put(&c->out, 1, e->d_type);
        p9_put_text(&c->out, e->d_name, len);
        at += e->d_reclen;
    }
    return 0;
}

int p9_do_readdir(struct p9_call *c)
{
    struct p9_fid *fid = p9_get_fid(c);
    uint64_t offset = p9_get(&c->in, 8);
    uint32_t count = clip(c, (uint32_t)p9_get(&c->in, 4));
    struct p9_writer before;
    struct stat st;
    int err;

    if (!fid || fid->fd < 0)
        return -EBADF;
    if (fstat(fid->fd, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode))
        return -ENOTDIR;
    if (lseek(fid->fd, (off_t)offset, SEEK_SET) < 0)
        return -errno;
    count = count < P9_ANSWER_MAX - READ_HEADER ? count : P9_ANSWER_MAX - READ_HEADER;
    before = c->out;
    p9_put(&c->out, 4, 0);
    err = put_entries(c, fid, st.st_dev, count);
    p9_put(&before, 4, (uint32_t)(c->out.at - before.at - 4));
    return err;
}
