/*
 * A console's inside, for console.c (life, queues and data), console_control.c (messages about
 * ports) and console_open.c (the option's text).
 */
#ifndef HV_VIRTIO_CONSOLE_PORT_H
#define HV_VIRTIO_CONSOLE_PORT_H

#include "devices/virtio/console.h"
#include "devices/virtio/virtio.h"

struct loop;
struct loop_timer;

/* Features and configuration (5.3.3, 5.3.4). */
#define CONSOLE_F_SIZE        (UINT64_C(1) << 0)
#define CONSOLE_F_MULTIPORT   (UINT64_C(1) << 1)
#define CONSOLE_F_EMERG_WRITE (UINT64_C(1) << 2)
#define CONFIG_COLS           0
#define CONFIG_ROWS           2
#define CONFIG_MAX_PORTS      4
#define CONFIG_EMERG_WRITE    8
#define CONFIG_BYTES          12

/* Queues (5.3.2). */
#define CONTROL_RX       2 /* device to driver */
#define CONTROL_TX       3

#define CONSOLE_STALL_MS 1000

#define CONSOLE_TURN     64 /* chains of a queue before the loop looks at other devices */

/* Messages that the driver is to get, a bit each and in the order of sending: however often it
 * asks, no more than one of each waits. */
enum console_owed {
    OWE_ADD = 1 << 0,
    OWE_CONSOLE = 1 << 1,
    OWE_NAME = 1 << 2,
    OWE_OPEN = 1 << 3,
    OWE_RESIZE = 1 << 4,
    OWE_ALL = (1 << 5) - 1
};

struct console;

struct console_port {
    struct console *console;
    struct virtio_console_port host; /* host.name is `name` below, or NULL */
    struct chardev *own_chr;         /* of a port that the option named */
    char name[VIRTIO_CONSOLE_NAME_MAX + 1];
    unsigned number;
    bool absent; /* number 0 has queues even when there is no such port */

    /* Under dev.lock. */
    bool added; /* OWE_ADD was owed once */
    bool guest_open;
    bool told_open;    /* what `opened` was last told */
    bool stopped;      /* the host's side is full */
    bool lossy;        /* and has been for so long that a console does not wait for it */
    bool wants_room;   /* `room` is owed */
    uint8_t owed;      /* enum console_owed */
    uint64_t sent;     /* bytes of the first waiting chain that the host has taken already */
    size_t head, used; /* of `input`, a ring of what waits for the guest */
    uint8_t input[VIRTIO_CONSOLE_SEND_BYTES];
};

struct console {
    struct virtio v;
    unsigned count;                                  /* of `port`; at least 1 */
    struct console_port *port[VIRTIO_CONSOLE_PORTS]; /* owned */
    struct loop *loop;
    struct loop_timer *again; /* a turn ended with work left, or a callback is owed */
    struct loop_timer *stall; /* CONSOLE_STALL_MS after a console stopped */
};

static inline unsigned console_rx(unsigned port)
{
    return port == 0 ? 0 : 2 * port + 2;
}

static inline unsigned console_tx(unsigned port)
{
    return console_rx(port) + 1;
}

/*
 * console_data.c; all under dev.lock, which console_drain and console_tell release while a callback
 * runs. Loop thread, unless said otherwise.
 */
void console_drain(struct console_port *p);   /* guest to host */
void console_feed(struct console_port *p);    /* host to guest; any thread */
void console_tell(struct console_port *p);    /* the callbacks `opened` and `room`, if owed */
void console_give_up(struct console_port *p); /* the host was full for CONSOLE_STALL_MS */

/* Before console_feed: returns how much there was room for. Any thread. */
size_t console_put(struct console_port *p, const uint8_t *buf, size_t len);

void console_update_input(struct console_port *p);   /* what the host may send; any thread */
void console_forget(struct console_port *p);         /* reset; any thread */
void console_attach_chardev(struct console_port *p); /* main thread */

/* The turn on `queue` is over: interrupts; `got` is what virtq_pop said last. */
void console_end_turn(struct console *c, unsigned queue, int got);

/* console_control.c; under dev.lock. */
void console_control_read(struct console *c); /* loop thread */
void console_control_send(struct console *c); /* what is owed, as far as there are buffers */

/* console_open.c: what the text says; 0 or -errno after one line. Main thread. */
int console_open_text(struct console *c, const char *text);

#endif
