/* For lib/mmio.h. */
#ifndef GUEST_X86_ARCH_MMIO_H
#define GUEST_X86_ARCH_MMIO_H

#define ARCH_MMIO_32(ACCESS)                                                                       \
    ACCESS(8, "q", "movb (%1), %0", "movb %0, (%1)")                                               \
    ACCESS(16, "r", "movw (%1), %0", "movw %0, (%1)")                                              \
    ACCESS(32, "r", "movl (%1), %0", "movl %0, (%1)")

#ifdef __x86_64__
#define ARCH_MMIO(ACCESS) ARCH_MMIO_32(ACCESS) ACCESS(64, "r", "movq (%1), %0", "movq %0, (%1)")
#else
#define ARCH_MMIO(ACCESS) ARCH_MMIO_32(ACCESS)
#endif

#endif
