/*
 * A directory of the host for the guest, virtio's 9P transport (Linux: net/9p/trans_virtio.c; the
 * device has number 9 and a mount tag for configuration). The file server itself is devices/fs/.
 *
 * Files may take their time, so the server has a thread of its own: kick, on the loop's thread,
 * pops chains and puts them on `todo`; the thread carries them out in order and puts them on
 * `done`; on_done, on the loop's thread again, gives them back to the driver. dev.lock guards the
 * queue and the slots, `lock` the two lists, taken inside dev.lock. Between the lists a slot is the
 * thread's.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/fs/p9.h"
#include "devices/virtio/share.h"
#include "devices/virtio/virtio.h"

#define DEVICE_ID   9
#define QUEUE_SIZE  128
#define SLOTS       64
#define F_MOUNT_TAG UINT64_C(1) /* the configuration: length in two bytes, then the tag */

struct slot {
    struct slot *next;
    struct virtq_chain chain;
    uint32_t epoch, written;
};

/* First in, first out. */
struct list {
    struct slot *first, **last;
};

struct share {
    struct virtio v;
    struct p9 *server;
    struct slot *slots; /* SLOTS of them; owned */
    struct slot *free;
    uint32_t epoch; /* of the queue: requests from before a reset are not answered */
    bool hungry;    /* chains may wait for a free slot */

    pthread_mutex_t lock;
    pthread_cond_t work;
    struct list todo, done;
    bool quit;

    pthread_t thread;
    bool running;
    int event; /* eventfd: something is on `done`; owned */
    struct loop_watch *watch;
};

static struct share *share_of(struct virtio *v)
{
    return container_of(v, struct share, v);
}

static void list_init(struct list *l)
{
    l->first = NULL;
    l->last = &l->first;
}

static void list_add(struct list *l, struct slot *slot)
{
    slot->next = NULL;
    *l->last = slot;
    l->last = &slot->next;
}

static struct slot *list_take(struct list *l)
{
    struct slot *slot = l->first;

    if (slot) {
        l->first = slot->next;
        if (!l->first)
            l->last = &l->first;
    }
    return slot;
}

static void give_slot(struct share *s, struct slot *slot)
{
    slot->next = s->free;
    s->free = slot;
}

/* The next request for the thread; NULL: it has to end. */
static struct slot *wait_for_work(struct share *s)
{
    struct slot *slot;

    pthread_mutex_lock(&s->lock);
    while (!s->todo.first && !s->quit)
        pthread_cond_wait(&s->work, &s->lock);
    slot = s->quit ? NULL : list_take(&s->todo);
    pthread_mutex_unlock(&s->lock);
    return slot;
}

/* A umask of its own: the guest's kernel has applied that of the guest's program. */
static void *serve_files(void *opaque)
{
    struct share *s = opaque;
    struct slot *slot;

    if (unshare(CLONE_FS) == 0)
        umask(0);
    while ((slot = wait_for_work(s))) {
        slot->written = p9_serve(s->server, &slot->chain);
        pthread_mutex_lock(&s->lock);
        list_add(&s->done, slot);
        pthread_mutex_unlock(&s->lock);
        eventfd_write(s->event, 1);
    }
    return NULL;
}

/* 1: a request went to the thread. 0: none waits, or no slot is free. -EPROTO. */
static int serve_one(struct share *s)
{
    struct slot *slot = s->free;
    int got;

    if (!slot)
        return 0;
    got = virtq_pop(&s->v.queue[0], &slot->chain);
    if (got <= 0)
        return got;
    s->free = slot->next;
    slot->epoch = s->epoch;
    virtio_busy(&s->v, 0);
    pthread_mutex_lock(&s->lock);
    list_add(&s->todo, slot);
    pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
    return 1;
}

static void serve(struct share *s)
{
    struct virtq *q = &s->v.queue[0];
    int got = 1;

    virtq_set_kicks(q, false);
    while (got > 0) {
        got = serve_one(s);
        if (got == 0 && s->free && virtq_set_kicks(q, true))
            got = 1; /* one came between the look and the wish */
    }
    s->hungry = !s->free;
    if (got == -EPROTO)
        virtio_broken(&s->v, "the queue breaks a rule");
}

static void share_kick(struct virtio *v, unsigned queue)
{
    (void)queue;
    serve(share_of(v));
}

static void answer(struct share *s, struct slot *slot)
{
    if (slot->epoch == s->epoch) {
        if (slot->written == 0)
            log_guest("virtio-9p: a request that is no 9P message or leaves no room for an answer");
        virtq_push(&s->v.queue[0], &slot->chain, slot->written);
    }
    give_slot(s, slot);
    virtio_done(&s->v, 0);
}

static void on_done(void *opaque, uint32_t events)
{
    struct share *s = opaque;
    struct slot *slot, *next;
    eventfd_t count;

    (void)events;
    eventfd_read(s->event, &count);
    pthread_mutex_lock(s->v.lock);
    pthread_mutex_lock(&s->lock);
    slot = s->done.first;
    list_init(&s->done);
    pthread_mutex_unlock(&s->lock);
    for (; slot; slot = next) {
        next = slot->next;
        answer(s, slot);
    }
    if (virtio_queue_ready(&s->v, 0)) {
        virtio_notify(&s->v, 0);
        if (s->hungry)
            serve(s);
    }
    pthread_mutex_unlock(s->v.lock);
}

/* A reset waits for the request that the thread is at, and for those that it has done. The others
 * are dropped here. */
static void share_stop(struct virtio *v, unsigned queue)
{
    struct share *s = share_of(v);
    struct slot *slot;

    (void)queue;
    s->epoch++;
    s->hungry = false;
    pthread_mutex_lock(&s->lock);
    while ((slot = list_take(&s->todo))) {
        give_slot(s, slot);
        virtio_done(v, 0);
    }
    pthread_mutex_unlock(&s->lock);
}

/* Nothing is on its way now, so the server is ours: a new driver finds nothing open. */
static int share_activate(struct virtio *v)
{
    p9_reset(share_of(v)->server);
    return 0;
}

static void end_thread(struct share *s)
{
    pthread_mutex_lock(&s->lock);
    s->quit = true;
    pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
}

static void share_destroy(struct virtio *v)
{
    struct share *s = share_of(v);

    if (s->running)
        end_thread(s);
    while (list_take(&s->todo) || list_take(&s->done))
        virtio_done(v, 0);
    if (s->watch)
        loop_watch_remove(s->watch);
    if (s->event >= 0)
        close(s->event);
    p9_destroy(s->server);
    pthread_cond_destroy(&s->work);
    pthread_mutex_destroy(&s->lock);
    free(s->slots);
    free(s);
}

static const struct virtio_ops share_ops = {
    .name = "virtio-9p",
    .id = DEVICE_ID,
    .activate = share_activate,
    .kick = share_kick,
    .stop = share_stop,
    .destroy = share_destroy,
};

/* No signal is for this thread: the event loop takes them by descriptor. */
static int start_thread(struct share *s)
{
    sigset_t all, before;
    int err;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&s->thread, NULL, serve_files, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    s->running = err == 0;
    if (s->running)
        pthread_setname_np(s->thread, "files");
    return -err;
}

static int start(struct share *s, struct loop *loop)
{
    s->slots = calloc(SLOTS, sizeof(*s->slots));
    if (!s->slots)
        return -ENOMEM;
    for (unsigned i = 0; i < SLOTS; i++)
        give_slot(s, &s->slots[i]);
    s->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->event < 0)
        return -errno;
    s->watch = loop_watch_add(loop, s->event, EPOLLIN, on_done, s);
    return s->watch ? start_thread(s) : -errno;
}

static void set_tag(struct virtio *v, const char *tag)
{
    size_t len = strlen(tag);

    store_le16(v->config, (uint16_t)len);
    memcpy(v->config + 2, tag, len);
    v->config_len = (unsigned)(2 + len);
}

int virtio_9p_create(const struct share_dir *dir, struct loop *loop, struct virtio **out)
{
    struct share *s = calloc(1, sizeof(*s));
    int err;

    if (!s)
        return -ENOMEM;
    virtio_init(&s->v, &share_ops, 1, QUEUE_SIZE, F_MOUNT_TAG);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->work, NULL);
    list_init(&s->todo);
    list_init(&s->done);
    s->event = -1;
    set_tag(&s->v, dir->tag);
    err = p9_create(dir->host, dir->writable, &s->server);
    if (err) {
        share_explain(dir, err);
    } else {
        err = start(s, loop);
        if (err)
            log_error("--share %s: cannot start: %s", dir->host, strerror(-err));
    }
    if (err) {
        virtio_destroy(&s->v);
        return err;
    }
    *out = &s->v;
    return 0;
}
