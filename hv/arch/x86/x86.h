/*
 * Shared by the files of this folder: the state that a kernel is entered with, and its checks.
 */
#ifndef HV_X86_H
#define HV_X86_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hv/loader/loader.h"

struct arch_frame;
struct vcpu;
struct vm;

/* Control register and EFER bits (AMD64 APM volume 2, 3.1; Intel SDM volume 3, 2.5). */
#define CR0_PE   (UINT64_C(1) << 0)
#define CR0_ET   (UINT64_C(1) << 4)
#define CR0_NW   (UINT64_C(1) << 29)
#define CR0_CD   (UINT64_C(1) << 30)
#define CR0_PG   (UINT64_C(1) << 31)
#define CR4_PAE  (UINT64_C(1) << 5)
#define EFER_LME (UINT64_C(1) << 8)
#define EFER_LMA (UINT64_C(1) << 10)

/* Registers of vCPU 0 at the kernel's first instruction. */
struct x86_entry {
    struct kvm_regs regs;
    struct kvm_sregs sregs; /* segments, control registers, tables; the rest is KVM's */
};

struct arch_vm {
    struct kernel kernel;
    uint64_t info_gpa; /* what the protocol hands to the kernel in a register */
};

/*
 * Fills the registers for the protocol: real state of the CPU, on top of what KVM reports for a
 * fresh vCPU in *entry. Pure.
 */
void x86_entry_state(const struct kernel *kernel, uint64_t info_gpa, struct x86_entry *entry);

/* Changes one register: "rip=0x1000", "cs.db=1". -EINVAL: unknown name or bad number. Pure. */
int x86_set_reg(struct x86_entry *entry, const char *text);

/*
 * The first rule of processor state that these registers break (APM volume 2, 15.5.1; SDM volume
 * 3, 27.3), as a sentence, or NULL. Pure.
 */
const char *x86_state_rule(const struct kvm_regs *regs, const struct kvm_sregs *sregs);

/* CPUID of one vCPU: what KVM supports, made consistent with the topology. */
int x86_set_cpuid(int kvm_fd, int vm_fd, int vcpu_fd, unsigned id, unsigned count);

/* The fixes alone, on a table of KVM's answer. Pure. */
void x86_fix_cpuid(struct kvm_cpuid2 *cpuid, unsigned id, unsigned count, bool tsc_deadline);

/* Reads [linear, linear + len) through the vCPU's page tables, as far as it is mapped to RAM: how
 * many bytes. The vCPU has stopped. */
unsigned x86_read_linear(const struct vcpu *vcpu, uint64_t linear, void *buf, unsigned len);

#define X86_CALL_MAX 7 /* bytes of the longest call instruction without prefixes */

/* Whether these bytes end in a call instruction. Pure. */
bool x86_ends_in_call(const uint8_t code[X86_CALL_MAX]);

/* A stack and who runs on it. */
struct x86_stack {
    uint64_t rip, rsp, rbp; /* rsp is aligned to `width` */
    unsigned width;         /* bytes a slot: 8 or 4 */
    const uint8_t *bytes;   /* from rsp up */
    size_t len;
    bool (*follows_call)(void *opaque, uint64_t address);
    void *opaque;
};

/*
 * Return addresses on the stack, innermost first: along the chain of frame pointers if there is
 * one, and by a look at each slot where there is none or where it breaks off. How many. Pure.
 */
unsigned x86_walk_stack(const struct x86_stack *stack, struct arch_frame *frame, unsigned max);

#endif
