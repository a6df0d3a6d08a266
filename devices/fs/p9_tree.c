/*
 * Names come and go: Tmkdir, Tsymlink, Tmknod, Tlink, Trename, Trenameat, Tunlinkat; and Treadlink.
 * Everything is one name in one directory that is held open.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "devices/fs/p9_internal.h"

/* Whether names may be made in or taken from the directory; `err` and what the message lacks go
 * first. */
static int check(const struct p9_call *c, const struct p9_fid *dir, int err)
{
    if (!dir)
        return -EBADF;
    if (err || c->in.bad)
        return err ? err : -EINVAL;
    return p9_check_place(dir->node->fd);
}

/* The answer to a request that made `name`: its qid. As root, it also gets the group asked for. */
static int answer_with(struct p9_call *c, int dir, const char *name, gid_t gid)
{
    struct p9_qid qid;
    struct stat st;
    int fd = p9_step(dir, name), err;

    if (fd < 0)
        return fd;
    if (geteuid() == 0 && fchownat(fd, "", (uid_t)-1, gid, AT_EMPTY_PATH) < 0 && errno == EIO)
        err = -EIO;
    else
        err = p9_stat(c->s, fd, &st, &qid);
    close(fd);
    if (!err)
        p9_put_qid(&c->out, &qid);
    return err;
}

int p9_do_mkdir(struct p9_call *c)
{
    struct p9_fid *dir = p9_get_fid(c);
    char name[P9_NAME_BUFFER];
    int err = p9_get_new_name(c, name);
    mode_t mode = (mode_t)p9_get(&c->in, 4);
    gid_t gid = (gid_t)p9_get(&c->in, 4);

    err = check(c, dir, err);
    if (err)
        return err;
    if (mkdirat(dir->node->fd, name, mode & 07777) < 0)
        return -errno;
    return answer_with(c, dir->node->fd, name, gid);
}

/* Where it leads is the guest's business: hv follows none. */
int p9_do_symlink(struct p9_call *c)
{
    struct p9_fid *dir = p9_get_fid(c);
    char name[P9_NAME_BUFFER], target[PATH_MAX];
    int err = p9_get_new_name(c, name);
    struct p9_text text = p9_get_text(&c->in);
    gid_t gid = (gid_t)p9_get(&c->in, 4);

    if (!err && (text.len == 0 || memchr(text.at, '\0', text.len)))
        err = -EINVAL;
    err = check(c, dir, err);
    if (err)
        return err;
    if (text.len >= sizeof(target))
        return -ENAMETOOLONG;
    memcpy(target, text.at, text.len);
    target[text.len] = '\0';
    if (symlinkat(target, dir->node->fd, name) < 0)
        return -errno;
    return answer_with(c, dir->node->fd, name, gid);
}

/* Sockets and FIFOs are names that guests' programs meet at; they are made, but never opened by hv.
 * A device node would be one of the host's. */
int p9_do_mknod(struct p9_call *c)
{
    struct p9_fid *dir = p9_get_fid(c);
    char name[P9_NAME_BUFFER];
    int err = p9_get_new_name(c, name);
    mode_t mode = (mode_t)p9_get(&c->in, 4);
    gid_t gid;

    p9_get(&c->in, 8); /* major, minor */
    gid = (gid_t)p9_get(&c->in, 4);
    err = check(c, dir, err);
    if (err)
        return err;
    if (!S_ISREG(mode) && !S_ISFIFO(mode) && !S_ISSOCK(mode))
        return -EPERM;
    if (mknodat(dir->node->fd, name, mode & (S_IFMT | 07777), 0) < 0)
        return -errno;
    return answer_with(c, dir->node->fd, name, gid);
}

/* Through /proc, since linkat by descriptor alone asks for a capability. */
int p9_do_link(struct p9_call *c)
{
    struct p9_fid *dir = p9_get_fid(c), *fid = p9_get_fid(c);
    char name[P9_NAME_BUFFER], path[P9_PROC_PATH];
    int err = p9_get_new_name(c, name);

    if (!fid)
        return -EBADF;
    err = check(c, dir, err);
    if (err)
        return err;
    if (linkat(AT_FDCWD, p9_proc_path(fid->node->fd, path), dir->node->fd, name,
               AT_SYMLINK_FOLLOW) < 0)
        return -errno;
    return 0;
}

int p9_do_readlink(struct p9_call *c)
{
    struct p9_fid *fid = p9_get_fid(c);
    char target[PATH_MAX];
    ssize_t n;

    if (!fid)
        return -EBADF;
    n = readlinkat(fid->node->fd, "", target, sizeof(target));
    if (n < 0)
        return errno == ENOENT ? -EINVAL : -errno; /* ENOENT: not a link */
    p9_put_text(&c->out, target, (size_t)n);
    return 0;
}

int p9_do_renameat(struct p9_call *c)
{
    struct p9_fid *from, *to;
    char old[P9_NAME_BUFFER], new[P9_NAME_BUFFER];
    int err;

    from = p9_get_fid(c);
    err = p9_get_new_name(c, old);
    to = p9_get_fid(c);
    if (!err)
        err = p9_get_new_name(c, new);
    err = check(c, from, err);
    if (!err)
        err = check(c, to, 0);
    if (err)
        return err;
    return renameat(from->node->fd, old, to->node->fd, new) < 0 ? -errno : 0;
}

/* Linux falls back to this one only where there is no Trenameat. It names no old name. */
int p9_do_rename(struct p9_call *c)
{
    (void)c;
    return -EOPNOTSUPP;
}

int p9_do_unlinkat(struct p9_call *c)
{
    struct p9_fid *dir = p9_get_fid(c);
    char name[P9_NAME_BUFFER];
    int err = p9_get_new_name(c, name);
    uint32_t flags = (uint32_t)p9_get(&c->in, 4);

    err = check(c, dir, err);
    if (err)
        return err;
    return unlinkat(dir->node->fd, name, flags & P9_AT_REMOVEDIR ? AT_REMOVEDIR : 0) < 0 ? -errno
                                                                                         : 0;
}
