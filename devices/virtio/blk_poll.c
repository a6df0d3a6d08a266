/*
 * Looking at rings and completions without being told (devices/core/loop.h, pollers): while it goes
 * on, the driver is asked not to kick, and the host's I/O not to signal, so that a request costs
 * neither an exit nor a wake-up. The loop's thread.
 */
#include "devices/core/util.h"
#include "devices/virtio/blk.h"

/* A queue that waits for slots or tokens is left alone: they will come back by themselves. */
static bool may_serve(const struct blk *blk, unsigned queue)
{
    return virtio_queue_ready(&blk->v, queue) && !(blk->hungry & 1u << queue);
}

static bool look_at_rings(struct blk *blk)
{
    bool found = false;

    pthread_mutex_lock(blk->v.lock);
    for (unsigned i = 0; i < blk->v.queue_count; i++) {
        if (may_serve(blk, i) && virtq_waiting(&blk->v.queue[i])) {
            blk_kick(&blk->v, i);
            found = true;
        }
    }
    pthread_mutex_unlock(blk->v.lock);
    return found;
}

/* What the driver added before it saw that it has to kick again, nobody will tell us. */
static bool ask_for_kicks(struct blk *blk)
{
    bool found = false;

    pthread_mutex_lock(blk->v.lock);
    blk->polling = false;
    for (unsigned i = 0; i < blk->v.queue_count; i++) {
        if (may_serve(blk, i) && virtq_set_kicks(&blk->v.queue[i], true)) {
            blk_kick(&blk->v, i);
            found = true;
        }
    }
    pthread_mutex_unlock(blk->v.lock);
    return found;
}

/* Kicks themselves are switched off when the first ring has been served. */
static void begin(struct blk *blk)
{
    pthread_mutex_lock(blk->v.lock);
    blk->polling = true;
    pthread_mutex_unlock(blk->v.lock);
    block_quiet(blk->block, true);
}

bool blk_poll(void *opaque, enum loop_poll what)
{
    struct blk *blk = opaque;
    bool found = false;

    if (!blk->v.lock) /* not attached yet */
        return false;
    switch (what) {
    case LOOP_POLL_BEGIN:
        begin(blk);
        break;
    case LOOP_POLL_LOOK:
        found = look_at_rings(blk);
        found |= block_poll(blk->block);
        break;
    case LOOP_POLL_END:
        block_quiet(blk->block, false);
        found = ask_for_kicks(blk);
        found |= block_poll(blk->block); /* what came back before the host was asked to signal */
        break;
    }
    return found;
}

int blk_poll_init(struct blk *blk, struct loop *loop)
{
    blk->poller = loop_poller_add(loop, blk_poll, blk);
    return blk->poller ? 0 : -1;
}
