/* What generic code must know of an arm64 machine's map and interrupts. Constants, and pure. */
#include <errno.h>

#include "devices/virtio/mmio.h"
#include "hv/arch/arch.h"
#include "hv/arch/arm64/layout.h"

/* No RAM below the devices: the hole begins at 0. */
const struct device_table *const arch_devices = &devices_arm64;
const uint64_t arch_hole = 0;
const uint64_t arch_hole_end = LAYOUT_RAM;

const struct arch_pci arch_pci = {
    .window = LAYOUT_PCI_WINDOW, .window_size = LAYOUT_PCI_WINDOW_SIZE, .ecam = LAYOUT_PCI_ECAM};

const char arch_no_kvm[] =
    "this machine offers no KVM: its kernel needs CONFIG_KVM and has to be started at EL2, and a "
    "machine that is itself a guest needs nested virtualization";

const char arch_cmdline[] = "console=ttyAMA0";

/* KVM_IRQ_LINE takes the number that the GIC has for a shared interrupt, and that it is one. */
const struct arch_irqs arch_irqs = {.pins = LAYOUT_SPI_COUNT,
                                    .pin_chip = 0,
                                    .line = (KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT) + 32,
                                    .msi_flags = KVM_MSI_VALID_DEVID};

int arch_virtio_place(unsigned index, struct device_place *place)
{
    if (index >= LAYOUT_SPI_COUNT - LAYOUT_SPI_VIRTIO)
        return -ENOSPC;
    *place = (struct device_place){.bus = DEVICE_MMIO,
                                   .base = LAYOUT_VIRTIO + (uint64_t)index * LAYOUT_VIRTIO_STEP,
                                   .size = VIRTIO_MMIO_SIZE,
                                   .gsi = LAYOUT_SPI_VIRTIO + (int)index};
    return 0;
}
