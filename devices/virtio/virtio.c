/*
 * The transport-independent part of a virtio device: see virtio.h. Called by the transports
 * (mmio.c, pci.c) on vCPU threads and by device models on the loop's, always under dev.lock.
 * Section numbers: virtio 1.2.
 */
#include "devices/virtio/virtio.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/state.h"
#include "devices/core/util.h"

/* What a driver may set, in the order of 3.1.1; NEEDS_RESET is the device's own. */
#define STATUS_DRIVER_BITS                                                                         \
    (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_DRIVER_OK |                  \
     VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_FAILED)

/* So often a vCPU that waits for the host's disk looks whether the run has ended. */
#define RESET_LOOK_NS 50000000L

void virtio_init(struct virtio *v, const struct virtio_ops *ops, unsigned queues, uint16_t size,
                 uint64_t features)
{
    pthread_condattr_t attr;

    assert(queues <= VIRTIO_MAX_QUEUES && size <= VIRTQ_MAX_SIZE);
    v->ops = ops;
    v->offered = features | VIRTIO_F_VERSION_1 | VIRTIO_F_RING_RESET | VIRTIO_F_INDIRECT_DESC |
                 VIRTIO_F_EVENT_IDX | VIRTIO_F_RING_PACKED;
    v->queue_count = queues;
    for (unsigned i = 0; i < queues; i++)
        v->queue[i].max = v->queue[i].size = size;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&v->idle, &attr);
    pthread_condattr_destroy(&attr);
}

void virtio_destroy(struct virtio *v)
{
    if (!v)
        return;
    for (unsigned i = 0; v->bell && i < v->queue_count; i++) {
        if (v->bell[i].watch)
            loop_watch_remove(v->bell[i].watch);
        if (v->bell[i].fd >= 0)
            close(v->bell[i].fd);
    }
    free(v->bell);
    v->bell = NULL;
    /* Frees v. Requests may still end in there and wake nobody, so that v->idle lives as long. */
    v->ops->destroy(v);
}

/* The driver notified, by an exit or past it. Loop thread. */
static void bell_rang(void *opaque, uint32_t events)
{
    struct virtio_bell *bell = opaque;
    struct virtio *v = bell->v;
    uint64_t count;

    (void)events;
    if (read(bell->fd, &count, sizeof(count)) != sizeof(count))
        return;
    pthread_mutex_lock(v->lock);
    if (virtio_queue_ready(v, bell->queue))
        v->ops->kick(v, bell->queue);
    pthread_mutex_unlock(v->lock);
}

int virtio_attach(struct virtio *v, struct loop *loop, const struct gmem *mem,
                  pthread_mutex_t *lock, const struct virtio_wire *wire)
{
    v->loop = loop;
    v->memory = mem;
    v->lock = lock;
    v->wire = *wire;
    v->bell = calloc(v->queue_count, sizeof(*v->bell));
    if (!v->bell)
        return -ENOMEM;
    for (unsigned i = 0; i < v->queue_count; i++)
        v->bell[i] = (struct virtio_bell){.v = v, .queue = i, .fd = -1};
    for (unsigned i = 0; i < v->queue_count; i++) {
        v->bell[i].fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (v->bell[i].fd < 0)
            return -errno;
        v->bell[i].watch = loop_watch_add(loop, v->bell[i].fd, EPOLLIN, bell_rang, &v->bell[i]);
        if (!v->bell[i].watch)
            return -errno;
    }
    return 0;
}

static void ring(struct virtio_bell *bell)
{
    const uint64_t one = 1;

    /* Fails only when 2^64 - 2 rings wait, and then the bell rings all the same. */
    if (write(bell->fd, &one, sizeof(one)) < 0)
        return;
}

void virtio_ring(struct virtio *v, uint32_t queue)
{
    if (queue < v->queue_count)
        ring(&v->bell[queue]);
}

int virtio_bell_take(struct virtio *v, unsigned queue)
{
    loop_watch_set(v->bell[queue].watch, 0);
    return v->bell[queue].fd;
}

void virtio_bell_return(struct virtio *v, unsigned queue)
{
    loop_watch_set(v->bell[queue].watch, EPOLLIN);
}

bool virtio_queue_ready(const struct virtio *v, unsigned queue)
{
    return v->status & VIRTIO_STATUS_DRIVER_OK && !v->resetting && queue < v->queue_count &&
           v->queue[queue].active && !v->queue[queue].broken;
}

void virtio_notify(struct virtio *v, unsigned queue)
{
    if (virtq_must_notify(&v->queue[queue]))
        v->wire.interrupt(v->wire.opaque, queue);
}

void virtio_interrupt(struct virtio *v, unsigned queue)
{
    v->wire.interrupt(v->wire.opaque, queue);
}

void virtio_config_changed(struct virtio *v)
{
    v->generation++;
    /* 2.5: before DRIVER_OK the device has nobody to tell. */
    if (v->status & VIRTIO_STATUS_DRIVER_OK && !v->resetting)
        v->wire.interrupt(v->wire.opaque, VIRTIO_CONFIG_CHANGE);
}

void virtio_busy(struct virtio *v, unsigned queue)
{
    v->queue[queue].busy++;
    v->busy++;
}

static void finish_reset(struct virtio *v)
{
    for (unsigned i = 0; i < v->queue_count; i++)
        virtq_reset(&v->queue[i]);
    v->acked = v->accepted = 0;
    v->mem = NULL;
    v->status = 0;
    v->resetting = false;
}

void virtio_done(struct virtio *v, unsigned queue)
{
    assert(v->busy > 0 && v->queue[queue].busy > 0);
    v->queue[queue].busy--;
    v->busy--;
    if (v->queue[queue].busy > 0)
        return;
    if (v->queue[queue].resetting)
        virtq_reset(&v->queue[queue]);
    if (v->busy == 0 && v->resetting)
        finish_reset(v);
    pthread_cond_broadcast(&v->idle);
}

static void stop(struct virtio *v, uint32_t queue)
{
    v->epoch++;
    if (v->ops->stop && v->status & VIRTIO_STATUS_DRIVER_OK)
        v->ops->stop(v, queue);
}

static void need_reset(struct virtio *v)
{
    stop(v, VIRTIO_ALL_QUEUES);
    for (unsigned i = 0; i < v->queue_count; i++)
        v->queue[i].broken = true;
    v->status |= VIRTIO_STATUS_NEEDS_RESET;
    /* 2.1.2: a driver that runs is told. */
    if (v->status & VIRTIO_STATUS_DRIVER_OK)
        v->wire.interrupt(v->wire.opaque, VIRTIO_CONFIG_CHANGE);
}

void virtio_broken(struct virtio *v, const char *why)
{
    if (v->status & VIRTIO_STATUS_NEEDS_RESET)
        return;
    v->broken_count++;
    log_guest("%s: %s; the device needs a reset", v->ops->name, why);
    need_reset(v);
}

void virtio_lost(struct virtio *v)
{
    if (!(v->status & VIRTIO_STATUS_NEEDS_RESET))
        need_reset(v);
}

/* A while for requests to end, dev.lock released. False when the run ends: nobody completes
 * requests any more. */
static bool wait_for_host(struct virtio *v)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += RESET_LOOK_NS;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&v->idle, v->lock, &until);
    return !loop_stopping(v->loop);
}

static void begin_reset(struct virtio *v)
{
    stop(v, VIRTIO_ALL_QUEUES);
    for (unsigned i = 0; i < v->queue_count; i++)
        v->queue[i].active = false;
    v->resetting = true;
    if (v->busy == 0)
        finish_reset(v);
}

void virtio_reset(struct virtio *v)
{
    if (!v->resetting)
        begin_reset(v);
}

uint32_t virtio_features(const struct virtio *v, uint32_t select)
{
    return select < 2 ? (uint32_t)(v->offered >> (32 * select)) : 0;
}

void virtio_accept(struct virtio *v, uint32_t select, uint32_t value)
{
    /* 2.2.1: nothing more is accepted after FEATURES_OK. */
    if (select >= 2 || v->resetting || v->status & VIRTIO_STATUS_FEATURES_OK)
        return;
    v->accepted &= ~(UINT64_C(0xffffffff) << (32 * select));
    v->accepted |= (uint64_t)value << (32 * select);
}

/* 3.1.1, step 5. A driver that does not know VERSION_1 speaks a language that we do not (6.2). */
static bool features_are_ok(const struct virtio *v)
{
    return !(v->accepted & ~v->offered) && v->accepted & VIRTIO_F_VERSION_1;
}

/* DRIVER_OK: from here on the device may touch guest memory. */
static void activate(struct virtio *v)
{
    v->mem = v->memory;
    v->status |= VIRTIO_STATUS_DRIVER_OK;
    for (unsigned i = 0; i < v->queue_count; i++) {
        if (v->queue[i].enabled && virtq_activate(&v->queue[i], v->mem, v->acked)) {
            virtio_broken(v, "a queue lies outside of guest memory or has no valid size");
            return;
        }
    }
    if (v->ops->activate && v->ops->activate(v)) {
        virtio_broken(v, "the device cannot start");
        return;
    }
    /* Buffers that were there before are not announced again. */
    for (unsigned i = 0; i < v->queue_count; i++)
        if (v->queue[i].active)
            ring(&v->bell[i]);
}

/* 3.1.1: the order of the driver's steps. A bit without those that go before it is not taken. */
static uint8_t in_order(uint8_t status)
{
    static const uint8_t steps[] = {VIRTIO_STATUS_ACKNOWLEDGE, VIRTIO_STATUS_DRIVER,
                                    VIRTIO_STATUS_FEATURES_OK, VIRTIO_STATUS_DRIVER_OK};
    uint8_t reached = status & (VIRTIO_STATUS_FAILED | VIRTIO_STATUS_NEEDS_RESET);

    for (unsigned i = 0; i < ARRAY_SIZE(steps) && status & steps[i]; i++)
        reached |= steps[i];
    return reached;
}

void virtio_set_status(struct virtio *v, uint8_t status)
{
    /* 2.1.1: bits are only ever added; one that is left out stays set. */
    uint8_t set = in_order(v->status | (status & STATUS_DRIVER_BITS)) & (uint8_t)~v->status;

    if (status == 0) {
        virtio_reset(v);
        while (v->resetting && wait_for_host(v))
            ;
        return;
    }
    if (v->resetting)
        return;
    if (set & VIRTIO_STATUS_FEATURES_OK) {
        if (!features_are_ok(v))
            set &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
        else
            v->acked = v->accepted;
    }
    /* 3.1.1: without agreed features there is no device to start, and a failed one stays so. */
    if (!((v->status | set) & VIRTIO_STATUS_FEATURES_OK) ||
        (v->status | set) & (VIRTIO_STATUS_FAILED | VIRTIO_STATUS_NEEDS_RESET))
        set &= (uint8_t)~VIRTIO_STATUS_DRIVER_OK;
    v->status |= set & (uint8_t)~VIRTIO_STATUS_DRIVER_OK;
    if (set & VIRTIO_STATUS_DRIVER_OK)
        activate(v);
}

/* Bytes behind the end read as zero. */
void virtio_config_read(const struct virtio *v, uint64_t offset, unsigned size, uint8_t *data)
{
    memset(data, 0, size);
    for (unsigned i = 0; i < size && offset < v->config_len && offset + i < v->config_len; i++)
        data[i] = v->config[offset + i];
}

void virtio_config_write(struct virtio *v, uint64_t offset, unsigned size, const uint8_t *data)
{
    if (v->ops->config_write && !v->resetting && range_fits(offset, size, v->config_len))
        v->ops->config_write(v, (unsigned)offset, size, data);
}

struct virtq *virtio_queue(struct virtio *v, uint32_t queue)
{
    return queue < v->queue_count ? &v->queue[queue] : NULL;
}

bool virtio_queue_in_reset(const struct virtio *v, uint32_t queue)
{
    return queue < v->queue_count && v->queue[queue].resetting;
}

bool virtio_queue_open(const struct virtio *v, uint32_t queue)
{
    if (queue >= v->queue_count || v->resetting || v->queue[queue].resetting ||
        v->queue[queue].enabled)
        return false;
    /* Once the device runs only a queue that was reset on its own may change (2.6.1). */
    return !(v->status & VIRTIO_STATUS_DRIVER_OK) || virtio_has(v, VIRTIO_F_RING_RESET);
}

void virtio_queue_enable(struct virtio *v, uint32_t queue)
{
    if (!virtio_queue_open(v, queue) || v->queue[queue].max == 0)
        return;
    v->queue[queue].enabled = true;
    if (!(v->status & VIRTIO_STATUS_DRIVER_OK) || v->status & VIRTIO_STATUS_NEEDS_RESET)
        return;
    if (virtq_activate(&v->queue[queue], v->mem, v->acked))
        virtio_broken(v, "a queue lies outside of guest memory or has no valid size");
    else
        ring(&v->bell[queue]);
}

/* The host may still read or write the buffers: 2.6.1.1 wants that to be over. A second vCPU that
 * asks meanwhile waits, too; who ends the last request ends the reset. */
static void stop_queue(struct virtio *v, uint32_t queue)
{
    struct virtq *q = &v->queue[queue];

    if (!q->resetting) {
        if (q->active)
            stop(v, queue);
        q->active = false;
        q->resetting = true;
        if (q->busy == 0)
            virtq_reset(q);
    }
    while (q->resetting && wait_for_host(v))
        ;
}

void virtio_queue_reset(struct virtio *v, uint32_t queue)
{
    if (queue < v->queue_count && !v->resetting && virtio_has(v, VIRTIO_F_RING_RESET))
        stop_queue(v, queue);
}

void virtio_queue_disable(struct virtio *v, uint32_t queue)
{
    if (queue >= v->queue_count || v->resetting)
        return;
    if (v->queue[queue].active)
        stop_queue(v, queue);
    else if (!v->queue[queue].resetting)
        v->queue[queue].enabled = false;
}

void virtio_save(struct virtio *v, struct state_writer *w)
{
    state_put_u16(w, v->ops->id);
    state_put_u64(w, v->offered);
    state_put_u64(w, v->accepted);
    state_put_u64(w, v->acked);
    state_put_u8(w, v->status);
    state_put_u32(w, v->generation);
    state_put_u8(w, (uint8_t)v->queue_count);
    for (unsigned i = 0; i < v->queue_count; i++)
        virtq_save(&v->queue[i], w);
    if (v->ops->save)
        v->ops->save(v, w);
}

/* A state that no sequence of register writes can reach is refused. */
static bool status_is_possible(uint8_t status, uint64_t accepted, uint64_t acked, uint64_t offered)
{
    if (in_order(status) != status)
        return false;
    if (!(status & VIRTIO_STATUS_FEATURES_OK))
        return acked == 0;
    return acked == accepted && !(acked & ~offered) && acked & VIRTIO_F_VERSION_1;
}

int virtio_load(struct virtio *v, struct state_reader *r)
{
    uint16_t id = state_get_u16(r);
    uint64_t offered = state_get_u64(r), accepted = state_get_u64(r), acked = state_get_u64(r);
    uint8_t status = state_get_u8(r);
    uint32_t generation = state_get_u32(r);
    uint8_t queues = state_get_u8(r);
    bool running = status & VIRTIO_STATUS_DRIVER_OK;

    if (r->error || id != v->ops->id || offered & ~v->offered || queues != v->queue_count ||
        !status_is_possible(status, accepted, acked, offered))
        return -EINVAL;
    begin_reset(v);
    if (v->resetting)
        return -EBUSY;
    for (unsigned i = 0; i < v->queue_count; i++) {
        if (virtq_load(&v->queue[i], r, v->memory, acked) || (v->queue[i].active && !running)) {
            finish_reset(v);
            return -EINVAL;
        }
        if (status & VIRTIO_STATUS_NEEDS_RESET)
            v->queue[i].broken = true; /* as virtio_broken does */
    }
    v->accepted = accepted;
    v->acked = acked;
    v->status = status;
    v->generation = generation;
    v->mem = running ? v->memory : NULL;
    if (v->ops->load && v->ops->load(v, r)) {
        finish_reset(v);
        return -EINVAL;
    }
    for (unsigned i = 0; running && i < v->queue_count; i++)
        if (v->queue[i].active)
            ring(&v->bell[i]);
    return 0;
}
