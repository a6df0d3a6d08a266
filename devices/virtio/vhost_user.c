/*
 * The vhost-user protocol, front end: see vhost_user.h. Called by device models (fs.c).
 *
 * Numbers are in the host's byte order. Each message is a header of 12 bytes and a payload whose
 * size follows from the request; all that this end sends fit into a socket's buffer whole.
 */
#include "devices/virtio/vhost_user.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/core/gmem.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/virtio/queue.h"

/* "Front-end message types". */
enum request {
    GET_FEATURES = 1,
    SET_FEATURES = 2,
    SET_OWNER = 3,
    SET_MEM_TABLE = 5,
    SET_VRING_NUM = 8,
    SET_VRING_ADDR = 9,
    SET_VRING_BASE = 10,
    GET_VRING_BASE = 11,
    SET_VRING_KICK = 12,
    SET_VRING_CALL = 13,
    GET_PROTOCOL_FEATURES = 15,
    SET_PROTOCOL_FEATURES = 16,
    GET_QUEUE_NUM = 17,
    SET_VRING_ENABLE = 18,
};

/* Flags of the header: the protocol's version in the lowest two bits. */
#define VERSION    0x1u
#define REPLY      0x4u
#define NEED_REPLY 0x8u

/* A virtio feature bit that no device has: the back end knows protocol features. */
#define F_PROTOCOL_FEATURES (UINT64_C(1) << 30)

#define PROTOCOL_MQ         (UINT64_C(1) << 0)
#define PROTOCOL_REPLY_ACK  (UINT64_C(1) << 3)

#define NO_DESCRIPTORS      0

struct header {
    uint32_t request, flags, size;
};

struct ring_number {
    uint32_t index, number;
};

struct ring_addresses {
    uint32_t index, flags;
    uint64_t desc, used, avail, log; /* as addresses in this process */
};

struct region {
    uint64_t gpa, size, address, offset;
};

struct memory_table {
    uint32_t count, padding;
    struct region region[GMEM_MAX_REGIONS];
};

void vhost_user_limit(struct vhost_user *u, unsigned ms)
{
    u->until_ns = loop_now_ns() + ms * UINT64_C(1000000);
}

/* Waits until the socket can do `events` or has failed. */
static int wait_for(const struct vhost_user *u, short events)
{
    struct pollfd p = {.fd = u->fd, .events = events};
    uint64_t now = loop_now_ns();
    uint64_t ms = now < u->until_ns ? (u->until_ns - now) / 1000000 + 1 : 0;
    int n = poll(&p, 1, ms < INT_MAX ? (int)ms : INT_MAX);

    if (n == 0)
        return -ETIMEDOUT;
    return n > 0 || errno == EINTR ? 0 : -errno;
}

/* What went wrong with the socket, as this file's callers know it. */
static int socket_error(int err)
{
    return err == ECONNRESET || err == ENOTCONN ? -EPIPE : -err;
}

static int send_message(struct vhost_user *u, struct header head, const void *payload,
                        const int *fds, unsigned fd_count)
{
    union {
        struct cmsghdr head; /* for its alignment */
        char buf[CMSG_SPACE(GMEM_MAX_REGIONS * sizeof(int))];
    } control = {.buf = {0}};
    struct iovec iov[] = {{&head, sizeof(head)}, {(void *)(uintptr_t)payload, head.size}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = head.size ? 2 : 1};
    size_t bytes = fd_count * sizeof(int);
    ssize_t n;

    if (fd_count) {
        msg.msg_control = control.buf;
        msg.msg_controllen = CMSG_SPACE(bytes);
        *CMSG_FIRSTHDR(&msg) = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(bytes), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), fds, bytes);
    }
    for (;;) {
        int err;

        n = sendmsg(u->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0)
            return (size_t)n == sizeof(head) + head.size ? 0 : -EPROTO;
        if (errno != EAGAIN && errno != EINTR)
            return socket_error(errno);
        err = wait_for(u, POLLOUT);
        if (err)
            return err;
    }
}

/* Descriptors that come along are not taken, so the kernel closes them. */
static int recv_bytes(struct vhost_user *u, void *buf, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = recv(u->fd, (uint8_t *)buf + done, len - done, MSG_DONTWAIT);
        int err = 0;

        if (n > 0)
            done += (size_t)n;
        else if (n == 0)
            err = -EPIPE;
        else if (errno == EAGAIN || errno == EINTR)
            err = wait_for(u, POLLIN);
        else
            err = socket_error(errno);
        if (err)
            return err;
    }
    return 0;
}

static int recv_reply(struct vhost_user *u, enum request request, void *payload, uint32_t size)
{
    struct header head;
    int err = recv_bytes(u, &head, sizeof(head));

    if (err)
        return err;
    if (head.request != request || (head.flags & ~NEED_REPLY) != (VERSION | REPLY) ||
        head.size != size)
        return -EPROTO;
    return recv_bytes(u, payload, size);
}

static int get_u64(struct vhost_user *u, enum request request, uint64_t *value)
{
    int err = send_message(u, (struct header){request, VERSION, 0}, NULL, NULL, NO_DESCRIPTORS);

    return err ? err : recv_reply(u, request, value, sizeof(*value));
}

/* Tells, and waits for the confirmation if the back end gives one. */
static int set(struct vhost_user *u, enum request request, const void *payload, size_t size,
               const int *fds, unsigned fd_count)
{
    uint32_t flags = VERSION | (u->acknowledges ? NEED_REPLY : 0);
    struct header head = {request, flags, (uint32_t)size};
    uint64_t failed = 0;
    int err = send_message(u, head, payload, fds, fd_count);

    if (!err && u->acknowledges)
        err = recv_reply(u, request, &failed, sizeof(failed));
    return err ? err : (failed ? -EREMOTEIO : 0);
}

static int set_u64(struct vhost_user *u, enum request request, uint64_t value)
{
    return set(u, request, &value, sizeof(value), NULL, NO_DESCRIPTORS);
}

static int set_ring(struct vhost_user *u, enum request request, unsigned index, uint32_t number)
{
    struct ring_number payload = {index, number};

    return set(u, request, &payload, sizeof(payload), NULL, NO_DESCRIPTORS);
}

/* The ring's number lies in the lowest eight bits. */
static int set_ring_fd(struct vhost_user *u, enum request request, unsigned index, int fd)
{
    uint64_t payload = index;

    return set(u, request, &payload, sizeof(payload), &fd, 1);
}

/* Without MQ a back end has the queues that its device needs. */
static int agree_on_protocol(struct vhost_user *u, unsigned queues)
{
    uint64_t known = 0, count = queues;
    int err = get_u64(u, GET_PROTOCOL_FEATURES, &known);

    known &= PROTOCOL_MQ | PROTOCOL_REPLY_ACK;
    if (!err)
        err = set_u64(u, SET_PROTOCOL_FEATURES, known);
    if (!err && known & PROTOCOL_MQ)
        err = get_u64(u, GET_QUEUE_NUM, &count);
    u->acknowledges = known & PROTOCOL_REPLY_ACK;
    if (err)
        return err;
    return count < queues ? -ENOTSUP : 0;
}

int vhost_user_open(struct vhost_user *u, int fd, unsigned queues, unsigned ms)
{
    const uint64_t needed = F_PROTOCOL_FEATURES | VIRTIO_F_VERSION_1;
    int err;

    *u = (struct vhost_user){.fd = fd};
    vhost_user_limit(u, ms);
    err = get_u64(u, GET_FEATURES, &u->features);
    if (!err && (u->features & needed) != needed)
        err = -ENOTSUP;
    if (!err)
        err = agree_on_protocol(u, queues);
    if (!err)
        err = set(u, SET_OWNER, NULL, 0, NULL, NO_DESCRIPTORS);
    u->features &= ~F_PROTOCOL_FEATURES;
    return err;
}

void vhost_user_close(struct vhost_user *u)
{
    if (u->fd >= 0)
        close(u->fd);
    u->fd = -1;
}

int vhost_user_set_features(struct vhost_user *u, uint64_t features)
{
    return set_u64(u, SET_FEATURES, features | F_PROTOCOL_FEATURES);
}

int vhost_user_set_memory(struct vhost_user *u, const struct gmem *mem)
{
    struct memory_table table = {.count = mem->count};
    int fds[GMEM_MAX_REGIONS];

    if (!mem->has_file)
        return -ENOTSUP;
    for (unsigned i = 0; i < mem->count; i++) {
        const struct gmem_region *r = &mem->region[i];

        table.region[i] = (struct region){r->gpa, r->size, (uintptr_t)r->host, r->offset};
        fds[i] = mem->fd;
    }
    return set(u, SET_MEM_TABLE, &table,
               offsetof(struct memory_table, region) + mem->count * sizeof(struct region), fds,
               mem->count);
}

int vhost_user_start(struct vhost_user *u, unsigned index, const struct virtq *q, int kick,
                     int call)
{
    struct ring_addresses at = {.index = index,
                                .desc = (uintptr_t)q->desc_area,
                                .used = (uintptr_t)q->device_area,
                                .avail = (uintptr_t)q->driver_area};
    int err;

    (void)((err = set_ring(u, SET_VRING_NUM, index, q->size)) ||
           (err = set_ring(u, SET_VRING_BASE, index, q->next_avail)) ||
           (err = set(u, SET_VRING_ADDR, &at, sizeof(at), NULL, NO_DESCRIPTORS)) ||
           (err = set_ring_fd(u, SET_VRING_CALL, index, call)) ||
           /* The ring runs from its first kick on, if it is enabled. */
           (err = set_ring_fd(u, SET_VRING_KICK, index, kick)) ||
           (err = set_ring(u, SET_VRING_ENABLE, index, 1)));
    return err;
}

int vhost_user_stop(struct vhost_user *u, unsigned index)
{
    struct ring_number ring = {index, 0};
    int err = send_message(u, (struct header){GET_VRING_BASE, VERSION, sizeof(ring)}, &ring, NULL,
                           NO_DESCRIPTORS);

    if (!err)
        err = recv_reply(u, GET_VRING_BASE, &ring, sizeof(ring));
    return !err && ring.index != index ? -EPROTO : err;
}

const char *vhost_user_explain(int err)
{
    switch (err) {
    case -EPIPE:
        return "ended";
    case -ETIMEDOUT:
        return "does not answer";
    case -EPROTO:
        return "answers what the vhost-user protocol does not allow";
    case -EREMOTEIO:
        return "refuses a request";
    case -ENOTSUP:
        return "lacks what is needed";
    default:
        return strerror(-err);
    }
}
