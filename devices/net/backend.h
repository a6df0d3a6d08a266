/*
 * What a back end of net.h implements, and what the back ends share. Only files of devices/net
 * include this.
 */
#ifndef HV_NET_BACKEND_H
#define HV_NET_BACKEND_H

#include "devices/net/net.h"

struct net_ops {
    void (*close)(struct net *net); /* frees it */
    int (*send)(struct net *net, unsigned queue, const struct iovec *iov, unsigned count);
    ssize_t (*recv)(struct net *net, unsigned queue, const struct iovec *iov, unsigned count);
    void (*want_read)(struct net *net, unsigned queue, bool on);
    void (*set_offloads)(struct net *net, unsigned offloads); /* may be NULL */
    void (*set_queues)(struct net *net, unsigned pairs);      /* may be NULL */
};

/* Embedded first in each back end. */
struct net {
    const struct net_ops *ops;
    struct loop *loop;
    struct net_user user; /* all NULL while detached */
    unsigned queues, offloads;
    bool up;
};

/* 0 and *out, or -errno after one log_error line. */
int net_tap_open(const struct net_config *config, struct loop *loop, struct net **out);
int net_wire_open(const struct net_config *config, struct loop *loop, struct net **out);
int net_passt_open(const struct net_config *config, struct loop *loop, struct net **out);

void net_init(struct net *net, const struct net_ops *ops, struct loop *loop);

/* To the device, if there is one. */
void net_readable(struct net *net, unsigned queue);
void net_writable(struct net *net, unsigned queue);
void net_set_link(struct net *net, bool up); /* tells changes only */

/* The bytes of iov after the first `skip`, in `out` with room for `count`; returns its length. */
unsigned net_iov_skip(const struct iovec *iov, unsigned count, size_t skip, struct iovec *out);
size_t net_iov_len(const struct iovec *iov, unsigned count);

/* An empty header and the frame; -EMSGSIZE when iov is too short. What net_recv returns. */
ssize_t net_iov_fill(const struct iovec *iov, unsigned count, const void *frame, size_t len);

#endif
