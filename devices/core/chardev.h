/*
 * A byte stream between a device and the host: the back end of the serial port and of later
 * consoles. Output is buffered, never blocks a vCPU and is bounded; input is taken from the host
 * only as fast as the device asks for it.
 *
 * Output: chardev_write copies into a ring. The ring goes to the fd at a newline, when
 * CHARDEV_FLUSH_BYTES are waiting (with `prompt` always), at once when nothing went for
 * CHARDEV_LAG_MS, and else at the latest that long after the first byte. How the fd is written
 * without blocking is hostfd.h's business. When the reader stalls the ring fills, chardev_room
 * tells the device (which can hold its guest back as real hardware would), and bytes beyond it are
 * dropped and counted. A regular file is bounded by `limit`; ENOSPC and EFBIG drop and count too,
 * and a reader that went away for good (EPIPE) means that all is dropped.
 *
 * Thread: chardev_write, chardev_room, chardev_input_room and chardev_get_stats may be called from
 * any thread; the rest from the loop's. Lock: chardev.lock protects ring and counters, is taken
 * after dev.lock, and is not held while `input` or `drained` of the user run.
 */
#ifndef HV_CORE_CHARDEV_H
#define HV_CORE_CHARDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chardev;
struct loop;

#define CHARDEV_RING_BYTES  65536
#define CHARDEV_FLUSH_BYTES 512
#define CHARDEV_LAG_MS      10
#define CHARDEV_ROOM_LOW    64 /* a device that sees less room than this is told by `drained` */

struct chardev_config {
    int in_fd;      /* -1: no input. Not owned. */
    int out_fd;     /* -1: output is seen by the tap only. Not owned. */
    uint64_t limit; /* bytes that may go to out_fd when it is a regular file; 0: no limit */

    bool prompt; /* output goes at once: it comes in pieces already, not byte by byte */

    /*
     * Host input passes here first; may shorten or replace it in place (escape keys). Returns the
     * number of bytes left. NULL: all input is for the guest. Loop thread.
     */
    size_t (*filter)(void *opaque, uint8_t *buf, size_t len);
    void *filter_opaque;

    /* Sees every output byte once, in order, before it is written. Under chardev.lock. */
    void (*tap)(void *opaque, const uint8_t *buf, size_t len);
    void *tap_opaque;
};

/* The device on the guest's side. Called on the loop thread without any lock held. */
struct chardev_user {
    /* len <= what input_room said. Ends by saying input_room anew, under the device's lock: that
     * settles what a vCPU thread may have said while these bytes were on their way. */
    void (*input)(void *opaque, const uint8_t *buf, size_t len);
    /* Room was below CHARDEV_ROOM_LOW, when written to or asked for, and is half the ring now. */
    void (*drained)(void *opaque);
    void *opaque;
};

/*
 * NULL with errno. `config` is copied; its descriptors are duplicated. A descriptor that is not
 * open is a console without that direction. destroy accepts NULL and flushes for at most 1 s.
 */
struct chardev *chardev_create(struct loop *loop, const struct chardev_config *config);
void chardev_destroy(struct chardev *chr);

/* At most one user; NULL detaches. While the loop is not running or from its thread. */
void chardev_attach(struct chardev *chr, const struct chardev_user *user);

/* Queues output; returns how many bytes were taken, the rest is dropped and counted. */
size_t chardev_write(struct chardev *chr, const uint8_t *buf, size_t len);

/* Bytes that chardev_write would take now. */
size_t chardev_room(struct chardev *chr);

/*
 * The device can take `len` bytes of input now; 0 stops reading from the host, but for a few KiB
 * that pass the filter and wait.
 */
void chardev_input_room(struct chardev *chr, size_t len);

/* Writes what is waiting, for at most `ms` milliseconds; accepts NULL. */
void chardev_flush(struct chardev *chr, unsigned ms);

struct chardev_stats {
    uint64_t written; /* bytes the guest wrote, dropped ones included */
    uint64_t dropped;
};
struct chardev_stats chardev_get_stats(struct chardev *chr);

#endif
