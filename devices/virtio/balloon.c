/*
 * The memory balloon (virtio 1.2, 5.5): the guest names pages that it does not need, and they go
 * back to the host (balloon_pages.c). Created by the device table; queues are served on the loop
 * thread under dev.lock; the functions of balloon.h come from any thread.
 */
#include "devices/virtio/balloon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/gmem.h"
#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/state.h"
#include "devices/core/util.h"
#include "devices/virtio/balloon_pages.h"
#include "devices/virtio/models.h"
#include "devices/virtio/virtio.h"

#define DEVICE_ID        5
#define QUEUES           5
#define QUEUE_SIZE       128

#define F_STATS_VQ       (UINT64_C(1) << 1)
#define F_DEFLATE_ON_OOM (UINT64_C(1) << 2)
#define F_REPORTING      (UINT64_C(1) << 5)

/* Configuration (5.5.4). Two fields more belong to features that are not offered. */
#define CONFIG_NUM_PAGES 0
#define CONFIG_ACTUAL    4
#define CONFIG_BYTES     16

#define STAT_BYTES       10
#define STATS_MAX        32   /* entries that are looked at */
#define TURN_DISCARDS    2048 /* before the loop looks at other devices */
#define NS_PER_S         UINT64_C(1000000000)

enum role { ROLE_NONE, ROLE_INFLATE, ROLE_DEFLATE, ROLE_STATS, ROLE_REPORTING };

struct balloon {
    struct virtio v;
    struct balloon_pages pages;
    struct loop_timer *again; /* a turn ended with work left */
    struct loop_timer *poll;  /* statistics */
    uint64_t poll_ns;         /* 0: only when asked */
    struct virtio_balloon_stats stats;
};

struct balloon_config {
    uint64_t size;
    unsigned stats;
};

static const struct param_row rows[] = {
    {.key = "size",
     .arg = "BYTES",
     .type = PARAM_SIZE,
     .offset = offsetof(struct balloon_config, size),
     .help = "What the guest gives up from the start; initially nothing"},
    {.key = "stats",
     .arg = "SECONDS",
     .type = PARAM_COUNT,
     .offset = offsetof(struct balloon_config, stats),
     .max = 3600,
     .help = "How often the guest is asked for its statistics; 0: only when they are wanted"},
    {.key = NULL},
};

const struct params virtio_balloon_params = {rows, sizeof(struct balloon_config), NULL};

static struct balloon *balloon_of(struct virtio *v)
{
    return container_of(v, struct balloon, v);
}

/*
 * 5.5.2 numbers the queues 0 to 4. Drivers count instead those that exist, so that reporting is
 * queue 2 or 3 for them; as page hinting is not offered, both ways can be served.
 */
static enum role role_of(const struct virtio *v, unsigned queue)
{
    unsigned next = 2;

    if (queue < next)
        return queue == 0 ? ROLE_INFLATE : ROLE_DEFLATE;
    if (virtio_has(v, F_STATS_VQ) && queue == next++)
        return ROLE_STATS;
    if (virtio_has(v, F_REPORTING) && (queue == next || queue == 4))
        return ROLE_REPORTING;
    return ROLE_NONE;
}

/* Statistics. */

/* Entries of tag (16 bits) and value (64); what is unknown or cut off is passed over. */
static void parse_stats(const struct virtq_chain *chain, struct virtio_balloon_stats *stats)
{
    uint8_t data[STATS_MAX * STAT_BYTES];
    size_t len = virtq_chain_read(chain, 0, data, sizeof(data));

    *stats = (struct virtio_balloon_stats){.when_ns = loop_now_ns()};
    for (size_t at = 0; at + STAT_BYTES <= len; at += STAT_BYTES) {
        unsigned tag = load_le16(data + at);

        if (tag >= BALLOON_STAT_COUNT)
            continue;
        stats->value[tag] = load_le64(data + at + 2);
        stats->valid |= 1u << tag;
    }
}

/*
 * The driver's buffer is ours until we want newer numbers (5.5.6.3.1). It is read now and put back
 * as if it had never been taken, so that nothing of it is held inside.
 */
static void read_stats(struct balloon *b, unsigned queue)
{
    struct virtq *q = &b->v.queue[queue];
    struct virtq_chain chain;
    int got = virtq_pop(q, &chain);

    if (got > 0) {
        parse_stats(&chain, &b->stats);
        virtq_unpop(q, &chain);
    } else if (got < 0) {
        virtio_broken(&b->v, "the statistics queue breaks a rule");
    }
}

/* Gives the buffer back, which the driver takes as a request to fill it anew. */
static void ask_for_stats(struct balloon *b)
{
    struct virtq *q = &b->v.queue[2];
    struct virtq_chain chain;
    int got;

    if (!virtio_has(&b->v, F_STATS_VQ) || !virtio_queue_ready(&b->v, 2))
        return;
    got = virtq_pop(q, &chain);
    if (got < 0) {
        virtio_broken(&b->v, "the statistics queue breaks a rule");
    } else if (got > 0) {
        virtq_push(q, &chain, 0);
        virtq_set_kicks(q, true); /* one that waits already is read when the next is wanted */
        virtio_notify(&b->v, 2);
    }
}

static void start_poll(struct balloon *b)
{
    if (b->poll_ns && virtio_has(&b->v, F_STATS_VQ))
        loop_timer_arm(b->poll, b->poll_ns);
}

static void poll_fired(void *opaque)
{
    struct balloon *b = opaque;

    pthread_mutex_lock(b->v.lock);
    ask_for_stats(b);
    start_poll(b);
    pthread_mutex_unlock(b->v.lock);
}

/* Queues. */

/* Works on one chain; returns what it cost. Deflating costs nothing: pages come back by use. */
static unsigned serve_chain(struct balloon *b, enum role role, const struct virtq_chain *chain)
{
    switch (role) {
    case ROLE_INFLATE:
        return balloon_inflate(&b->pages, b->v.mem, chain);
    case ROLE_REPORTING:
        return balloon_report(&b->pages, chain);
    default:
        return 0;
    }
}

static void serve(struct balloon *b, unsigned queue, enum role role)
{
    struct virtq *q = &b->v.queue[queue];
    struct virtq_chain chain;
    unsigned cost = 0;
    int got = 1;

    virtq_set_kicks(q, false);
    while (got > 0 && cost < TURN_DISCARDS) {
        got = virtq_pop(q, &chain);
        if (got > 0) {
            cost += serve_chain(b, role, &chain) + TURN_DISCARDS / QUEUE_SIZE;
            virtq_push(q, &chain, 0);
        } else if (got == 0 && virtq_set_kicks(q, true)) {
            cost++;
            got = 1; /* one came between the look and the wish */
        }
    }
    virtio_notify(&b->v, queue);
    if (got < 0)
        virtio_broken(&b->v, "a queue breaks a rule");
    else if (got > 0)
        loop_timer_arm(b->again, 0);
}

static void balloon_kick(struct virtio *v, unsigned queue)
{
    struct balloon *b = balloon_of(v);
    enum role role = role_of(v, queue);

    if (role == ROLE_STATS)
        read_stats(b, queue);
    else if (role != ROLE_NONE)
        serve(b, queue, role);
}

static void again_fired(void *opaque)
{
    struct balloon *b = opaque;

    pthread_mutex_lock(b->v.lock);
    for (unsigned i = 0; i < QUEUES; i++)
        if (virtio_queue_ready(&b->v, i))
            balloon_kick(&b->v, i);
    pthread_mutex_unlock(b->v.lock);
}

static int balloon_activate(struct virtio *v)
{
    start_poll(balloon_of(v));
    return 0;
}

static void balloon_stop(struct virtio *v, unsigned queue)
{
    struct balloon *b = balloon_of(v);

    if (queue != VIRTIO_ALL_QUEUES)
        return;
    loop_timer_disarm(b->again);
    loop_timer_disarm(b->poll);
    b->stats = (struct virtio_balloon_stats){0};
    store_le32(v->config + CONFIG_ACTUAL, 0);
}

/* 5.5.4: the driver tells how far it has come. */
static void balloon_config_write(struct virtio *v, unsigned offset, unsigned size,
                                 const uint8_t *data)
{
    const unsigned end = CONFIG_ACTUAL + 4;

    if (offset >= CONFIG_ACTUAL && offset < end && size <= end - offset)
        memcpy(v->config + offset, data, size);
}

static void balloon_save(struct virtio *v, struct state_writer *w)
{
    state_put_bytes(w, v->config, CONFIG_ACTUAL + 4);
}

static int balloon_load(struct virtio *v, struct state_reader *r)
{
    uint8_t config[CONFIG_ACTUAL + 4];

    state_get_bytes(r, config, sizeof(config));
    if (r->error)
        return -EINVAL;
    memcpy(v->config, config, sizeof(config));
    if (v->status & VIRTIO_STATUS_DRIVER_OK)
        start_poll(balloon_of(v));
    return 0;
}

static void balloon_destroy(struct virtio *v)
{
    struct balloon *b = balloon_of(v);

    if (b->again)
        loop_timer_remove(b->again);
    if (b->poll)
        loop_timer_remove(b->poll);
    free(b);
}

static const struct virtio_ops balloon_ops = {
    .name = "virtio-balloon",
    .id = DEVICE_ID,
    .activate = balloon_activate,
    .kick = balloon_kick,
    .stop = balloon_stop,
    .config_write = balloon_config_write,
    .save = balloon_save,
    .load = balloon_load,
    .destroy = balloon_destroy,
};

/* For hv. */

/* Before a transport has the device there is no lock, and no other thread. */
static void lock(struct virtio *v)
{
    if (v->lock)
        pthread_mutex_lock(v->lock);
}

static void unlock(struct virtio *v)
{
    if (v->lock)
        pthread_mutex_unlock(v->lock);
}

void virtio_balloon_set(struct virtio *v, uint64_t bytes)
{
    lock(v);
    if (v->memory && bytes > gmem_total(v->memory))
        bytes = gmem_total(v->memory);
    bytes /= BALLOON_PAGE;
    store_le32(v->config + CONFIG_NUM_PAGES, bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX);
    if (v->lock)
        virtio_config_changed(v);
    unlock(v);
}

uint64_t virtio_balloon_actual(struct virtio *v)
{
    uint64_t pages;

    lock(v);
    pages = load_le32(v->config + CONFIG_ACTUAL);
    unlock(v);
    return pages * BALLOON_PAGE;
}

void virtio_balloon_stats(struct virtio *v, struct virtio_balloon_stats *out)
{
    struct balloon *b = balloon_of(v);

    lock(v);
    *out = b->stats;
    ask_for_stats(b);
    unlock(v);
}

void virtio_balloon_set_discard(struct virtio *v, virtio_balloon_discard_fn *fn, void *opaque)
{
    struct balloon *b = balloon_of(v);

    b->pages.discard = fn;
    b->pages.opaque = opaque;
}

int virtio_balloon_create(const char *text, struct loop *loop, struct virtio **out)
{
    struct balloon_config config;
    struct balloon *b;
    char why[200];
    int err = params_parse(&virtio_balloon_params, text, &config, why, sizeof(why));

    if (err) {
        log_error("--balloon: %s", why);
        return err;
    }
    b = calloc(1, sizeof(*b));
    if (!b)
        goto no_memory;
    virtio_init(&b->v, &balloon_ops, QUEUES, QUEUE_SIZE,
                F_STATS_VQ | F_DEFLATE_ON_OOM | F_REPORTING);
    b->v.config_len = CONFIG_BYTES;
    b->poll_ns = config.stats * NS_PER_S;
    virtio_balloon_set_discard(&b->v, balloon_advise, &b->pages);
    virtio_balloon_set(&b->v, config.size);
    params_free(&virtio_balloon_params, &config);
    b->again = loop_timer_add(loop, again_fired, b);
    b->poll = loop_timer_add(loop, poll_fired, b);
    if (b->again && b->poll) {
        *out = &b->v;
        return 0;
    }
    virtio_destroy(&b->v);
no_memory:
    log_error("--balloon: cannot create the device: out of memory");
    return -ENOMEM;
}
