/* For lib/mmio.h. */
#ifndef GUEST_ARM64_ARCH_MMIO_H
#define GUEST_ARM64_ARCH_MMIO_H

#define ARCH_MMIO(ACCESS)                                                                          \
    ACCESS(8, "r", "ldrb %w0, [%1]", "strb %w0, [%1]")                                             \
    ACCESS(16, "r", "ldrh %w0, [%1]", "strh %w0, [%1]")                                            \
    ACCESS(32, "r", "ldr %w0, [%1]", "str %w0, [%1]")                                              \
    ACCESS(64, "r", "ldr %x0, [%1]", "str %x0, [%1]")

#endif
