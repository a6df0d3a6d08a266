/*
 * The life of a block request: popped, parsed, carried out by devices/block straight into the
 * guest's buffers, completed. Under load everything goes in batches: all that waits in a ring is
 * handed to the host at once while the driver is asked not to kick, and all that has come back is
 * told by one interrupt.
 *
 * The loop's thread, under dev.lock, but for on_done, which only keeps a list that no other thread
 * knows. Requests live in a fixed pool of slots; a ring with more waits until one is free.
 */
#include <stdlib.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/virtio/blk.h"

static struct blk *blk_of(struct virtio *v)
{
    return container_of(v, struct blk, v);
}

/* One that was used before, if there is: its pages are warm, those of the others not even there. */
static struct blk_slot *take_slot(struct blk *blk)
{
    struct blk_slot *slot = blk->free;

    if (slot) {
        blk->free = slot->next;
    } else if (blk->fresh < BLK_SLOTS) {
        slot = &blk->slots[blk->fresh++];
        slot->blk = blk;
    }
    return slot;
}

static void give_slot(struct blk *blk, struct blk_slot *slot)
{
    slot->next = blk->free;
    blk->free = slot;
}

/*
 * Writes the status, which is the last byte of the writable part, and returns the chain. The used
 * length counts bytes from the start that were surely written (2.7.8.2): all of them, or none.
 */
static void answer(struct blk_slot *slot, uint8_t status)
{
    struct virtq_chain *chain = &slot->chain;
    bool whole = status == BLK_S_OK || chain->in_len == 1;

    virtq_chain_write(chain, chain->in_len - 1, &status, sizeof(status));
    virtq_push(&slot->blk->v.queue[slot->queue], chain, whole ? (uint32_t)chain->in_len : 0);
    give_slot(slot->blk, slot);
}

/* 5.2.6: up to 20 bytes, filled up with zeroes, without an end mark when there are 20. */
static void identify(struct blk_slot *slot)
{
    uint64_t room = slot->chain.in_len - 1;
    uint8_t status = BLK_S_OK;
    size_t len = room < BLK_ID_BYTES ? room : BLK_ID_BYTES;

    virtq_chain_write(&slot->chain, 0, slot->blk->id, len);
    virtq_chain_write(&slot->chain, room, &status, sizeof(status));
    virtq_push(&slot->blk->v.queue[slot->queue], &slot->chain,
               (uint32_t)(room == len ? len + 1 : len));
    give_slot(slot->blk, slot);
}

static void on_done(struct block_request *req, int result)
{
    struct blk_slot *slot = req->opaque;
    struct blk *blk = slot->blk;

    slot->result = result;
    slot->next = NULL;
    *blk->completed_tail = slot;
    blk->completed_tail = &slot->next;
}

/* Hands the next part of a command to the back end: its data, its next range, or a flush. */
static void submit(struct blk_slot *slot)
{
    const struct blk_command *cmd = &slot->cmd;
    struct block_request *req = &slot->req;

    req->done = on_done;
    req->opaque = slot;
    req->iov = NULL;
    req->iov_count = 0;
    slot->flushing = slot->ranges_done == cmd->ranges;
    if (slot->flushing) {
        req->op = BLOCK_FLUSH;
        slot->flush = false;
    } else {
        const struct blk_range *range = &cmd->range[slot->ranges_done];
        bool in = cmd->op == BLOCK_READ;

        req->op = cmd->op;
        req->offset = range->offset;
        req->len = range->len;
        req->unmap = range->unmap;
        if (in || cmd->op == BLOCK_WRITE) {
            req->iov = slot->iov;
            req->iov_count = virtq_chain_slice(&slot->chain, in, in ? 0 : BLK_HEADER_BYTES,
                                               range->len, slot->iov);
        }
    }
    block_submit(slot->blk->block, req);
}

/* Whether the guest counts on each write being safe when it completes (5.2.6.2): it has no flush,
 * or it has switched the write cache off. */
static bool writes_through(const struct blk *blk)
{
    if (!virtio_has(&blk->v, BLK_F_FLUSH))
        return true;
    return virtio_has(&blk->v, BLK_F_CONFIG_WCE) && !blk->v.config[BLK_C_WRITEBACK];
}

static void start(struct blk_slot *slot)
{
    struct blk *blk = slot->blk;
    enum block_op op = slot->cmd.op;

    slot->epoch = blk->epoch[slot->queue];
    slot->ranges_done = 0;
    slot->flush = op == BLOCK_FLUSH || (op != BLOCK_READ && writes_through(blk));
    virtio_busy(&blk->v, slot->queue);
    submit(slot);
}

/* 0, or how long to wait in nanoseconds until the rate allows it. */
static uint64_t admit(struct blk *blk, const struct blk_command *cmd)
{
    bool data = cmd->action == BLK_IO && (cmd->op == BLOCK_READ || cmd->op == BLOCK_WRITE ||
                                          (cmd->op == BLOCK_ZERO && blk->zeroes_cost));
    uint64_t bytes = 0, now, wait;

    if (!blk->iops.rate && !blk->bps.rate)
        return 0;
    for (unsigned i = 0; data && i < cmd->ranges; i++)
        bytes += cmd->range[i].len;
    now = loop_now_ns();
    wait = bucket_wait(&blk->bps, bytes, now);
    if (!wait)
        wait = bucket_take(&blk->iops, 1, now);
    if (!wait)
        bucket_take(&blk->bps, bytes, now);
    return wait;
}

/* What serve_one came to. */
enum turn {
    TURN_SERVED,
    TURN_EMPTY, /* the ring */
    TURN_LATER, /* no slot, or the rate: whoever changes that asks again */
    TURN_BROKEN,
};

/* Begins what `slot` was filled with. */
static enum turn dispatch(struct blk *blk, struct blk_slot *slot)
{
    uint64_t wait = admit(blk, &slot->cmd);

    if (wait) {
        virtq_unpop(&blk->v.queue[slot->queue], &slot->chain);
        loop_timer_arm(blk->timer, wait);
        return TURN_LATER;
    }
    if (slot->cmd.action == BLK_IO)
        start(slot);
    else if (slot->cmd.action == BLK_IDENTIFY)
        identify(slot);
    else
        answer(slot, slot->cmd.status);
    return TURN_SERVED;
}

static enum turn serve_one(struct blk *blk, unsigned queue)
{
    struct blk_slot *slot = take_slot(blk);
    enum turn turn;
    int got;

    if (!slot)
        return TURN_LATER;
    slot->queue = queue;
    got = virtq_pop(&blk->v.queue[queue], &slot->chain);
    if (got <= 0)
        turn = got == 0 ? TURN_EMPTY : TURN_BROKEN;
    else if (!blk_parse(&blk->limits, &slot->chain, &slot->cmd))
        turn = TURN_BROKEN;
    else
        turn = dispatch(blk, slot);
    if (turn != TURN_SERVED)
        give_slot(blk, slot);
    return turn;
}

/* Takes all that waits in a ring, up to what it held: a driver that adds faster than we take must
 * not keep the loop from other devices. */
static void serve(struct blk *blk, unsigned queue)
{
    struct virtq *q = &blk->v.queue[queue];
    enum turn turn = TURN_SERVED;
    unsigned served = 0;

    blk->hungry &= ~(1u << queue);
    virtq_set_kicks(q, false);
    while (turn == TURN_SERVED && served < BLK_QUEUE_SIZE) {
        turn = serve_one(blk, queue);
        served += turn == TURN_SERVED;
        if (turn == TURN_EMPTY && !blk->polling && virtq_set_kicks(q, true))
            turn = TURN_SERVED; /* one came between the look and the wish */
    }
    if (turn == TURN_BROKEN) {
        virtio_broken(&blk->v, "a request breaks the rules of the ring or has no status byte");
        return;
    }
    if (turn == TURN_LATER)
        blk->hungry |= 1u << queue;
    else if (turn == TURN_SERVED)
        virtio_ring(&blk->v, queue); /* more waits: after the others */
}

void blk_kick(struct virtio *v, unsigned queue)
{
    struct blk *blk = blk_of(v);

    loop_poller_hit(blk->poller);
    serve(blk, queue);
    block_kick(blk->block);
    virtio_notify(v, queue);
}

/* The rings that were left with requests in them, now that slots or tokens are there. */
static void serve_hungry(struct blk *blk)
{
    uint32_t hungry = blk->hungry;

    for (unsigned i = 0; i < blk->v.queue_count; i++) {
        if (hungry & 1u << i && virtio_queue_ready(&blk->v, i))
            serve(blk, i);
    }
}

static void notify(struct blk *blk, uint32_t queues)
{
    for (unsigned i = 0; i < blk->v.queue_count; i++) {
        if (queues & 1u << i)
            virtio_notify(&blk->v, i);
    }
}

/* One part of a command is over. True: all of it, and its slot is free. */
static bool advance(struct blk *blk, struct blk_slot *slot)
{
    bool stale = slot->epoch != blk->epoch[slot->queue];

    if (!slot->flushing)
        slot->ranges_done++;
    if (!stale && slot->result == 0 && (slot->ranges_done < slot->cmd.ranges || slot->flush)) {
        submit(slot);
        return false;
    }
    /* After a reset the ring is another one, or none, and knows nothing of this request. */
    if (stale)
        give_slot(blk, slot);
    else
        answer(slot, slot->result == 0 ? BLK_S_OK : BLK_S_IOERR);
    virtio_done(&blk->v, slot->queue);
    return true;
}

static struct blk_slot *take_completed(struct blk *blk)
{
    struct blk_slot *list = blk->completed;

    blk->completed = NULL;
    blk->completed_tail = &blk->completed;
    return list;
}

/* A batch of requests has come back. */
static void on_batch(void *opaque)
{
    struct blk *blk = opaque;
    struct blk_slot *next, *slot;
    uint32_t told = 0;

    loop_poller_hit(blk->poller);
    pthread_mutex_lock(blk->v.lock);
    for (slot = take_completed(blk); slot; slot = next) {
        next = slot->next;
        if (advance(blk, slot))
            told |= 1u << slot->queue;
    }
    told |= blk->hungry; /* they may be answered without the host */
    serve_hungry(blk);
    block_kick(blk->block);
    notify(blk, told);
    pthread_mutex_unlock(blk->v.lock);
}

static void on_tokens(void *opaque)
{
    struct blk *blk = opaque;
    uint32_t told;

    pthread_mutex_lock(blk->v.lock);
    told = blk->hungry;
    serve_hungry(blk);
    block_kick(blk->block);
    notify(blk, told);
    pthread_mutex_unlock(blk->v.lock);
}

void blk_stop(struct virtio *v, unsigned queue)
{
    struct blk *blk = blk_of(v);

    for (unsigned i = 0; i < v->queue_count; i++) {
        if (queue != i && queue != VIRTIO_ALL_QUEUES)
            continue;
        blk->epoch[i]++;
        blk->hungry &= ~(1u << i);
    }
    if (queue == VIRTIO_ALL_QUEUES)
        v->config[BLK_C_WRITEBACK] = !blk->limits.readonly;
}

int blk_io_init(struct blk *blk, struct loop *loop)
{
    blk->completed_tail = &blk->completed;
    blk->timer = loop_timer_add(loop, on_tokens, blk);
    blk->slots = calloc(BLK_SLOTS, sizeof(*blk->slots));
    if (!blk->timer || !blk->slots || blk_poll_init(blk, loop))
        return -1;
    block_set_batch(blk->block, on_batch, blk);
    return 0;
}

void blk_io_exit(struct blk *blk)
{
    for (struct blk_slot *slot = blk->completed; slot; slot = slot->next)
        virtio_done(&blk->v, slot->queue);
    loop_poller_remove(blk->poller);
    loop_timer_remove(blk->timer);
    free(blk->slots);
}
