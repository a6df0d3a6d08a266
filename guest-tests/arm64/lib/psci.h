/* Calls to what stands in for the firmware (Arm DEN 0022, PSCI 1.1). */
#ifndef GUEST_ARM64_PSCI_H
#define GUEST_ARM64_PSCI_H

#include <stdint.h>

#define PSCI_VERSION       UINT64_C(0x84000000)
#define PSCI_CPU_OFF       UINT64_C(0x84000002)
#define PSCI_CPU_ON        UINT64_C(0xc4000003)
#define PSCI_AFFINITY_INFO UINT64_C(0xc4000004)
#define PSCI_SYSTEM_OFF    UINT64_C(0x84000008)
#define PSCI_SYSTEM_RESET  UINT64_C(0x84000009)
#define PSCI_FEATURES      UINT64_C(0x8400000a)

#define PSCI_OK            0
#define PSCI_NOT_SUPPORTED (-1)
#define PSCI_INVALID       (-2)
#define PSCI_ALREADY_ON    (-4)

static inline int64_t psci(uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
    register uint64_t x0 __asm__("x0") = function;
    register uint64_t x1 __asm__("x1") = a;
    register uint64_t x2 __asm__("x2") = b;
    register uint64_t x3 __asm__("x3") = c;

    __asm__ volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "memory");
    return (int64_t)x0;
}

#endif
