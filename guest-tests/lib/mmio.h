/* Device memory: one load or store of exactly the named width (the compiler may not merge them). */
#ifndef GUEST_MMIO_H
#define GUEST_MMIO_H

#include <stdint.h>

#ifdef __aarch64__

#define MMIO_ACCESS(width, suffix, modifier)                                                       \
    static inline uint##width##_t mmio_read##width(uintptr_t address)                              \
    {                                                                                              \
        uint##width##_t value;                                                                     \
                                                                                                   \
        __asm__ volatile("ldr" suffix " %" modifier "0, [%1]"                                      \
                         : "=r"(value)                                                             \
                         : "r"(address)                                                            \
                         : "memory");                                                              \
        return value;                                                                              \
    }                                                                                              \
    static inline void mmio_write##width(uintptr_t address, uint##width##_t value)                 \
    {                                                                                              \
        __asm__ volatile("str" suffix " %" modifier "0, [%1]"                                      \
                         :                                                                         \
                         : "r"(value), "r"(address)                                                \
                         : "memory");                                                              \
    }

MMIO_ACCESS(8, "b", "w")
MMIO_ACCESS(16, "h", "w")
MMIO_ACCESS(32, "", "w")
MMIO_ACCESS(64, "", "x")

#else

#define MMIO_ACCESS(width, suffix, constraint)                                                     \
    static inline uint##width##_t mmio_read##width(uintptr_t address)                              \
    {                                                                                              \
        uint##width##_t value;                                                                     \
                                                                                                   \
        __asm__ volatile("mov" suffix " (%1), %0"                                                  \
                         : "=" constraint(value)                                                   \
                         : "r"(address)                                                            \
                         : "memory");                                                              \
        return value;                                                                              \
    }                                                                                              \
    static inline void mmio_write##width(uintptr_t address, uint##width##_t value)                 \
    {                                                                                              \
        __asm__ volatile("mov" suffix " %0, (%1)" : : constraint(value), "r"(address) : "memory"); \
    }

MMIO_ACCESS(8, "b", "q")
MMIO_ACCESS(16, "w", "r")
MMIO_ACCESS(32, "l", "r")
#ifdef __x86_64__
MMIO_ACCESS(64, "q", "r")
#endif
#endif

#endif
