/*
 * A directory of the host for the guest, virtio-fs (virtio 1.2, 5.11; Linux: fs/fuse/virtio_fs.c).
 * The queues carry FUSE, and another process serves them, virtiofsd, over vhost-user
 * (vhost_user.h): this file brings the two together and sees no request.
 *
 * That process gets the eventfds of the driver's notifications, so that those do not pass through
 * here. Its own notifications come by eventfds that the loop watches and turns into interrupts.
 *
 * Whatever goes wrong with it ends it: it is killed, so that it no longer touches guest memory, the
 * user reads one line, and the device needs a reset, after which it does not start again. What is
 * asked of it has a time limit, since vCPUs wait for it here with dev.lock held.
 */
#include "devices/virtio/fs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/virtio/share.h"
#include "devices/virtio/vhost_user.h"

#define DEVICE_ID  26
#define QUEUES     2 /* high priority, requests */
#define QUEUE_SIZE 256

/* Ring features that pass between driver and back end as they are. */
#define RING_FEATURES (VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX)

static const struct fs_backend program = {.start_ms = 10000, .answer_ms = 5000};

struct fs;

struct fs_queue {
    struct fs *fs;
    int call; /* eventfd: the back end wants an interrupt; owned; -1: none */
    struct loop_watch *watch;
    bool running; /* the back end serves it */
};

struct fs {
    struct virtio v;
    struct vhost_user link;
    struct virtiofsd server;
    struct loop_watch *link_watch, *err_watch;
    struct fs_queue queue[QUEUES];
    unsigned answer_ms;
    bool lost; /* there is no back end any more */
    char *dir; /* for messages; owned */
};

static struct fs *fs_of(struct virtio *v)
{
    return container_of(v, struct fs, v);
}

/* The back end failed with `err`. dev.lock is held. */
static void lose(struct fs *fs, int err)
{
    const char *last = fs->server.line.text;

    if (fs->lost)
        return;
    fs->lost = true;
    loop_watch_set(fs->link_watch, 0);
    if (fs->err_watch)
        loop_watch_set(fs->err_watch, 0);
    vhost_user_close(&fs->link);
    virtiofsd_kill(&fs->server);
    log_error("--share %s: virtiofsd %s%s%s%s; the guest can no longer use that directory", fs->dir,
              vhost_user_explain(err), *last ? " (" : "", last, *last ? ")" : "");
    virtio_lost(&fs->v);
}

static int start_queue(struct fs *fs, unsigned queue)
{
    int kick = virtio_bell_take(&fs->v, queue);

    fs->queue[queue].running = true;
    return vhost_user_start(&fs->link, queue, &fs->v.queue[queue], kick, fs->queue[queue].call);
}

static int fs_activate(struct virtio *v)
{
    struct fs *fs = fs_of(v);
    int err;

    if (fs->lost)
        return -EPIPE;
    vhost_user_limit(&fs->link, fs->answer_ms);
    err = vhost_user_set_features(&fs->link, v->acked);
    if (!err)
        err = vhost_user_set_memory(&fs->link, v->mem);
    for (unsigned i = 0; !err && i < QUEUES; i++)
        if (v->queue[i].active)
            err = start_queue(fs, i);
    if (err)
        lose(fs, err);
    return err;
}

/* Only one that was under way when the back end got the queue comes here. */
static void fs_kick(struct virtio *v, unsigned queue)
{
    if (fs_of(v)->queue[queue].running)
        virtio_ring(v, queue);
}

/* Waits until the back end is done with the queue: after a reset the driver reuses the memory. */
static void fs_stop(struct virtio *v, unsigned queue)
{
    struct fs *fs = fs_of(v);
    int err = 0;

    if (!fs->lost)
        vhost_user_limit(&fs->link, fs->answer_ms);
    for (unsigned i = 0; i < QUEUES; i++) {
        if (!fs->queue[i].running || (queue != VIRTIO_ALL_QUEUES && queue != i))
            continue;
        fs->queue[i].running = false;
        virtio_bell_return(v, i);
        if (!fs->lost && !err)
            err = vhost_user_stop(&fs->link, i);
    }
    if (err)
        lose(fs, err);
}

/* Loop thread, as are the two below. */
static void on_call(void *opaque, uint32_t events)
{
    struct fs_queue *q = opaque;
    struct virtio *v = &q->fs->v;
    eventfd_t count;

    (void)events;
    if (eventfd_read(q->call, &count) < 0)
        return;
    pthread_mutex_lock(v->lock);
    if (q->running)
        virtio_interrupt(v, (unsigned)(q - q->fs->queue));
    pthread_mutex_unlock(v->lock);
}

static void on_hang_up(void *opaque, uint32_t events)
{
    struct fs *fs = opaque;

    (void)events;
    pthread_mutex_lock(fs->v.lock);
    lose(fs, -EPIPE);
    pthread_mutex_unlock(fs->v.lock);
}

static void on_words(void *opaque, uint32_t events)
{
    struct fs *fs = opaque;

    pthread_mutex_lock(fs->v.lock);
    virtiofsd_listen(&fs->server);
    if (events & EPOLLHUP)
        loop_watch_set(fs->err_watch, 0);
    pthread_mutex_unlock(fs->v.lock);
}

static void fs_destroy(struct virtio *v)
{
    struct fs *fs = fs_of(v);

    loop_watch_remove(fs->link_watch);
    loop_watch_remove(fs->err_watch);
    for (unsigned i = 0; i < QUEUES; i++) {
        loop_watch_remove(fs->queue[i].watch);
        if (fs->queue[i].call >= 0)
            close(fs->queue[i].call);
    }
    vhost_user_close(&fs->link);
    virtiofsd_stop(&fs->server);
    free(fs->dir);
    free(fs);
}

static const struct virtio_ops fs_ops = {
    .name = "virtio-fs",
    .id = DEVICE_ID,
    .activate = fs_activate,
    .kick = fs_kick,
    .stop = fs_stop,
    .destroy = fs_destroy,
};

/* 5.11.4: the tag, filled up with zeroes, and the number of request queues. */
static void set_config(struct virtio *v, const char *tag)
{
    memcpy(v->config, tag, strnlen(tag, SHARE_FS_TAG_MAX));
    store_le32(v->config + SHARE_FS_TAG_MAX, QUEUES - 1);
    v->config_len = SHARE_FS_TAG_MAX + 4;
}

static int add_watches(struct fs *fs, struct loop *loop)
{
    for (unsigned i = 0; i < QUEUES; i++) {
        struct fs_queue *q = &fs->queue[i];

        q->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (q->call < 0)
            return -errno;
        q->watch = loop_watch_add(loop, q->call, EPOLLIN, on_call, q);
        if (!q->watch)
            return -errno;
    }
    /* Not for what can be read: those are answers, which a vCPU waits for. */
    fs->link_watch = loop_watch_add(loop, fs->link.fd, EPOLLRDHUP, on_hang_up, fs);
    if (!fs->link_watch)
        return -errno;
    if (fs->server.err >= 0) {
        fs->err_watch = loop_watch_add(loop, fs->server.err, EPOLLIN, on_words, fs);
        if (!fs->err_watch)
            return -errno;
    }
    return 0;
}

/* The program's own words are better than what follows from them. */
static void explain_start(struct fs *fs, int err)
{
    const char *hint = geteuid() == 0
                           ? ""
                           : " (QEMU's virtiofsd needs root: install the newer one, or use via=9p)";

    vhost_user_close(&fs->link);
    virtiofsd_kill(&fs->server);
    if (err == -EPIPE && fs->server.line.text[0])
        log_error("--share %s: virtiofsd does not start: %s%s", fs->dir, fs->server.line.text,
                  hint);
    else
        log_error("--share %s: virtiofsd %s (use via=9p)", fs->dir, vhost_user_explain(err));
}

int virtio_fs_open(const struct share_dir *dir, const struct fs_backend *backend, struct loop *loop,
                   struct virtio **out)
{
    struct virtiofsd server = backend->server;
    struct fs *fs = calloc(1, sizeof(*fs));
    int err;

    if (!fs) {
        close(backend->link);
        virtiofsd_stop(&server);
        return -ENOMEM;
    }
    virtio_init(&fs->v, &fs_ops, QUEUES, QUEUE_SIZE, 0);
    fs->v.shares_memory = true;
    fs->server = server;
    fs->answer_ms = backend->answer_ms;
    for (unsigned i = 0; i < QUEUES; i++)
        fs->queue[i] = (struct fs_queue){.fs = fs, .call = -1};
    set_config(&fs->v, dir->tag);
    fs->dir = strdup(dir->host);
    err = vhost_user_open(&fs->link, backend->link, QUEUES, backend->start_ms);
    fs->v.offered &= fs->link.features & RING_FEATURES;
    if (err) {
        explain_start(fs, err);
    } else {
        err = fs->dir ? add_watches(fs, loop) : -ENOMEM;
        if (err)
            log_error("--share %s: cannot start: %s", dir->host, strerror(-err));
    }
    if (err) {
        virtio_destroy(&fs->v);
        return err;
    }
    *out = &fs->v;
    return 0;
}

/* The directory is looked at here, since what virtiofsd says of a missing one is less clear. */
static int check_dir(const struct share_dir *dir, char **path)
{
    struct stat st;
    int err = 0;

    *path = realpath(dir->host, NULL);
    if (!*path || stat(*path, &st) < 0)
        err = -errno;
    else if (!S_ISDIR(st.st_mode))
        err = -ENOTDIR;
    if (err)
        share_explain(dir, err);
    return err;
}

int virtio_fs_create(const struct share_dir *dir, struct loop *loop, struct virtio **out)
{
    struct fs_backend backend = program;
    char *path = NULL;
    int err = check_dir(dir, &path);

    if (!err)
        err = virtiofsd_start(&backend.server, path, dir->writable, &backend.link);
    free(path);
    return err ? err : virtio_fs_open(dir, &backend, loop, out);
}
