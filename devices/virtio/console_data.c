/*
 * Bytes between the guest's ports and the host, both ways and neither faster than the other side
 * takes them. Under dev.lock; on the loop thread but for console_feed.
 */
#include <string.h>

#include "devices/core/chardev.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/virtio/console_port.h"

#define PIECE     4096 /* bytes that the host gets at once */
#define NS_PER_MS UINT64_C(1000000)

void console_end_turn(struct console *c, unsigned queue, int got)
{
    virtio_notify(&c->v, queue);
    if (got < 0)
        virtio_broken(&c->v, "a queue breaks a rule");
    else if (got > 0)
        loop_timer_arm(c->again, 0);
}

/* Guest to host. */

/* Returns how many bytes the host took. While a callback runs dev.lock is released: it may send. */
static size_t give(struct console_port *p, const uint8_t *buf, size_t len)
{
    size_t n = len;

    p->stopped = true; /* first: virtio_console_resume may come before the callback returns */
    if (p->host.chr) {
        n = chardev_room(p->host.chr);
        n = n < len && !p->lossy ? n : len;
        if (n > 0)
            chardev_write(p->host.chr, buf, n); /* counts what it drops */
    } else if (p->host.data) {
        pthread_mutex_unlock(p->console->v.lock);
        n = p->host.data(p->host.opaque, buf, len);
        pthread_mutex_lock(p->console->v.lock);
    }
    /* A chardev tells of room again only once it was seen without any. */
    if (n == len || (p->host.chr && n > 0))
        p->stopped = false;
    else if (p->host.chr && p->host.console)
        loop_timer_arm(p->console->stall, CONSOLE_STALL_MS * NS_PER_MS);
    return n;
}

/*
 * A piece of the first chain. The chain is back in the queue while the host has it, since a reset
 * may come meanwhile; what was taken of it is remembered. 1: go on. 0: no chain waits. -EPROTO.
 */
static int drain_piece(struct console_port *p, struct virtq *q)
{
    uint8_t buf[PIECE];
    struct virtq_chain chain;
    uint32_t epoch = p->console->v.epoch;
    int got = virtq_pop(q, &chain);
    size_t len, n;

    if (got <= 0)
        return got;
    len = virtq_chain_read(&chain, p->sent, buf, sizeof(buf));
    if (len == 0) {
        virtq_push(q, &chain, 0);
        p->sent = 0;
        return 1;
    }
    virtq_unpop(q, &chain);
    n = give(p, buf, len);
    if (epoch == p->console->v.epoch)
        p->sent += n;
    return 1;
}

void console_drain(struct console_port *p)
{
    struct console *c = p->console;
    unsigned queue = console_tx(p->number);
    struct virtq *q = &c->v.queue[queue];
    int got = 1;

    virtq_set_kicks(q, false);
    for (unsigned i = 0; i < CONSOLE_TURN && got > 0 && !p->stopped; i++) {
        if (!virtio_queue_ready(&c->v, queue))
            return; /* a reset came while a callback ran */
        got = drain_piece(p, q);
        if (got == 0 && virtq_set_kicks(q, true))
            got = 1; /* one came between the look and the wish */
    }
    console_end_turn(c, queue, p->stopped && got > 0 ? 0 : got);
}

static void drained(void *opaque)
{
    struct console_port *p = opaque;
    struct virtio *v = &p->console->v;

    pthread_mutex_lock(v->lock);
    p->stopped = p->lossy = false;
    if (virtio_queue_ready(v, console_tx(p->number)))
        console_drain(p);
    pthread_mutex_unlock(v->lock);
}

/*
 * Linux waits for a console's output with interrupts off. A reader that has stopped for good must
 * not stop the guest, too: from here on what does not fit is dropped and counted, until there is
 * room again.
 */
void console_give_up(struct console_port *p)
{
    if (!p->stopped || !p->host.console || !p->host.chr)
        return;
    p->stopped = false;
    p->lossy = true;
    if (virtio_queue_ready(&p->console->v, console_tx(p->number)))
        console_drain(p);
}

/* Host to guest. */

/* Somebody in the guest listens, so that what is sent does not get lost. A driver without
 * MULTIPORT has port 0 open at all times. */
static bool ready(const struct console_port *p)
{
    const struct virtio *v = &p->console->v;

    if (!virtio_queue_ready(v, console_rx(p->number)))
        return false;
    return virtio_has(v, CONSOLE_F_MULTIPORT) ? p->guest_open : p->number == 0;
}

void console_update_input(struct console_port *p)
{
    if (p->host.chr)
        chardev_input_room(p->host.chr, ready(p) ? sizeof(p->input) - p->used : 0);
}

size_t console_put(struct console_port *p, const uint8_t *buf, size_t len)
{
    size_t room = sizeof(p->input) - p->used, at = (p->head + p->used) % sizeof(p->input);
    size_t first = sizeof(p->input) - at;

    len = len < room ? len : room;
    first = first < len ? first : len;
    memcpy(p->input + at, buf, first);
    memcpy(p->input, buf + first, len - first);
    p->used += len;
    return len;
}

/* What waits, as far as it fits, into one chain. */
static uint32_t fill(struct console_port *p, const struct virtq_chain *chain)
{
    size_t first = sizeof(p->input) - p->head, n;

    first = first < p->used ? first : p->used;
    n = virtq_chain_write(chain, 0, p->input + p->head, first);
    if (n == first && p->used > first)
        n += virtq_chain_write(chain, n, p->input, p->used - first);
    p->head = (p->head + n) % sizeof(p->input);
    p->used -= n;
    return (uint32_t)n;
}

void console_feed(struct console_port *p)
{
    struct console *c = p->console;
    unsigned queue = console_rx(p->number);
    struct virtq *q = &c->v.queue[queue];
    struct virtq_chain chain;
    int got = 1;

    for (unsigned i = 0; i < CONSOLE_TURN && got > 0 && p->used > 0 && ready(p); i++) {
        got = virtq_pop(q, &chain);
        if (got > 0)
            virtq_push(q, &chain, fill(p, &chain));
        else if (got == 0 && virtq_set_kicks(q, true))
            got = 1;
    }
    console_end_turn(c, queue, got > 0 && (p->used == 0 || !ready(p)) ? 0 : got);
    console_update_input(p);
    if (p->wants_room && p->used <= sizeof(p->input) / 2)
        loop_timer_arm(c->again, 0);
}

static void input(void *opaque, const uint8_t *buf, size_t len)
{
    struct console_port *p = opaque;

    pthread_mutex_lock(p->console->v.lock);
    console_put(p, buf, len); /* all of it, but for a reset that came meanwhile */
    console_feed(p);
    pthread_mutex_unlock(p->console->v.lock);
}

void console_attach_chardev(struct console_port *p)
{
    const struct chardev_user user = {.input = input, .drained = drained, .opaque = p};

    if (p->host.chr)
        chardev_attach(p->host.chr, &user);
}

/* Callbacks that are owed; dev.lock is released while they run. */
void console_tell(struct console_port *p)
{
    bool open = p->guest_open, changed = open != p->told_open;
    bool room = p->wants_room && p->used <= sizeof(p->input) / 2;

    p->told_open = open;
    if (room)
        p->wants_room = false;
    pthread_mutex_unlock(p->console->v.lock);
    if (changed && p->host.opened)
        p->host.opened(p->host.opaque, open);
    if (room && p->host.room)
        p->host.room(p->host.opaque);
    pthread_mutex_lock(p->console->v.lock);
}

void console_forget(struct console_port *p)
{
    p->added = p->guest_open = p->stopped = false;
    p->owed = 0;
    p->sent = 0;
    p->head = p->used = 0;
    console_update_input(p);
    loop_timer_arm(p->console->again, 0); /* `opened`, and `room` */
}
