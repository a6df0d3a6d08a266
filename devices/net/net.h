/*
 * The host's end of a network card: a tap device, a socket to another guest or a hub, or the
 * user-mode network of passt. Frames are Ethernet without checksum, each behind the 12-byte header
 * of virtio 1.2, 5.1.6 (little-endian, num_buffers ignored), which back ends that cannot offload
 * refuse through net_offloads.
 *
 * Thread: the loop's for everything, callbacks included. No lock of a device is held in callbacks.
 */
#ifndef HV_NET_NET_H
#define HV_NET_NET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct loop;
struct net;

#define NET_HEADER_BYTES 12
#define NET_FRAME_MAX    (65536 + 14) /* largest frame with TSO, without the header */

/* Bits of net_offloads and net_set_offloads: what the peer of the guest accepts to receive, and
 * what the guest accepts (TUN_F_*). */
#define NET_CSUM 0x01
#define NET_TSO4 0x02
#define NET_TSO6 0x04
#define NET_ECN  0x08
#define NET_UFO  0x10

struct net_user {
    void (*readable)(void *opaque);      /* frames wait; stays quiet until net_want_read */
    void (*writable)(void *opaque);      /* after a net_send that returned -EAGAIN */
    void (*link)(void *opaque, bool up); /* the other side went away or came back */
    void *opaque;
};

/*
 * `text` is what follows "--net ": "user,hostfwd=tcp::8080-:80", "tap,ifname=tap0", "tap,fd=5",
 * "socket,path=/run/wire", "none". 0, or -errno after one log_error line with the remedy. Main
 * thread, before vCPUs run.
 */
int net_open(const char *text, unsigned queues, struct loop *loop, struct net **out);
void net_close(struct net *net); /* accepts NULL; ends helpers and waits for them */

/* Before or after opening; NULL detaches. */
void net_attach(struct net *net, const struct net_user *user);

/* What the host's side can take from the guest, and, set once features are negotiated, what it may
 * send. 0 when there are no offloads. */
unsigned net_offloads(const struct net *net);
void net_set_offloads(struct net *net, unsigned offloads);

/*
 * One frame, header first, on queue pair `queue`. send: 0 when it was taken or dropped for good;
 * -EAGAIN: keep it, `writable` will be called. recv: bytes with header; -EAGAIN: none;
 * -EMSGSIZE: the next frame does not fit in iov and was dropped.
 */
int net_send(struct net *net, unsigned queue, const struct iovec *iov, unsigned count);
ssize_t net_recv(struct net *net, unsigned queue, const struct iovec *iov, unsigned count);

/* Whether `readable` shall be called; a guest without buffers says false. */
void net_want_read(struct net *net, unsigned queue, bool on);

bool net_link_up(const struct net *net);
unsigned net_queues(const struct net *net); /* pairs that are there: 1 unless a multiqueue tap */

#endif
