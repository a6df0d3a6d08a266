/*
 * Byte streams between guest and host (virtio 1.2, 5.3), with names: the multiport kind. A pair of
 * queues carries messages about the ports, a pair for each port its bytes.
 */
#ifndef GUEST_VIRTIO_CONSOLE_H
#define GUEST_VIRTIO_CONSOLE_H

#include "guest-tests/lib/virtq.h"

#define CONSOLE_PORTS    4  /* port 0 is the console's, whether there is one or not */
#define CONSOLE_NAME_MAX 32 /* with the NUL */
#define CONSOLE_BUFFER   512

struct virtio_console_port {
    struct virtq in, out;
    char name[CONSOLE_NAME_MAX]; /* empty: it has told none */
    bool there;                  /* the device has added it */
    bool host_open;              /* somebody listens at the other end */
    uint8_t received[CONSOLE_BUFFER];
    bool waiting; /* `received` is with the device */
};

struct virtio_console {
    struct virtio dev;
    struct virtq control_in, control_out;
    struct virtio_console_port port[CONSOLE_PORTS];
};

/* The nth device, started, and its ports learnt: what the host says in a moment. False: none. */
bool virtio_console_open(struct virtio_console *console, unsigned nth);

/* The port of that name, NULL when there is none. */
struct virtio_console_port *virtio_console_port(struct virtio_console *console, const char *name);

/* Sends the bytes and waits until the device has taken them. */
bool virtio_console_write(struct virtio_console_port *port, const void *data, uint32_t len);

/* Up to CONSOLE_BUFFER bytes that came, waiting some seconds; *data is valid until the next call.
 * Returns how many, 0 when none came. */
uint32_t virtio_console_read(struct virtio_console_port *port, const uint8_t **data);

#endif
