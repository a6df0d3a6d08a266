/* The machine, as hv/arch/arm64/layout.h has it; `fdt` proves that the device tree says the same.
 */
#ifndef GUEST_ARM64_BOARD_H
#define GUEST_ARM64_BOARD_H

#define GIC_DIST        0x08000000u
#define GIC_REDIST      0x0c000000u
#define GIC_REDIST_STEP 0x20000u
#define UART_BASE       0x09000000u
#define MMIO_UNCLAIMED  0x20000000u /* no device has it */
#define RAM_BASE        0x40000000u

#endif
