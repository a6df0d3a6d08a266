/*
 * The entropy device (virtio 1.2, 5.4): one queue, each chain of which is filled with random bytes
 * of the host. Created by the device table; everything else runs on the loop thread under dev.lock.
 *
 * A guest may ask for any amount at any rate. What one request gets is bounded (5.4.6.2 allows
 * less than the whole buffer), a token bucket bounds the rate, and after a few requests the other
 * devices have their turn.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "devices/core/bucket.h"
#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/virtio/models.h"
#include "devices/virtio/virtio.h"

#define DEVICE_ID     4
#define QUEUE_SIZE    64
#define REQUEST_BYTES (64 * KIB) /* at most, for one chain */
#define TURN_REQUESTS 8          /* before the loop looks at other devices: half a millisecond */

struct rng {
    struct virtio v;
    struct bucket bucket;
    struct loop_timer *timer; /* tokens are there again, or the others had their turn */
};

struct rng_config {
    uint64_t bps;
};

static const struct param_row rows[] = {
    {.key = "bps",
     .arg = "BYTES",
     .type = PARAM_SIZE,
     .offset = offsetof(struct rng_config, bps),
     .initial = "4M",
     .help = "Random bytes a second that the guest may take; 0: no limit"},
    {.key = NULL},
};

const struct params virtio_rng_params = {rows, sizeof(struct rng_config), NULL};

static struct rng *rng_of(struct virtio *v)
{
    return container_of(v, struct rng, v);
}

/* Random bytes straight into guest memory; returns how many. */
static uint32_t fill(const struct iovec *iov, unsigned count)
{
    uint32_t done = 0;

    for (unsigned i = 0; i < count; i++) {
        uint8_t *at = iov[i].iov_base;
        size_t left = iov[i].iov_len;

        while (left > 0) {
            ssize_t n = getrandom(at, left, 0);

            if (n < 0 && errno == EINTR)
                continue;
            if (n < 0)
                return done; /* create has seen it work: not to be expected */
            at += n;
            left -= (size_t)n;
            done += (uint32_t)n;
        }
    }
    return done;
}

/* 1: one request was served. 0: none waits. -EAGAIN: *wait ns must pass first. -EPROTO. */
static int serve_one(struct rng *r, uint64_t *wait)
{
    struct virtq *q = &r->v.queue[0];
    struct virtq_chain chain;
    struct iovec iov[VIRTQ_MAX_SIZE];
    uint64_t len;
    int got = virtq_pop(q, &chain);

    if (got <= 0)
        return got;
    len = chain.in_len < REQUEST_BYTES ? chain.in_len : REQUEST_BYTES;
    /* What has no room costs a token, too: else it would be a free way to keep us busy. */
    *wait = bucket_take(&r->bucket, len ? len : 1, loop_now_ns());
    if (*wait) {
        virtq_unpop(q, &chain);
        return -EAGAIN;
    }
    if (len == 0)
        log_guest("virtio-rng: a request without room for an answer");
    virtq_push(q, &chain, fill(iov, virtq_chain_slice(&chain, true, 0, len, iov)));
    return 1;
}

static void serve(struct rng *r)
{
    struct virtq *q = &r->v.queue[0];
    uint64_t wait = 0;
    int got = 1;

    virtq_set_kicks(q, false);
    for (unsigned i = 0; i < TURN_REQUESTS && got > 0; i++) {
        got = serve_one(r, &wait);
        if (got == 0 && virtq_set_kicks(q, true))
            got = 1; /* one came between the look and the wish */
    }
    virtio_notify(&r->v, 0);
    if (got == -EPROTO)
        virtio_broken(&r->v, "the queue breaks a rule");
    else if (got != 0)
        loop_timer_arm(r->timer, wait);
}

static void rng_kick(struct virtio *v, unsigned queue)
{
    (void)queue;
    serve(rng_of(v));
}

static void timer_fired(void *opaque)
{
    struct rng *r = opaque;

    pthread_mutex_lock(r->v.lock);
    if (virtio_queue_ready(&r->v, 0))
        serve(r);
    pthread_mutex_unlock(r->v.lock);
}

static void rng_stop(struct virtio *v, unsigned queue)
{
    (void)queue;
    loop_timer_disarm(rng_of(v)->timer);
}

static void rng_destroy(struct virtio *v)
{
    struct rng *r = rng_of(v);

    if (r->timer)
        loop_timer_remove(r->timer);
    free(r);
}

static const struct virtio_ops rng_ops = {
    .name = "virtio-rng",
    .id = DEVICE_ID,
    .kick = rng_kick,
    .stop = rng_stop,
    .destroy = rng_destroy,
};

/* Whether this host has random bytes; asked once, at start-up, where the answer can be told. */
static int try_host(void)
{
    uint8_t byte;

    if (getrandom(&byte, sizeof(byte), 0) == (ssize_t)sizeof(byte))
        return 0;
    return errno ? -errno : -EIO;
}

int virtio_rng_create(const char *text, struct loop *loop, struct virtio **out)
{
    struct rng_config config;
    struct rng *r = NULL;
    char why[200];
    int err = params_parse(&virtio_rng_params, text, &config, why, sizeof(why));

    if (err) {
        log_error("--rng: %s", why);
        return err;
    }
    err = try_host();
    if (!err) {
        r = calloc(1, sizeof(*r));
        err = r ? 0 : -ENOMEM;
    }
    if (!err) {
        virtio_init(&r->v, &rng_ops, 1, QUEUE_SIZE, 0);
        bucket_init(&r->bucket, config.bps, 0, loop_now_ns());
        r->timer = loop_timer_add(loop, timer_fired, r);
        err = r->timer ? 0 : -ENOMEM;
    }
    params_free(&virtio_rng_params, &config);
    if (err) {
        log_error("--rng: cannot create the device: %s", strerrordesc_np(-err));
        if (r)
            virtio_destroy(&r->v);
        return err;
    }
    *out = &r->v;
    return 0;
}
