/* A virtio device without a purpose, for tests: see null_device.h. */
#include "devices/test/null_device.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/state.h"

static struct null_device *null_of(struct virtio *v)
{
    return (struct null_device *)v;
}

static int null_activate(struct virtio *v)
{
    null_of(v)->activations++;
    return null_of(v)->activate_error;
}

/* What a device does with a request, in one line: the answer is the question. */
static uint32_t echo(const struct virtq_chain *chain)
{
    static uint8_t buf[4096];
    size_t n = virtq_chain_read(chain, 0, buf, sizeof(buf));

    return (uint32_t)virtq_chain_write(chain, 0, buf, n);
}

static void hold(struct null_device *n, unsigned queue, const struct virtq_chain *chain)
{
    ck_assert_uint_lt(n->held_count, NULL_DEVICE_HELD);
    n->held[n->held_count].chain = *chain;
    n->held[n->held_count].queue = queue;
    n->held[n->held_count].epoch = n->v.epoch;
    n->held_count++;
    virtio_busy(&n->v, queue);
}

static void take_all(struct null_device *n, unsigned queue)
{
    struct virtq *q = &n->v.queue[queue];
    struct virtq_chain chain;
    int got;

    virtq_set_kicks(q, false);
    do {
        while ((got = virtq_pop(q, &chain)) > 0) {
            if (n->mode == NULL_ASYNC)
                hold(n, queue, &chain);
            else
                virtq_push(q, &chain, echo(&chain));
        }
    } while (got == 0 && virtq_set_kicks(q, true));
    virtio_notify(&n->v, queue);
    if (got < 0)
        virtio_broken(&n->v, "the queue breaks a rule");
}

static void null_kick(struct virtio *v, unsigned queue)
{
    null_of(v)->kicks[queue]++;
    if (null_of(v)->mode != NULL_HOLD)
        take_all(null_of(v), queue);
}

static void null_stop(struct virtio *v, unsigned queue)
{
    null_of(v)->stops++;
    null_of(v)->stopped = queue;
}

static void null_config_write(struct virtio *v, unsigned offset, unsigned size, const uint8_t *data)
{
    ck_assert_uint_le(offset + size, NULL_DEVICE_CONFIG);
    memcpy(v->config + offset, data, size);
    null_of(v)->config_writes++;
}

static void null_save(struct virtio *v, struct state_writer *w)
{
    state_put_bytes(w, v->config, NULL_DEVICE_CONFIG);
}

static int null_load(struct virtio *v, struct state_reader *r)
{
    state_get_bytes(r, v->config, NULL_DEVICE_CONFIG);
    return r->error ? r->error : null_of(v)->load_error;
}

static void null_destroy(struct virtio *v)
{
    if (null_of(v)->destroyed)
        *null_of(v)->destroyed = true;
    free(null_of(v));
}

static const struct virtio_ops null_ops = {
    .name = "virtio-null",
    .id = NULL_DEVICE_ID,
    .activate = null_activate,
    .kick = null_kick,
    .stop = null_stop,
    .config_write = null_config_write,
    .save = null_save,
    .load = null_load,
    .destroy = null_destroy,
};

struct null_device *null_device_create(unsigned queues, uint16_t size, uint64_t features)
{
    struct null_device *n = calloc(1, sizeof(*n));

    ck_assert_ptr_nonnull(n);
    virtio_init(&n->v, &null_ops, queues, size, features);
    n->v.config_len = NULL_DEVICE_CONFIG;
    for (unsigned i = 0; i < NULL_DEVICE_CONFIG; i++)
        n->v.config[i] = (uint8_t)(i + 1);
    return n;
}

void null_device_complete(struct null_device *n, unsigned count)
{
    for (; count > 0; count--) {
        unsigned queue = n->held[0].queue;

        ck_assert_uint_gt(n->held_count, 0);
        if (n->held[0].epoch == n->v.epoch) {
            virtq_push(&n->v.queue[queue], &n->held[0].chain, echo(&n->held[0].chain));
            virtio_notify(&n->v, queue);
        }
        n->held_count--;
        memmove(&n->held[0], &n->held[1], n->held_count * sizeof(n->held[0]));
        virtio_done(&n->v, queue);
    }
}
