/*
 * Extended attributes. One is a file of its own here: Txattrwalk makes a fid from which it (or the
 * list of names) is read, Txattrcreate turns a fid into one to which it is written; clunk sets it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "devices/fs/p9_internal.h"
#include "devices/virtio/queue.h"

#define WRITE_HEADER (P9_HEADER + 16)

/* Reads the attribute, or with an empty name the list of all, whole. */
static ssize_t fetch(int fd, const char *name, void *to, size_t size)
{
    char path[P9_PROC_PATH];
    ssize_t n;

    p9_proc_path(fd, path);
    n = *name ? getxattr(path, name, to, size) : listxattr(path, to, size);
    return n < 0 ? -errno : n;
}

static size_t cost(size_t size)
{
    return sizeof(struct p9_xattr) + size;
}

/* Bounded for one by P9_XATTR_MAX, for all fids of the guest by P9_XATTRS_MAX. */
static int make(struct p9 *s, const char *name, size_t size, struct p9_xattr **out)
{
    struct p9_xattr *x;

    if (cost(size) > P9_XATTRS_MAX - s->xattr_bytes)
        return -ENOSPC;
    x = calloc(1, sizeof(*x));
    if (!x)
        return -ENOMEM;
    x->data = malloc(size ? size : 1);
    if (!x->data) {
        free(x);
        return -ENOMEM;
    }
    memcpy(x->name, name, strlen(name) + 1);
    x->size = size;
    s->xattr_bytes += cost(size);
    *out = x;
    return 0;
}

static void drop(struct p9 *s, struct p9_xattr *x)
{
    s->xattr_bytes -= cost(x->size);
    free(x->data);
    free(x);
}

static int get_name(struct p9_call *c, char *name, bool may_be_empty)
{
    struct p9_text text = p9_get_text(&c->in);

    if (text.len == 0 && may_be_empty) {
        name[0] = '\0';
        return 0;
    }
    return p9_copy_name(text, name, P9_NAME_BUFFER);
}

/* Links and the like have no attributes that /proc's way would reach. */
static int check_kind(struct p9_call *c, const struct p9_fid *fid)
{
    struct p9_qid qid;
    struct stat st;
    int err = p9_stat(c->s, fid->node->fd, &st, &qid);

    if (err)
        return err;
    return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) ? 0 : -EOPNOTSUPP;
}

int p9_do_xattrwalk(struct p9_call *c)
{
    struct p9_fid *fid = p9_get_fid(c), *made;
    uint32_t number = (uint32_t)p9_get(&c->in, 4);
    char name[P9_NAME_BUFFER];
    int err = get_name(c, name, true);
    struct p9_xattr *x;
    ssize_t n;

    if (!fid || fid->xattr)
        return -EBADF;
    if (err || c->in.bad)
        return err ? err : -EINVAL;
    err = check_kind(c, fid);
    if (err)
        return err;
    n = fetch(fid->node->fd, name, c->s->xattr_room, P9_XATTR_MAX);
    err = n < 0 ? (int)n : make(c->s, name, (size_t)n, &x);
    if (err)
        return err;
    memcpy(x->data, c->s->xattr_room, (size_t)n);
    err = p9_fid_add(c->s, number, fid->node, &made);
    if (err) {
        drop(c->s, x);
        return err;
    }
    made->xattr = x;
    p9_put(&c->out, 8, x->size);
    return 0;
}

int p9_do_xattrcreate(struct p9_call *c)
{
    struct p9_fid *fid = p9_get_fid(c);
    char name[P9_NAME_BUFFER];
    int err = get_name(c, name, false);
    uint64_t size = p9_get(&c->in, 8);
    int flags = (int)p9_get(&c->in, 4);

    if (!fid || fid->xattr || fid->fd >= 0)
        return -EBADF;
    if (err || c->in.bad || flags & ~(XATTR_CREATE | XATTR_REPLACE))
        return err ? err : -EINVAL;
    if (!c->s->writable)
        return -EROFS;
    if (size > P9_XATTR_MAX)
        return -E2BIG;
    err = check_kind(c, fid);
    if (!err)
        err = p9_check_place(fid->node->fd);
    if (!err)
        err = make(c->s, name, (size_t)size, &fid->xattr);
    if (err)
        return err;
    fid->xattr->flags = flags;
    fid->xattr->writing = true;
    return 0;
}

int p9_xattr_read(struct p9_call *c, struct p9_xattr *x, uint64_t offset, uint32_t count)
{
    size_t left = offset < x->size ? x->size - (size_t)offset : 0;
    size_t room = (size_t)(c->out.end - c->out.at) - 4;

    if (x->writing)
        return -EBADF;
    left = left < count ? left : count;
    left = left < room ? left : room;
    p9_put(&c->out, 4, left);
    if (left > 0)
        p9_put_bytes(&c->out, x->data + offset, left);
    return 0;
}

int p9_xattr_write(struct p9_call *c, struct p9_xattr *x, uint64_t offset, uint32_t count)
{
    if (!x->writing || offset != x->done)
        return -EBADF;
    if (count > x->size - x->done)
        return -ENOSPC;
    virtq_chain_read(c->chain, WRITE_HEADER, x->data + x->done, count);
    x->done += count;
    p9_put(&c->out, 4, count);
    return 0;
}

/* An attribute of no bytes is one that is removed: that is how Linux asks for it. */
static int set(const struct p9_fid *fid, const struct p9_xattr *x)
{
    char path[P9_PROC_PATH];

    p9_proc_path(fid->node->fd, path);
    if (x->done != x->size)
        return -EIO;
    if (x->size == 0 && x->flags == XATTR_REPLACE)
        return removexattr(path, x->name) < 0 ? -errno : 0;
    return setxattr(path, x->name, x->data, x->size, x->flags) < 0 ? -errno : 0;
}

int p9_xattr_finish(struct p9 *s, struct p9_fid *fid)
{
    int err = fid->xattr->writing ? set(fid, fid->xattr) : 0;

    drop(s, fid->xattr);
    fid->xattr = NULL;
    return err;
}
