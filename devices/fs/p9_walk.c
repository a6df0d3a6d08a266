/* Going from one place to another, and leaving: Twalk, Tclunk, Tremove. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "devices/fs/p9_internal.h"

/* One step. "..": to where this place was reached from, and from the root nowhere. */
static int step(struct p9_node *from, const char *name, struct p9_node **out)
{
    int fd;

    if (strcmp(name, ".") == 0 || (strcmp(name, "..") == 0 && !from->parent)) {
        *out = p9_node_get(from);
        return 0;
    }
    if (strcmp(name, "..") == 0) {
        *out = p9_node_get(from->parent);
        return 0;
    }
    fd = p9_step(from->fd, name);
    if (fd < 0)
        return fd;
    return p9_node_new(from, fd, out);
}

/* Goes on from *at by one name of the request; *at is replaced. */
static int walk_one(struct p9_call *c, struct p9_node **at, struct p9_qid *qid)
{
    char name[P9_NAME_BUFFER];
    struct p9_node *next;
    struct stat st;
    int err = p9_copy_name(p9_get_text(&c->in), name, sizeof(name));

    if (!err)
        err = step(*at, name, &next);
    if (err)
        return err;
    err = p9_stat(c->s, next->fd, &st, qid);
    if (err) {
        p9_node_put(next);
        return err;
    }
    p9_node_put(*at);
    *at = next;
    return 0;
}

/* The new fid stands at the end; if it is the old number, it moves there. */
static int arrive(struct p9_call *c, struct p9_fid *fid, uint32_t number, struct p9_node *at)
{
    if (number != fid->number)
        return p9_fid_add(c->s, number, at, NULL);
    p9_node_put(fid->node);
    fid->node = p9_node_get(at);
    return 0;
}

/* An error at the first name is one; later the answer tells how far it went, and no fid is made. */
int p9_do_walk(struct p9_call *c)
{
    struct p9_fid *fid = p9_get_fid(c);
    uint32_t number = (uint32_t)p9_get(&c->in, 4);
    unsigned names = (unsigned)p9_get(&c->in, 2), done = 0;
    struct p9_qid qid[P9_WALK_MAX];
    struct p9_node *at;
    int err = 0;

    if (!fid || fid->xattr || (fid->fd >= 0 && number == fid->number))
        return -EBADF;
    if (c->in.bad || names > P9_WALK_MAX)
        return -EINVAL;
    if (number != fid->number && p9_fid_find(c->s, number))
        return -EBADF;
    at = p9_node_get(fid->node);
    while (done < names && !(err = walk_one(c, &at, &qid[done])))
        done++;
    if (done == names)
        err = arrive(c, fid, number, at);
    else if (done > 0)
        err = 0;
    p9_node_put(at);
    if (err)
        return err;
    p9_put(&c->out, 2, done);
    for (unsigned i = 0; i < done; i++)
        p9_put_qid(&c->out, &qid[i]);
    return 0;
}

int p9_do_clunk(struct p9_call *c)
{
    uint32_t number = (uint32_t)p9_get(&c->in, 4);

    return c->in.bad ? -EINVAL : p9_fid_remove(c->s, number);
}

/* Linux removes by Tunlinkat. This one names no directory, and a file may have many names. */
int p9_do_remove(struct p9_call *c)
{
    uint32_t number = (uint32_t)p9_get(&c->in, 4);

    if (c->in.bad)
        return -EINVAL;
    p9_fid_remove(c->s, number); /* it is gone, whether the rest works or not */
    return -EOPNOTSUPP;
}
