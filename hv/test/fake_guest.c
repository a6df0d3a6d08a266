/* See fake_guest.h. */
#include "hv/test/fake_guest.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/core/util.h"

static void broken(void *opaque, const char *why)
{
    struct world *w = opaque;

    (void)why;
    w->broken++;
}

int world_open(struct world *w, int listener)
{
    int port[2], client[2];

    memset(w, 0, sizeof(*w));
    w->loop = loop_create();
    ck_assert_ptr_nonnull(w->loop);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, port), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, client), 0);
    w->port = port[1];
    w->agent = agent_create(&(struct agent_config){.loop = w->loop,
                                                   .port = port[0],
                                                   .client = client[0],
                                                   .listener = listener,
                                                   .broken = broken,
                                                   .opaque = w});
    ck_assert_ptr_nonnull(w->agent);
    return client[1];
}

void world_close(struct world *w)
{
    agent_destroy(w->agent);
    if (w->port >= 0)
        close(w->port);
    loop_destroy(w->loop);
}

void world_settle(struct world *w)
{
    for (int quiet = 0, i = 0; quiet < 3 && i < 10000; i++)
        quiet = loop_step(w->loop) ? 0 : quiet + 1;
}

void frame_put(int fd, uint32_t session, uint8_t type, uint8_t stream, const void *payload,
               size_t len)
{
    uint8_t frame[FRAME_MAX];

    store_le32(frame, session);
    frame[4] = type;
    frame[5] = stream;
    store_le16(frame + 6, (uint16_t)len);
    if (len)
        memcpy(frame + WIRE_HEADER, payload, len);
    ck_assert_int_eq(send(fd, frame, WIRE_HEADER + len, MSG_DONTWAIT | MSG_NOSIGNAL),
                     (ssize_t)(WIRE_HEADER + len));
}

void guest_put(struct world *w, uint32_t session, uint8_t type, uint8_t stream, const void *payload,
               size_t len)
{
    frame_put(w->port, session, type, stream, payload, len);
    world_settle(w);
}

void guest_data(struct world *w, uint32_t session, uint8_t stream, const char *text)
{
    guest_put(w, session, WIRE_DATA, stream, text, strlen(text));
}

void guest_exit(struct world *w, uint32_t session, uint8_t how, uint32_t value)
{
    uint8_t payload[5] = {how};

    store_le32(payload + 1, value);
    guest_put(w, session, WIRE_EXIT, 0, payload, sizeof(payload));
}

void guest_ready(struct world *w)
{
    guest_put(w, WIRE_AGENT, WIRE_READY, 0, NULL, 0);
}

bool guest_get(struct world *w)
{
    struct frame *f = &w->got.frame;
    size_t need = WIRE_HEADER;
    ssize_t n;

    world_settle(w);
    for (;;) {
        if (w->have >= WIRE_HEADER)
            need = (size_t)WIRE_HEADER + load_le16(w->in + 6);
        if (w->have >= need)
            break;
        n = recv(w->port, w->in + w->have, need - w->have, MSG_DONTWAIT);
        if (n <= 0)
            return false;
        w->have += (size_t)n;
        world_settle(w);
    }
    *f = (struct frame){load_le32(w->in), w->in[4], w->in[5], load_le16(w->in + 6), w->got.payload};
    memcpy(w->got.payload, w->in + WIRE_HEADER, f->len);
    w->have = 0;
    return true;
}

bool guest_wait(struct world *w, uint8_t type)
{
    while (guest_get(w))
        if (w->got.frame.type == type)
            return true;
    return false;
}

static void ended(void *opaque, const struct command_end *end)
{
    struct command_world *c = opaque;

    ck_assert(!c->ended);
    c->ended = true;
    c->end = *end;
}

void command_open_with(struct world *w, struct command_world *c, int fd, int in, int out, int err)
{
    static const char spec[] = "atrue";

    c->session = session_create(&(struct session_config){.loop = w->loop,
                                                         .fd = fd,
                                                         .spec = spec,
                                                         .spec_len = sizeof(spec),
                                                         .in = in,
                                                         .out = out,
                                                         .err = err,
                                                         .ended = ended,
                                                         .opaque = c});
    ck_assert_ptr_nonnull(c->session);
}

void command_open(struct world *w, struct command_world *c, int fd)
{
    int in[2], out[2], err[2];

    memset(c, 0, sizeof(*c));
    ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(err, O_CLOEXEC), 0);
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    fcntl(err[0], F_SETFL, O_NONBLOCK);
    command_open_with(w, c, fd, in[0], out[1], err[1]);
    /* The session has its own duplicates, as a process has whose parent closed these. */
    close(in[0]);
    close(out[1]);
    close(err[1]);
    c->in = in[1];
    c->out = out[0];
    c->err = err[0];
}

void command_close(struct command_world *c)
{
    session_destroy(c->session);
    if (c->in >= 0)
        close(c->in);
    if (c->out >= 0)
        close(c->out);
    if (c->err >= 0)
        close(c->err);
}
