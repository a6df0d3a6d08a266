/*
 * What an architecture must provide. hv/arch/<arch>/ implements all of it, in files of the same
 * names: layout.c vm.c boot.c vcpu.c exit.c probe.c (docs/porting.md). Generic code calls nothing
 * else of them.
 *
 * Unless said otherwise: main thread, before vCPUs run; 0 or -errno after one logged line.
 */
#ifndef HV_ARCH_H
#define HV_ARCH_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "devices/table.h"

struct kvm;
struct vm;
struct vcpu;

/* This architecture's devices (devices/table.h). */
extern const struct device_table *const arch_devices;

/* The guest-physical range that RAM leaves free for devices. */
extern const uint64_t arch_hole, arch_hole_end;

/* Where a PCI bus lies: memory BARs, configuration space; and whether that has ports, too. */
struct arch_pci {
    uint32_t window, window_size, ecam;
    bool ports;
};
extern const struct arch_pci arch_pci;

/* What the kernel's command line says of the console: "console=ttyS0". */
extern const char arch_cmdline[];

/* What to do where there is no KVM device; one line. */
extern const char arch_no_kvm[];

/*
 * How KVM counts interrupts here. GSIs 0 to pins - 1 are lines of the controller that routes call
 * `pin_chip`, those from there on are messages. KVM_IRQ_LINE adds `line` to a GSI. msi_flags:
 * KVM_MSI_VALID_DEVID where a message has to say which device sent it.
 */
struct arch_irqs {
    unsigned pins, pin_chip;
    uint32_t line, msi_flags;
};
extern const struct arch_irqs arch_irqs;

/* Where the machine's virtio device number `index` lies when it is memory-mapped. -ENOSPC: there is
 * no interrupt line left. Pure. */
int arch_virtio_place(unsigned index, struct device_place *place);

/*
 * The type for KVM_CREATE_VM of a machine whose RAM ends at `ram_end` (0: whatever the host has).
 * -EINVAL: this host's processors do not reach that far.
 */
long arch_vm_type(int kvm_fd, uint64_t ram_end);

/* Before memory slots and interrupt controller: what must be set on a bare VM. */
int arch_vm_prepare(struct vm *vm);

/* The in-kernel interrupt controller. After the memory slots, before any vCPU. */
int arch_irqchip_create(struct vm *vm);

/* Loads kernel, initrds, command line and firmware tables into guest memory. */
int arch_load(struct vm *vm);

/* Whether guests here find their machine described by a device tree. */
extern const bool arch_has_device_tree;

/*
 * The device tree that the guest of a machine gets which vm_create has built, *len bytes of it, for
 * --dump-dtb. Borrowed from guest memory: to be read before a vCPU runs. Never called, and NULL,
 * where there are no such trees.
 */
const void *arch_device_tree(const struct vm *vm, size_t *len);

/* Registers of one vCPU at power-on; vCPU 0 is set to the kernel's entry. */
int arch_vcpu_init(struct vcpu *vcpu);

/* What needs all vCPUs, before any device exists. */
int arch_vcpus_created(struct vm *vm);

/*
 * For EXIT_REFUSED: the access that came with the last exit cannot be carried out, and the guest's
 * own handler is to know. vCPU thread; no log.
 */
int arch_refuse_access(const struct vcpu *vcpu);

/* --set-reg NAME=VALUE: true when this architecture knows the name and the value parses. */
bool arch_set_reg_known(const char *text);

/* The instruction pointer that came with an exit, or 0. Pure. */
uint64_t arch_exit_rip(const struct kvm_run *run);

/* Registers and the code bytes at the instruction pointer, for people. The vCPU has stopped. */
void arch_dump(FILE *out, const struct vcpu *vcpu);

/* One step of the way to where a vCPU is. */
struct arch_frame {
    uint64_t address; /* virtual; of the instruction behind a call */
    bool guessed;     /* it was on the stack, and may be left over from an earlier call */
};

/*
 * The instruction pointer and what returns lead to from there, the innermost first; how many, at
 * most `max`. 0: the registers are not readable. The vCPU has stopped.
 */
unsigned arch_backtrace(const struct vcpu *vcpu, struct arch_frame *frame, unsigned max);

/*
 * The symbol of Linux whose address a register of this vCPU holds once the kernel has set that up;
 * *address is what it holds, 0 before. Static text. The vCPU has stopped.
 */
const char *arch_kernel_anchor(const struct vcpu *vcpu, uint64_t *address);

/*
 * Which rule of the architecture the vCPU's state breaks, or why it may have died: one line of
 * static text, or NULL when nothing can be told. The vCPU has stopped.
 */
const char *arch_explain(const struct vcpu *vcpu);

/*
 * NULL when guest kernel code runs on the processor itself; else one line of static text that says
 * how it runs here. Any time.
 */
const char *arch_kvm_is_emulated(void);

/* A capability that hv uses, and what its lack costs (`hv doctor`). */
struct arch_capability {
    unsigned number;
    const char *name;
    bool required;
    const char *cost;
};
extern const struct arch_capability arch_capabilities[];
extern const unsigned arch_capability_count; /* at most ARCH_CAPABILITIES_MAX */
#define ARCH_CAPABILITIES_MAX 16

/* What the probes' exits are: "a port write". */
extern const char arch_probe_exit[];

/* What a guest of a few bytes found out about this KVM (`hv doctor`). */
struct arch_probe {
    const char *name; /* static: "long mode, ring 0" */
    bool ring0;       /* kernel code, as opposed to user code */
    bool ok;
    char failure[80];      /* why not ok */
    double instruction_ns; /* of plain integer instructions */
    double exit_ns;        /* of a write to a device that hv handles */
};

/* Slower than this per instruction: KVM interprets. Hardware needs below 1, software emulation of
 * the whole host some 20, KVM's interpreter above 1000. */
#define ARCH_PROBE_EMULATED_NS 200

extern const unsigned arch_probe_count;

/* Runs probe `kind` (0 up) in a VM of its own. 0 or -errno with out->failure filled; no log. */
int arch_probe_run(const struct kvm *kvm, unsigned kind, struct arch_probe *out);

/* True when this host runs under a hypervisor; its signature goes to `name`. */
bool arch_host_is_virtual(char *name, size_t len);

#endif
