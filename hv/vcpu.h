/*
 * A virtual processor: its KVM file descriptor, the area it shares with KVM, and its thread.
 */
#ifndef HV_VCPU_H
#define HV_VCPU_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "hv/exit_log.h"

struct vm;

struct vcpu {
    struct vm *vm; /* not owned */
    unsigned id;
    int fd;              /* owned; -1: none */
    struct kvm_run *run; /* owned mapping of vm->kvm.run_bytes; NULL: none */
    pthread_t thread;
    bool started;     /* `thread` is to be joined */
    atomic_bool stop; /* set (release) by vcpu_stop, read (acquire) by the loop before KVM_RUN */
    struct exit_log log;
    char *backtrace; /* lines, from report_print on; owned; NULL: none */
};

/* A zeroed vcpu with fd -1 is valid to destroy. create logs one line on failure. Main thread. */
int vcpu_create(struct vcpu *vcpu, struct vm *vm, unsigned id);
void vcpu_destroy(struct vcpu *vcpu);

/* Starts the thread "vcpuN". Main thread. */
int vcpu_start(struct vcpu *vcpu);

/* Makes the thread leave the guest and end; returns at once. Any thread. */
void vcpu_stop(struct vcpu *vcpu);

/* Waits for the thread; accepts one that never started. Main thread. */
void vcpu_join(struct vcpu *vcpu);

#endif
