/* Bytes on their way out: see outlet.h for the contract. */
#include "hv/command/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "devices/core/hostfd.h"
#include "devices/core/loop.h"
#include "firmware/init/wire.h"

#define TURN_BYTES WIRE_WINDOW               /* before the loop looks at others */
#define RETRY_NS   (200 * UINT64_C(1000000)) /* some terminals forget to say that they have room */
#define ASK_NS     (10 * UINT64_C(1000000))  /* of a descriptor that cannot be watched */

struct outlet {
    struct outlet_user user;
    struct hostfd fd;
    struct loop_watch *watch; /* NULL: a file, always ready */
    struct loop_timer *timer;
    bool broken;
    size_t head, used; /* of `ring` */
    uint8_t ring[WIRE_WINDOW];
};

static void fail(struct outlet *o, int error)
{
    o->broken = true;
    o->used = 0;
    if (error == -EIO && !o->fd.regular)
        error = -EPIPE; /* a terminal whose other side is gone */
    o->user.broken(o->user.opaque, error);
}

/* What is left goes when the descriptor says that it has room, or a little later in any case. */
static void wait_for_room(struct outlet *o)
{
    bool waits = o->used > 0;

    if (o->watch)
        loop_watch_set(o->watch, waits ? EPOLLOUT : 0);
    if (waits)
        loop_timer_arm(o->timer, o->watch ? RETRY_NS : ASK_NS);
}

static void flush(struct outlet *o)
{
    size_t total = 0;
    int error = o->fd.fd < 0 ? -EBADF : 0;

    while (o->used > 0 && total < TURN_BYTES && !error) {
        size_t n = sizeof(o->ring) - o->head;
        ssize_t done = hostfd_write(&o->fd, o->ring + o->head, n < o->used ? n : o->used);

        if (done == -EINTR)
            continue;
        if (done < 0) {
            error = (int)done;
            break;
        }
        o->used -= (size_t)done;
        o->head = o->used ? (o->head + (size_t)done) % sizeof(o->ring) : 0;
        total += (size_t)done;
    }
    if (total)
        o->user.wrote(o->user.opaque, total);
    if (error && error != -EAGAIN)
        fail(o, error);
    wait_for_room(o);
}

static void ready(void *opaque, uint32_t events)
{
    (void)events;
    flush(opaque);
}

static void try_again(void *opaque)
{
    flush(opaque);
}

struct outlet *outlet_create(struct loop *loop, int fd, const struct outlet_user *user)
{
    struct outlet *o = calloc(1, sizeof(*o));

    if (!o)
        return NULL;
    o->user = *user;
    o->timer = loop_timer_add(loop, try_again, o);
    if (hostfd_open(&o->fd, fd, O_WRONLY) == 0)
        o->watch = loop_watch_add(loop, o->fd.fd, 0, ready, o);
    if (o->timer && (o->watch || o->fd.fd < 0 || errno == EPERM))
        return o;
    outlet_destroy(o);
    errno = ENOMEM;
    return NULL;
}

void outlet_destroy(struct outlet *o)
{
    if (!o)
        return;
    loop_watch_remove(o->watch);
    loop_timer_remove(o->timer);
    hostfd_close(&o->fd);
    free(o);
}

bool outlet_put(struct outlet *o, const uint8_t *buf, size_t len)
{
    size_t at = (o->head + o->used) % sizeof(o->ring), first = sizeof(o->ring) - at;
    bool idle = o->used == 0;

    if (o->broken)
        return true;
    if (len > sizeof(o->ring) - o->used)
        return false;
    first = first < len ? first : len;
    memcpy(o->ring + at, buf, first);
    memcpy(o->ring, buf + first, len - first);
    o->used += len;
    /* One that waits already is told by the loop. */
    if (idle)
        flush(o);
    return true;
}

size_t outlet_waiting(const struct outlet *o)
{
    return o->used;
}

bool outlet_reader_left(int error)
{
    return error == -EPIPE || error == -ECONNRESET || error == -EBADF;
}
