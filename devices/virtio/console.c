/*
 * The console device (virtio 1.2, 5.3): up to 16 ports, each a byte stream in both directions with
 * a pair of queues, and two control queues. Created by the device table. Queues are served on the
 * loop thread under dev.lock; the functions of console.h come from any thread.
 *
 *   guest's queue -> console_drain -> chardev or callback      (console_data.c)
 *   chardev or virtio_console_send -> ring -> console_feed -> guest's queue
 */
#include "devices/virtio/console.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/chardev.h"
#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/state.h"
#include "devices/core/util.h"
#include "devices/virtio/console_port.h"
#include "devices/virtio/models.h"

#define DEVICE_ID  3
#define QUEUE_SIZE 64

static struct console *console_of(struct virtio *v)
{
    return container_of(v, struct console, v);
}

static void serve_port(struct console_port *p, bool rx)
{
    /* Without MULTIPORT there is one port, whatever queues the driver enables. */
    if (p->number > 0 && !virtio_has(&p->console->v, CONSOLE_F_MULTIPORT))
        return;
    if (rx)
        console_feed(p);
    else
        console_drain(p);
}

static void console_kick(struct virtio *v, unsigned queue)
{
    struct console *c = console_of(v);

    if (queue == CONTROL_RX)
        console_control_send(c);
    else if (queue == CONTROL_TX && virtio_has(v, CONSOLE_F_MULTIPORT))
        console_control_read(c);
    else if (queue != CONTROL_TX)
        serve_port(c->port[queue < 2 ? 0 : queue / 2 - 1], queue % 2 == 0);
}

static void again_fired(void *opaque)
{
    struct console *c = opaque;
    struct virtio *v = &c->v;

    pthread_mutex_lock(v->lock);
    for (unsigned i = 0; i < c->count; i++)
        console_tell(c->port[i]);
    for (unsigned i = 0; i < v->queue_count; i++)
        if (virtio_queue_ready(v, i))
            console_kick(v, i);
    pthread_mutex_unlock(v->lock);
}

static void stall_fired(void *opaque)
{
    struct console *c = opaque;

    pthread_mutex_lock(c->v.lock);
    for (unsigned i = 0; i < c->count; i++)
        console_give_up(c->port[i]);
    pthread_mutex_unlock(c->v.lock);
}

static void console_stop(struct virtio *v, unsigned queue)
{
    struct console *c = console_of(v);

    for (unsigned i = 0; i < c->count; i++) {
        if (queue == VIRTIO_ALL_QUEUES)
            console_forget(c->port[i]);
        else if (queue == console_tx(i))
            c->port[i]->sent = 0;
    }
}

/* 5.3.4: one register may be written, at any time, to get a last word out. */
static void console_config_write(struct virtio *v, unsigned offset, unsigned size,
                                 const uint8_t *data)
{
    struct console_port *p = console_of(v)->port[0];

    (void)size;
    if (offset == CONFIG_EMERG_WRITE && p->host.chr)
        chardev_write(p->host.chr, data, 1);
}

static void console_save(struct virtio *v, struct state_writer *w)
{
    struct console *c = console_of(v);

    state_put_u8(w, (uint8_t)c->count);
    for (unsigned i = 0; i < c->count; i++) {
        const struct console_port *p = c->port[i];

        state_put_u8(w, (uint8_t)(p->guest_open | p->added << 1));
        state_put_u8(w, p->owed);
        state_put_u64(w, p->sent);
        state_put_u16(w, (uint16_t)p->used);
        for (size_t n = 0; n < p->used; n++)
            state_put_u8(w, p->input[(p->head + n) % sizeof(p->input)]);
    }
}

static int load_port(struct console_port *p, struct state_reader *r)
{
    uint8_t flags = state_get_u8(r), owed = state_get_u8(r);
    uint64_t sent = state_get_u64(r);
    uint16_t used = state_get_u16(r);

    if (r->error || flags > 3 || owed & ~OWE_ALL || used > sizeof(p->input) ||
        (p->absent && (flags & 1 || owed)) || (owed & OWE_NAME && !p->host.name))
        return -EINVAL;
    state_get_bytes(r, p->input, used);
    if (r->error)
        return -EINVAL;
    p->guest_open = flags & 1;
    p->added = flags >> 1;
    p->owed = owed;
    p->sent = sent;
    p->head = 0;
    p->used = used;
    return 0;
}

static int console_load(struct virtio *v, struct state_reader *r)
{
    struct console *c = console_of(v);
    uint8_t count = state_get_u8(r);
    int err = r->error || count != c->count ? -EINVAL : 0;

    for (unsigned i = 0; i < c->count && !err; i++)
        err = load_port(c->port[i], r);
    for (unsigned i = 0; i < c->count && err; i++)
        console_forget(c->port[i]);
    loop_timer_arm(c->again, 0);
    return err;
}

static void console_destroy(struct virtio *v)
{
    struct console *c = console_of(v);

    for (unsigned i = 0; i < c->count; i++) {
        if (c->port[i] && c->port[i]->host.chr)
            chardev_attach(c->port[i]->host.chr, NULL);
        if (c->port[i])
            chardev_destroy(c->port[i]->own_chr);
        free(c->port[i]);
    }
    if (c->again)
        loop_timer_remove(c->again);
    if (c->stall)
        loop_timer_remove(c->stall);
    free(c);
}

static const struct virtio_ops console_ops = {
    .name = "virtio-console",
    .id = DEVICE_ID,
    .kick = console_kick,
    .stop = console_stop,
    .config_write = console_config_write,
    .save = console_save,
    .load = console_load,
    .destroy = console_destroy,
};

/* Ports. */

/* The number for a new port: 0 is kept for the first console, as drivers expect one there. */
static unsigned free_number(const struct console *c, bool console)
{
    return console && c->port[0]->absent ? 0 : c->count;
}

static struct console_port *port_at(struct console *c, unsigned number)
{
    struct console_port *p = number < c->count ? c->port[number] : calloc(1, sizeof(*p));

    if (!p || number < c->count)
        return p;
    p->console = c;
    p->number = number;
    c->port[c->count++] = p;
    c->v.queue_count = 2 * c->count + 2;
    store_le32(c->v.config + CONFIG_MAX_PORTS, c->count);
    return p;
}

int virtio_console_add(struct virtio *v, const struct virtio_console_port *port)
{
    struct console *c = console_of(v);
    unsigned number = free_number(c, port->console);
    size_t len = port->name ? strlen(port->name) : 0;
    struct console_port *p;

    if (len > VIRTIO_CONSOLE_NAME_MAX || (port->name && len == 0))
        return -EINVAL;
    if (number == VIRTIO_CONSOLE_PORTS)
        return -ENOSPC;
    p = port_at(c, number);
    if (!p)
        return -ENOMEM;
    p->absent = false;
    p->host = *port;
    if (port->name) {
        memcpy(p->name, port->name, len + 1);
        p->host.name = p->name;
    }
    if (number == 0 && port->chr)
        v->offered |= CONSOLE_F_EMERG_WRITE;
    console_attach_chardev(p);
    return (int)number;
}

size_t virtio_console_send(struct virtio *v, unsigned port, const void *buf, size_t len)
{
    struct console *c = console_of(v);
    struct console_port *p = port < c->count ? c->port[port] : NULL;
    size_t n;

    if (!p)
        return 0;
    pthread_mutex_lock(v->lock);
    n = console_put(p, buf, len);
    p->wants_room |= n < len;
    console_feed(p);
    pthread_mutex_unlock(v->lock);
    return n;
}

void virtio_console_resume(struct virtio *v, unsigned port)
{
    struct console *c = console_of(v);

    if (port >= c->count)
        return;
    pthread_mutex_lock(v->lock);
    c->port[port]->stopped = false;
    loop_timer_arm(c->again, 0);
    pthread_mutex_unlock(v->lock);
}

void virtio_console_resize(struct virtio *v, uint16_t columns, uint16_t rows)
{
    struct console *c = console_of(v);

    if (v->lock)
        pthread_mutex_lock(v->lock);
    store_le16(v->config + CONFIG_COLS, columns);
    store_le16(v->config + CONFIG_ROWS, rows);
    if (!v->lock)
        return;
    /* A port that is not open learns it when it gets ready. */
    for (unsigned i = 0; i < c->count; i++)
        if (c->port[i]->host.console && c->port[i]->guest_open)
            c->port[i]->owed |= OWE_RESIZE;
    if (virtio_has(v, CONSOLE_F_SIZE))
        virtio_config_changed(v);
    console_control_send(c);
    pthread_mutex_unlock(v->lock);
}

int virtio_console_create(const char *text, struct loop *loop, struct virtio **out)
{
    struct console *c = calloc(1, sizeof(*c));
    int err = -ENOMEM;

    if (!c)
        goto no_memory;
    virtio_init(&c->v, &console_ops, 2 * VIRTIO_CONSOLE_PORTS + 2, QUEUE_SIZE,
                CONSOLE_F_SIZE | CONSOLE_F_MULTIPORT);
    c->v.config_len = CONFIG_BYTES;
    c->loop = loop;
    c->again = loop_timer_add(loop, again_fired, c);
    c->stall = loop_timer_add(loop, stall_fired, c);
    if (!c->again || !c->stall || !port_at(c, 0))
        goto no_memory;
    c->port[0]->absent = true;
    err = console_open_text(c, text);
    if (!err) {
        *out = &c->v;
        return 0;
    }
no_memory:
    if (err == -ENOMEM)
        log_error("--virtio-console: cannot create the device: out of memory");
    if (c)
        virtio_destroy(&c->v);
    return err;
}
