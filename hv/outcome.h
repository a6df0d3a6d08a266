/*
 * How a run ended, and the exit status that says so. The names are those of the result file's
 * "end", the statuses those of `hv help exit-status`.
 */
#ifndef HV_OUTCOME_H
#define HV_OUTCOME_H

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
    STATUS_SIGNAL_BASE = 128,
    STATUS_GUEST_DIED = 255,
};

struct outcome {
    enum vm_end end;
    uint32_t guest_status; /* END_DEBUG_EXIT: what the guest wrote, whole */
    int signal;            /* END_SIGNAL: its number */
    int vcpu;              /* which vCPU ended the run; -1: none in particular */
    char detail[200];      /* one line for people; may be empty */
};

/* "poweroff", "triple-fault", ...; "none" for END_NONE. */
const char *outcome_name(enum vm_end end);

/* The exit status of `hv run`. */
int outcome_status(const struct outcome *outcome);

#endif
