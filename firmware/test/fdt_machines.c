/* Machines that the device tree tests build trees for: the usual one, and one for each variant. */
#include "firmware/test/fdt_machines.h"

#define RAM    .memory = {{0x40000000, 0x10000000}}
#define DIST   .distributor = {0x8000000, 0x10000}
#define REDIST .redistributor = {{0x80a0000, 0xf60000}}
#define ITS    .its = {0x8080000, 0x20000}
#define GICV3  .gic = {.version = FDT_GIC_V3, DIST, REDIST}
#define GICITS .gic = {.version = FDT_GIC_V3, DIST, REDIST, ITS}
#define GICV2  .gic = {.version = FDT_GIC_V2, DIST, .cpu_interface = {0x8010000, 0x10000}}
#define TIMER                                                                                      \
    .timer = {.secure_ppi = 13, .physical_ppi = 14, .virtual_ppi = 11, .hypervisor_ppi = 10}
#define UART .serial = {0x9000000, 0x1000, 1, false}
#define RTC  .rtc = {0x9010000, 0x1000, 2, false}
#define PCI  .ecam = {0x3f000000, 0x100000}, .window = {0x10000000, 0x2eff0000}
#define BASE .mpidr = mpidr, RAM, TIMER, UART, RTC

/* Clusters of 16, as KVM numbers its vCPUs; the last differs in Aff3. */
static const uint64_t mpidr[] = {0,   1,   2,   3,   4,   5,   6,     7,     8,       9,
                                 0xa, 0xb, 0xc, 0xd, 0xe, 0xf, 0x100, 0x101, 0x10000, 0x100000000};

static const uint8_t seed[FDT_SEED_BYTES] = {1, 2, 3, [FDT_SEED_BYTES - 1] = 32};

const struct named_tree fdt_machines[FDT_MACHINES] = {
    {"usual",
     {.cpus = 2,
      BASE,
      GICV3,
      .bootargs = "console=ttyAMA0 quiet",
      .initrd = {0x4c000000, 12345},
      .seed = seed,
      .kaslr_seed = 0x1122334455667788}},
    {"most-cpus", {.cpus = sizeof(mpidr) / sizeof(mpidr[0]), BASE, GICV3, .bootargs = ""}},
    {"gicv2", {.cpus = 8, BASE, GICV2}},
    {"its-and-pci",
     {.cpus = 1,
      BASE,
      GICITS,
      .pci = {PCI, .high = {0x8000000000, 0x8000000000}, .ports = {0x3eff0000, 0x10000}}}},
    {"gicv2-pci-intx", {.cpus = 1, BASE, GICV2, .pci = {PCI, .intx = true, .intx_spi = 3}}},
    {"ns16550", {.cpus = 1, .serial_kind = FDT_SERIAL_NS16550, BASE, GICV3}},
    {"virtio",
     {.cpus = 1,
      BASE,
      GICV3,
      .virtio = {{0xa000000, 0x200, 16, true}, {0xa000200, 0x200, 17, false}},
      .virtio_count = 2}},
    {"two-banks",
     {.cpus = 1,
      .mpidr = mpidr,
      .memory = {{0x40000000, 0x40000000}, {0x100000000, 0x80000000}},
      TIMER,
      .gic = {.version = FDT_GIC_V3,
              DIST,
              .redistributor = {{0x80a0000, 0xf60000}, {0x4000000000, 0x4000000}}}}},
    {"nothing", {.cpus = 1, .mpidr = mpidr, RAM, TIMER, GICV3}},
};
