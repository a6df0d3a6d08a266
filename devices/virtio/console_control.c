/*
 * The control queues of a console with several ports (virtio 1.2, 5.3.6.2): the driver asks which
 * ports there are, says which it has ready and open, and is told their names. Called by console.c
 * under dev.lock.
 */
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/virtio/console_port.h"

/* struct virtio_console_control: le32 id, le16 event, le16 value. */
#define MESSAGE_BYTES 8

enum event {
    DEVICE_READY,
    DEVICE_ADD,
    DEVICE_REMOVE,
    PORT_READY,
    CONSOLE_PORT,
    RESIZE,
    PORT_OPEN,
    PORT_NAME
};

/* From the driver. */

struct message {
    uint32_t id;
    uint16_t event, value;
};

/* False: too short for a message. */
static bool parse(const struct virtq_chain *chain, struct message *m)
{
    uint8_t data[MESSAGE_BYTES];

    if (virtq_chain_read(chain, 0, data, sizeof(data)) < sizeof(data))
        return false;
    *m = (struct message){load_le32(data), load_le16(data + 4), load_le16(data + 6)};
    return true;
}

/* Once: 5.3.6.2.1 forbids to add a port that exists. */
static void add_port(struct console_port *p)
{
    if (!p->absent && !p->added)
        p->owed |= OWE_ADD;
    p->added = true;
}

static void port_ready(struct console *c, struct console_port *p)
{
    p->owed |= OWE_OPEN;
    if (p->host.name)
        p->owed |= OWE_NAME;
    if (!p->host.console)
        return;
    p->owed |= OWE_CONSOLE;
    if (load_le16(c->v.config + CONFIG_COLS))
        p->owed |= OWE_RESIZE;
}

static void handle(struct console *c, const struct message *m)
{
    struct console_port *p = m->id < c->count && !c->port[m->id]->absent ? c->port[m->id] : NULL;

    if (m->event == DEVICE_READY) {
        /* Value 0 is a driver that failed: it has no use for ports. */
        for (unsigned i = 0; i < c->count && m->value == 1; i++)
            add_port(c->port[i]);
    } else if (!p) {
        log_guest("virtio-console: a message about a port that does not exist");
    } else if (m->event == PORT_READY && m->value == 1) {
        port_ready(c, p);
    } else if (m->event == PORT_OPEN) {
        p->guest_open = m->value & 1;
        console_feed(p);
        loop_timer_arm(c->again, 0); /* `opened` */
    }
}

void console_control_read(struct console *c)
{
    struct virtq *q = &c->v.queue[CONTROL_TX];
    struct virtq_chain chain;
    struct message m;
    int got = 1;

    virtq_set_kicks(q, false);
    for (unsigned i = 0; i < CONSOLE_TURN && got > 0; i++) {
        got = virtq_pop(q, &chain);
        if (got > 0) {
            if (parse(&chain, &m))
                handle(c, &m);
            else
                log_guest("virtio-console: a control message is too short");
            virtq_push(q, &chain, 0);
        } else if (got == 0 && virtq_set_kicks(q, true)) {
            got = 1; /* one came between the look and the wish */
        }
    }
    console_end_turn(c, CONTROL_TX, got);
    console_control_send(c);
}

/* To the driver. */

/* The first message that is owed, as bytes; 0: none. It counts as sent. */
static size_t next_message(struct console *c, uint8_t *data)
{
    struct console_port *p = NULL;
    size_t len = MESSAGE_BYTES;
    unsigned what;

    for (unsigned i = 0; i < c->count && !(p && p->owed); i++)
        p = c->port[i];
    if (!p || !p->owed)
        return 0;
    what = p->owed & (0u - p->owed); /* the lowest bit */
    p->owed &= (uint8_t)~what;
    store_le32(data, p->number);
    store_le16(data + 6, 1);
    switch (what) {
    case OWE_ADD:
        store_le16(data + 4, DEVICE_ADD);
        break;
    case OWE_CONSOLE:
        store_le16(data + 4, CONSOLE_PORT);
        break;
    case OWE_OPEN:
        store_le16(data + 4, PORT_OPEN);
        break;
    case OWE_NAME:
        store_le16(data + 4, PORT_NAME);
        memcpy(data + len, p->name, strlen(p->name)); /* no NUL (5.3.6.2) */
        len += strlen(p->name);
        break;
    case OWE_RESIZE:
        /* Columns, then rows: Linux before 6.16 reads them the other way round. */
        store_le16(data + 4, RESIZE);
        memcpy(data + len, c->v.config + CONFIG_COLS, 4);
        len += 4;
        break;
    }
    return len;
}

static bool anything_owed(const struct console *c)
{
    unsigned owed = 0;

    for (unsigned i = 0; i < c->count; i++)
        owed |= c->port[i]->owed;
    return owed != 0;
}

void console_control_send(struct console *c)
{
    struct virtq *q = &c->v.queue[CONTROL_RX];
    uint8_t data[MESSAGE_BYTES + VIRTIO_CONSOLE_NAME_MAX];
    struct virtq_chain chain;
    int got = 1;

    if (!virtio_has(&c->v, CONSOLE_F_MULTIPORT) || !virtio_queue_ready(&c->v, CONTROL_RX))
        return;
    while (got > 0 && anything_owed(c)) {
        got = virtq_pop(q, &chain);
        if (got > 0) {
            /* A buffer that is too small gets what fits: the driver's loss, and no loop. */
            size_t n = virtq_chain_write(&chain, 0, data, next_message(c, data));

            virtq_push(q, &chain, (uint32_t)n);
        } else if (got == 0 && virtq_set_kicks(q, true)) {
            got = 1;
        }
    }
    console_end_turn(c, CONTROL_RX, got < 0 ? got : 0);
}
