/* The state of an arm64 vCPU at power-on. KVM resets it; what is left is where it begins. */
#include <errno.h>
#include <string.h>

#include "devices/core/log.h"
#include "hv/arch/arch.h"
#include "hv/arch/arm64/arm64.h"
#include "hv/kvm.h"
#include "hv/vcpu.h"
#include "hv/vm.h"

/* 16 at affinity level 0, since a GICv3 reaches no more by one message; then 256 a level. */
uint64_t arm64_mpidr(unsigned id)
{
    return (id & 0xf) | (uint64_t)(id >> 4 & 0xff) << 8 | (uint64_t)(id >> 12 & 0xff) << 16;
}

/*
 * All that the host's processor has and KVM passes on; a guest looks at its own ID registers.
 * Others than vCPU 0 wait for PSCI's CPU_ON.
 */
static int choose_features(const struct vcpu *vcpu, struct kvm_vcpu_init *init)
{
    int vm = vcpu->vm->fd, err = kvm_ioctl(vm, KVM_ARM_PREFERRED_TARGET, init);

    if (err)
        return err;
    memset(init->features, 0, sizeof(init->features));
    init->features[0] = 1u << KVM_ARM_VCPU_PSCI_0_2;
    if (vcpu->id != 0)
        init->features[0] |= 1u << KVM_ARM_VCPU_POWER_OFF;
    if (kvm_check_extension(vm, KVM_CAP_ARM_SVE))
        init->features[0] |= 1u << KVM_ARM_VCPU_SVE;
    /* KVM wants both kinds or none. */
    if (kvm_check_extension(vm, KVM_CAP_ARM_PTRAUTH_ADDRESS) &&
        kvm_check_extension(vm, KVM_CAP_ARM_PTRAUTH_GENERIC))
        init->features[0] |=
            1u << KVM_ARM_VCPU_PTRAUTH_ADDRESS | 1u << KVM_ARM_VCPU_PTRAUTH_GENERIC;
    return 0;
}

/* booting.rst, "Call the kernel image": x0 is the device tree, x1 to x3 are 0, as KVM leaves them.
 */
static int set_entry(const struct vcpu *vcpu)
{
    const struct vm_config *config = vcpu->vm->config;
    int err = arm64_set_reg(vcpu->fd, ARM64_CORE(regs.pc), vcpu->vm->arch->kernel.entry);

    if (!err)
        err = arm64_set_reg(vcpu->fd, ARM64_CORE(regs.regs[0]), vcpu->vm->arch->fdt_gpa);
    for (unsigned i = 0; !err && i < config->set_reg_count; i++) {
        uint64_t id, value;

        err = arm64_parse_reg(config->set_regs[i], &id, &value); /* checked by config_validate */
        if (!err)
            err = arm64_set_reg(vcpu->fd, id, value);
    }
    return err;
}

int arch_vcpu_init(struct vcpu *vcpu)
{
    struct kvm_vcpu_init init;
    int err = choose_features(vcpu, &init), sve = KVM_ARM_VCPU_SVE;

    if (!err)
        err = kvm_ioctl(vcpu->fd, KVM_ARM_VCPU_INIT, &init);
    if (!err && init.features[0] & 1u << KVM_ARM_VCPU_SVE)
        err = kvm_ioctl(vcpu->fd, KVM_ARM_VCPU_FINALIZE, &sve);
    if (!err && vcpu->id == 0)
        err = set_entry(vcpu);
    if (err)
        log_error("vCPU %u: cannot set its state: %s", vcpu->id, strerror(-err));
    return err;
}
