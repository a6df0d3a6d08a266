/*
 * A directory of the host for the guest, virtio's 9P transport (Linux: net/9p/trans_virtio.c; the
 * device has number 9 and a mount tag for configuration). The file server itself is devices/fs/.
 *
 * Files may take their time, and a guest mostly waits for each answer. So the server has a thread
 * of its own, which the driver's notifications wake directly and which answers by itself: pop,
 * carry out, push, notify, one request after the other. dev.lock guards the queue and is not held
 * while a request is carried out.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "devices/fs/p9.h"
#include "devices/virtio/share.h"
#include "devices/virtio/virtio.h"

#define DEVICE_ID   9
#define QUEUE_SIZE  128
#define F_MOUNT_TAG UINT64_C(1) /* the configuration: length in two bytes, then the tag */

struct share {
    struct virtio v;
    struct p9 *server;         /* the thread's while v.busy, else who holds dev.lock */
    struct virtq_chain *chain; /* the thread's; owned */
    pthread_t thread;
    bool running;
    int wake;         /* eventfd: look at bell and quit; owned */
    atomic_int bell;  /* the queue's notifications; owned; -1 until the first driver; released by
                         share_activate, acquired by the thread */
    atomic_bool quit; /* released by end_thread, acquired by the thread */
};

static struct share *share_of(struct virtio *v)
{
    return container_of(v, struct share, v);
}

/* dev.lock is held. False: there was no request. */
static bool serve_one(struct share *s)
{
    uint32_t epoch = s->v.epoch, written;
    int got = virtq_pop(&s->v.queue[0], s->chain);

    if (got == -EPROTO)
        virtio_broken(&s->v, "the queue breaks a rule");
    if (got <= 0)
        return false;
    virtio_busy(&s->v, 0);
    pthread_mutex_unlock(s->v.lock);
    written = p9_serve(s->server, s->chain);
    pthread_mutex_lock(s->v.lock);
    if (epoch == s->v.epoch) {
        if (written == 0)
            log_guest("virtio-9p: a request that is no 9P message or leaves no room for an answer");
        virtq_push(&s->v.queue[0], s->chain, written);
        virtio_notify(&s->v, 0);
    }
    virtio_done(&s->v, 0);
    return true;
}

/* dev.lock may have been let go since the last look: the queue is looked at anew each time. */
static bool may_serve(struct share *s)
{
    return virtio_queue_ready(&s->v, 0) && !atomic_load_explicit(&s->quit, memory_order_acquire);
}

static void serve(struct share *s)
{
    struct virtq *q = &s->v.queue[0];

    pthread_mutex_lock(s->v.lock);
    while (may_serve(s)) {
        virtq_set_kicks(q, false);
        while (may_serve(s) && serve_one(s))
            ;
        /* One may have come between the look and the wish. */
        if (!may_serve(s) || !virtq_set_kicks(q, true))
            break;
    }
    pthread_mutex_unlock(s->v.lock);
}

/* A umask of its own: the guest's kernel has applied that of the guest's program. */
static void *serve_files(void *opaque)
{
    struct share *s = opaque;
    struct pollfd fd[2] = {{.fd = s->wake, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
    eventfd_t count;

    if (unshare(CLONE_FS) == 0)
        umask(0);
    while (!atomic_load_explicit(&s->quit, memory_order_acquire)) {
        if (poll(fd, ARRAY_SIZE(fd), -1) < 0)
            continue;
        if (fd[0].revents)
            eventfd_read(s->wake, &count);
        fd[1].fd = atomic_load_explicit(&s->bell, memory_order_acquire);
        if (fd[1].revents && eventfd_read(fd[1].fd, &count) == 0)
            serve(s);
    }
    return NULL;
}

/* One that came before the thread had the bell. */
static void share_kick(struct virtio *v, unsigned queue)
{
    virtio_ring(v, queue);
}

/* A copy, since the thread may wait for it when the bells are taken down. */
static int take_bell(struct share *s)
{
    int fd = fcntl(virtio_bell_take(&s->v, 0), F_DUPFD_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    atomic_store_explicit(&s->bell, fd, memory_order_release);
    eventfd_write(s->wake, 1);
    return 0;
}

/* Nothing is on its way now, so the server is ours: a new driver finds nothing open. */
static int share_activate(struct virtio *v)
{
    struct share *s = share_of(v);

    p9_reset(s->server);
    return atomic_load_explicit(&s->bell, memory_order_relaxed) < 0 ? take_bell(s) : 0;
}

static void end_thread(struct share *s)
{
    atomic_store_explicit(&s->quit, true, memory_order_release);
    eventfd_write(s->wake, 1);
    pthread_join(s->thread, NULL);
}

static void share_destroy(struct virtio *v)
{
    struct share *s = share_of(v);
    int bell = atomic_load_explicit(&s->bell, memory_order_relaxed);

    if (s->running)
        end_thread(s);
    if (bell >= 0)
        close(bell);
    if (s->wake >= 0)
        close(s->wake);
    p9_destroy(s->server);
    free(s->chain);
    free(s);
}

static const struct virtio_ops share_ops = {
    .name = "virtio-9p",
    .id = DEVICE_ID,
    .activate = share_activate,
    .kick = share_kick,
    .destroy = share_destroy,
};

/* No signal is for this thread: the event loop takes them by descriptor. */
static int start(struct share *s)
{
    sigset_t all, before;
    int err;

    s->chain = malloc(sizeof(*s->chain));
    s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!s->chain || s->wake < 0)
        return s->chain ? -errno : -ENOMEM;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&s->thread, NULL, serve_files, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    s->running = err == 0;
    if (s->running)
        pthread_setname_np(s->thread, "files");
    return -err;
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

    (void)loop;
    if (!s)
        return -ENOMEM;
    virtio_init(&s->v, &share_ops, 1, QUEUE_SIZE, F_MOUNT_TAG);
    s->wake = -1;
    atomic_init(&s->bell, -1);
    atomic_init(&s->quit, false);
    set_tag(&s->v, dir->tag);
    err = p9_create(dir->host, dir->writable, &s->server);
    if (err) {
        share_explain(dir, err);
    } else {
        err = start(s);
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
