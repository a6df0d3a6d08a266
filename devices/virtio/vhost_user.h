/*
 * The front end of the vhost-user protocol (QEMU: docs/interop/vhost-user.rst): another process,
 * the back end, serves the queues of a virtio device. Over a Unix socket it gets guest memory and
 * the rings; notifications go through eventfds.
 *
 * Each call waits for the back end, but not beyond the limit that vhost_user_limit has set. Any
 * failure leaves the conversation in the middle, so that the link can only be closed then:
 *   -EPIPE      the back end is gone
 *   -ETIMEDOUT  it does not answer
 *   -EPROTO     it answers what the protocol does not allow
 *   -EREMOTEIO  it says that it cannot do what it was asked for
 *   -ENOTSUP    it lacks something that is needed here
 * The back end has the rights that its user gave it, but what it answers is checked.
 *
 * Not thread safe; the device's dev.lock covers it.
 */
#ifndef HV_VIRTIO_VHOST_USER_H
#define HV_VIRTIO_VHOST_USER_H

#include <stdbool.h>
#include <stdint.h>

struct gmem;
struct virtq;

struct vhost_user {
    int fd;            /* owned; -1: none */
    uint64_t features; /* virtio features that the back end offers */
    bool acknowledges; /* it confirms each request */
    uint64_t until_ns; /* when the limit passes, of loop_now_ns */
};

/* Takes `fd`, a connected stream socket, and agrees with the back end, which must be able to serve
 * `queues` queues, within `ms`. */
int vhost_user_open(struct vhost_user *u, int fd, unsigned queues, unsigned ms);
void vhost_user_close(struct vhost_user *u); /* accepts a closed one */

/* All calls together until the next limit may take `ms`. */
void vhost_user_limit(struct vhost_user *u, unsigned ms);

/* The features that driver and device agreed upon. Before the first queue starts. */
int vhost_user_set_features(struct vhost_user *u, uint64_t features);

/* Guest memory, which must have a file (gmem.h). */
int vhost_user_set_memory(struct vhost_user *u, const struct gmem *mem);

/* Starts queue `index`, a split ring that virtq_activate accepted. The driver's notifications come
 * by `kick`, the back end's by `call`: eventfds that stay the caller's. */
int vhost_user_start(struct vhost_user *u, unsigned index, const struct virtq *q, int kick,
                     int call);

/* When this returns 0 the back end uses that queue's ring and buffers no longer. */
int vhost_user_stop(struct vhost_user *u, unsigned index);

/* What an error above says of the back end: "does not answer". */
const char *vhost_user_explain(int err);

#endif
