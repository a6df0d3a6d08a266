/* What an x86 virtual machine needs before its vCPUs: KVM's private pages and the irqchip. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "hv/arch/arch.h"
#include "hv/arch/x86/layout.h"
#include "hv/kvm.h"
#include "hv/vm.h"

/* There is one type, and guest addresses are as wide as the processor's own. */
long arch_vm_type(int kvm_fd, uint64_t ram_end)
{
    (void)kvm_fd;
    (void)ram_end;
    return 0;
}

int arch_vm_prepare(struct vm *vm)
{
    uint64_t identity_map = LAYOUT_IDENTITY_MAP;
    int err = kvm_ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map);

    if (!err)
        err = kvm_ioctl(vm->fd, KVM_SET_TSS_ADDR, (void *)(uintptr_t)LAYOUT_TSS);
    if (err)
        log_error("KVM refuses its private pages: %s", strerror(-err));
    return err;
}

/*
 * The full in-kernel chip: local APICs, an I/O APIC and, since KVM has no chip without it, a PIC.
 * No table tells the guest of the PIC, and nothing is wired to it. No PIT is created.
 */
int arch_irqchip_create(struct vm *vm)
{
    int err = kvm_ioctl(vm->fd, KVM_CREATE_IRQCHIP, NULL);

    if (err)
        log_error("cannot create the interrupt controller: %s", strerror(-err));
    return err;
}

int arch_vcpus_created(struct vm *vm)
{
    (void)vm;
    return 0;
}

const char *arch_kvm_is_emulated(void)
{
    /* kvm_pvm runs guest user code natively but interprets guest kernel code. */
    if (access(KVM_DEVICE, F_OK) == 0 && access("/sys/module/kvm_pvm", F_OK) == 0 &&
        access("/sys/module/kvm_intel", F_OK) != 0 && access("/sys/module/kvm_amd", F_OK) != 0)
        return "this host's KVM interprets guest kernel code (module kvm_pvm): about 1.6 us an "
               "instruction, and a stock Linux kernel stops at the first one that KVM lacks";
    return NULL;
}
