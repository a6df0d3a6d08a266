/* KVM's clock; see kvmclock.h. */
#include "guest-tests/lib/kvmclock.h"

#include "guest-tests/lib/io.h"

#define LEAF_SIGNATURE  0x40000000
#define LEAF_FEATURES   0x40000001
#define SIGNATURE_EBX   0x4b4d564b /* "KVMK", and VMKVM in the next two */
#define FEATURE_CLOCK   (1u << 3)  /* the MSR below */
#define MSR_SYSTEM_TIME 0x4b564d01
#define ENABLE          1u

/* struct pvclock_vcpu_time_info of the document named in kvmclock.h */
struct clock_page {
    uint32_t version; /* odd while KVM writes */
    uint32_t pad0;
    uint64_t tsc, system_time; /* what the counter showed, and the time then, in ns */
    uint32_t multiplier;       /* ns a tick, shifted left by 32 */
    int8_t shift;              /* ticks are shifted by this before */
    uint8_t flags, pad1[2];
};

static volatile struct clock_page page[KVMCLOCK_CPUS] __attribute__((aligned(64)));

bool kvmclock_start(unsigned cpu)
{
    if (cpuid(LEAF_SIGNATURE, 0).ebx != SIGNATURE_EBX ||
        !(cpuid(LEAF_FEATURES, 0).eax & FEATURE_CLOCK) || cpu >= KVMCLOCK_CPUS)
        return false;
    wrmsr(MSR_SYSTEM_TIME, (uintptr_t)&page[cpu] | ENABLE);
    return page[cpu].multiplier != 0;
}

/* 64 times 32 bits, without the low 32 of the product: in halves, for it need not fit 64 bits. */
static uint64_t scale(uint64_t ticks, uint32_t multiplier)
{
    return (ticks >> 32) * multiplier + ((ticks & 0xffffffff) * multiplier >> 32);
}

static uint64_t shifted(uint64_t ticks, int8_t by)
{
    return by >= 0 ? ticks << by : ticks >> -by;
}

/* KVM may write while we read: then the version changes, or is odd, and we read again. */
uint64_t kvmclock_now(unsigned cpu)
{
    volatile struct clock_page *p = &page[cpu];
    uint32_t version;
    uint64_t now;

    do {
        version = p->version & ~1u;
        __asm__ volatile("lfence" : : : "memory"); /* the counter is not read early */
        now = p->system_time + scale(shifted(rdtsc() - p->tsc, p->shift), p->multiplier);
    } while (p->version != version);
    return now;
}

/* 10^6 ns a millisecond, by the inverse of the factor. */
uint64_t kvmclock_tsc_khz(unsigned cpu)
{
    uint64_t ticks = (UINT64_C(1000000) << 32) / page[cpu].multiplier;

    return shifted(ticks, (int8_t)-page[cpu].shift);
}
