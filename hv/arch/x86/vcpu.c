/* The state of an x86 vCPU at power-on. Order matters: CPUID decides which MSRs exist. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "hv/arch/arch.h"
#include "hv/arch/x86/x86.h"
#include "hv/kvm.h"
#include "hv/vcpu.h"
#include "hv/vm.h"

#define MSR_MISC_ENABLE       0x1a0
#define MSR_MTRR_DEF_TYPE     0x2ff
#define MISC_ENABLE_FAST_COPY 1
#define MTRR_ENABLED          (1 << 11)
#define MTRR_WRITE_BACK       6

/*
 * The MTRRs say "write-back everywhere", as a BIOS would leave them, so that the guest does not map
 * its RAM uncached. PAT and the rest have KVM's power-on values, which are the processor's.
 */
static int set_msrs(const struct vcpu *vcpu)
{
    static const struct kvm_msr_entry wanted[] = {
        {.index = MSR_MISC_ENABLE, .data = MISC_ENABLE_FAST_COPY},
        {.index = MSR_MTRR_DEF_TYPE, .data = MTRR_ENABLED | MTRR_WRITE_BACK},
    };
    /* struct kvm_msrs with room for one entry behind its header. */
    union {
        struct kvm_msrs head;
        uint8_t bytes[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
    } one = {.head.nmsrs = 1};

    /* One at a time: KVM stops at the first that it lacks, and each is optional. */
    for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++) {
        memcpy(one.bytes + sizeof(one.head), &wanted[i], sizeof(wanted[i]));
        if (kvm_ioctl(vcpu->fd, KVM_SET_MSRS, &one) != 1)
            log_debug("vCPU %u: KVM lacks MSR 0x%x", vcpu->id, wanted[i].index);
    }
    return 0;
}

/* vCPU 0 starts at the kernel; the others wait for INIT and SIPI as KVM made them. */
static int set_entry(const struct vcpu *vcpu)
{
    const struct vm_config *config = vcpu->vm->config;
    const struct arch_vm *arch = vcpu->vm->arch;
    struct x86_entry entry;
    int err = kvm_ioctl(vcpu->fd, KVM_GET_SREGS, &entry.sregs);

    if (err)
        return err;
    x86_entry_state(&arch->kernel, arch->info_gpa, &entry);
    for (unsigned i = 0; i < config->set_reg_count; i++)
        x86_set_reg(&entry, config->set_regs[i]); /* checked by config_validate */
    err = kvm_ioctl(vcpu->fd, KVM_SET_SREGS, &entry.sregs);
    if (!err)
        err = kvm_ioctl(vcpu->fd, KVM_SET_REGS, &entry.regs);
    if (err == -EINVAL) {
        const char *rule = x86_state_rule(&entry.regs, &entry.sregs);

        log_error("vCPU 0: KVM refuses its registers: %s",
                  rule ? rule : "a register has a value that this processor cannot hold");
        return err;
    }
    return err;
}

int arch_vcpu_init(struct vcpu *vcpu)
{
    int err =
        x86_set_cpuid(vcpu->vm->kvm.fd, vcpu->vm->fd, vcpu->fd, vcpu->id, vcpu->vm->config->cpus);

    if (!err)
        err = set_msrs(vcpu);
    if (!err && vcpu->id == 0)
        err = set_entry(vcpu);
    if (err && err != -EINVAL)
        log_error("vCPU %u: cannot set its state: %s", vcpu->id, strerror(-err));
    /* Every exit then brings the general registers along: the log knows where the guest was. */
    if ((unsigned)kvm_check_extension(vcpu->vm->fd, KVM_CAP_SYNC_REGS) & KVM_SYNC_X86_REGS)
        vcpu->run->kvm_valid_regs = KVM_SYNC_X86_REGS;
    return err;
}
