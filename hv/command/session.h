/*
 * The host's side of one command in a guest: its description and its standard input go to the
 * guest, its output to descriptors of this process, as frames (hv/command/frame.h) over a connected
 * socket. `hv run` has one at its switch (hv/command/agent.h), `hv exec` one at the socket of an hv
 * that runs.
 *
 * Nothing is dropped while somebody may read it, and no more than a window of each stream is held.
 *
 * Thread: the loop's.
 */
#ifndef HV_COMMAND_SESSION_H
#define HV_COMMAND_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hv/console.h"
#include "hv/outcome.h"

struct loop;
struct session;

struct session_config {
    struct loop *loop;
    int fd;           /* connected to a switch; the session's from here on, even when it fails */
    const char *spec; /* the command's description (WIRE_SPEC); the caller's, for as long as this */
    size_t spec_len;
    int in, out, err; /* the command's 0, 1 and 2; not owned */
    bool terminal;    /* in and out are our terminal, which is raw while the command runs */

    /* Once, from the loop, when all output is out; may destroy the session. */
    void (*ended)(void *opaque, const struct command_end *end);
    void (*key)(void *opaque, enum console_key key); /* behind Ctrl-A; `terminal` only */
    void *opaque;
};

/* One error line for an end that the command did not choose: not for NO_STATUS. */
void session_say_end(const struct command_end *end, const char *program);

/* NULL with errno. */
struct session *session_create(const struct session_config *config);

/* Accepts NULL; a command that still runs is hung up. Restores the terminal. */
void session_destroy(struct session *session);

/* Passes a signal on. False: there is no command that could get it, before or after. */
bool session_signal(struct session *session, int signal);

/* Tells the command the terminal's size, which may have changed. */
void session_resize(struct session *session);

/* When the guest said that commands may come (loop_now_ns); 0: it has not. */
uint64_t session_ready(const struct session *session);

/* When the command's output last came (loop_now_ns; 0: never). */
uint64_t session_last_output(const struct session *session);

/* True while output waits for its reader. */
bool session_is_stuck(const struct session *session);

/* Nothing more will come from the guest: `ended` follows when the output is out. */
void session_close(struct session *session);

#endif
