/*
 * The queue itself under hostile drivers: see machine.h. The device keeps up to four chains in
 * flight, reads and fills them in odd pieces, and gives them back in any order.
 */
#include "devices/virtio/queue.h"

#include <stdlib.h>
#include <string.h>

#include "devices/fuzz/machine.h"
#include "devices/virtio/virtio.h"

#define QUEUES 3
#define HELD   4

struct null_device {
    struct virtio v;
    struct {
        struct virtq_chain chain;
        bool used;
    } held[QUEUES][HELD];
};

/* Every byte of the chain is touched, which is what the sanitizers look at. */
static uint32_t touch(const struct virtq_chain *chain)
{
    static uint8_t buf[8192];
    struct iovec iov[VIRTQ_MAX_SIZE];
    uint64_t half = chain->in_len / 2;
    size_t n = virtq_chain_read(chain, chain->out_len / 3, buf, sizeof(buf));

    if (n > chain->out_len || chain->out_count + chain->in_count > VIRTQ_MAX_SIZE)
        abort();
    n = virtq_chain_write(chain, half, buf, sizeof(buf));
    if (half && !virtq_chain_slice(chain, true, 1, half, iov))
        abort();
    if (virtq_chain_slice(chain, false, chain->out_len, 1, iov))
        abort();
    return (uint32_t)(n ? half + n : 0);
}

static void give_back(struct null_device *n, unsigned queue, unsigned i)
{
    if (!n->held[queue][i].used)
        return;
    n->held[queue][i].used = false;
    virtq_push(&n->v.queue[queue], &n->held[queue][i].chain, touch(&n->held[queue][i].chain));
}

static void kick(struct virtio *v, unsigned queue)
{
    struct null_device *n = (struct null_device *)v;
    struct virtq *q = &v->queue[queue];
    struct virtq_chain chain;
    int got = 1;

    virtq_set_kicks(q, false);
    for (unsigned i = 0; i < 64 && got > 0; i++) {
        got = virtq_pop(q, &chain);
        if (got > 0 && i % 5 == 4) {
            virtq_unpop(q, &chain);
        } else if (got > 0) {
            give_back(n, queue, i % HELD);
            n->held[queue][i % HELD].chain = chain;
            n->held[queue][i % HELD].used = true;
        } else if (got == 0 && virtq_set_kicks(q, true)) {
            got = 1;
        }
    }
    virtio_notify(v, queue);
    if (got < 0)
        virtio_broken(v, "a ring breaks a rule");
}

static void stop(struct virtio *v, unsigned queue)
{
    struct null_device *n = (struct null_device *)v;

    for (unsigned i = 0; i < QUEUES; i++)
        for (unsigned k = 0; k < HELD; k++)
            if (queue == VIRTIO_ALL_QUEUES || queue == i)
                n->held[i][k].used = false;
}

static void config_write(struct virtio *v, unsigned offset, unsigned size, const uint8_t *data)
{
    memcpy(v->config + offset, data, size);
}

static void destroy(struct virtio *v)
{
    free(v);
}

static const struct virtio_ops ops = {.name = "null",
                                      .id = 42,
                                      .kick = kick,
                                      .stop = stop,
                                      .config_write = config_write,
                                      .destroy = destroy};

static int create(struct loop *loop, struct virtio **out)
{
    struct null_device *n = calloc(1, sizeof(*n));

    (void)loop;
    if (!n)
        return -1;
    virtio_init(&n->v, &ops, QUEUES, VIRTQ_MAX_SIZE, 0);
    n->v.config_len = 24;
    *out = &n->v;
    return 0;
}

static void settle(struct virtio *v)
{
    struct null_device *n = (struct null_device *)v;

    for (unsigned i = 0; i < QUEUES; i++)
        for (unsigned k = HELD; k-- > 0;)
            give_back(n, i, k);
}

static void event(struct virtio *v, uint8_t what, struct fuzz_input *in)
{
    struct null_device *n = (struct null_device *)v;

    (void)in;
    pthread_mutex_lock(v->lock);
    if (what & 1)
        virtio_config_changed(v);
    else
        give_back(n, what / 8 % QUEUES, what / 2 % HELD);
    virtio_notify(v, what / 8 % QUEUES);
    pthread_mutex_unlock(v->lock);
}

const struct fuzz_target fuzz_queue = {
    .name = "queue", .create = create, .event = event, .settle = settle};
