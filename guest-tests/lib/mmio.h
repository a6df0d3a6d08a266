/* Device memory: one load or store of exactly the named width (the compiler may not merge them). */
#ifndef GUEST_MMIO_H
#define GUEST_MMIO_H

#include <stdint.h>

/* ARCH_MMIO(ACCESS): ACCESS(width, constraint, load, store) for each width that there is. */
#include "arch_mmio.h"

#define MMIO_ACCESS(width, constraint, load, store)                                                \
    static inline uint##width##_t mmio_read##width(uintptr_t address)                              \
    {                                                                                              \
        uint##width##_t value;                                                                     \
                                                                                                   \
        __asm__ volatile(load : "=" constraint(value) : "r"(address) : "memory");                  \
        return value;                                                                              \
    }                                                                                              \
    static inline void mmio_write##width(uintptr_t address, uint##width##_t value)                 \
    {                                                                                              \
        __asm__ volatile(store : : constraint(value), "r"(address) : "memory");                    \
    }

ARCH_MMIO(MMIO_ACCESS)

#endif
