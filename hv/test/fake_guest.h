/* A guest's agent for tests: the far end of a switch's port, driven by hand. */
#ifndef HV_TEST_FAKE_GUEST_H
#define HV_TEST_FAKE_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/core/loop.h"
#include "hv/command/agent.h"
#include "hv/command/frame.h"
#include "hv/command/session.h"

/* A frame as it came, with its payload. */
struct got {
    struct frame frame;
    uint8_t payload[WIRE_PAYLOAD];
};

struct world {
    struct loop *loop;
    struct agent *agent;
    int port;       /* the guest's end */
    int broken;     /* how often the switch gave the guest up */
    struct got got; /* by guest_get */
    size_t have;
    uint8_t in[FRAME_MAX];
};

/* A switch with a guest that is not ready; returns the main client's end. */
int world_open(struct world *w, int listener);
void world_close(struct world *w);

/* Runs the loop until nothing is ready. */
void world_settle(struct world *w);

/* Sends a frame as the guest, or on another descriptor. */
void frame_put(int fd, uint32_t session, uint8_t type, uint8_t stream, const void *payload,
               size_t len);
void guest_put(struct world *w, uint32_t session, uint8_t type, uint8_t stream, const void *payload,
               size_t len);
void guest_data(struct world *w, uint32_t session, uint8_t stream, const char *text);
void guest_exit(struct world *w, uint32_t session, uint8_t how, uint32_t value);
void guest_ready(struct world *w);

/* The next frame for the guest, in w->got; false: none has come. */
bool guest_get(struct world *w);

/* Skips frames until one of `type` comes; false: none. */
bool guest_wait(struct world *w, uint8_t type);

/* A session of `hv run` over `fd`, whose 0, 1 and 2 are pipes. */
struct command_world {
    struct session *session;
    int in, out, err; /* our ends; -1: closed */
    bool ended;
    struct command_end end;
};

void command_open(struct world *w, struct command_world *c, int fd);
void command_close(struct command_world *c);
void command_open_with(struct world *w, struct command_world *c, int fd, int in, int out, int err);

#endif
