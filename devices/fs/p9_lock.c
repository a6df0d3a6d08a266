/*
 * Record locks of the guest's programs, as locks of the host's file (fcntl, open file description
 * locks): other guests and the host's own programs see them. Never waits: a guest that wants to
 * asks again (Linux does, by itself).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "devices/fs/p9_internal.h"

#define LOCKS_A_CALL 2 /* a range that is set within another leaves two more */

static short to_host(uint8_t type)
{
    return type == P9_LOCK_READ ? F_RDLCK : type == P9_LOCK_WRITE ? F_WRLCK : F_UNLCK;
}

static uint8_t from_host(short type)
{
    return type == F_RDLCK ? P9_LOCK_READ : type == F_WRLCK ? P9_LOCK_WRITE : P9_LOCK_UNLOCK;
}

/* Type, range. Length 0: to the end, wherever that is. */
static int get_range(struct p9_call *c, uint8_t type, struct flock *lock)
{
    uint64_t start = p9_get(&c->in, 8), len = p9_get(&c->in, 8);

    if (c->in.bad || type > P9_LOCK_UNLOCK || start > INT64_MAX || len > INT64_MAX - start)
        return -EINVAL;
    *lock = (struct flock){.l_type = to_host(type),
                           .l_whence = SEEK_SET,
                           .l_start = (off_t)start,
                           .l_len = (off_t)len};
    return 0;
}

/* How many ranges the kernel says are locked by way of the descriptor (proc(5), fdinfo). */
static unsigned count_locks(const struct p9_fid *fid)
{
    char path[P9_PROC_PATH], line[256];
    unsigned count = 0;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fid->fd);
    f = fopen(path, "re");
    if (!f)
        return fid->locks;
    while (fgets(line, sizeof(line), f))
        count += strncmp(line, "lock:", 5) == 0;
    fclose(f);
    return count;
}

/*
 * Whether there may be more. What is counted along is an upper bound, since neighbours merge; so
 * the kernel is asked before a guest is refused.
 */
static bool may_lock(struct p9 *s)
{
    if (s->locks + LOCKS_A_CALL <= P9_LOCKS_MAX)
        return true;
    s->locks = 0;
    for (unsigned i = 0; i < P9_BUCKETS; i++)
        for (struct p9_fid *fid = s->bucket[i]; fid; fid = fid->next) {
            if (fid->locks > 0)
                fid->locks = count_locks(fid);
            s->locks += fid->locks;
        }
    return s->locks + LOCKS_A_CALL <= P9_LOCKS_MAX;
}

static uint8_t set_lock(struct p9 *s, struct p9_fid *fid, struct flock *lock)
{
    bool all = lock->l_type == F_UNLCK && lock->l_start == 0 && lock->l_len == 0;

    if (!all && !may_lock(s))
        return P9_LOCK_ERROR;
    if (fcntl(fid->fd, F_OFD_SETLK, lock) < 0)
        return errno == EAGAIN || errno == EACCES ? P9_LOCK_BLOCKED : P9_LOCK_ERROR;
    s->locks -= all ? fid->locks : 0;
    fid->locks = all ? 0 : fid->locks + LOCKS_A_CALL;
    s->locks += all ? 0 : LOCKS_A_CALL;
    return P9_LOCK_SUCCESS;
}

int p9_do_lock(struct p9_call *c)
{
    struct p9_fid *fid = p9_get_fid(c);
    uint8_t type = (uint8_t)p9_get(&c->in, 1);
    struct flock lock;
    int err;

    p9_get(&c->in, 4); /* flags: whether it would like to wait */
    err = get_range(c, type, &lock);
    p9_get(&c->in, 4); /* whose it is: told apart by the fid's file description */
    p9_get_text(&c->in);
    if (!fid || fid->fd < 0)
        return -EBADF;
    if (err || c->in.bad)
        return err ? err : -EINVAL;
    p9_put(&c->out, 1, set_lock(c->s, fid, &lock));
    return 0;
}

int p9_do_getlock(struct p9_call *c)
{
    struct p9_fid *fid = p9_get_fid(c);
    uint8_t type = (uint8_t)p9_get(&c->in, 1);
    struct flock lock;
    struct p9_text client;
    uint32_t process;
    int err = get_range(c, type, &lock);

    process = (uint32_t)p9_get(&c->in, 4);
    client = p9_get_text(&c->in);
    if (!fid || fid->fd < 0)
        return -EBADF;
    if (err || c->in.bad)
        return err ? err : -EINVAL;
    if (lock.l_type == F_UNLCK || fcntl(fid->fd, F_OFD_GETLK, &lock) < 0)
        return lock.l_type == F_UNLCK ? -EINVAL : -errno;
    p9_put(&c->out, 1, from_host(lock.l_type));
    p9_put(&c->out, 8, (uint64_t)lock.l_start);
    p9_put(&c->out, 8, (uint64_t)lock.l_len);
    p9_put(&c->out, 4, process);
    p9_put_text(&c->out, client.at, client.len);
    return 0;
}

/* Closing the last descriptor would do; said outright, it does not depend on that. */
void p9_unlock_all(struct p9 *s, struct p9_fid *fid)
{
    struct flock all = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

    set_lock(s, fid, &all);
}
