/*
 * The event loop: epoll for descriptors, one timerfd for all timers, one eventfd to stop.
 *
 * The timerfd makes arming a timer from a vCPU thread one system call that wakes nobody: the
 * kernel wakes the loop when the time has come, and not at all when nothing is armed.
 */
#include "devices/core/loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/loop_poll.h"

#define NS_PER_S    UINT64_C(1000000000)
#define EVENT_BATCH 16
#define NEVER       UINT64_MAX

struct loop_watch {
    struct loop *loop;
    struct loop_watch *next;
    loop_fd_fn *fn;
    void *opaque;
    int fd;
    uint32_t events; /* under loop.lock; 0: epoll does not know the fd */
    bool dead;       /* removed while events of the same batch may still name it */
};

struct loop_timer {
    struct loop *loop;
    struct loop_timer *next;
    loop_timer_fn *fn;
    void *opaque;
    uint64_t due; /* CLOCK_MONOTONIC ns, NEVER when not armed; under loop.lock */
};

struct loop {
    int epoll_fd, timer_fd, stop_fd;
    bool stopping; /* atomic: loop_stop releases, loop_run acquires */
    bool ended;    /* atomic: loop_run releases when it was stopped, loop_stopping acquires */
    bool dispatching;
    struct poll_set polls; /* the loop's thread alone */

    /* Protects the lists, the watches' events, the timers' due times and `programmed`. Taken
     * last, not held while a callback runs. */
    pthread_mutex_t lock;
    struct loop_watch *watches;
    struct loop_timer *timers;
    uint64_t programmed; /* what timer_fd is set to */
};

uint64_t loop_now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* Our own descriptors carry the address of their field; a watch carries its own. */
static int add_own(struct loop *loop, int *fd)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = fd};

    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, *fd, &ev);
}

struct loop *loop_create(void)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    int err;

    if (!loop)
        return NULL;
    loop->epoll_fd = loop->timer_fd = loop->stop_fd = -1;
    loop->programmed = NEVER;
    err = pthread_mutex_init(&loop->lock, NULL);
    assert(err == 0);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0)
        goto fail;
    loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (loop->timer_fd < 0 || add_own(loop, &loop->timer_fd) < 0)
        goto fail;
    loop->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->stop_fd < 0 || add_own(loop, &loop->stop_fd) < 0)
        goto fail;
    return loop;

fail:
    err = errno;
    loop_destroy(loop);
    errno = err;
    return NULL;
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        close(fd);
}

void loop_destroy(struct loop *loop)
{
    if (!loop)
        return;
    while (loop->watches) {
        struct loop_watch *w = loop->watches;

        loop->watches = w->next;
        free(w);
    }
    while (loop->timers) {
        struct loop_timer *t = loop->timers;

        loop->timers = t->next;
        free(t);
    }
    poll_free(&loop->polls);
    close_if_open(loop->stop_fd);
    close_if_open(loop->timer_fd);
    close_if_open(loop->epoll_fd);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

/*
 * Brings epoll to `events`. A watch of nothing leaves epoll altogether, which would go on to report
 * hang-ups otherwise. Under loop.lock.
 */
static int program_watch(struct loop_watch *w, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = w};
    int op = !events ? EPOLL_CTL_DEL : w->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

    if (events == w->events)
        return 0;
    if (epoll_ctl(w->loop->epoll_fd, op, w->fd, &ev) < 0)
        return -errno;
    w->events = events;
    return 0;
}

struct loop_watch *loop_watch_add(struct loop *loop, int fd, uint32_t events, loop_fd_fn *fn,
                                  void *opaque)
{
    struct loop_watch *w = calloc(1, sizeof(*w));
    int err;

    if (!w)
        return NULL;
    *w = (struct loop_watch){.loop = loop, .fn = fn, .opaque = opaque, .fd = fd};
    pthread_mutex_lock(&loop->lock);
    /* Learn now, not at some later moment of need, whether the file can be polled at all. */
    err = program_watch(w, EPOLLIN);
    if (!err)
        err = program_watch(w, events);
    if (!err) {
        w->next = loop->watches;
        loop->watches = w;
    }
    pthread_mutex_unlock(&loop->lock);
    if (!err)
        return w;
    free(w);
    errno = -err;
    return NULL;
}

void loop_watch_set(struct loop_watch *w, uint32_t events)
{
    int err;

    pthread_mutex_lock(&w->loop->lock);
    err = w->dead ? 0 : program_watch(w, events);
    pthread_mutex_unlock(&w->loop->lock);
    if (err)
        log_error("cannot watch fd %d: %s", w->fd, strerrordesc_np(-err));
}

/* Frees what was removed during a round, once no event of the round can name it. */
static void reap_watches(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    for (struct loop_watch **p = &loop->watches; *p;) {
        struct loop_watch *w = *p;

        if (w->dead) {
            *p = w->next;
            free(w);
        } else {
            p = &w->next;
        }
    }
    pthread_mutex_unlock(&loop->lock);
}

void loop_watch_remove(struct loop_watch *w)
{
    struct loop *loop;

    if (!w)
        return;
    loop = w->loop;
    pthread_mutex_lock(&loop->lock);
    /* The owner may have closed the fd already, which took it out of epoll too. */
    (void)program_watch(w, 0);
    w->dead = true;
    pthread_mutex_unlock(&loop->lock);
    if (!loop->dispatching)
        reap_watches(loop);
}

/* Sets timer_fd to the earliest due time. Under loop.lock. */
static void program_timers(struct loop *loop)
{
    struct itimerspec its = {0};
    uint64_t due = NEVER;

    for (struct loop_timer *t = loop->timers; t; t = t->next)
        due = t->due < due ? t->due : due;
    if (due == loop->programmed)
        return;
    if (due != NEVER) {
        its.it_value.tv_sec = (time_t)(due / NS_PER_S);
        its.it_value.tv_nsec = (long)(due % NS_PER_S);
    }
    if (timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &its, NULL) == 0)
        loop->programmed = due;
    else
        log_error("cannot set a timer: %m");
}

struct loop_timer *loop_timer_add(struct loop *loop, loop_timer_fn *fn, void *opaque)
{
    struct loop_timer *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    *t = (struct loop_timer){.loop = loop, .fn = fn, .opaque = opaque, .due = NEVER};
    pthread_mutex_lock(&loop->lock);
    t->next = loop->timers;
    loop->timers = t;
    pthread_mutex_unlock(&loop->lock);
    return t;
}

static void set_due(struct loop_timer *t, uint64_t due)
{
    pthread_mutex_lock(&t->loop->lock);
    t->due = due;
    program_timers(t->loop);
    pthread_mutex_unlock(&t->loop->lock);
}

void loop_timer_arm(struct loop_timer *t, uint64_t ns)
{
    uint64_t due;

    /* A time that the kernel's signed seconds cannot hold is later than this process lives. */
    if (__builtin_add_overflow(loop_now_ns(), ns, &due) || due > INT64_MAX)
        due = INT64_MAX;
    set_due(t, due);
}

void loop_timer_disarm(struct loop_timer *t)
{
    set_due(t, NEVER);
}

void loop_timer_remove(struct loop_timer *t)
{
    struct loop *loop;

    if (!t)
        return;
    loop = t->loop;
    /* At once, unlike a watch: run_timers looks the list up anew after each callback. */
    pthread_mutex_lock(&loop->lock);
    for (struct loop_timer **p = &loop->timers; *p; p = &(*p)->next) {
        if (*p == t) {
            *p = t->next;
            break;
        }
    }
    program_timers(loop);
    pthread_mutex_unlock(&loop->lock);
    free(t);
}

/* Disarms and returns one timer that is due at `now`, or NULL. The earliest goes first. */
static struct loop_timer *pop_due(struct loop *loop, uint64_t now)
{
    struct loop_timer *first = NULL;

    pthread_mutex_lock(&loop->lock);
    for (struct loop_timer *t = loop->timers; t; t = t->next) {
        if (t->due <= now && (!first || t->due < first->due))
            first = t;
    }
    if (first)
        first->due = NEVER;
    pthread_mutex_unlock(&loop->lock);
    return first;
}

static int run_timers(struct loop *loop)
{
    uint64_t now = loop_now_ns();
    struct loop_timer *t;
    uint64_t ticks;
    int ran = 0;

    /* Only to make the fd quiet again; what is due the list says. */
    if (read(loop->timer_fd, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN)
        log_error("cannot read a timer: %m");
    /* One reading of the clock, so that a timer that arms itself again waits for the next round. */
    while ((t = pop_due(loop, now)) != NULL) {
        t->fn(t->opaque);
        ran++;
    }
    pthread_mutex_lock(&loop->lock);
    loop->programmed = NEVER; /* it has fired */
    program_timers(loop);
    pthread_mutex_unlock(&loop->lock);
    return ran;
}

/* What to tell a watch of `events` that epoll reported, 0 when it lost interest meanwhile. */
static uint32_t wanted(struct loop *loop, const struct loop_watch *w, uint32_t events)
{
    uint32_t mask;

    pthread_mutex_lock(&loop->lock);
    mask = w->dead || !w->events ? 0 : w->events | EPOLLHUP | EPOLLERR;
    pthread_mutex_unlock(&loop->lock);
    return events & mask;
}

static int dispatch(struct loop *loop, const struct epoll_event *ev)
{
    struct loop_watch *w = ev->data.ptr;
    uint32_t events;

    if (ev->data.ptr == &loop->stop_fd)
        return 0;
    if (ev->data.ptr == &loop->timer_fd)
        return run_timers(loop);
    events = wanted(loop, w, ev->events);
    if (!events)
        return 0;
    w->fn(w->opaque, events);
    return 1;
}

/* One round; the number of callbacks run, or -errno. */
static int poll_once(struct loop *loop, int timeout_ms)
{
    struct epoll_event ev[EVENT_BATCH];
    uint64_t start = loop->polls.allowed ? loop_now_ns() : 0, slept;
    int n = epoll_wait(loop->epoll_fd, ev, EVENT_BATCH, timeout_ms);
    int ran = 0;

    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    slept = loop->polls.allowed ? loop_now_ns() - start : 0;
    loop->polls.hit = false;
    loop->dispatching = true;
    /* What is left of the batch when a callback stops the loop, epoll reports again. */
    for (int i = 0; i < n && !__atomic_load_n(&loop->stopping, __ATOMIC_ACQUIRE); i++)
        ran += dispatch(loop, &ev[i]);
    loop->dispatching = false;
    reap_watches(loop);
    if (timeout_ms < 0)
        poll_adapt(&loop->polls, slept);
    return ran;
}

struct loop_poller *loop_poller_add(struct loop *loop, loop_poll_fn *fn, void *opaque)
{
    return poll_add(&loop->polls, fn, opaque);
}

void loop_allow_polling(struct loop *loop, bool on)
{
    loop->polls.allowed = on;
}

int loop_step(struct loop *loop)
{
    return poll_once(loop, 0);
}

int loop_run(struct loop *loop)
{
    uint64_t count;
    int ret = 0;

    __atomic_store_n(&loop->ended, false, __ATOMIC_RELAXED);
    while (!__atomic_load_n(&loop->stopping, __ATOMIC_ACQUIRE) && ret >= 0)
        ret = poll_once(loop, poll_spin(&loop->polls, &loop->stopping) ? 0 : -1);
    poll_end(&loop->polls);
    /* The next run starts afresh; until then, who waits for callbacks waits in vain. */
    __atomic_store_n(&loop->ended, true, __ATOMIC_RELEASE);
    if (read(loop->stop_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
        log_error("cannot read the loop's stop event: %m");
    __atomic_store_n(&loop->stopping, false, __ATOMIC_RELEASE);
    return ret < 0 ? ret : 0;
}

void loop_stop(struct loop *loop)
{
    const uint64_t one = 1;
    int saved_errno = errno;

    __atomic_store_n(&loop->stopping, true, __ATOMIC_RELEASE);
    /* Fails only when the counter is full, and then the loop wakes anyway. */
    if (write(loop->stop_fd, &one, sizeof(one)) < 0)
        errno = saved_errno;
    errno = saved_errno;
}

bool loop_stopping(const struct loop *loop)
{
    /* In this order: one is set before the other is cleared. */
    return __atomic_load_n(&loop->stopping, __ATOMIC_ACQUIRE) ||
           __atomic_load_n(&loop->ended, __ATOMIC_ACQUIRE);
}
