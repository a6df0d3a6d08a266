/*
 * vCPU threads and the exit loop: enter the guest, hand the exit to exit_dispatch, again. Read this
 * beside docs/life-of-an-exit.md.
 */
#include "hv/vcpu.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "hv/arch/arch.h"
#include "hv/coalesce.h"
#include "hv/exit.h"
#include "hv/kvm.h"
#include "hv/vm.h"

/* Interrupts KVM_RUN. Its handler does nothing: the interruption is the message. */
#define KICK_SIGNAL SIGUSR1

#define VCPU_STACK  (256 * KIB)

static void kick_handler(int signal)
{
    (void)signal;
}

int vcpu_create(struct vcpu *vcpu, struct vm *vm, unsigned id)
{
    void *run;
    int err;

    *vcpu = (struct vcpu){.vm = vm, .id = id, .fd = -1};
    err = kvm_create_vcpu(vm->fd, id);
    if (err < 0)
        goto fail;
    vcpu->fd = err;
    run = mmap(NULL, vm->kvm.run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
    if (run == MAP_FAILED) {
        err = -errno;
        goto fail;
    }
    vcpu->run = run;
    return arch_vcpu_init(vcpu);

fail:
    log_error("vCPU %u: cannot create it: %s (%s)", id, strerror(-err), kvm_advice(err));
    return err;
}

void vcpu_destroy(struct vcpu *vcpu)
{
    if (vcpu->run)
        munmap(vcpu->run, vcpu->vm->kvm.run_bytes);
    vcpu->run = NULL;
    if (vcpu->fd >= 0)
        close(vcpu->fd);
    vcpu->fd = -1;
    free(vcpu->backtrace);
    vcpu->backtrace = NULL;
}

/* KVM_RUN, say, failed: EFAULT when guest RAM cannot be had, for instance. */
static void host_failure(struct vcpu *vcpu, int err)
{
    struct outcome outcome = {.end = END_VMM_ERROR, .vcpu = (int)vcpu->id};

    snprintf(outcome.detail, sizeof(outcome.detail), "KVM failed: %s", strerror(-err));
    vm_end(vcpu->vm, &outcome);
}

/* The exit loop. */
static void *vcpu_main(void *opaque)
{
    struct vcpu *vcpu = opaque;
    struct vm *vm = vcpu->vm;
    struct exit_context ctx = {&vm->port, &vm->mmio, &vcpu->log};
    struct outcome outcome = {.vcpu = (int)vcpu->id};

    while (!atomic_load_explicit(&vcpu->stop, memory_order_acquire)) {
        enum exit_action action;
        int err = kvm_run(vcpu->fd);

        if (err == -EINTR || err == -EAGAIN)
            continue;
        if (err) {
            host_failure(vcpu, err);
            break;
        }
        /* Queued writes happened before this exit, on whichever vCPU: devices see them first. */
        coalesce_drain(&vm->coalesce);
        action = exit_dispatch(&ctx, vcpu->run, vm->kvm.run_bytes, &outcome);
        if (action == EXIT_REFUSED) {
            err = arch_refuse_access(vcpu);
            if (err) {
                host_failure(vcpu, err);
                break;
            }
        } else if (action != EXIT_CONTINUE) {
            vm_end(vm, &outcome);
            break;
        }
        /* The write that ended the run is this vCPU's last instruction. */
        if (atomic_load_explicit(&vm->ended, memory_order_acquire))
            break;
        coalesce_note(&vm->coalesce, vcpu->run);
    }
    return NULL;
}

int vcpu_start(struct vcpu *vcpu)
{
    struct sigaction action = {.sa_handler = kick_handler};
    pthread_attr_t attr;
    char name[16];
    int err;

    sigaction(KICK_SIGNAL, &action, NULL);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, VCPU_STACK);
    err = pthread_create(&vcpu->thread, &attr, vcpu_main, vcpu);
    pthread_attr_destroy(&attr);
    if (err) {
        log_error("vCPU %u: cannot start its thread: %s", vcpu->id, strerror(err));
        return -err;
    }
    vcpu->started = true;
    snprintf(name, sizeof(name), "vcpu%u", vcpu->id);
    pthread_setname_np(vcpu->thread, name);
    return 0;
}

void vcpu_stop(struct vcpu *vcpu)
{
    if (!vcpu->started)
        return;
    /* The order closes the race: a thread that misses `stop` finds immediate_exit set, and one
     * that is in the guest already is interrupted by the signal. */
    atomic_store_explicit(&vcpu->stop, true, memory_order_release);
    __atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_RELEASE);
    pthread_kill(vcpu->thread, KICK_SIGNAL);
}

/* The thread leaves at its next look at `stop`; nothing it does in between can block. */
void vcpu_join(struct vcpu *vcpu)
{
    if (vcpu->started)
        pthread_join(vcpu->thread, NULL);
    vcpu->started = false;
}
