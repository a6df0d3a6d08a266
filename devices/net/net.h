/*
 * The host's end of a network card: a tap device, a wire to other guests, or the user-mode network
 * of passt. Frames are Ethernet without checksum, each behind the 12-byte header of virtio 1.2,
 * 5.1.6 (little-endian, num_buffers ignored), which back ends without offloads leave empty.
 *
 * Thread: the loop's for everything, callbacks included. No lock of a device is held in callbacks.
 */
#ifndef HV_NET_NET_H
#define HV_NET_NET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "devices/core/params.h"

struct loop;
struct net;

#define NET_HEADER_BYTES 12
#define NET_FRAME_MAX    (65536 + 14) /* largest frame with TSO, without the header */
#define NET_QUEUES_MAX   16           /* pairs */
#define NET_IOV_MAX      260          /* segments of one frame: a chain, a header, some to spare */

/* Bits of net_offloads and net_set_offloads: what the peer of the guest accepts to receive, and
 * what the guest accepts (TUN_F_*). */
#define NET_CSUM 0x01
#define NET_TSO4 0x02
#define NET_TSO6 0x04
#define NET_ECN  0x08
#define NET_UFO  0x10

/* What follows "--net ": "user,hostfwd=tcp::8080-:80", "tap,ifname=tap0", "socket,path=/run/wire",
 * "none". One structure for all types; a key of another type is refused by net_open. */
struct net_config {
    unsigned type;
    struct param_list hostfwd; /* user */
    char *ifname;              /* tap */
    struct param_list fd;      /* tap: one a queue pair, inherited */
    char *path;                /* socket */
    unsigned queues;           /* pairs; tap */
    char *mac;                 /* NULL: a random one */
    unsigned mtu;              /* told to the guest; 0: nothing is told */
    uint64_t bps;              /* bytes a second, each way; 0: no limit */
    uint64_t pps;              /* frames a second, each way; 0: no limit */
};

extern const struct params net_params;

struct net_user {
    void (*readable)(void *opaque, unsigned queue); /* frames wait; see net_want_read */
    void (*writable)(void *opaque, unsigned queue); /* after a net_send that returned -EAGAIN */
    void (*link)(void *opaque, bool up);            /* the other side went away or came back */
    void *opaque;
};

/* 0, or -errno after one log_error line with the remedy. Main thread, before vCPUs run. */
int net_open(const struct net_config *config, struct loop *loop, struct net **out);
void net_close(struct net *net); /* accepts NULL; ends helpers and waits for them */

/* NULL detaches. */
void net_attach(struct net *net, const struct net_user *user);

/* What the host's side can take from the guest, and, set once features are negotiated, what it may
 * send. 0 when there are no offloads. */
unsigned net_offloads(const struct net *net);
void net_set_offloads(struct net *net, unsigned offloads);

/*
 * One frame, header first, on queue pair `queue`; at most NET_IOV_MAX - 2 segments.
 *
 * send: 0 when it was taken or dropped for good; -EAGAIN: keep it, `writable` will be called.
 *
 * recv: bytes with header; -EAGAIN: none; -EMSGSIZE: the next frame did not fit in iov and was
 * dropped; parts of iov may have been written then.
 */
int net_send(struct net *net, unsigned queue, const struct iovec *iov, unsigned count);
ssize_t net_recv(struct net *net, unsigned queue, const struct iovec *iov, unsigned count);

/*
 * Whether `readable` shall be called; a guest without buffers says false. Say true again after a
 * batch that ended before -EAGAIN: frames may wait inside, where epoll does not see them.
 */
void net_want_read(struct net *net, unsigned queue, bool on);

/* Frames come on the first `pairs` queues only (1 to net_queues); all of them at first. */
void net_set_queues(struct net *net, unsigned pairs);

bool net_link_up(const struct net *net);
unsigned net_queues(const struct net *net); /* pairs that are there: 1 unless a multiqueue tap */

#endif
