/*
 * The switch between the guest's agent and those who run commands in the guest. One end is the
 * guest's port; the others are clients: the command of `hv run`, and what connects to the guest's
 * socket (`hv exec`). A client calls its session WIRE_MAIN; the switch gives each a number of its
 * own, which is never used twice, and passes frames on.
 *
 * Neither side is trusted. A frame that its sender may not send, or data beyond the window, ends
 * the session. What waits for a client is bounded by the windows; a client whose frames the guest
 * does not take is not read. Before the guest's READY no client is heard.
 *
 * Thread: the loop's.
 */
#ifndef HV_COMMAND_AGENT_H
#define HV_COMMAND_AGENT_H

#include <stdbool.h>

struct agent;
struct loop;

struct agent_config {
    struct loop *loop;
    int port;     /* the guest's port: a connected stream socket; taken, even on failure */
    int client;   /* of the main session: the same; it gets the number WIRE_MAIN */
    int listener; /* where others connect, or -1; taken, even on failure */

    /* Once: the guest broke the frames themselves and cannot be talked to any more. */
    void (*broken)(void *opaque, const char *why);
    void *opaque;
};

/* NULL with errno. */
struct agent *agent_create(const struct agent_config *config);
void agent_destroy(struct agent *agent); /* accepts NULL; clients see the end of their socket */

/* Nothing waits for a client; what the guest has yet to send aside. */
bool agent_is_flushed(const struct agent *agent);

#endif
