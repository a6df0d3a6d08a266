/*
 * What hv asks of a virtio console (virtio 1.2, 5.3): ports besides those that its option names,
 * for instance a channel on which a guest reports how it fares. `v` is what virtio_console_create
 * made.
 *
 * A port is tied to a chardev or to callbacks. Both directions hold back: the guest's output waits
 * in the guest while the host's side is full (a console's for a second, then it is dropped), and
 * the host's input is taken only while there is room for it and a guest program (or console) has
 * the port open.
 */
#ifndef HV_VIRTIO_CONSOLE_H
#define HV_VIRTIO_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chardev;
struct virtio;

#define VIRTIO_CONSOLE_PORTS      16
#define VIRTIO_CONSOLE_NAME_MAX   63
#define VIRTIO_CONSOLE_SEND_BYTES 4096 /* what waits for the guest, each port */

/* Callbacks come on the loop thread, without any lock held; each may be NULL. */
struct virtio_console_port {
    const char *name;    /* copied: /dev/virtio-ports/NAME; NULL: none */
    bool console;        /* the guest may log in there: /dev/hvc0 */
    struct chardev *chr; /* the host's end, borrowed; NULL: the callbacks */

    /* The guest wrote. Returns how many bytes it took; fewer than `len` stops the port until
     * virtio_console_resume. NULL: all is taken. */
    size_t (*data)(void *opaque, const uint8_t *buf, size_t len);
    /* After a virtio_console_send that took less than all: there is room again. */
    void (*room)(void *opaque);
    /* A guest program opened or closed the port; a reset closes it. */
    void (*opened)(void *opaque, bool open);
    void *opaque;
};

/*
 * Before the device has a transport. Returns the port's number, or -ENOSPC, -ENOMEM, and -EINVAL
 * for a name that is too long. The first port is number 0, the only one that a driver without
 * MULTIPORT knows.
 */
int virtio_console_add(struct virtio *v, const struct virtio_console_port *port);

/* Once there is a transport. Any thread, not within dev.lock. Returns how many bytes were taken. */
size_t virtio_console_send(struct virtio *v, unsigned port, const void *buf, size_t len);

/* `data` can take more. Any thread, not within dev.lock. */
void virtio_console_resume(struct virtio *v, unsigned port);

/* The terminal behind the consoles has another size. Any thread, not within dev.lock. */
void virtio_console_resize(struct virtio *v, uint16_t columns, uint16_t rows);

#endif
