/*
 * Shared by the files of this folder: registers of a vCPU, the interrupt controller, the device
 * tree, the walk of a guest's page tables.
 */
#ifndef HV_ARM64_H
#define HV_ARM64_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hv/loader/loader.h"

struct gmem;
struct vcpu;
struct vm;

enum gic_kind { GIC_V3, GIC_V2 };

struct arch_vm {
    struct kernel kernel;
    struct initrd initrd;
    uint64_t fdt_gpa; /* LAYOUT_FDT_MAX bytes */
    size_t fdt_size;  /* of those, in use */
    enum gic_kind gic;
    bool its; /* there is one: devices may send messages */
};

/* How KVM_GET_ONE_REG calls the registers (Linux Documentation/virt/kvm/api.rst, 4.68). */
#define ARM64_CORE(field)                                                                          \
    (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(field))
#define ARM64_SCTLR_EL1 ARM64_SYS_REG(3, 0, 1, 0, 0)
#define ARM64_TTBR0_EL1 ARM64_SYS_REG(3, 0, 2, 0, 0)
#define ARM64_TTBR1_EL1 ARM64_SYS_REG(3, 0, 2, 0, 1)
#define ARM64_TCR_EL1   ARM64_SYS_REG(3, 0, 2, 0, 2)
#define ARM64_ESR_EL1   ARM64_SYS_REG(3, 0, 5, 2, 0)
#define ARM64_FAR_EL1   ARM64_SYS_REG(3, 0, 6, 0, 0)
#define ARM64_VBAR_EL1  ARM64_SYS_REG(3, 0, 12, 0, 0)

#define ARM64_SCTLR_MMU 1u

/* One register of a stopped vCPU. 0 or -errno, no message. */
int arm64_get_reg(int vcpu_fd, uint64_t id, uint64_t *value);
int arm64_set_reg(int vcpu_fd, uint64_t id, uint64_t value);

/* The same by the name that people use: "x0" to "x30", "sp", "pc", "pstate"; 0: unknown. Pure. */
uint64_t arm64_reg_by_name(const char *name, size_t len);

/* "x0=0x1000": 0, or -EINVAL for an unknown name or a bad number. Pure. */
int arm64_parse_reg(const char *text, uint64_t *id, uint64_t *value);

/* MPIDR_EL1 of vCPU `id` as KVM makes it (arch/arm64/kvm/sys_regs.c, reset_mpidr), less bit 31. */
uint64_t arm64_mpidr(unsigned id);

/* Creates and initialises it, all vCPUs being there. 0 or -errno after one logged line. */
int arm64_gic_create(struct vm *vm);

/*
 * The size of guest addresses that a machine whose RAM ends at `ram_end` needs: as few bits as hold
 * it, since KVM walks fewer levels of page tables then. `most`: what KVM_CAP_ARM_VM_IPA_SIZE says,
 * 0 when KVM knows only the usual 40. -EINVAL after one logged line when they do not suffice. Pure.
 */
int arm64_ipa_bits(int most, uint64_t ram_end);

/* Returns `err`, which KVM gave for the interrupt controller of `cpus` vCPUs; logs a line unless 0.
 */
int arm64_gic_refused(int err, unsigned cpus);

/* Builds the device tree in guest memory. 0 or -errno after one logged line. */
int arm64_write_fdt(struct vm *vm);

/* The translation regime of kernel and user addresses (Arm ARM, D8). */
struct arm64_mmu {
    uint64_t ttbr0, ttbr1, tcr, sctlr;
};

/* 0 or -errno. The vCPU has stopped. */
int arm64_get_mmu(int vcpu_fd, struct arm64_mmu *mmu);

/* Where `va` lies in guest-physical memory; false: nowhere. Every entry is read once and checked.
 */
bool arm64_translate(const struct gmem *mem, const struct arm64_mmu *mmu, uint64_t va,
                     uint64_t *gpa);

struct arch_frame;

/* An address without the code that signs it (pointer authentication). Pure. */
uint64_t arm64_unsigned_address(uint64_t address);

/* Follows frame records from `x29` on; how many returns it found, at most `max`. Pure. */
unsigned arm64_walk_frames(const struct gmem *mem, const struct arm64_mmu *mmu, uint64_t x29,
                           struct arch_frame *frame, unsigned max);

#endif
