/* What an x86 virtual machine needs before its vCPUs: KVM's private pages and the irqchip. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "devices/virtio/mmio.h"
#include "hv/arch/arch.h"
#include "hv/arch/x86/layout.h"
#include "hv/kvm.h"
#include "hv/vm.h"

const struct device_table *const arch_devices = &devices_x86;
const uint64_t arch_hole = LAYOUT_HOLE;
const uint64_t arch_hole_end = LAYOUT_HOLE_END;

const struct arch_pci arch_pci = {.window = LAYOUT_PCI_WINDOW,
                                  .window_size = LAYOUT_PCI_WINDOW_SIZE,
                                  .ecam = LAYOUT_PCI_ECAM,
                                  .ports = true};

/* Lines of the I/O APIC that nothing else of a PC has, from the top of what was ISA's. */
int arch_virtio_place(unsigned index, struct device_place *place)
{
    static const int gsi[] = {10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 5, 6, 7};

    if (index >= ARRAY_SIZE(gsi))
        return -ENOSPC;
    *place = (struct device_place){.bus = DEVICE_MMIO,
                                   .base = LAYOUT_VIRTIO + (uint64_t)index * LAYOUT_VIRTIO_STEP,
                                   .size = VIRTIO_MMIO_SIZE,
                                   .gsi = gsi[index]};
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

const char *arch_kvm_is_emulated(void)
{
    /* kvm_pvm runs guest user code natively but interprets guest kernel code. */
    if (access(KVM_DEVICE, F_OK) == 0 && access("/sys/module/kvm_pvm", F_OK) == 0 &&
        access("/sys/module/kvm_intel", F_OK) != 0 && access("/sys/module/kvm_amd", F_OK) != 0)
        return "this host's KVM interprets guest kernel code (module kvm_pvm): about 1.6 us an "
               "instruction, and a stock Linux kernel stops at the first one that KVM lacks";
    return NULL;
}
