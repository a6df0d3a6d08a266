/*
 * The command of `hv run -- CMD` on the host's side: the guest's port, the switch and the socket
 * behind it, the session of the command itself, and what its end means for the run.
 *
 * Made before the machine, whose configuration it changes; attached to the machine's event loop;
 * finished when the vCPUs have stopped. All but create accept NULL: a run without a command.
 *
 * Thread: main.
 */
#ifndef HV_COMMAND_COMMAND_H
#define HV_COMMAND_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "hv/console.h"
#include "hv/outcome.h"

struct command;
struct loop;
struct vm_config;

/* What the command tells the machine. Loop thread. */
struct command_host {
    void (*end)(void *opaque, const struct outcome *outcome); /* the run is to end so */
    void (*key)(void *opaque, enum console_key key);
    void *opaque;
};

/*
 * Adds the guest's port to `config`, which command_plan (hv/command/plan.h) has passed, and listens
 * for `hv exec`. *out is NULL when the configuration has no command. 0 or -errno after one message.
 */
int command_create(struct vm_config *config, struct command **out);

/* The devices hold the guest's port now: from here on frames flow. 0 or -errno after a message. */
int command_attach(struct command *command, struct loop *loop, const struct command_host *host);

/* When the guest said that commands may come, and when the command last printed (loop_now_ns; 0:
 * never, or no command). The first holds until command_destroy. */
uint64_t command_ready(const struct command *command);
uint64_t command_last_output(const struct command *command);

/*
 * A signal has come for hv. True: it is passed on, which happens once and only while the command
 * runs; else it is to end the run.
 */
bool command_signal(struct command *command, int signal);

/* The terminal's size has changed. */
void command_resize(struct command *command);

/*
 * The vCPUs have stopped: runs the loop until the command's output has reached its reader, or a
 * second if not `patient`, or until loop_stop. Gives the terminal back.
 */
void command_finish(struct command *command, bool patient);

/* Sets what an outcome says of the command. */
void command_tell(const struct command *command, struct outcome *outcome);

/* Lets go of the loop, before that is destroyed. */
void command_detach(struct command *command);

/* Removes the socket. */
void command_destroy(struct command *command);

#endif
