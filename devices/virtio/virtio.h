/*
 * A virtio device, whatever its transport (virtio 1.2, chapter 2): status, features, configuration
 * space, queues, reset. A device model implements struct virtio_ops and embeds struct virtio as its
 * first member; a transport (mmio.c, pci.c) turns register accesses into the calls below.
 *
 * Thread and lock: everything here runs under the transport's dev.lock. Kicks reach the device on
 * the loop thread only: a write to the notification register signals the same eventfd that KVM
 * signals when it has the register (ioeventfd), so there is one path for both.
 *
 * Reset with requests in flight (2.4.2): the device stops taking requests at once, and the vCPU
 * that asked for the reset waits until the host has let go of guest memory.
 */
#ifndef HV_VIRTIO_VIRTIO_H
#define HV_VIRTIO_VIRTIO_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/virtio/queue.h"

struct loop;
struct loop_watch;
struct state_reader;
struct state_writer;
struct virtio;

#define VIRTIO_MAX_QUEUES 35 /* net: 16 pairs and control; console: 16 ports and control */
#define VIRTIO_MAX_CONFIG 96 /* bytes of device configuration */

/* Device status (2.1). */
#define VIRTIO_STATUS_ACKNOWLEDGE 0x01
#define VIRTIO_STATUS_DRIVER      0x02
#define VIRTIO_STATUS_DRIVER_OK   0x04
#define VIRTIO_STATUS_FEATURES_OK 0x08
#define VIRTIO_STATUS_NEEDS_RESET 0x40
#define VIRTIO_STATUS_FAILED      0x80

struct virtio_ops {
    const char *name; /* "virtio-blk": messages, and the section of saved state */
    uint16_t id;      /* device type (5) */

    /* DRIVER_OK: queues and memory may be used from here on. 0, or -errno: the device then needs a
     * reset. May be NULL. */
    int (*activate)(struct virtio *v);

    /* The driver says that queue `queue` has buffers. Loop thread. Not called before activate. */
    void (*kick)(struct virtio *v, unsigned queue);

    /*
     * Take no further request from `queue`, or from any with VIRTIO_ALL_QUEUES, and forget what
     * waits inside the device. Requests that the host works on count in v->busy until they are
     * done, and their completion must not touch the queue: compare v->epoch. (It
     * grows with the stop of any queue: a device that works on several keeps one for each.) May
     * be NULL.
     */
    void (*stop)(struct virtio *v, unsigned queue);

    /* The configuration space was written at [offset, offset + size) with `data`: check it, then
     * change v->config. NULL: all of it is read-only. */
    void (*config_write)(struct virtio *v, unsigned offset, unsigned size, const uint8_t *data);

    /* The device's own state, beyond queues and features. Not busy when called. May be NULL. */
    void (*save)(struct virtio *v, struct state_writer *w);
    int (*load)(struct virtio *v, struct state_reader *r);

    void (*destroy)(struct virtio *v); /* frees the device and its back end; not with NULL */
};

#define VIRTIO_ALL_QUEUES    UINT32_MAX
#define VIRTIO_CONFIG_CHANGE UINT32_MAX /* in place of a queue: the configuration changed */

/* What the transport does for the device. Any thread that holds dev.lock. */
struct virtio_wire {
    void (*interrupt)(void *opaque, uint32_t queue); /* or VIRTIO_CONFIG_CHANGE */
    void *opaque;
};

struct virtio {
    const struct virtio_ops *ops;
    uint64_t offered;                  /* features; set by create */
    uint8_t config[VIRTIO_MAX_CONFIG]; /* little-endian, as the driver reads it */
    unsigned config_len;
    unsigned queue_count;
    bool shares_memory; /* set by create: guest memory must have a file (gmem.h) */
    struct virtq queue[VIRTIO_MAX_QUEUES]; /* create sets .max */

    /* Below: virtio.c and the transport. A device reads mem, acked and epoch. */
    uint64_t acked;         /* negotiated features; 0 until FEATURES_OK */
    const struct gmem *mem; /* NULL before activation */
    uint32_t busy;          /* requests that the host works on */
    uint32_t epoch;         /* grows with each stop: completions of an older one are dropped */
    uint8_t status;
    uint64_t accepted;   /* as written by the driver, until FEATURES_OK */
    uint32_t generation; /* of the configuration (2.5) */
    bool resetting;
    uint64_t broken_count;     /* rules that the guest broke */
    const struct gmem *memory; /* what mem becomes at activation */
    pthread_mutex_t *lock;     /* the transport's dev.lock */
    pthread_cond_t idle;       /* busy fell to 0; with *lock */
    struct virtio_wire wire;
    struct loop *loop;
    struct virtio_bell *bell; /* owned array, one a queue; NULL before virtio_attach */
};

/* One queue's notification. */
struct virtio_bell {
    struct virtio *v;
    unsigned queue;
    int fd; /* eventfd; owned */
    struct loop_watch *watch;
};

/* For create and destroy of a device. */
void virtio_init(struct virtio *v, const struct virtio_ops *ops, unsigned queues, uint16_t size,
                 uint64_t features);
void virtio_destroy(struct virtio *v); /* accepts NULL; calls ops->destroy */

/* For devices. */

/* Interrupts the driver if it wants that for queue `queue`; after each batch of virtq_push. */
void virtio_notify(struct virtio *v, unsigned queue);

/* The device changed its configuration: generation and interrupt. */
void virtio_config_changed(struct virtio *v);

/* The guest broke a rule: DEVICE_NEEDS_RESET (2.1.2), all queues stop. `why` is logged. */
void virtio_broken(struct virtio *v, const char *why);

/* The host's side of the device is gone for good, which the caller has logged: as virtio_broken
 * otherwise. */
void virtio_lost(struct virtio *v);

/*
 * For a device whose queues another process serves. Its notifications of `queue` go to who holds
 * the eventfd that is returned (borrowed, until virtio_destroy), no longer to ops->kick; after
 * virtio_bell_return they do again. A kick that was under way when the eventfd was taken still
 * arrives: pass it on with virtio_ring. virtio_interrupt: that process wants one.
 */
int virtio_bell_take(struct virtio *v, unsigned queue);
void virtio_bell_return(struct virtio *v, unsigned queue);
void virtio_interrupt(struct virtio *v, unsigned queue);

/* A request of `queue` goes to the host, or comes back: reset waits for it. Not later than in
 * ops->destroy, which ends all of them before it frees the device. */
void virtio_busy(struct virtio *v, unsigned queue);
void virtio_done(struct virtio *v, unsigned queue);

/* The queue is active and the driver may be using it. */
bool virtio_queue_ready(const struct virtio *v, unsigned queue);
static inline bool virtio_has(const struct virtio *v, uint64_t feature)
{
    return (v->acked & feature) != 0;
}

/* For transports. */

/* Ties the device to its transport; makes the bells. 0 or -errno. */
int virtio_attach(struct virtio *v, struct loop *loop, const struct gmem *mem,
                  pthread_mutex_t *lock, const struct virtio_wire *wire);

void virtio_set_status(struct virtio *v, uint8_t status);
uint32_t virtio_features(const struct virtio *v, uint32_t select);
void virtio_accept(struct virtio *v, uint32_t select, uint32_t value);
void virtio_config_read(const struct virtio *v, uint64_t offset, unsigned size, uint8_t *data);
void virtio_config_write(struct virtio *v, uint64_t offset, unsigned size, const uint8_t *data);

/* NULL when there is no queue of that number. */
struct virtq *virtio_queue(struct virtio *v, uint32_t queue);

/* Whether the driver may still change what describes a queue (4.1.4.3.2, 4.2.2.2). */
bool virtio_queue_open(const struct virtio *v, uint32_t queue);
void virtio_queue_enable(struct virtio *v, uint32_t queue);

/* 2.6.1. These wait for the host's work on the queue (dev.lock is released meanwhile). */
void virtio_queue_reset(struct virtio *v, uint32_t queue);
void virtio_queue_disable(struct virtio *v, uint32_t queue); /* QueueReady becomes 0 (4.2.2) */
bool virtio_queue_in_reset(const struct virtio *v, uint32_t queue);

/* A notification arrived as an exit: rings the bell. Numbers that are no queue are ignored. */
void virtio_ring(struct virtio *v, uint32_t queue);

/* Device reset; waits for the host's work (dev.lock is released meanwhile). */
void virtio_reset(struct virtio *v);

void virtio_save(struct virtio *v, struct state_writer *w);
int virtio_load(struct virtio *v, struct state_reader *r);

#endif
