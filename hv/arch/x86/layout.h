/*
 * The guest-physical map of an x86 machine, #defines only (docs/memory-map.md draws it).
 *
 * Low memory: hv's boot data lies at its top end, so that small kernels may be linked anywhere from
 * 0x1000 up. It is RAM to the guest, which may reuse it once it has read what it needs. From
 * 0x9fc00 on (where a BIOS would keep its EBDA) to 1 MiB is reserved in the memory map; ACPI and
 * SMBIOS tables lie there, where a guest that searches for them looks.
 */
#ifndef HV_X86_LAYOUT_H
#define HV_X86_LAYOUT_H

#define LAYOUT_BOOT_DATA   0x90000
#define LAYOUT_GDT         0x90000
#define LAYOUT_BOOT_INFO   0x91000 /* boot_params, PVH start_info or Multiboot information */
#define LAYOUT_CMDLINE     0x93000
#define LAYOUT_CMDLINE_MAX 0x2000 /* bytes, NUL included */
#define LAYOUT_PAGE_TABLES 0x95000
#define LAYOUT_BOOT_END    0x9b000

#define LAYOUT_EBDA        0x9fc00
#define LAYOUT_ACPI        0xe0000
#define LAYOUT_ACPI_MAX    0x10000
#define LAYOUT_SMBIOS      0xf0000
#define LAYOUT_SMBIOS_MAX  0x1000
#define LAYOUT_HIGH_RAM    0x100000

/* Devices live in the last GiB below 4 GiB; RAM that does not fit below continues at 4 GiB. */
#define LAYOUT_HOLE     0xc0000000
#define LAYOUT_HOLE_END 0x100000000

/* With --bus pci. */
#define LAYOUT_PCI_WINDOW      0xc0000000
#define LAYOUT_PCI_WINDOW_SIZE 0x10000000
#define LAYOUT_PCI_ECAM        0xe0000000 /* configuration space of bus 0 */
#define LAYOUT_PCI_ECAM_SIZE   0x100000

/* One page a virtio device, so that a guest can map each for itself. */
#define LAYOUT_VIRTIO       0xd0000000
#define LAYOUT_VIRTIO_STEP  0x1000

#define LAYOUT_IOAPIC       0xfec00000
#define LAYOUT_IDENTITY_MAP 0xfffbc000 /* one page that KVM keeps for real mode on Intel */
#define LAYOUT_TSS          0xfffbd000 /* three pages, likewise */
#define LAYOUT_LAPIC        0xfee00000

#endif
