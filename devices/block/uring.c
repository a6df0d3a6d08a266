/*
 * The engine of choice: io_uring. One ring a disk, all on the loop's thread, which waits for
 * completions on an eventfd. A batch of requests costs one system call.
 *
 * The kernel's half of a completion runs when this thread asks for it (DEFER_TASKRUN), not by
 * interrupting it; a kernel before 6.1 gets COOP_TASKRUN, or nothing. The eventfd it is because
 * epoll on the ring itself is not woken for work that is so deferred (seen on Linux 6.18).
 *
 * The file is not registered with the ring: that gains nothing that could be measured, and the
 * kernel would hold it, and so keep a block device claimed, for a while after we are gone.
 */
#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "devices/block/internal.h"
#include "devices/core/log.h"
#include "devices/core/loop.h"

#define MAX_ENTRIES 256
#define REAP_BATCH  64
#define RETRY_NS    (10 * UINT64_C(1000000))

struct uring {
    struct block *b;
    struct io_uring ring;
    struct loop_watch *watch;
    struct loop_timer *retry; /* the kernel took no submission for want of memory */
    unsigned entries, in_flight;
    int event_fd;
    bool ready;
    struct block_request *waiting, **waiting_tail; /* for room in the ring, or a bounce buffer */
};

static void prepare(struct uring *u, struct io_uring_sqe *sqe, const struct host_op *op)
{
    int fd = u->b->image.fd;

    switch (op->kind) {
    case HOST_NOTHING:
        io_uring_prep_nop(sqe);
        return;
    case HOST_READ:
        io_uring_prep_readv(sqe, fd, op->iov, op->count, op->offset);
        break;
    case HOST_WRITE:
        io_uring_prep_writev(sqe, fd, op->iov, op->count, op->offset);
        break;
    case HOST_ALLOCATE:
        io_uring_prep_fallocate(sqe, fd, op->mode, (off_t)op->offset, (off_t)op->len);
        break;
    case HOST_SYNC:
        io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
        break;
    }
    /* One segment needs no list, so none that would have to outlive this call. */
    if (op->count == 1 && op->iov->iov_len <= INT32_MAX) {
        sqe->opcode = op->kind == HOST_READ ? IORING_OP_READ : IORING_OP_WRITE;
        sqe->addr = (uintptr_t)op->iov->iov_base;
        sqe->len = (uint32_t)op->iov->iov_len;
    }
}

static void append(struct uring *u, struct block_request *list)
{
    *u->waiting_tail = list;
    while (*u->waiting_tail)
        u->waiting_tail = &(*u->waiting_tail)->next;
}

/*
 * One that has begun goes on before others begin: it may hold a bounce buffer that the first of the
 * others waits for.
 */
static void put_first(struct uring *u, struct block_request *req)
{
    req->next = u->waiting;
    if (!u->waiting)
        u->waiting_tail = &req->next;
    u->waiting = req;
}

static void push_out(struct uring *u)
{
    static struct log_limit limit;
    int n;

    do
        n = io_uring_submit(&u->ring);
    while (n == -EINTR);
    if (n >= 0)
        return;
    if (log_allowed(&limit))
        log_warn("io_uring takes no requests now: %s; trying again", strerrordesc_np(-n));
    loop_timer_arm(u->retry, RETRY_NS);
}

/* Moves what waits into the ring, as far as it has room, and hands it to the kernel. */
static void fill(struct uring *u)
{
    struct host_op op;

    while (u->waiting && u->in_flight < u->entries) {
        struct block_request *req = u->waiting;
        struct io_uring_sqe *sqe;

        if (!step_next(u->b, req, &op))
            break; /* one in flight holds a buffer and comes back */
        sqe = io_uring_get_sqe(&u->ring);
        assert(sqe); /* as many entries as may be in flight */
        prepare(u, sqe, &op);
        io_uring_sqe_set_data(sqe, req);
        u->in_flight++;
        u->waiting = req->next;
        req->next = NULL;
    }
    if (!u->waiting)
        u->waiting_tail = &u->waiting;
    if (io_uring_sq_ready(&u->ring) > 0)
        push_out(u);
}

static void uring_submit(void *engine, struct block_request *list)
{
    append(engine, list);
    fill(engine);
}

/* Sorts the completions that are there into finished requests and those with more to do. */
static unsigned reap(struct uring *u, struct block_request ***finished)
{
    struct io_uring_cqe *cqe[REAP_BATCH];
    unsigned n = io_uring_peek_batch_cqe(&u->ring, cqe, REAP_BATCH);

    for (unsigned i = 0; i < n; i++) {
        struct block_request *req = io_uring_cqe_get_data(cqe[i]);

        u->in_flight--;
        if (!step_done(u->b, req, cqe[i]->res)) {
            put_first(u, req);
            continue;
        }
        **finished = req;
        *finished = &req->next;
    }
    io_uring_cq_advance(&u->ring, n);
    return n;
}

static bool collect(struct uring *u)
{
    struct block_request *list = NULL, **tail = &list;
    bool any = false;

    /* Ends with what was in flight: those with more to do start after it. */
    while (reap(u, &tail) > 0)
        any = true;
    fill(u);
    if (list)
        block_finished(u->b, list);
    return any;
}

static void on_ready(void *opaque, uint32_t events)
{
    struct uring *u = opaque;
    uint64_t count;

    (void)events;
    /* Before the look: what comes after it signals anew. */
    if (read(u->event_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
        log_error("cannot read a disk's event: %m");
    collect(u);
}

static void on_retry(void *opaque)
{
    fill(opaque);
}

static void uring_wait(void *engine)
{
    struct uring *u = engine;

    fill(u);
    /* Errors need no answer: what can be collected is, and the caller asks again. */
    (void)io_uring_submit_and_wait(&u->ring, 1);
    collect(u);
}

/* A flag in memory shared with the kernel, not a system call. */
static void uring_quiet(void *engine, bool on)
{
    struct uring *u = engine;

    /* A kernel without it goes on to signal, which is only slower. */
    (void)io_uring_cq_eventfd_toggle(&u->ring, !on);
}

static bool uring_poll(void *engine)
{
    return collect(engine);
}

static void uring_destroy(void *engine)
{
    struct uring *u = engine;

    if (!u)
        return;
    loop_watch_remove(u->watch);
    loop_timer_remove(u->retry);
    if (u->ready)
        io_uring_queue_exit(&u->ring);
    if (u->event_fd >= 0)
        close(u->event_fd);
    free(u);
}

/* The best mode that this kernel has. */
static int make_ring(struct uring *u)
{
    static const unsigned flags[] = {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                         IORING_SETUP_TASKRUN_FLAG,
                                     IORING_SETUP_COOP_TASKRUN, 0};
    int err = -EINVAL;

    for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]) && err == -EINVAL; i++)
        err = io_uring_queue_init(u->entries, &u->ring, flags[i]);
    return err;
}

/* What is used beyond 5.1; one that has not all of it gets the pool. */
static bool has_operations(struct uring *u)
{
    static const int needed[] = {IORING_OP_READ, IORING_OP_WRITE, IORING_OP_FALLOCATE,
                                 IORING_OP_FSYNC};
    struct io_uring_probe *probe = io_uring_get_probe_ring(&u->ring);
    bool all = probe != NULL && (u->ring.features & IORING_FEAT_SUBMIT_STABLE) != 0;

    for (unsigned i = 0; all && i < sizeof(needed) / sizeof(needed[0]); i++)
        all = io_uring_opcode_supported(probe, needed[i]);
    io_uring_free_probe(probe);
    return all;
}

static int watch_ring(struct uring *u, struct loop *loop)
{
    int err;

    u->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (u->event_fd < 0)
        return -errno;
    err = io_uring_register_eventfd(&u->ring, u->event_fd);
    if (err)
        return err;
    u->retry = loop_timer_add(loop, on_retry, u);
    u->watch = loop_watch_add(loop, u->event_fd, EPOLLIN, on_ready, u);
    return u->retry && u->watch ? 0 : -ENOMEM;
}

static int uring_create(struct block *b, struct loop *loop, unsigned depth, void **out)
{
    struct uring *u = calloc(1, sizeof(*u));
    int err;

    if (!u)
        return -ENOMEM;
    u->b = b;
    u->event_fd = -1;
    u->waiting_tail = &u->waiting;
    u->entries = depth == 0 ? 1 : depth > MAX_ENTRIES ? MAX_ENTRIES : depth;
    err = make_ring(u);
    if (err)
        goto fail;
    u->ready = true;
    err = -ENOSYS;
    if (!has_operations(u))
        goto fail;
    err = watch_ring(u, loop);
    if (err)
        goto fail;
    *out = u;
    return 0;

fail:
    uring_destroy(u);
    return err;
}

const struct engine_ops engine_uring = {
    .name = "io_uring",
    .create = uring_create,
    .submit = uring_submit,
    .wait = uring_wait,
    .quiet = uring_quiet,
    .poll = uring_poll,
    .destroy = uring_destroy,
};
