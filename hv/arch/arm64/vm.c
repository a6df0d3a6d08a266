/* What an arm64 virtual machine is before its vCPUs run. */
#include <errno.h>

#include "devices/core/log.h"
#include "hv/arch/arch.h"
#include "hv/arch/arm64/arm64.h"
#include "hv/kvm.h"
#include "hv/vm.h"

long arch_vm_type(int kvm_fd, uint64_t ram_end)
{
    int most = kvm_check_extension(kvm_fd, KVM_CAP_ARM_VM_IPA_SIZE);
    int bits = arm64_ipa_bits(most, ram_end);

    if (bits < 0)
        return bits;
    /* A KVM that knows no sizes knows one. */
    return most > 0 ? KVM_VM_TYPE_ARM_IPA_SIZE(bits) : 0;
}

/* An access that KVM cannot describe comes to hv (hv/exit.c) instead of ending the run. */
int arch_vm_prepare(struct vm *vm)
{
    if (kvm_enable_cap(vm->fd, KVM_CAP_ARM_NISV_TO_USER, 0))
        log_debug("KVM lacks KVM_CAP_ARM_NISV_TO_USER: such an access ends the run");
    return 0;
}

/* The GIC is made when its vCPUs are there: arch_vcpus_created. */
int arch_irqchip_create(struct vm *vm)
{
    (void)vm;
    return 0;
}

/* The device tree tells which interrupt controller it has become. */
int arch_vcpus_created(struct vm *vm)
{
    int err = arm64_gic_create(vm);

    if (!err && vm->config->bus == BUS_PCI && !vm->arch->its) {
        log_error("--bus pci: this host's KVM has no interrupt controller for messages (GICv3 with "
                  "an ITS); leave it out");
        err = -ENODEV;
    }
    return err ? err : arm64_write_fdt(vm);
}

/* There is no KVM on arm64 that interprets kernel code. */
const char *arch_kvm_is_emulated(void)
{
    return NULL;
}
