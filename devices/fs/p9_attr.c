/* What is known about a file: Tgetattr, Tsetattr, Tstatfs. */
#include <errno.h>
#include <fcntl.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "devices/fs/p9_internal.h"

static void put_time(struct p9_call *c, const struct timespec *t)
{
    p9_put(&c->out, 8, (uint64_t)t->tv_sec);
    p9_put(&c->out, 8, (uint64_t)t->tv_nsec);
}

/* The node's descriptor holds the file itself, also when its last name has been removed. */
int p9_do_getattr(struct p9_call *c)
{
    struct p9_fid *fid = p9_get_fid(c);
    struct p9_qid qid;
    struct stat st;
    int err;

    p9_get(&c->in, 8); /* what is wanted; more than that does no harm */
    if (!fid)
        return -EBADF;
    err = p9_stat(c->s, fid->node->fd, &st, &qid);
    if (err)
        return err;
    p9_put(&c->out, 8, P9_STATS_BASIC);
    p9_put_qid(&c->out, &qid);
    p9_put(&c->out, 4, st.st_mode);
    p9_put(&c->out, 4, st.st_uid);
    p9_put(&c->out, 4, st.st_gid);
    p9_put(&c->out, 8, st.st_nlink);
    p9_put(&c->out, 8, st.st_rdev);
    p9_put(&c->out, 8, (uint64_t)st.st_size);
    p9_put(&c->out, 8, (uint64_t)st.st_blksize);
    p9_put(&c->out, 8, (uint64_t)st.st_blocks);
    put_time(c, &st.st_atim);
    put_time(c, &st.st_mtim);
    put_time(c, &st.st_ctim);
    for (unsigned i = 0; i < 4; i++) /* birth, two fields; generation; data version: unknown */
        p9_put(&c->out, 8, 0);
    return 0;
}

struct changes {
    uint32_t valid, mode, uid, gid;
    uint64_t size;
    struct timespec time[2]; /* access, modification */
};

static void read_changes(struct p9_call *c, struct changes *ch)
{
    ch->valid = (uint32_t)p9_get(&c->in, 4);
    ch->mode = (uint32_t)p9_get(&c->in, 4);
    ch->uid = (uint32_t)p9_get(&c->in, 4);
    ch->gid = (uint32_t)p9_get(&c->in, 4);
    ch->size = p9_get(&c->in, 8);
    for (unsigned i = 0; i < 2; i++) {
        ch->time[i].tv_sec = (time_t)p9_get(&c->in, 8);
        ch->time[i].tv_nsec = (long)p9_get(&c->in, 8);
    }
}

/* Without its own bit a time is "now"; without either it stays. */
static void choose_times(struct changes *ch)
{
    static const uint32_t wanted[2] = {P9_SET_ATIME, P9_SET_MTIME};
    static const uint32_t given[2] = {P9_SET_ATIME_NOW, P9_SET_MTIME_NOW};

    for (unsigned i = 0; i < 2; i++) {
        if (!(ch->valid & wanted[i]))
            ch->time[i].tv_nsec = UTIME_OMIT;
        else if (!(ch->valid & given[i]))
            ch->time[i].tv_nsec = UTIME_NOW;
        else if (ch->time[i].tv_nsec < 0 || ch->time[i].tv_nsec > 999999999)
            ch->time[i].tv_nsec = 0;
    }
}

static int change_size(const struct p9_fid *fid, const char *path, uint64_t size)
{
    if (size > INT64_MAX)
        return -EFBIG;
    /* An open file may be cut though its mode says that nobody may write to it. */
    if (fid->fd >= 0 && ftruncate(fid->fd, (off_t)size) == 0)
        return 0;
    return truncate(path, (off_t)size) < 0 ? -errno : 0;
}

/* chmod and truncate through /proc follow it to the file, but a symbolic link is none of theirs. */
static int apply(const struct p9_fid *fid, const struct changes *ch, mode_t type)
{
    char path[P9_PROC_PATH];
    uid_t uid = ch->valid & P9_SET_UID ? ch->uid : (uid_t)-1;
    gid_t gid = ch->valid & P9_SET_GID ? ch->gid : (gid_t)-1;
    int fd = fid->node->fd;

    p9_proc_path(fd, path);
    if (ch->valid & (P9_SET_UID | P9_SET_GID) &&
        fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (ch->valid & P9_SET_MODE) {
        if (S_ISLNK(type))
            return -EOPNOTSUPP;
        if (chmod(path, ch->mode & 07777) < 0)
            return -errno;
    }
    if (ch->valid & P9_SET_SIZE) {
        int err = S_ISREG(type) ? change_size(fid, path, ch->size) : -EINVAL;

        if (err)
            return err;
    }
    if (ch->valid & (P9_SET_ATIME | P9_SET_MTIME) &&
        utimensat(fd, "", ch->time, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return 0;
}

int p9_do_setattr(struct p9_call *c)
{
    struct p9_fid *fid = p9_get_fid(c);
    struct changes ch;
    struct p9_qid qid;
    struct stat st;
    int err;

    read_changes(c, &ch);
    if (!fid)
        return -EBADF;
    if (c->in.bad)
        return -EINVAL;
    if (!c->s->writable)
        return -EROFS;
    err = p9_check_place(fid->node->fd);
    if (!err)
        err = p9_stat(c->s, fid->node->fd, &st, &qid);
    if (err)
        return err;
    choose_times(&ch);
    return apply(fid, &ch, st.st_mode);
}

int p9_do_statfs(struct p9_call *c)
{
    struct p9_fid *fid = p9_get_fid(c);
    struct statfs fs;
    uint64_t id;

    if (!fid)
        return -EBADF;
    if (fstatfs(fid->node->fd, &fs) < 0)
        return -errno;
    id = (uint32_t)fs.f_fsid.__val[0] | (uint64_t)(uint32_t)fs.f_fsid.__val[1] << 32;
    p9_put(&c->out, 4, (uint32_t)fs.f_type);
    p9_put(&c->out, 4, (uint32_t)fs.f_bsize);
    p9_put(&c->out, 8, fs.f_blocks);
    p9_put(&c->out, 8, fs.f_bfree);
    p9_put(&c->out, 8, fs.f_bavail);
    p9_put(&c->out, 8, fs.f_files);
    p9_put(&c->out, 8, fs.f_ffree);
    p9_put(&c->out, 8, id);
    p9_put(&c->out, 4, P9_NAME_MAX);
    return 0;
}
