/* A vhost-user back end for tests: see fake_vhost.h. */
#include "devices/test/fake_vhost.h"

#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/core/util.h"

#define PROTOCOL_FEATURES (UINT64_C(1) << 30)
#define REPLY_ACK         (UINT64_C(1) << 3)
#define NEED_REPLY        0x8u
#define MAX_PAYLOAD       512

/* On this thread a failed ck_assert would not end the test. */
#define DIE_UNLESS(cond)                                                                           \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "back end: %s\n", #cond);                                              \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct message {
    uint32_t request, flags, size;
    uint8_t payload[MAX_PAYLOAD];
    int fd[GMEM_MAX_REGIONS];
    unsigned fd_count;
};

static uint32_t number(const struct message *m, unsigned at)
{
    uint32_t v;

    memcpy(&v, m->payload + at, sizeof(v));
    return v;
}

static uint64_t value(const struct message *m, unsigned at)
{
    uint64_t v;

    memcpy(&v, m->payload + at, sizeof(v));
    return v;
}

void fake_vhost_init(struct fake_vhost *f)
{
    memset(f, 0, sizeof(*f));
    f->features = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX |
                  VIRTIO_F_RING_PACKED | PROTOCOL_FEATURES | 1;
    f->protocol = UINT64_C(0xffff);
    f->queue_num = FAKE_VHOST_QUEUES;
    for (unsigned i = 0; i < FAKE_VHOST_QUEUES; i++) {
        f->queue[i].q.max = VIRTQ_MAX_SIZE;
        f->queue[i].kick = f->queue[i].call = -1;
    }
}

static bool receive(struct fake_vhost *f, struct message *m)
{
    union {
        struct cmsghdr head;
        char buf[CMSG_SPACE(sizeof(m->fd))];
    } control;
    struct iovec iov = {m, 12};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.buf,
                         .msg_controllen = sizeof(control.buf)};
    struct cmsghdr *head;

    if (recvmsg(f->fd, &msg, MSG_WAITALL) != 12)
        return false;
    DIE_UNLESS(m->size <= MAX_PAYLOAD);
    if (m->size && recv(f->fd, m->payload, m->size, MSG_WAITALL) != (ssize_t)m->size)
        return false;
    head = CMSG_FIRSTHDR(&msg);
    m->fd_count = head ? (unsigned)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int)) : 0;
    if (head)
        memcpy(m->fd, CMSG_DATA(head), m->fd_count * sizeof(int));
    return true;
}

static void reply(const struct fake_vhost *f, const struct message *m, const void *payload,
                  uint32_t size)
{
    uint8_t out[12 + MAX_PAYLOAD] = {0};
    bool odd = f->at == m->request;
    uint32_t head[] = {m->request + (odd && f->deed == FAKE_WRONG_TYPE),
                       odd && f->deed == FAKE_WRONG_FLAGS ? 1 : 5,
                       size + (odd && f->deed == FAKE_WRONG_SIZE ? 64 : 0)};

    memcpy(out, head, sizeof(head));
    memcpy(out + sizeof(head), payload, size);
    send(f->fd, out, sizeof(head) + head[2], MSG_NOSIGNAL);
}

static void set_memory(struct fake_vhost *f, const struct message *m)
{
    unsigned count = number(m, 0);

    DIE_UNLESS(count == m->fd_count && m->size == 8 + 32 * count);
    for (unsigned i = 0; i < f->mem.count; i++)
        munmap(f->mem.region[i].host, f->mem.region[i].size);
    memset(&f->mem, 0, sizeof(f->mem));
    for (unsigned i = 0; i < count; i++) {
        uint64_t size = value(m, 16 + 32 * i);
        void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd[i],
                        (off_t)value(m, 32 + 32 * i));

        DIE_UNLESS(at != MAP_FAILED);
        DIE_UNLESS(gmem_add(&f->mem, value(m, 8 + 32 * i), size, at) == 0);
        f->front[i] = value(m, 24 + 32 * i);
        close(m->fd[i]);
    }
}

static uint64_t gpa_of(const struct fake_vhost *f, uint64_t front)
{
    for (unsigned i = 0; i < f->mem.count; i++)
        if (front >= f->front[i] && front - f->front[i] < f->mem.region[i].size)
            return f->mem.region[i].gpa + (front - f->front[i]);
    return UINT64_MAX;
}

static void start_queue(struct fake_vhost *f, struct fake_vhost_queue *q)
{
    q->q.desc = gpa_of(f, q->desc);
    q->q.driver = gpa_of(f, q->avail);
    q->q.device = gpa_of(f, q->used);
    DIE_UNLESS(virtq_activate(&q->q, &f->mem, f->acked) == 0);
    atomic_store(&f->running, f->queue[1].q.active);
}

static void stop_queue(struct fake_vhost *f, struct fake_vhost_queue *q)
{
    virtq_reset(&q->q);
    if (q->kick >= 0)
        close(q->kick);
    if (q->call >= 0)
        close(q->call);
    q->kick = q->call = -1;
    atomic_store(&f->running, f->queue[1].q.active);
}

static void set_queue(struct fake_vhost *f, const struct message *m)
{
    struct fake_vhost_queue *q = &f->queue[number(m, 0) & 0xff];

    switch (m->request) {
    case 8:
        q->q.size = (uint16_t)number(m, 4);
        break;
    case 9:
        q->desc = value(m, 8);
        q->used = value(m, 16);
        q->avail = value(m, 24);
        break;
    case 10:
        DIE_UNLESS(number(m, 4) == 0);
        break;
    case 12:
        q->kick = m->fd[0];
        break;
    case 13:
        q->call = m->fd[0];
        break;
    default:
        DIE_UNLESS(m->request == 18 && number(m, 4) == 1);
        start_queue(f, q);
    }
}

static void obey(struct fake_vhost *f, const struct message *m)
{
    uint32_t stopped[2] = {number(m, 0), 7};

    switch (m->request) {
    case 1:
        reply(f, m, &f->features, 8);
        break;
    case 2:
        f->acked = value(m, 0);
        break;
    case 3:
    case 16:
        break;
    case 5:
        set_memory(f, m);
        break;
    case 11:
        stop_queue(f, &f->queue[number(m, 0)]);
        reply(f, m, stopped, 8);
        break;
    case 15:
        reply(f, m, &f->protocol, 8);
        break;
    case 17:
        reply(f, m, &f->queue_num, 8);
        break;
    default:
        set_queue(f, m);
    }
}

static void serve(struct fake_vhost *f)
{
    struct fake_vhost_queue *q = &f->queue[1];
    struct virtq_chain chain;
    uint8_t buf[256];
    eventfd_t count;

    eventfd_read(q->kick, &count);
    while (virtq_pop(&q->q, &chain) > 0) {
        size_t n = virtq_chain_read(&chain, 0, buf, sizeof(buf));

        virtq_push(&q->q, &chain, (uint32_t)virtq_chain_write(&chain, 0, buf, n));
        atomic_fetch_add(&f->served, 1);
    }
    if (virtq_must_notify(&q->q))
        eventfd_write(q->call, 1);
}

/* False: its life is over. */
static bool handle(struct fake_vhost *f)
{
    struct message m = {.request = 0};
    bool odd;

    if (!receive(f, &m))
        return false;
    atomic_fetch_or(&f->messages, 1u << m.request);
    odd = f->at == m.request;
    if (odd && f->deed == FAKE_DIE)
        return false;
    if (odd && f->deed == FAKE_HANG) {
        while (receive(f, &m))
            ;
        return false;
    }
    obey(f, &m);
    if (m.flags & NEED_REPLY) {
        uint64_t failed = odd && f->deed == FAKE_REFUSE;

        DIE_UNLESS(f->protocol & REPLY_ACK);
        reply(f, &m, &failed, sizeof(failed));
    }
    return true;
}

static void *live(void *opaque)
{
    struct fake_vhost *f = opaque;
    bool alive = true;

    while (alive) {
        struct pollfd p[] = {{f->fd, POLLIN, 0}, {f->queue[1].kick, POLLIN, 0}};

        poll(p, 2, -1);
        if (p[1].revents & POLLIN && f->queue[1].q.active)
            serve(f);
        if (p[0].revents)
            alive = handle(f);
    }
    for (unsigned i = 0; i < FAKE_VHOST_QUEUES; i++)
        stop_queue(f, &f->queue[i]);
    for (unsigned i = 0; i < f->mem.count; i++)
        munmap(f->mem.region[i].host, f->mem.region[i].size);
    close(f->fd);
    return NULL;
}

void fake_vhost_start(struct fake_vhost *f)
{
    int pair[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    f->fd = pair[0];
    f->theirs = pair[1];
    ck_assert_int_eq(pthread_create(&f->thread, NULL, live, f), 0);
}

void fake_vhost_join(struct fake_vhost *f)
{
    ck_assert_int_eq(pthread_join(f->thread, NULL), 0);
}
