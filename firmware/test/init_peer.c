/* hv's side of the frames. See init_peer.h. */
#include "firmware/test/init_peer.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "firmware/test/guarded.h"

struct peer hv_side_start(int (*run)(int fd))
{
    const struct timeval limit = {.tv_sec = 15};
    struct answer ready;
    struct peer p;
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    p.fd = fds[0];
    p.agent = fork();
    if (p.agent == 0) {
        /* What the test program was started with is not the agent's. */
        (void)dup2(fds[1], 3);
        (void)fcntl(3, F_SETFD, FD_CLOEXEC);
        closefrom(4);
        /* Orphans come to it as they do to process 1. */
        (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(-run(3));
    }
    (void)close(fds[1]);
    ck_assert_int_eq(setsockopt(p.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    hv_side_receive(&p, &ready);
    ck_assert_uint_eq(ready.session, WIRE_AGENT);
    ck_assert_uint_eq(ready.type, WIRE_READY);
    ck_assert_uint_eq(ready.len, 0);
    return p;
}

int hv_side_wait(struct peer *p)
{
    int status;

    ck_assert_int_eq(waitpid(p->agent, &status, 0), p->agent);
    ck_assert(WIFEXITED(status));
    (void)close(p->fd);
    return WEXITSTATUS(status);
}

int hv_side_end(struct peer *p)
{
    ck_assert_int_eq(shutdown(p->fd, SHUT_RDWR), 0);
    return hv_side_wait(p);
}

void hv_side_send(const struct peer *p, uint32_t session, uint8_t type, uint8_t stream,
                  const void *payload, size_t len)
{
    uint8_t frame[WIRE_HEADER + WIRE_PAYLOAD] = {(uint8_t)session,
                                                 (uint8_t)(session >> 8),
                                                 (uint8_t)(session >> 16),
                                                 (uint8_t)(session >> 24),
                                                 type,
                                                 stream,
                                                 (uint8_t)len,
                                                 (uint8_t)(len >> 8)};

    if (len)
        memcpy(frame + WIRE_HEADER, payload, len);
    ck_assert_int_eq(send(p->fd, frame, WIRE_HEADER + len, MSG_NOSIGNAL),
                     (ssize_t)(WIRE_HEADER + len));
}

void hv_side_send32(const struct peer *p, uint32_t session, uint8_t type, uint8_t stream,
                    uint32_t v)
{
    const uint8_t bytes[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16),
                              (uint8_t)(v >> 24)};

    hv_side_send(p, session, type, stream, bytes, sizeof(bytes));
}

void hv_side_command(const struct peer *p, uint32_t session, const char *description, size_t len)
{
    hv_side_send(p, session, WIRE_SPEC, 0, description, len);
    hv_side_send(p, session, WIRE_START, 0, NULL, 0);
}

void hv_side_receive(const struct peer *p, struct answer *answer)
{
    uint8_t header[WIRE_HEADER];

    ck_assert_int_eq(recv(p->fd, header, sizeof(header), MSG_WAITALL), sizeof(header));
    answer->session = rd32(header);
    answer->type = header[4];
    answer->stream = header[5];
    answer->len = rd16(header + 6);
    ck_assert_uint_le(answer->len, WIRE_PAYLOAD);
    if (answer->len)
        ck_assert_int_eq(recv(p->fd, answer->payload, answer->len, MSG_WAITALL), answer->len);
}

/* Keeps the first bytes of each stream, which is all that these tests look at. */
static void keep(struct outcome *o, const struct answer *a)
{
    size_t room, n;

    ck_assert(a->stream == 1 || a->stream == 2);
    room = sizeof(o->out[0]) - 1 - (o->len[a->stream] < 4095 ? o->len[a->stream] : 4095);
    n = a->len < room ? a->len : room;
    memcpy(o->out[a->stream] + o->len[a->stream], a->payload, n);
    o->len[a->stream] += a->len;
}

/* The agent may have ended since, behind its last frame. */
static void give_credit(const struct peer *p, const struct answer *a)
{
    const uint8_t frame[WIRE_HEADER + 4] = {
        (uint8_t)a->session, (uint8_t)(a->session >> 8), 0, 0, WIRE_CREDIT, a->stream, 4, 0,
        (uint8_t)a->len,     (uint8_t)(a->len >> 8)};

    if (send(p->fd, frame, sizeof(frame), MSG_NOSIGNAL) < 0)
        ck_assert_int_eq(errno, EPIPE);
}

struct outcome hv_side_outcome(const struct peer *p, uint32_t session)
{
    struct outcome o = {0};
    struct answer a;

    for (;;) {
        hv_side_receive(p, &a);
        ck_assert_uint_eq(a.session, session);
        if (a.type == WIRE_DATA) {
            keep(&o, &a);
            give_credit(p, &a);
        } else if (a.type == WIRE_CREDIT) {
            ck_assert_uint_eq(a.stream, 0);
            o.len[0] += rd32(a.payload);
        } else if (a.type == WIRE_EOF) {
            o.eofs++;
        } else if (a.type == WIRE_CLOSE) {
            ck_assert_uint_eq(a.stream, 0);
            o.closes++;
        } else {
            break;
        }
    }
    o.last = a.type;
    if (a.type == WIRE_EXIT) {
        ck_assert_uint_eq(a.len, 5);
        o.how = a.payload[0];
        o.value = rd32(a.payload + 1);
    } else {
        ck_assert_uint_eq(a.type, WIRE_FAIL);
        ck_assert_uint_lt(a.len, sizeof(o.out[0]));
        memcpy(o.out[0], a.payload, a.len);
    }
    return o;
}

struct outcome hv_side_run(const struct peer *p, const char *description, size_t len)
{
    hv_side_command(p, 7, description, len);
    return hv_side_outcome(p, 7);
}

void hv_side_expect(const struct peer *p, uint32_t session, const char *text)
{
    struct outcome o = {0};
    struct answer a;

    do {
        hv_side_receive(p, &a);
        ck_assert_uint_eq(a.session, session);
        if (a.type != WIRE_DATA)
            ck_assert(a.type == WIRE_CREDIT || a.type == WIRE_CLOSE);
        else
            keep(&o, &a);
    } while (!strstr(o.out[1], text));
}

void ck_assert_exited(const struct outcome *o, uint8_t how, uint32_t value)
{
    ck_assert_uint_eq(o->last, WIRE_EXIT);
    ck_assert_msg(o->how == how && o->value == value, "ended by %u %u, not %u %u", o->how, o->value,
                  how, value);
}
