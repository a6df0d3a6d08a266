/* Frames between one guest and its clients: see agent.h. */
#include "hv/command/agent.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "hv/command/frame.h"

#define PORT_QUEUE (4 * FRAME_MAX)

/*
 * For a client that does not read: both windows of output in frames of one byte each, and a credit
 * for every byte of its own window. Pages that are never used are never touched.
 */
#define CLIENT_QUEUE                                                                               \
    (2 * WIRE_WINDOW * (WIRE_HEADER + 1) + WIRE_WINDOW * (WIRE_HEADER + 4) + FRAME_MAX)

#define STREAMS 3

struct client {
    struct agent *agent;
    struct peer *peer;        /* NULL: free, or HANGUP is owed */
    uint32_t session;         /* the guest's number of it; 0: none yet */
    bool known;               /* the guest has heard of it and was not told of its end */
    bool over;                /* it got its last frame */
    uint32_t flight[STREAMS]; /* bytes that were passed on and not given back */
};

struct agent {
    struct agent_config config;
    struct peer *port;
    struct loop_watch *listen_watch;
    bool ready, broken;
    uint32_t next; /* session number */
    unsigned turn; /* who is offered room first */
    struct client client[WIRE_SESSIONS];
};

static bool is_free(const struct client *c)
{
    return !c->peer && !c->known;
}

static struct client *find_free(struct agent *a)
{
    for (unsigned i = 0; i < ARRAY_SIZE(a->client); i++)
        if (is_free(&a->client[i]))
            return &a->client[i];
    return NULL;
}

static struct client *find_session(struct agent *a, uint32_t session)
{
    for (unsigned i = 0; i < ARRAY_SIZE(a->client); i++)
        if (a->client[i].session == session && !is_free(&a->client[i]))
            return &a->client[i];
    return NULL;
}

static struct frame control(uint32_t session, uint8_t type)
{
    return (struct frame){.session = session, .type = type};
}

/* Tells the guest that nobody waits for the session's end any more, now or when there is room. */
static void hang_up(struct client *c)
{
    struct frame frame = control(c->session, WIRE_HANGUP);

    if (c->known && peer_send(c->agent->port, &frame))
        c->known = false;
}

static void drop_peer(struct client *c)
{
    peer_destroy(c->peer);
    c->peer = NULL;
    if (c->agent->listen_watch)
        loop_watch_set(c->agent->listen_watch, EPOLLIN); /* there are descriptors again */
}

/* The guest is at fault: no status of this session would mean anything. */
static void give_up(struct client *c)
{
    drop_peer(c);
    hang_up(c);
}

/* The client is at fault and learns why; nobody else is disturbed. */
static void break_off(struct client *c, const char *why)
{
    struct frame frame = {.session = WIRE_MAIN,
                          .type = WIRE_FAIL,
                          .len = (uint16_t)strlen(why),
                          .payload = (const uint8_t *)why};

    if (c->over)
        return;
    c->over = true;
    if (!peer_send(c->peer, &frame))
        drop_peer(c);
    hang_up(c);
}

/* What each kind of frame must look like. */

enum { BY_GUEST = 1, BY_CLIENT = 2 };

struct rule {
    uint8_t by;                     /* who may send it */
    uint8_t guest_streams, streams; /* bits: of the guest, of a client */
    int len;                        /* of the payload; -1: any */
};

static const struct rule rules[] = {
    [WIRE_SPEC] = {BY_CLIENT, 0, 1, -1},
    [WIRE_START] = {BY_CLIENT, 0, 1, 0},
    [WIRE_SIGNAL] = {BY_CLIENT, 0, 1, 4},
    [WIRE_RESIZE] = {BY_CLIENT, 0, 1, 4},
    [WIRE_HANGUP] = {BY_CLIENT, 0, 1, 0},
    [WIRE_DATA] = {BY_GUEST | BY_CLIENT, 6, 1, -1},
    [WIRE_EOF] = {BY_GUEST | BY_CLIENT, 6, 1, 0},
    [WIRE_CLOSE] = {BY_GUEST | BY_CLIENT, 1, 6, 0},
    [WIRE_CREDIT] = {BY_GUEST | BY_CLIENT, 1, 6, 4},
    [WIRE_EXIT] = {BY_GUEST, 1, 0, 5},
    [WIRE_FAIL] = {BY_GUEST, 1, 0, -1},
};

static bool is_lawful(const struct frame *f, uint8_t by)
{
    const struct rule *rule = f->type < ARRAY_SIZE(rules) ? &rules[f->type] : NULL;
    uint8_t streams;

    if (!rule || !(rule->by & by) || f->stream >= STREAMS)
        return false;
    streams = by == BY_GUEST ? rule->guest_streams : rule->streams;
    return (streams >> f->stream & 1) && (rule->len < 0 || rule->len == f->len);
}

/* Keeps the account of a stream's window. False: its sender, or who gives back, overdraws it. */
static bool account(struct client *c, const struct frame *f)
{
    uint32_t *flight = &c->flight[f->stream], n;

    if (f->type == WIRE_DATA) {
        if (f->len == 0 || f->len > WIRE_WINDOW - *flight)
            return false;
        *flight += f->len;
    }
    if (f->type == WIRE_CREDIT) {
        n = load_le32(f->payload);
        if (n == 0 || n > *flight)
            return false;
        *flight -= n;
    }
    return true;
}

/* From the guest. */

static void become_ready(struct agent *a)
{
    struct frame ready = control(WIRE_AGENT, WIRE_READY);

    if (a->ready)
        return;
    a->ready = true;
    for (unsigned i = 0; i < ARRAY_SIZE(a->client); i++) {
        struct client *c = &a->client[i];

        if (!c->peer)
            continue;
        peer_send(c->peer, &ready); /* the first frame for it: there is room */
        peer_resume(c->peer);
    }
}

/* To the client, whose queue holds all that the windows allow. */
static void pass_to_client(struct client *c, const struct frame *f)
{
    struct frame frame = *f;

    if (!is_lawful(f, BY_GUEST) || !account(c, f)) {
        log_guest("the agent broke the rules of session %u (frame %u, stream %u, %u bytes)",
                  f->session, f->type, f->stream, f->len);
        give_up(c);
        return;
    }
    if (f->type == WIRE_EXIT || f->type == WIRE_FAIL) {
        c->over = true;
        c->known = false;
    }
    frame.session = WIRE_MAIN;
    if (!peer_send(c->peer, &frame))
        give_up(c);
}

static bool from_guest(void *opaque, const struct frame *f)
{
    struct agent *a = opaque;
    struct client *c;

    if (f->session == WIRE_AGENT) {
        if (f->type == WIRE_READY)
            become_ready(a);
        else
            log_guest("the agent sent frame %u, which only a session may send", f->type);
        return true;
    }
    c = find_session(a, f->session);
    /* What was under way when a session ended is for nobody. */
    if (c && c->peer && !c->over)
        pass_to_client(c, f);
    else if (f->session >= a->next)
        log_guest("the agent speaks of session %u, which does not exist", f->session);
    return true;
}

/* The port takes frames again: first what is owed, then the clients in turn. */
static void port_has_room(void *opaque)
{
    struct agent *a = opaque;

    a->turn++;
    for (unsigned i = 0; i < ARRAY_SIZE(a->client); i++) {
        struct client *c = &a->client[(a->turn + i) % ARRAY_SIZE(a->client)];

        if (c->known && (!c->peer || c->over))
            hang_up(c);
        if (c->peer)
            peer_resume(c->peer);
    }
}

static void port_gone(void *opaque, const char *why)
{
    struct agent *a = opaque;

    a->broken = true;
    for (unsigned i = 0; i < ARRAY_SIZE(a->client); i++) {
        struct client *c = &a->client[i];

        c->known = false;
        if (c->peer)
            give_up(c);
    }
    a->config.broken(a->config.opaque, why ? why : "its port was closed");
}

/* From a client. */

static bool from_client(void *opaque, const struct frame *f)
{
    struct client *c = opaque;
    struct agent *a = c->agent;
    struct client before = *c;
    struct frame frame = *f;

    if (c->over || a->broken)
        return true;
    if (!a->ready)
        return false;
    if (f->session != WIRE_MAIN || !is_lawful(f, BY_CLIENT) || !account(c, f)) {
        break_off(c, "hv got a frame that breaks the rules");
        return true;
    }
    if (f->type == WIRE_HANGUP) {
        c->over = true;
        hang_up(c);
        return true;
    }
    frame.session = c->session;
    if (!peer_send(a->port, &frame)) {
        *c = before; /* it comes again */
        return false;
    }
    c->known = true;
    return true;
}

/* No client is ever refused a frame for good: one that does not read is dropped. */
static void client_has_room(void *opaque)
{
    (void)opaque;
}

static void client_gone(void *opaque, const char *why)
{
    struct client *c = opaque;

    (void)why;
    drop_peer(c);
    if (!c->agent->broken)
        hang_up(c);
}

/* Takes `fd`. -ENOSPC: there are as many as there may be. */
static int add_client(struct agent *a, int fd)
{
    struct client *c = find_free(a);
    struct frame ready = control(WIRE_AGENT, WIRE_READY);

    if (!c) {
        close(fd);
        return -ENOSPC;
    }
    *c = (struct client){.agent = a, .session = a->next};
    c->peer = peer_create(a->config.loop, fd, CLIENT_QUEUE,
                          &(struct peer_user){from_client, client_has_room, client_gone, c});
    if (!c->peer)
        return -errno;
    a->next++;
    if (a->ready)
        peer_send(c->peer, &ready);
    return 0;
}

/* One too many: it learns why instead of a session. It says nothing before READY, so that the
 * kernel delivers this although we close at once. */
static void turn_away(int fd)
{
    static const char text[] = "no more commands fit (16 run at a time)";
    uint8_t frame[WIRE_HEADER + sizeof(text) - 1] = {WIRE_MAIN, 0, 0, 0, WIRE_FAIL, 0};

    static_assert(WIRE_SESSIONS == 16, "the text says how many");
    store_le16(frame + 6, sizeof(text) - 1);
    memcpy(frame + WIRE_HEADER, text, sizeof(text) - 1);
    if (send(fd, frame, sizeof(frame), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        log_debug("a client that was one too many left first: %m");
    close(fd);
}

static void connection(void *opaque, uint32_t events)
{
    struct agent *a = opaque;
    int fd = accept4(a->config.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)events;
    if (fd < 0) {
        if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
            return;
        log_warn("cannot let a client in: %m");
        loop_watch_set(a->listen_watch, 0); /* until a client goes */
        return;
    }
    if (!find_free(a) || a->broken)
        turn_away(fd);
    else if (add_client(a, fd))
        log_warn("cannot let a client in: %m");
}

/* Life. */

struct agent *agent_create(const struct agent_config *config)
{
    struct agent *a = calloc(1, sizeof(*a));
    int client = config->client, err = ENOMEM;

    if (!a) {
        close(config->port);
        close(client);
        if (config->listener >= 0)
            close(config->listener);
        errno = err;
        return NULL;
    }
    a->config = *config;
    a->next = WIRE_MAIN;
    a->port = peer_create(config->loop, config->port, PORT_QUEUE,
                          &(struct peer_user){from_guest, port_has_room, port_gone, a});
    if (a->port) {
        err = -add_client(a, client);
        client = -1;
    }
    if (!err && config->listener >= 0) {
        a->listen_watch = loop_watch_add(config->loop, config->listener, EPOLLIN, connection, a);
        err = a->listen_watch ? 0 : errno;
    }
    if (!err)
        return a;
    if (client >= 0)
        close(client);
    agent_destroy(a);
    errno = err;
    return NULL;
}

void agent_destroy(struct agent *a)
{
    if (!a)
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(a->client); i++)
        peer_destroy(a->client[i].peer);
    peer_destroy(a->port);
    loop_watch_remove(a->listen_watch);
    if (a->config.listener >= 0)
        close(a->config.listener);
    free(a);
}

bool agent_is_flushed(const struct agent *a)
{
    for (unsigned i = 0; i < ARRAY_SIZE(a->client); i++)
        if (a->client[i].peer && !peer_is_flushed(a->client[i].peer))
            return false;
    return true;
}
