/*
 * hv's side of the frames (firmware/init/wire.h) for tests of the guest's agent, which runs in a
 * child process at the other end of a socket. Every wait ends the test after seconds.
 */
#ifndef FIRMWARE_TEST_INIT_PEER_H
#define FIRMWARE_TEST_INIT_PEER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "firmware/init/wire.h"

struct peer {
    int fd;
    pid_t agent;
};

struct answer {
    uint32_t session;
    uint8_t type, stream;
    uint16_t len;
    uint8_t payload[WIRE_PAYLOAD];
};

/* What became of a command: the type of its last frame, and all that it wrote. */
struct outcome {
    uint8_t last; /* WIRE_EXIT or WIRE_FAIL */
    uint8_t how;
    uint32_t value;
    size_t len[3]; /* of out; [0]: bytes of stdin that were given back */
    char out[3][4096];
    int eofs, closes;
};

/* A description's string literal with NULs inside; the last NUL is the literal's own. */
#define DESCRIPTION(text) text, sizeof(text)

/* `run` is agent_run; the child's exit status is -run(). Returns when WIRE_READY has come. */
struct peer hv_side_start(int (*run)(int fd));
/* Closes the socket and returns the agent's exit status, once it has ended. */
int hv_side_end(struct peer *p);
/* The exit status of an agent that ends by itself. */
int hv_side_wait(struct peer *p);

void hv_side_send(const struct peer *p, uint32_t session, uint8_t type, uint8_t stream,
                  const void *payload, size_t len);
void hv_side_send32(const struct peer *p, uint32_t session, uint8_t type, uint8_t stream,
                    uint32_t v);
/* WIRE_SPEC and WIRE_START. */
void hv_side_command(const struct peer *p, uint32_t session, const char *description, size_t len);
/* The next frame, whatever it is. */
void hv_side_receive(const struct peer *p, struct answer *answer);
/* Takes frames of that session, giving credit, up to its last. Other sessions' are an error. */
struct outcome hv_side_outcome(const struct peer *p, uint32_t session);
/* Both: for commands that need no input. */
struct outcome hv_side_run(const struct peer *p, const char *description, size_t len);
/* Takes frames of that session until its stream 1 has said `text`. */
void hv_side_expect(const struct peer *p, uint32_t session, const char *text);

void ck_assert_exited(const struct outcome *o, uint8_t how, uint32_t value);

#endif
