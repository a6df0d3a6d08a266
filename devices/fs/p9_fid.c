/*
 * What the guest holds: fids, which it numbers, and nodes, the places they stand for. A hash table
 * with chains; the number of fids is bounded, and with it memory and descriptors.
 */
#include <errno.h>
#include <stdlib.h>

#include "devices/fs/p9_internal.h"

struct p9_node *p9_node_get(struct p9_node *node)
{
    node->users++;
    return node;
}

int p9_node_new(struct p9_node *parent, int fd, struct p9_node **out)
{
    struct p9_node *node;

    fd = p9_keep(fd);
    if (fd < 0)
        return fd;
    node = malloc(sizeof(*node));
    if (!node) {
        p9_close(fd);
        return -ENOMEM;
    }
    *node = (struct p9_node){.parent = parent ? p9_node_get(parent) : NULL, .users = 1, .fd = fd};
    *out = node;
    return 0;
}

/* Not recursive: a guest may have gone down far. */
void p9_node_put(struct p9_node *node)
{
    while (node && --node->users == 0) {
        struct p9_node *parent = node->parent;

        p9_close(node->fd);
        free(node);
        node = parent;
    }
}

static struct p9_fid **place_of(struct p9 *s, uint32_t number)
{
    struct p9_fid **at = &s->bucket[number % P9_BUCKETS];

    while (*at && (*at)->number != number)
        at = &(*at)->next;
    return at;
}

struct p9_fid *p9_fid_find(struct p9 *s, uint32_t number)
{
    return *place_of(s, number);
}

struct p9_fid *p9_get_fid(struct p9_call *c)
{
    uint32_t number = (uint32_t)p9_get(&c->in, 4);

    return c->in.bad ? NULL : p9_fid_find(c->s, number);
}

int p9_fid_add(struct p9 *s, uint32_t number, struct p9_node *node, struct p9_fid **out)
{
    struct p9_fid **at = place_of(s, number), *fid;

    if (*at || number == P9_NO_FID)
        return -EBADF;
    if (s->fids >= P9_FIDS_MAX)
        return -ENFILE;
    fid = calloc(1, sizeof(*fid));
    if (!fid)
        return -ENOMEM;
    fid->number = number;
    fid->node = p9_node_get(node);
    fid->fd = -1;
    *at = fid;
    s->fids++;
    if (out)
        *out = fid;
    return 0;
}

/* An attribute is set only now, when all of it is there; close may tell of a write that failed. */
int p9_fid_remove(struct p9 *s, uint32_t number)
{
    struct p9_fid **at = place_of(s, number), *fid = *at;
    int err = 0;

    if (!fid)
        return -EBADF;
    *at = fid->next;
    s->fids--;
    if (fid->xattr)
        err = p9_xattr_finish(s, fid);
    if (fid->locks > 0)
        p9_unlock_all(s, fid);
    if (fid->fd >= 0)
        err = p9_close(fid->fd);
    p9_node_put(fid->node);
    free(fid);
    return err;
}

void p9_fids_clear(struct p9 *s)
{
    for (unsigned i = 0; i < P9_BUCKETS; i++)
        while (s->bucket[i])
            p9_fid_remove(s, s->bucket[i]->number);
}

unsigned p9_fid_count(const struct p9 *s)
{
    return s->fids;
}
