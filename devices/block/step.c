/*
 * A request as a sequence of operations of the host: transfers that came back short go on where
 * they stopped, zeroing falls from the cheapest way to the dearest, and O_DIRECT gets its alignment
 * from a bounce buffer where the guest's segments do not have it.
 *
 * Called by both engines: io_uring carries operations out one by one, a pool thread runs the whole
 * request. No two threads have the same request.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/block/internal.h"

#define ZERO_BYTES    (64 * 1024)
#define ZERO_SEGMENTS 16
#define MAX_RETRIES   100

/* block_request.state: how a BLOCK_ZERO is tried, in this order. */
enum zero_way { ZERO_PUNCH, ZERO_RANGE, ZERO_WRITE };

struct block_syscalls block_host = {
    .preadv = preadv,
    .pwritev = pwritev,
    .fdatasync = fdatasync,
    .fallocate = fallocate,
};

/* Never written; aligned for O_DIRECT. */
static uint8_t zeroes[ZERO_BYTES] __attribute__((aligned(4096)));

int step_init(struct block *b)
{
    if (pthread_mutex_init(&b->bounce_lock, NULL) != 0)
        return -ENOMEM;
    if (!b->image.direct)
        return 0;
    b->bounce_map = mmap(NULL, BOUNCE_COUNT * BOUNCE_BYTES, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b->bounce_map == MAP_FAILED) {
        b->bounce_map = NULL;
        return -ENOMEM;
    }
    for (unsigned i = 0; i < BOUNCE_COUNT; i++)
        b->bounce[i].buf = b->bounce_map + (size_t)i * BOUNCE_BYTES;
    return 0;
}

void step_exit(struct block *b)
{
    if (b->bounce_map)
        munmap(b->bounce_map, BOUNCE_COUNT * BOUNCE_BYTES);
    pthread_mutex_destroy(&b->bounce_lock);
}

static bool take_bounce(struct block *b, struct block_request *req)
{
    pthread_mutex_lock(&b->bounce_lock);
    for (unsigned i = 0; i < BOUNCE_COUNT && !req->bounce; i++) {
        if (!b->bounce[i].taken) {
            b->bounce[i].taken = true;
            req->bounce = &b->bounce[i];
        }
    }
    pthread_mutex_unlock(&b->bounce_lock);
    return req->bounce != NULL;
}

static void give_bounce(struct block *b, struct block_request *req)
{
    struct bounce *bounce = req->bounce;

    if (!bounce)
        return;
    pthread_mutex_lock(&b->bounce_lock);
    bounce->taken = false;
    pthread_mutex_unlock(&b->bounce_lock);
    req->bounce = NULL;
}

/* Copies `len` bytes between a buffer and the front of the request's segments. */
static void copy_front(const struct block_request *req, uint8_t *buf, uint64_t len, bool to_buf)
{
    for (unsigned i = 0; i < req->iov_count && len > 0; i++) {
        const struct iovec *v = &req->iov[i];
        size_t part = len < v->iov_len ? len : v->iov_len;

        if (to_buf)
            memcpy(buf, v->iov_base, part);
        else
            memcpy(v->iov_base, buf, part);
        buf += part;
        len -= part;
    }
}

static bool aligned(const struct block *b, const struct block_request *req)
{
    uint64_t bits = 0;

    for (unsigned i = 0; i < req->iov_count; i++)
        bits |= (uintptr_t)req->iov[i].iov_base | req->iov[i].iov_len;
    return (bits & (b->image.align - 1)) == 0;
}

static void set_single(struct host_op *op, uint8_t *buf, uint64_t len)
{
    op->single = (struct iovec){.iov_base = buf, .iov_len = len};
    op->iov = &op->single;
    op->count = 1;
}

static bool next_transfer(struct block *b, struct block_request *req, struct host_op *op)
{
    struct bounce *bounce;

    op->kind = req->op == BLOCK_READ ? HOST_READ : HOST_WRITE;
    if (!b->image.direct || (!req->bounce && aligned(b, req))) {
        op->iov = req->iov;
        op->count = req->iov_count;
        return true;
    }
    if (!req->bounce && !take_bounce(b, req))
        return false;
    bounce = req->bounce;
    op->len = op->len < BOUNCE_BYTES ? op->len : BOUNCE_BYTES;
    if (op->kind == HOST_WRITE)
        copy_front(req, bounce->buf, op->len, true);
    set_single(op, bounce->buf, op->len);
    return true;
}

static bool known(const bool *flag)
{
    return __atomic_load_n(flag, __ATOMIC_RELAXED);
}

static void learn(bool *flag)
{
    __atomic_store_n(flag, true, __ATOMIC_RELAXED);
}

static void next_zero(struct block *b, struct block_request *req, struct host_op *op)
{
    static const struct iovec segment[ZERO_SEGMENTS] = {
        [0 ... ZERO_SEGMENTS - 1] = {.iov_base = zeroes, .iov_len = ZERO_BYTES}};

    if (req->state == ZERO_PUNCH && (!req->unmap || known(&b->no_punch)))
        req->state = ZERO_RANGE;
    if (req->state == ZERO_RANGE && known(&b->no_zero_range))
        req->state = ZERO_WRITE;
    if (req->state != ZERO_WRITE) {
        op->kind = HOST_ALLOCATE;
        op->mode = req->state == ZERO_PUNCH ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
        op->mode |= FALLOC_FL_KEEP_SIZE;
        return;
    }
    /* Whole segments while there is that much, then the rest, which is less than one. */
    op->kind = HOST_WRITE;
    if (op->len < ZERO_BYTES) {
        set_single(op, zeroes, op->len);
        return;
    }
    op->iov = segment;
    op->count =
        op->len / ZERO_BYTES < ZERO_SEGMENTS ? (unsigned)(op->len / ZERO_BYTES) : ZERO_SEGMENTS;
    op->len = (uint64_t)op->count * ZERO_BYTES;
}

bool step_next(struct block *b, struct block_request *req, struct host_op *op)
{
    uint64_t rest = req->len - req->progress;

    *op = (struct host_op){.offset = req->offset + req->progress, .len = rest};
    if (req->result != 0)
        return true; /* decided already: nothing for the host to do */
    switch (req->op) {
    case BLOCK_READ:
    case BLOCK_WRITE:
        return next_transfer(b, req, op);
    case BLOCK_FLUSH:
        op->kind = req->state ? HOST_SYNC : HOST_NOTHING;
        break;
    case BLOCK_DISCARD:
        op->mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
        op->kind = known(&b->no_punch) ? HOST_NOTHING : HOST_ALLOCATE;
        break;
    case BLOCK_ZERO:
        next_zero(b, req, op);
        break;
    }
    return true;
}

static bool finish(struct block *b, struct block_request *req, int result)
{
    give_bounce(b, req);
    req->result = result;
    return true;
}

static bool transferred(struct block *b, struct block_request *req, ssize_t res)
{
    struct bounce *bounce = req->bounce;

    if (res == 0) /* the end of a file that has shrunk */
        return finish(b, req, -EIO);
    if (bounce && req->op == BLOCK_READ)
        copy_front(req, bounce->buf, (uint64_t)res, false);
    if (req->op != BLOCK_ZERO)
        iov_advance(&req->iov, &req->iov_count, (uint64_t)res);
    req->progress += (uint64_t)res;
    return req->progress == req->len ? finish(b, req, 0) : false;
}

/* fallocate was refused: some file systems cannot do it at all, some not for every range. */
static bool not_allocated(struct block *b, struct block_request *req, int error)
{
    bool never = error == -EOPNOTSUPP || error == -ENOSYS;
    bool punch = req->op == BLOCK_DISCARD || req->state == ZERO_PUNCH;

    if (!never && error != -EINVAL)
        return finish(b, req, error);
    if (never)
        learn(punch ? &b->no_punch : &b->no_zero_range);
    if (req->op == BLOCK_DISCARD)
        return finish(b, req, 0); /* a hint; the guest may not rely on it */
    req->state++;
    return false;
}

bool step_done(struct block *b, struct block_request *req, ssize_t res)
{
    bool transfer = req->op == BLOCK_READ || req->op == BLOCK_WRITE ||
                    (req->op == BLOCK_ZERO && req->state == ZERO_WRITE);

    if (req->result != 0)
        return finish(b, req, req->result);
    if ((res == -EINTR || res == -EAGAIN) && req->retries++ < MAX_RETRIES)
        return false;
    if (transfer && res >= 0)
        return transferred(b, req, res);
    if (!transfer && res < 0 && req->op != BLOCK_FLUSH)
        return not_allocated(b, req, (int)res);
    return finish(b, req, (int)res);
}

static ssize_t carry_out(int fd, const struct host_op *op)
{
    ssize_t res = 0;

    switch (op->kind) {
    case HOST_NOTHING:
        return 0;
    case HOST_READ:
        res = block_host.preadv(fd, op->iov, (int)op->count, (off_t)op->offset);
        break;
    case HOST_WRITE:
        res = block_host.pwritev(fd, op->iov, (int)op->count, (off_t)op->offset);
        break;
    case HOST_ALLOCATE:
        res = block_host.fallocate(fd, op->mode, (off_t)op->offset, (off_t)op->len);
        break;
    case HOST_SYNC:
        res = block_host.fdatasync(fd);
        break;
    }
    return res < 0 ? -errno : res;
}

void step_run(struct block *b, struct block_request *req)
{
    struct host_op op;

    if (b->overlay && req->result == 0) {
        req->result = overlay_run(b->overlay, b->image.fd, req);
        return;
    }
    do {
        bool have = step_next(b, req, &op);

        /* As many buffers as threads, and a thread holds one at most. */
        assert(have);
        (void)have;
    } while (!step_done(b, req, carry_out(b->image.fd, &op)));
}
