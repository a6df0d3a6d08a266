/*
 * The device tree of an arm64 virtual machine, as a flattened blob (Devicetree Specification 0.4;
 * the nodes follow Linux' Documentation/devicetree/bindings). A pure builder: a description in,
 * bytes out, through libfdt.
 */
#ifndef FIRMWARE_FDT_H
#define FIRMWARE_FDT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fdt_range {
    uint64_t gpa, size; /* bytes; size 0: absent */
};

/* A device behind memory-mapped registers, on shared peripheral interrupt `spi` (0 up). */
struct fdt_device {
    uint64_t gpa, size; /* bytes; size 0: absent */
    uint32_t spi;
    bool edge; /* rising edge; else level, active high */
};

enum fdt_serial_kind {
    FDT_SERIAL_PL011,  /* Arm's; Linux calls it ttyAMA0 */
    FDT_SERIAL_NS16550 /* registers one byte apart; ttyS0 */
};

enum fdt_gic_version { FDT_GIC_V2 = 2, FDT_GIC_V3 = 3 };

#define FDT_MAX_REDISTRIBUTORS 4

struct fdt_gic {
    enum fdt_gic_version version;
    struct fdt_range distributor;
    struct fdt_range cpu_interface;                         /* version 2 */
    struct fdt_range redistributor[FDT_MAX_REDISTRIBUTORS]; /* version 3; the first size 0 ends */
    struct fdt_range its;                                   /* version 3; size 0: no messages */
};

/*
 * A PCI host bridge with all of its configuration space memory-mapped. Interrupts are messages
 * where the GIC has an ITS (the requester ID is the device ID), and lines where `intx` says so:
 * pin INTA of device 0 is on SPI intx_spi, the four pins swizzle over the three that follow it.
 */
struct fdt_pci {
    struct fdt_range ecam;   /* 1 MiB a bus; size 0: no PCI */
    struct fdt_range window; /* memory BARs, below 4 GiB, the same addresses on the bus */
    struct fdt_range high;   /* 64-bit memory BARs, likewise; size 0: none */
    struct fdt_range ports;  /* where I/O ports from 0 up appear in memory; size 0: none */
    bool intx;
    uint32_t intx_spi;
};

#define FDT_MAX_MEMORY 8
#define FDT_MAX_VIRTIO 64
#define FDT_SEED_BYTES 32

/* The private peripheral interrupts of the architected timers, by number of the PPI (0 to 15). */
struct fdt_timer {
    uint32_t secure_ppi, physical_ppi, virtual_ppi, hypervisor_ppi;
};

struct fdt_machine {
    /* One for each vCPU: affinity fields of its MPIDR_EL1, bits 0 to 23 and 32 to 39. Borrowed. */
    const uint64_t *mpidr;
    unsigned cpus; /* 1 up; at most 8 with GICv2 */

    struct fdt_range memory[FDT_MAX_MEMORY]; /* ascending; the first size 0 ends */
    struct fdt_gic gic;
    struct fdt_timer timer;

    enum fdt_serial_kind serial_kind;
    struct fdt_device serial; /* where stdout-path points */
    struct fdt_device rtc;    /* PL031 */

    struct fdt_device virtio[FDT_MAX_VIRTIO]; /* virtio_mmio */
    unsigned virtio_count;
    struct fdt_pci pci;

    const char *bootargs;    /* borrowed */
    struct fdt_range initrd; /* size 0: none */
    const uint8_t *seed;     /* FDT_SEED_BYTES of random bytes; NULL: none */
    uint64_t kaslr_seed;     /* random; 0: none */
};

/*
 * Writes the tree into `buf`; *len: bytes used. It holds no address of its own, so it may be copied
 * to where it belongs (8-byte aligned, at most 2 MiB). -ENOSPC: `cap` bytes are too few. -EINVAL: a
 * description that cannot be expressed (no CPU, no memory, GICv2 with nine CPUs).
 */
int fdt_build(const struct fdt_machine *m, void *buf, size_t cap, size_t *len);

#endif
