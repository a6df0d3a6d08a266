/*
 * How a run ended, and the exit status that says so. The names are those of the result file's
 * "end", the statuses those of `hv help exit-status`.
 */
#ifndef HV_OUTCOME_H
#define HV_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

enum vm_end {
    END_NONE, /* still running */
    END_POWEROFF,
    END_REBOOT,
    END_PANIC,
    END_TRIPLE_FAULT,
    END_DEBUG_EXIT,
    END_DEADLINE,
    END_SIGNAL,
    END_VMM_ERROR,
    END_COUNT
};

enum {
    STATUS_OK = 0,
    STATUS_GUEST_MAX = 123, /* larger guest values are reported as this one */
    STATUS_DEADLINE = 124,
    STATUS_HV_FAILED = 125,
    STATUS_CANNOT_EXECUTE = 126,
    STATUS_NOT_FOUND = 127,
    STATUS_SIGNAL_BASE = 128,
    STATUS_GUEST_DIED = 255,
};

/* How a command in the guest ended. */
enum command_how {
    COMMAND_NO_STATUS, /* nobody said: the guest ended before it did */
    COMMAND_EXITED,    /* value: 0 to 255 */
    COMMAND_SIGNALLED, /* value: the signal, 1 to 64 */
    COMMAND_NO_EXEC,   /* value: errno of execve */
    COMMAND_REFUSED,   /* it was not started, by no fault of its own */
    COMMAND_LOST,      /* hv could not go on with it: its output cannot be written */
};

struct command_end {
    enum command_how how;
    int value;
    char text[200]; /* for people, where there is no value; may be empty */
};

struct outcome {
    enum vm_end end;
    bool owes_status;           /* the guest was to run a command: `command` says how it ended */
    bool command_ran;           /* the guest was ready for it */
    struct command_end command; /* all zero: no status came */
    uint32_t guest_status;      /* END_DEBUG_EXIT: what the guest wrote, whole */
    int signal;                 /* END_SIGNAL: its number */
    const char *deadline;       /* END_DEADLINE: which (clocks_name); static */
    int vcpu;                   /* which vCPU ended the run; -1: none in particular */
    char detail[200];           /* one line for people; may be empty */
};

/* "poweroff", "triple-fault", ...; "none" for END_NONE. */
const char *outcome_name(enum vm_end end);

/* What errno of COMMAND_NO_EXEC means, whatever number the guest sent. */
const char *command_error(const struct command_end *end);

/* The exit status that a command's end alone makes: that of `hv exec`. */
int command_end_status(const struct command_end *end);

/*
 * The exit status of `hv run`. A guest that owes a command's status never gets 0 by an end that
 * anything in it can bring about.
 */
int outcome_status(const struct outcome *outcome);

#endif
