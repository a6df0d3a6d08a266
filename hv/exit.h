/*
 * Exit dispatch: what hv does when KVM_RUN returns. A pure function of the buses and the kvm_run
 * structure: it makes no system call of its own and needs no VM, so tests feed it invented exits.
 * Read docs/life-of-an-exit.md beside it.
 */
#ifndef HV_EXIT_H
#define HV_EXIT_H

#include <linux/kvm.h>
#include <stddef.h>

#include "devices/core/bus.h"
#include "hv/exit_log.h"
#include "hv/outcome.h"

enum exit_action {
    EXIT_CONTINUE, /* enter the guest again */
    EXIT_REFUSED,  /* the same, once arch_refuse_access has told the guest */
    EXIT_STOP,     /* the guest ended the run; the outcome says how */
    EXIT_FAULT     /* the vCPU cannot go on; the outcome says why */
};

struct exit_context {
    struct bus *port, *mmio;
    struct exit_log *log; /* the tap; may be NULL */
};

/*
 * Handles the exit in `run` (`run_bytes` long with its data area; KVM wrote it, but offsets in it
 * are checked all the same). Fills *outcome for EXIT_STOP and EXIT_FAULT. vCPU thread.
 */
enum exit_action exit_dispatch(const struct exit_context *ctx, struct kvm_run *run,
                               size_t run_bytes, struct outcome *outcome);

/* "IO", "MMIO", "SHUTDOWN", ... or "reason N" is left to the caller: NULL when unknown. */
const char *exit_reason_name(uint32_t reason);

#endif
