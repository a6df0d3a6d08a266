/* What generic code must know of an x86 machine's map and interrupts. Constants, and pure. */
#include <errno.h>

#include "devices/core/util.h"
#include "devices/virtio/mmio.h"
#include "hv/arch/arch.h"
#include "hv/arch/x86/layout.h"

const struct device_table *const arch_devices = &devices_x86;
const uint64_t arch_hole = LAYOUT_HOLE;
const uint64_t arch_hole_end = LAYOUT_HOLE_END;

const struct arch_pci arch_pci = {.window = LAYOUT_PCI_WINDOW,
                                  .window_size = LAYOUT_PCI_WINDOW_SIZE,
                                  .ecam = LAYOUT_PCI_ECAM,
                                  .ports = true};

const char arch_no_kvm[] = "this machine offers no KVM; enable virtualization in its firmware, or "
                           "nested virtualization on "
                           "its host, then: sudo modprobe kvm_intel (or kvm_amd)";

const char arch_cmdline[] = "console=ttyS0";

const struct arch_irqs arch_irqs = {.pins = 24, .pin_chip = KVM_IRQCHIP_IOAPIC};

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
