/*
 * The front of the block back ends: opens an image with its engine, counts what is in flight, and
 * keeps the promise of flush. The device model calls it; see block.h.
 */
#include "devices/block/block.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/block/internal.h"
#include "devices/core/log.h"
#include "devices/core/util.h"

static bool plain_syscalls(void)
{
    return block_host.preadv == preadv && block_host.pwritev == pwritev &&
           block_host.fdatasync == fdatasync && block_host.fallocate == fallocate;
}

static int start_engine(struct block *b, const struct block_config *config, struct loop *loop)
{
    int err = -ENOSYS;

    b->ops = &engine_uring;
    if (!config->threads_only && !b->overlay && plain_syscalls())
        err = b->ops->create(b, loop, config->depth, &b->engine);
    else
        b->ops = &engine_pool;
    if (err && b->ops == &engine_uring) {
        log_warn("%s: no io_uring here (%s): using threads, which is slower", config->path,
                 strerrordesc_np(-err));
        b->ops = &engine_pool;
    }
    if (b->ops == &engine_pool)
        err = b->ops->create(b, loop, config->depth, &b->engine);
    if (err)
        log_error("%s: cannot start its I/O: %s", config->path, strerrordesc_np(-err));
    return err;
}

int block_open(const struct block_config *config, struct loop *loop, struct block **out)
{
    struct block *b = calloc(1, sizeof(*b));
    int err;

    if (!b) {
        log_error("%s: out of memory", config->path);
        return -ENOMEM;
    }
    b->queued_tail = &b->queued;
    snprintf(b->path, sizeof(b->path), "%s", config->path);
    b->cache = config->snapshot ? BLOCK_UNSAFE : config->cache;
    err = block_image_open(config, &b->image);
    if (!err && config->snapshot && !config->readonly) {
        err = overlay_create(config->path, &b->image, &b->overlay);
        err = err < 0 ? err : 0;
    }
    if (err) {
        block_image_close(&b->image);
        free(b);
        return err;
    }
    err = step_init(b);
    if (err)
        log_error("%s: out of memory", config->path);
    else
        err = start_engine(b, config, loop);
    if (err) {
        block_close(b);
        return err;
    }
    *out = b;
    return 0;
}

void block_close(struct block *b)
{
    if (!b)
        return;
    if (b->engine) {
        block_drain(b);
        b->ops->destroy(b->engine);
    }
    step_exit(b);
    overlay_destroy(b->overlay);
    block_image_close(&b->image);
    free(b);
}

const struct block_info *block_info(const struct block *b)
{
    return &b->image.info;
}

void block_set_batch(struct block *b, block_batch_fn *fn, void *opaque)
{
    b->batch = fn;
    b->batch_opaque = opaque;
}

static void queue(struct block *b, struct block_request *req)
{
    req->next = NULL;
    *b->queued_tail = req;
    b->queued_tail = &req->next;
}

/*
 * Only one fdatasync runs at a time: two at once on one descriptor would share what the kernel has
 * to say of a failed write-back, and one of them would report success for data that is lost.
 * Those that come meanwhile share the next one.
 */
static void queue_flush(struct block *b, struct block_request *req)
{
    bool real = b->cache != BLOCK_UNSAFE && !b->image.info.readonly;

    if (real && !b->sync_failed && image_shrunk(&b->image)) {
        log_error("%s: it was made smaller while in use; each flush fails from here on", b->path);
        b->sync_failed = true;
    }
    if (!real || b->sync_failed) {
        req->result = real ? -EIO : 0;
        queue(b, req);
        return;
    }
    req->state = 1;
    if (b->sync_leader) {
        req->next = b->sync_waiting;
        b->sync_waiting = req;
        return;
    }
    b->sync_leader = req;
    queue(b, req);
}

void block_submit(struct block *b, struct block_request *req)
{
    bool writes = req->op != BLOCK_READ && req->op != BLOCK_FLUSH;

    assert(req->op == BLOCK_FLUSH ||
           (req->len > 0 && (req->offset | req->len) % BLOCK_SECTOR == 0 &&
            range_fits(req->offset, req->len, b->image.info.size)));
    req->progress = 0;
    req->bounce = NULL;
    req->result = writes && b->image.info.readonly ? -EROFS : 0;
    req->state = req->retries = 0;
    b->busy++;
    if (req->op == BLOCK_FLUSH)
        queue_flush(b, req);
    else
        queue(b, req);
}

void block_kick(struct block *b)
{
    struct block_request *list = b->queued;

    b->queued = NULL;
    b->queued_tail = &b->queued;
    if (list)
        b->ops->submit(b->engine, list);
}

void block_quiet(struct block *b, bool on)
{
    if (b->ops->quiet)
        b->ops->quiet(b->engine, on);
}

bool block_poll(struct block *b)
{
    return b->busy > 0 && b->ops->poll && b->ops->poll(b->engine);
}

void block_drain(struct block *b)
{
    while (b->busy > 0) {
        block_kick(b);
        b->ops->wait(b->engine);
    }
}

/* The guest sees an I/O error and no reason; whoever runs it can mend some of them. */
static void tell(const struct block *b, const struct block_request *req)
{
    static const char *const what[] = {"read", "write", "flush", "discard", "zeroing"};
    static struct log_limit limit;

    if (req->op != BLOCK_FLUSH && req->result != -EROFS && log_allowed(&limit))
        log_warn("%s: %s at byte %llu: %s; the guest gets an I/O error", b->path, what[req->op],
                 (unsigned long long)req->offset, strerrordesc_np(-req->result));
}

static void complete(struct block *b, struct block_request *req)
{
    if (req->result < 0)
        tell(b, req);
    b->busy--;
    req->done(req, req->result);
}

static void complete_all(struct block *b, struct block_request *list, int result)
{
    while (list) {
        struct block_request *next = list->next;

        list->result = result;
        complete(b, list);
        list = next;
    }
}

/*
 * After a failed write-back the kernel forgets the error, and the pages count as clean: a second
 * fdatasync would succeed although the data is gone. So the first failure is remembered, and the
 * guest gets no further promise until the image is opened anew.
 */
static void finish_sync(struct block *b, struct block_request *leader)
{
    struct block_request *riders = b->sync_riders, *waiting = b->sync_waiting;
    int result = leader->result;

    if (result < 0 && !b->sync_failed) {
        b->sync_failed = true;
        log_error("%s: cannot be flushed: %s; what was written may be lost, and each flush fails "
                  "from here on",
                  b->path, strerrordesc_np(-result));
    }
    b->sync_leader = b->sync_riders = b->sync_waiting = NULL;
    if (waiting && !b->sync_failed) {
        b->sync_leader = waiting;
        b->sync_riders = waiting->next;
        waiting = NULL;
        queue(b, b->sync_leader);
    }
    complete(b, leader);
    complete_all(b, riders, result);
    complete_all(b, waiting, -EIO);
}

void block_finished(struct block *b, struct block_request *list)
{
    while (list) {
        struct block_request *next = list->next;

        if (list == b->sync_leader)
            finish_sync(b, list);
        else
            complete(b, list);
        list = next;
    }
    block_kick(b); /* the flushes that waited */
    if (b->batch)
        b->batch(b->batch_opaque);
}
