/*
 * A virtual machine and its life: create, run, destroy. Each step undoes itself on failure, and
 * vm_destroy accepts a VM in any state of construction.
 *
 * Threads: the main thread builds the machine, runs the event loop and tears down; each vCPU has a
 * thread of its own. Lock order: coalesce.lock, dev.lock, chardev.lock, vm.end_lock.
 */
#ifndef HV_VM_H
#define HV_VM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/core/bus.h"
#include "devices/core/irq.h"
#include "devices/table.h"
#include "hv/coalesce.h"
#include "hv/config.h"
#include "hv/console.h"
#include "hv/console_watch.h"
#include "hv/irqchip.h"
#include "hv/kvm.h"
#include "hv/memory.h"
#include "hv/outcome.h"
#include "hv/symbols.h"

#define VM_MAX_DEVICES 48

struct arch_vm;
struct command;
struct pci_host;
struct vcpu;
struct loop;
struct loop_timer;

struct vm_device {
    const char *name; /* of its row in the device table */
    struct device_place place;
    struct dev *dev; /* owned */
    struct irq_pin pin;
    struct irq_msi *msi; /* owned; NULL: it sends no messages */
};

struct vm_virtio {
    const struct virtio_type *type;
    struct virtio *v; /* owned until it is attached to its transport */
};

struct vm {
    const struct vm_config *config; /* not owned */
    struct command *command;        /* not owned; NULL: none */
    struct kvm kvm;
    int fd;        /* of the KVM virtual machine; owned; -1: none */
    int signal_fd; /* owned; -1: none */
    struct memory ram;
    struct irqchip irqchip;
    struct bus port, mmio;
    struct pci_host *pci; /* among the devices, which own it; NULL: no PCI */
    struct loop *loop;
    struct console console;
    struct console_watch watch;
    struct vm_device device[VM_MAX_DEVICES];
    unsigned device_count;
    struct vm_virtio virtio[CONFIG_MAX_VIRTIO * 3 + 4];
    unsigned virtio_count;
    struct arch_vm *arch; /* owned; made by arch_load */
    struct vcpu *vcpu;    /* owned array */
    unsigned vcpu_count;
    struct coalesce coalesce;
    struct symbols symbols; /* of --symbols */
    struct loop_timer *clocks, *panic_check;

    pthread_mutex_t end_lock; /* protects outcome; nothing else is locked while it is held */
    struct outcome outcome;   /* first end wins */
    atomic_bool ended;        /* set (release) with outcome; vCPUs look (acquire) after each exit */
    bool flushing;            /* the vCPUs have stopped, output is still on its way; main thread */
    uint64_t start_ns;        /* loop_now_ns when hv started */
    uint64_t run_ns;          /* when the vCPUs did; 0: not yet */
};

/*
 * Builds the machine up to the point where vCPUs may run. `command` (hv/command/command.h) stays
 * the caller's, and may be NULL. 0 or -errno after one message.
 */
int vm_create(struct vm *vm, const struct vm_config *config, struct command *command,
              uint64_t start_ns);

/* Runs it to its end, which is vm->outcome. 0, or -errno when it could not start. */
int vm_run(struct vm *vm);

void vm_destroy(struct vm *vm);

/* Ends the run; the first call decides how. Any thread, returns at once. */
void vm_end(struct vm *vm, const struct outcome *outcome);

/* Presses the power button of a machine that has one. Main thread. */
void vm_power_button(struct vm *vm);

/* The device of that name in the device table, or NULL when the machine has none. */
const struct vm_device *vm_find_device(const struct vm *vm, const char *name);

#endif
