/*
 * The guest-physical map of an arm64 machine, #defines only (docs/memory-map.md draws it).
 *
 * The first GiB is the devices', RAM is one range from there up. The serial port (0x9000000) and
 * the clock (0x9010000) have their places in the device table, as on every machine.
 */
#ifndef HV_ARM64_LAYOUT_H
#define HV_ARM64_LAYOUT_H

/* All of the interrupt controller is KVM's. Each part lies on 64 KiB, the largest page. */
#define LAYOUT_GIC_DIST        0x08000000
#define LAYOUT_GIC_DIST_SIZE   0x10000
#define LAYOUT_GIC_CPU         0x08010000 /* GICv2 only */
#define LAYOUT_GIC_CPU_SIZE    0x2000
#define LAYOUT_GIC_ITS         0x08080000
#define LAYOUT_GIC_ITS_SIZE    0x20000
#define LAYOUT_GIC_REDIST      0x0c000000
#define LAYOUT_GIC_REDIST_SIZE 0x20000 /* a vCPU; room for 256 */

/* One page a virtio device, so that a guest can map each for itself. */
#define LAYOUT_VIRTIO      0x0a000000
#define LAYOUT_VIRTIO_STEP 0x1000

/* With --bus pci. */
#define LAYOUT_PCI_WINDOW      0x10000000
#define LAYOUT_PCI_WINDOW_SIZE 0x10000000
#define LAYOUT_PCI_ECAM        0x30000000 /* configuration space of bus 0 */
#define LAYOUT_PCI_ECAM_SIZE   0x100000

#define LAYOUT_RAM             0x40000000
#define LAYOUT_FDT_MAX                                                                             \
    0x20000 /* bytes of the device tree, which lies where the kernel leaves room */

/*
 * Shared interrupts, as the device table, the GIC's nodes and KVM's routes count them (INTID less
 * 32): 0 to 15 are for the machine's own devices, then one a virtio device, messages by the ITS.
 */
#define LAYOUT_SPI_VIRTIO 16
#define LAYOUT_SPI_COUNT  64

#endif
