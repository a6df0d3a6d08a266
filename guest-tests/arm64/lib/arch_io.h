/* What lib/io.h promises, on arm64, and what is arm64's alone. */
#ifndef GUEST_ARM64_ARCH_IO_H
#define GUEST_ARM64_ARCH_IO_H

#include <stdint.h>

#define read_sysreg(name)                                                                          \
    ({                                                                                             \
        uint64_t value_;                                                                           \
        __asm__ volatile("mrs %0, " name : "=r"(value_) : : "memory");                             \
        value_;                                                                                    \
    })

#define write_sysreg(name, value)                                                                  \
    __asm__ volatile("msr " name ", %0\n isb" : : "r"((uint64_t)(value)) : "memory")

/* The virtual counter, in the nanoseconds (about) that x86's time stamps are in. */
static inline uint64_t rdtsc(void)
{
    return read_sysreg("cntvct_el0") * (UINT64_C(1000000000) / read_sysreg("cntfrq_el0"));
}

static inline void cpu_pause(void)
{
    __asm__ volatile("yield" : : : "memory");
}

static inline void interrupts_on(void)
{
    __asm__ volatile("msr daifclr, #2" : : : "memory");
}

static inline void interrupts_off(void)
{
    __asm__ volatile("msr daifset, #2" : : : "memory");
}

/* Wakes for an interrupt even while those are off. */
static inline void halt(void)
{
    __asm__ volatile("wfi" : : : "memory");
}

/* Both orders are the CPU's to change here. */
static inline void memory_order(void)
{
    __asm__ volatile("dmb ish" : : : "memory");
}

static inline void memory_fence(void)
{
    __asm__ volatile("dmb ish" : : : "memory");
}

#endif
