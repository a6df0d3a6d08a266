/*
 * The byte stream between a device and host descriptors: see chardev.h for the contract. Output is
 * written by whichever thread brings the reason to (a newline on a vCPU thread, lag or the reader's
 * progress on the loop's); input is read on the loop thread only.
 */
#include "devices/core/chardev.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "devices/core/hostfd.h"
#include "devices/core/log.h"
#include "devices/core/loop.h"

#define NS_PER_MS   UINT64_C(1000000)
#define WRITE_CHUNK 4096 /* PIPE_BUF: what a pipe takes in one piece */
#define AHEAD_BYTES 4096 /* input that passed the filter and waits for the device */
#define READ_BYTES  512
#define HANGUP_MS   500 /* how soon a pty notices that someone attached */

struct chardev {
    struct chardev_config config;
    struct chardev_user user; /* loop thread only */
    struct loop_watch *out_watch, *in_watch;
    struct loop_timer *out_timer, *in_timer;

    /* Protects all below. Taken after dev.lock and before loop.lock; not held in callbacks. */
    pthread_mutex_t lock;

    struct hostfd out;
    uint64_t budget; /* bytes that may still go out */
    size_t head, used;
    uint64_t flushed_ns; /* when the ring was last written out */
    bool broken;         /* nobody will ever read: drop at once */
    bool stalled;        /* the reader is slow: wait for EPOLLOUT */
    bool timer_armed;    /* out_timer will look at the ring */
    bool owes_drain;     /* the device saw a full ring */
    bool told;           /* one message for a stream of losses */
    struct chardev_stats stats;

    struct hostfd in;
    size_t room; /* what the device takes */
    bool eof, hung_up;
    bool pumping; /* pump() is running and will see changes by itself */
    bool watching;
    size_t ahead_head, ahead_used;

    uint8_t ahead[AHEAD_BYTES];
    uint8_t ring[CHARDEV_RING_BYTES]; /* last: pages that are never used are never touched */
};

/* Output. Static functions run under chardev.lock unless they say otherwise. */

/* How long a stalled reader that can be watched is left alone. */
#define STALL_RETRY_MS 200

static void arm_out_timer(struct chardev *chr, uint64_t ns)
{
    chr->timer_armed = true;
    loop_timer_arm(chr->out_timer, ns);
}

/* The first `n` bytes of the ring have gone, one way or another. */
static void consume(struct chardev *chr, size_t n)
{
    chr->used -= n;
    /* From the start again when empty: a console that keeps up lives in one page. */
    chr->head = chr->used ? (chr->head + n) % CHARDEV_RING_BYTES : 0;
}

static void drop(struct chardev *chr, size_t n)
{
    chr->stats.dropped += n;
    consume(chr, n);
}

static void tell_once(struct chardev *chr, const char *why)
{
    if (!chr->told)
        log_warn("console: %s; output is dropped and counted", why);
    chr->told = true;
}

/* What to do with the first `n` bytes of the ring after the host refused them. */
static void handle_refusal(struct chardev *chr, size_t n, int error)
{
    switch (error) {
    case -EINTR:
        break;
    case -EAGAIN:
        /* Nobody is attached to the pty: holding the guest back would stop it for good. */
        if (chr->out.pty_master && hostfd_hung_up(&chr->out)) {
            drop(chr, n);
            break;
        }
        chr->stalled = true;
        if (chr->out_watch)
            loop_watch_set(chr->out_watch, EPOLLOUT);
        /* Some terminal drivers (hvc) forget to say that they have room again: ask, seldom. */
        arm_out_timer(chr, (chr->out_watch ? STALL_RETRY_MS : CHARDEV_LAG_MS) * NS_PER_MS);
        break;
    case -ENOSPC:
    case -EDQUOT:
    case -EFBIG:
        /* May pass: somebody makes room. */
        tell_once(chr, strerror(-error));
        drop(chr, n);
        break;
    default:
        tell_once(chr, strerror(-error));
        drop(chr, chr->used);
        chr->broken = true;
    }
}

/* Writes until the ring is empty or the host stalls: at most one ring's worth of work. */
static void flush_ring(struct chardev *chr)
{
    chr->flushed_ns = loop_now_ns();
    while (chr->used > 0 && !chr->stalled) {
        size_t n = CHARDEV_RING_BYTES - chr->head;
        ssize_t done;

        n = n < chr->used ? n : chr->used;
        n = n < WRITE_CHUNK ? n : WRITE_CHUNK;
        if (chr->budget == 0) {
            tell_once(chr, "the file has reached its limit");
            drop(chr, n);
            continue;
        }
        n = n < chr->budget ? n : (size_t)chr->budget;
        done = hostfd_write(&chr->out, chr->ring + chr->head, n);
        if (done < 0) {
            handle_refusal(chr, n, (int)done);
            continue;
        }
        if (chr->out.regular && chr->config.limit)
            chr->budget -= (uint64_t)done;
        consume(chr, (size_t)done);
    }
}

/* A console that drops all is never full: its guest is not to wait for nobody. */
static size_t room_now(const struct chardev *chr)
{
    return chr->out.fd < 0 || chr->broken ? CHARDEV_RING_BYTES : CHARDEV_RING_BYTES - chr->used;
}

/* The device is about to learn how little room there is: promise it a `drained`. */
static void note_room(struct chardev *chr)
{
    if (room_now(chr) < CHARDEV_ROOM_LOW)
        chr->owes_drain = true;
}

/* Half the ring, so that a stalled guest goes on in long strides. */
static bool drain_is_due(const struct chardev *chr)
{
    return chr->owes_drain && room_now(chr) >= CHARDEV_RING_BYTES / 2;
}

static void ring_put(struct chardev *chr, const uint8_t *buf, size_t len)
{
    size_t at = (chr->head + chr->used) % CHARDEV_RING_BYTES;
    size_t first = CHARDEV_RING_BYTES - at;

    first = first < len ? first : len;
    memcpy(chr->ring + at, buf, first);
    memcpy(chr->ring, buf + first, len - first);
    chr->used += len;
}

/* The ring holds `taken` new bytes. Only what follows closely on a write is worth gathering. */
static bool flush_is_due(const struct chardev *chr, const uint8_t *buf, size_t taken)
{
    if (chr->config.prompt || chr->used >= CHARDEV_FLUSH_BYTES || memchr(buf, '\n', taken))
        return true;
    return chr->used == taken && loop_now_ns() - chr->flushed_ns >= CHARDEV_LAG_MS * NS_PER_MS;
}

size_t chardev_write(struct chardev *chr, const uint8_t *buf, size_t len)
{
    size_t taken = 0;

    pthread_mutex_lock(&chr->lock);
    chr->stats.written += len;
    if (chr->config.tap)
        chr->config.tap(chr->config.tap_opaque, buf, len);
    if (chr->out.fd < 0) {
        taken = len;
        goto out;
    }
    if (!chr->broken) {
        taken = CHARDEV_RING_BYTES - chr->used;
        taken = taken < len ? taken : len;
        ring_put(chr, buf, taken);
        note_room(chr);
        if (flush_is_due(chr, buf, taken))
            flush_ring(chr);
    }
    chr->stats.dropped += len - taken;
    /* `drained` runs on the loop thread only; the timer takes it there. */
    if (drain_is_due(chr))
        arm_out_timer(chr, 0);
    else if (chr->used > 0 && !chr->stalled && !chr->timer_armed)
        arm_out_timer(chr, CHARDEV_LAG_MS * NS_PER_MS);
out:
    pthread_mutex_unlock(&chr->lock);
    return taken;
}

size_t chardev_room(struct chardev *chr)
{
    size_t room;

    pthread_mutex_lock(&chr->lock);
    note_room(chr);
    room = room_now(chr);
    pthread_mutex_unlock(&chr->lock);
    return room;
}

/* The lag has passed, or the reader made progress. Loop thread, unlocked. */
static void push_out(struct chardev *chr)
{
    bool tell;

    pthread_mutex_lock(&chr->lock);
    chr->stalled = false; /* until the next write says otherwise */
    flush_ring(chr);
    if (!chr->stalled) {
        if (chr->out_watch)
            loop_watch_set(chr->out_watch, 0);
        /* The ring is empty: a timer that is still armed would only delay the next one. */
        loop_timer_disarm(chr->out_timer);
        chr->timer_armed = false;
    }
    tell = drain_is_due(chr);
    if (tell)
        chr->owes_drain = false;
    pthread_mutex_unlock(&chr->lock);
    if (tell && chr->user.drained)
        chr->user.drained(chr->user.opaque);
}

static void out_ready(void *opaque, uint32_t events)
{
    (void)events; /* an error or a hang-up shows when we write */
    push_out(opaque);
}

static void out_timer_fired(void *opaque)
{
    struct chardev *chr = opaque;

    pthread_mutex_lock(&chr->lock);
    chr->timer_armed = false;
    pthread_mutex_unlock(&chr->lock);
    push_out(chr);
}

void chardev_flush(struct chardev *chr, unsigned ms)
{
    uint64_t now = loop_now_ns();
    const uint64_t end = now + ms * NS_PER_MS;
    bool more;

    if (!chr)
        return;
    for (;; now = loop_now_ns()) {
        pthread_mutex_lock(&chr->lock);
        chr->stalled = false;
        flush_ring(chr);
        more = chr->used > 0;
        pthread_mutex_unlock(&chr->lock);
        /* Unlocked: writers must not wait for the reader. */
        if (!more || now >= end ||
            !hostfd_wait_writable(&chr->out, (int)((end - now) / NS_PER_MS) + 1))
            return;
    }
}

struct chardev_stats chardev_get_stats(struct chardev *chr)
{
    struct chardev_stats stats;

    pthread_mutex_lock(&chr->lock);
    stats = chr->stats;
    pthread_mutex_unlock(&chr->lock);
    return stats;
}

/* Input. */

/*
 * How many bytes to read now. Without a filter only what the device takes: the rest stays with the
 * host, for whoever reads it next. With one we read ahead, so that the escape keys of a terminal
 * work when the guest hangs.
 */
static size_t read_budget(const struct chardev *chr)
{
    size_t ahead = chr->config.filter ? AHEAD_BYTES : chr->room;

    if (ahead > AHEAD_BYTES)
        ahead = AHEAD_BYTES;
    if (chr->eof || chr->hung_up || chr->in.fd < 0 || ahead <= chr->ahead_used)
        return 0;
    ahead -= chr->ahead_used;
    return ahead < READ_BYTES ? ahead : READ_BYTES;
}

/* Asks the loop for what pump() could do: nothing, input from a file, input from a stream. */
static void update_watch(struct chardev *chr)
{
    bool want = read_budget(chr) > 0;

    if (chr->pumping)
        return;
    if ((chr->room > 0 && chr->ahead_used > 0) || (want && !chr->in_watch))
        loop_timer_arm(chr->in_timer, 0);
    if (chr->in_watch && want != chr->watching) {
        chr->watching = want;
        loop_watch_set(chr->in_watch, want ? EPOLLIN : 0);
    }
}

void chardev_input_room(struct chardev *chr, size_t len)
{
    pthread_mutex_lock(&chr->lock);
    chr->room = len;
    update_watch(chr);
    pthread_mutex_unlock(&chr->lock);
}

static void ahead_put(struct chardev *chr, const uint8_t *buf, size_t len)
{
    assert(len <= AHEAD_BYTES - chr->ahead_used);
    for (size_t i = 0; i < len; i++)
        chr->ahead[(chr->ahead_head + chr->ahead_used + i) % AHEAD_BYTES] = buf[i];
    chr->ahead_used += len;
}

static size_t ahead_take(struct chardev *chr, uint8_t *buf, size_t len)
{
    len = len < chr->ahead_used ? len : chr->ahead_used;
    for (size_t i = 0; i < len; i++)
        buf[i] = chr->ahead[(chr->ahead_head + i) % AHEAD_BYTES];
    chr->ahead_head = (chr->ahead_head + len) % AHEAD_BYTES;
    chr->ahead_used -= len;
    return len;
}

/* Hands what waits to the device. False when there was nothing or no room. Loop thread. */
static bool deliver(struct chardev *chr)
{
    uint8_t buf[READ_BYTES];
    size_t n;

    pthread_mutex_lock(&chr->lock);
    n = ahead_take(chr, buf, chr->room < sizeof(buf) ? chr->room : sizeof(buf));
    /* The device says anew how much it takes, at the end of its `input`. */
    chr->room -= n;
    pthread_mutex_unlock(&chr->lock);
    if (n > 0 && chr->user.input)
        chr->user.input(chr->user.opaque, buf, n);
    return n > 0;
}

static void end_input(struct chardev *chr, ssize_t got)
{
    if (got == -EIO && chr->in.pty_master) {
        /* The last process left the pty; epoll would report that without end. */
        chr->hung_up = true;
        loop_timer_arm(chr->in_timer, HANGUP_MS * NS_PER_MS);
    } else if (got == 0 || (got != -EAGAIN && got != -EINTR)) {
        chr->eof = true;
    }
}

/* One read from the host. False when there is nothing to read, now or ever. Loop thread. */
static bool fetch(struct chardev *chr)
{
    uint8_t buf[READ_BYTES];
    ssize_t got;
    size_t n;

    pthread_mutex_lock(&chr->lock);
    n = read_budget(chr);
    got = n ? hostfd_read(&chr->in, buf, n) : -EAGAIN;
    if (got <= 0)
        end_input(chr, got);
    pthread_mutex_unlock(&chr->lock);
    if (got <= 0)
        return false;

    n = (size_t)got;
    if (chr->config.filter)
        n = chr->config.filter(chr->config.filter_opaque, buf, n);
    pthread_mutex_lock(&chr->lock);
    ahead_put(chr, buf, n);
    pthread_mutex_unlock(&chr->lock);
    return true;
}

/* Moves input until somebody has to wait; a few rounds, so that no fast sender owns the loop. */
static void pump(struct chardev *chr)
{
    pthread_mutex_lock(&chr->lock);
    chr->pumping = true;
    if (chr->hung_up && !hostfd_hung_up(&chr->in))
        chr->hung_up = false;
    else if (chr->hung_up)
        loop_timer_arm(chr->in_timer, HANGUP_MS * NS_PER_MS);
    pthread_mutex_unlock(&chr->lock);

    for (int round = 0; round < 8; round++) {
        bool moved = deliver(chr);

        if (!fetch(chr) && !moved)
            break;
    }
    deliver(chr);

    pthread_mutex_lock(&chr->lock);
    chr->pumping = false;
    update_watch(chr);
    pthread_mutex_unlock(&chr->lock);
}

static void in_ready(void *opaque, uint32_t events)
{
    (void)events;
    pump(opaque);
}

static void in_timer_fired(void *opaque)
{
    pump(opaque);
}

void chardev_attach(struct chardev *chr, const struct chardev_user *user)
{
    chr->user = user ? *user : (struct chardev_user){.input = NULL};
    if (!user)
        chardev_input_room(chr, 0);
}

/* Life. */

/* Watches `fd` for nothing yet. NULL is fine for a file that is always ready. */
static int add_watch(struct loop *loop, int fd, loop_fd_fn *fn, struct chardev *chr,
                     struct loop_watch **out)
{
    *out = loop_watch_add(loop, fd, 0, fn, chr);
    return *out || errno == EPERM ? 0 : -errno;
}

static int open_ends(struct chardev *chr, struct loop *loop)
{
    const struct chardev_config *c = &chr->config;
    int err = 0;

    /* A descriptor that the caller's parent closed is a console without that direction. */
    if (c->out_fd >= 0 && hostfd_open(&chr->out, c->out_fd, O_WRONLY) == 0)
        err = add_watch(loop, chr->out.fd, out_ready, chr, &chr->out_watch);
    if (!err && c->in_fd >= 0 && hostfd_open(&chr->in, c->in_fd, O_RDONLY) == 0)
        err = add_watch(loop, chr->in.fd, in_ready, chr, &chr->in_watch);
    return err;
}

struct chardev *chardev_create(struct loop *loop, const struct chardev_config *config)
{
    struct chardev *chr = calloc(1, sizeof(*chr));
    int err;

    if (!chr)
        return NULL;
    chr->config = *config;
    chr->out = chr->in = (struct hostfd)HOSTFD_NONE;
    chr->budget = config->limit ? config->limit : UINT64_MAX;
    err = pthread_mutex_init(&chr->lock, NULL);
    assert(err == 0);
    chr->out_timer = loop_timer_add(loop, out_timer_fired, chr);
    chr->in_timer = loop_timer_add(loop, in_timer_fired, chr);
    err = chr->out_timer && chr->in_timer ? open_ends(chr, loop) : -ENOMEM;
    if (!err) {
        pthread_mutex_lock(&chr->lock);
        update_watch(chr); /* a filter wants input before any device does */
        pthread_mutex_unlock(&chr->lock);
        return chr;
    }
    chardev_destroy(chr);
    errno = -err;
    return NULL;
}

void chardev_destroy(struct chardev *chr)
{
    if (!chr)
        return;
    chardev_flush(chr, 1000);
    loop_watch_remove(chr->in_watch);
    loop_watch_remove(chr->out_watch);
    loop_timer_remove(chr->in_timer);
    loop_timer_remove(chr->out_timer);
    hostfd_close(&chr->in);
    hostfd_close(&chr->out);
    pthread_mutex_destroy(&chr->lock);
    free(chr);
}
