/*
 * The engine of hosts without io_uring, and of overlays: a few threads that make blocking system
 * calls. Submission and completion are on the loop's thread; an eventfd tells it of the latter.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "devices/block/internal.h"
#include "devices/core/log.h"
#include "devices/core/loop.h"

#define THREADS BOUNCE_COUNT /* so that each finds a bounce buffer */

struct pool {
    struct block *b;
    struct loop_watch *watch;
    int event_fd;
    pthread_t thread[THREADS];
    unsigned threads;

    /* Protects what follows. Not held while a request runs. */
    pthread_mutex_t lock;
    pthread_cond_t work, finished;
    struct block_request *todo, **todo_tail;
    struct block_request *done, **done_tail;
    bool stopping;
};

static void report(struct pool *p, struct block_request *req)
{
    const uint64_t one = 1;
    bool first;

    pthread_mutex_lock(&p->lock);
    first = p->done == NULL;
    req->next = NULL;
    *p->done_tail = req;
    p->done_tail = &req->next;
    pthread_cond_signal(&p->finished);
    pthread_mutex_unlock(&p->lock);
    /* Whoever finds the list empty wakes the loop, which takes all of it. */
    if (first && write(p->event_fd, &one, sizeof(one)) < 0)
        log_error("cannot signal a finished request: %m");
}

static void *worker(void *opaque)
{
    struct pool *p = opaque;

    for (;;) {
        struct block_request *req;

        pthread_mutex_lock(&p->lock);
        while (!p->todo && !p->stopping)
            pthread_cond_wait(&p->work, &p->lock);
        req = p->todo;
        if (req) {
            p->todo = req->next;
            if (!p->todo)
                p->todo_tail = &p->todo;
        }
        pthread_mutex_unlock(&p->lock);
        if (!req)
            return NULL;
        step_run(p->b, req);
        report(p, req);
    }
}

static void pool_submit(void *engine, struct block_request *list)
{
    struct pool *p = engine;

    pthread_mutex_lock(&p->lock);
    *p->todo_tail = list;
    for (; *p->todo_tail; p->todo_tail = &(*p->todo_tail)->next)
        pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
}

static void collect(struct pool *p, bool wait)
{
    struct block_request *list;

    pthread_mutex_lock(&p->lock);
    while (wait && !p->done)
        pthread_cond_wait(&p->finished, &p->lock);
    list = p->done;
    p->done = NULL;
    p->done_tail = &p->done;
    pthread_mutex_unlock(&p->lock);
    if (list)
        block_finished(p->b, list);
}

static void pool_wait(void *engine)
{
    collect(engine, true);
}

static void on_event(void *opaque, uint32_t events)
{
    struct pool *p = opaque;
    uint64_t count;

    (void)events;
    if (read(p->event_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
        log_error("cannot read a disk's event: %m");
    collect(p, false);
}

static void pool_destroy(void *engine)
{
    struct pool *p = engine;

    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->threads; i++)
        pthread_join(p->thread[i], NULL);
    loop_watch_remove(p->watch);
    if (p->event_fd >= 0)
        close(p->event_fd);
    pthread_cond_destroy(&p->finished);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* Signals are for the main thread and the vCPUs. */
static int start_threads(struct pool *p)
{
    sigset_t all, old;
    int err = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    for (; p->threads < THREADS && !err; p->threads += !err)
        err = pthread_create(&p->thread[p->threads], NULL, worker, p);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return -err;
}

static int pool_create(struct block *b, struct loop *loop, unsigned depth, void **out)
{
    struct pool *p = calloc(1, sizeof(*p));
    int err;

    (void)depth; /* the list takes any number */
    if (!p)
        return -ENOMEM;
    p->b = b;
    p->todo_tail = &p->todo;
    p->done_tail = &p->done;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->finished, NULL);
    p->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    err = p->event_fd < 0 ? -errno : 0;
    if (!err) {
        p->watch = loop_watch_add(loop, p->event_fd, EPOLLIN, on_event, p);
        err = p->watch ? start_threads(p) : -errno;
    }
    if (err) {
        pool_destroy(p);
        return err;
    }
    *out = p;
    return 0;
}

const struct engine_ops engine_pool = {
    .name = "threads",
    .create = pool_create,
    .submit = pool_submit,
    .wait = pool_wait,
    .destroy = pool_destroy,
};
