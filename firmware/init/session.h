/*
 * One command, from its description to its end: what the agent (agent.c) does about the frames of
 * its session, its descriptors and its process. One thread; nothing here blocks.
 *
 * Functions that send return 0 or a negative errno: -EPROTO when hv broke the rules of wire.h,
 * others when the link failed. The agent gives up on either.
 */
#ifndef FIRMWARE_INIT_SESSION_H
#define FIRMWARE_INIT_SESSION_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "firmware/init/link.h"
#include "firmware/init/spawn.h"

/* What the command reads: a ring of what it has not read yet. */
struct session_input {
    uint8_t *ring; /* WIRE_WINDOW bytes, while the command runs */
    size_t head, len;
    size_t passed; /* bytes whose credit was not given back yet */
    bool eof;      /* after these bytes */
};

/* What it writes: stream 1 or 2. */
struct session_output {
    size_t credit; /* bytes that hv still takes */
    size_t left;   /* when the command has ended: bytes that still go to hv */
    bool unwanted; /* of a terminal, which cannot be closed in one direction: read and dropped */
};

enum session_state {
    SESSION_DESCRIBED, /* some WIRE_SPEC came */
    SESSION_RUNS,
    SESSION_ENDED, /* its process has; output may be left */
    SESSION_OVER   /* the agent frees it */
};

struct session {
    struct session *next;
    uint32_t id;
    enum session_state state;
    const char *refusal; /* why START will fail; NULL: it will not */
    char *text;          /* the description so far */
    size_t text_len, text_size;
    char *directory; /* for the message when it cannot be entered; NULL: none was asked for */
    struct spawned process; /* pid 0 when it has ended */
    struct session_input input;
    struct session_output output[2];
    bool terminal;
    int64_t away_until; /* session_clock: nobody had the terminal open; look again then. 0: no */
    int64_t kill_at;    /* session_clock: SIGKILL then; 0: no. Set when hv hung up */
    uint8_t how;        /* enum wire_exit, when the process has ended */
    uint32_t value;
};

enum { SESSION_FDS = 3 };

/* A session whose START will be answered by WIRE_FAIL and `refusal`, or NULL. NULL: no memory. */
struct session *session_new(uint32_t id, const char *refusal);

/* What a frame of this session asks for. */
int session_frame(struct session *s, struct link *link, const struct frame *frame);

/* What it waits for: SESSION_FDS entries, fd -1 where it waits for nothing. */
void session_wants(const struct session *s, const struct link *link, struct pollfd *fds);

/* The same entries when poll is done with them. */
int session_serve(struct session *s, struct link *link, const struct pollfd *fds);

/* Its process has ended with `status` of waitpid. */
int session_reaped(struct session *s, struct link *link, int status);

/* Sends what the command left in its pipes, as far as hv takes it, and then how it ended. */
int session_finish(struct session *s, struct link *link);

/* Does what is due by time. `now`: of session_clock. */
void session_tick(struct session *s, int64_t now);

/* Something is due soon: session_tick is to be called even if nothing else happens. */
bool session_ticks(const struct session *s);

/* Closes and frees all; the process, if any, is left alone. */
void session_free(struct session *s);

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t session_clock(void);

#endif
