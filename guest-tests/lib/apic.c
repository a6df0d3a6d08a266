/* Access to the local APIC. Called by tests on any CPU; the state is the calling CPU's own. */
#include "guest-tests/lib/apic.h"

#include "guest-tests/lib/idt.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/mmio.h"

#define MSR_APIC_BASE      0x1b
#define BASE_X2APIC        (1u << 10)
#define BASE_ENABLE        (1u << 11)
#define APIC_GPA           0xfee00000u
#define MSR_X2APIC         0x800 /* plus the xAPIC offset divided by 16 */
#define SPURIOUS_ENABLE    0x100

#define CPUID_X2APIC       (1u << 21) /* leaf 1, ECX */
#define CPUID_TSC_DEADLINE (1u << 24)

/* All CPUs of a test use the same mode, so one flag saves reading the MSR each time. */
static bool x2apic_on;

bool apic_has_x2apic(void)
{
    return cpuid(1, 0).ecx & CPUID_X2APIC;
}

bool apic_has_tsc_deadline(void)
{
    return cpuid(1, 0).ecx & CPUID_TSC_DEADLINE;
}

void apic_enable(bool x2apic)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);

    /* There is no direct way back from x2APIC to xAPIC: it leads through "off" (11.12.5). */
    if (!x2apic && base & BASE_X2APIC)
        wrmsr(MSR_APIC_BASE, base & ~(uint64_t)(BASE_ENABLE | BASE_X2APIC));
    base = (base & ~(uint64_t)BASE_X2APIC) | BASE_ENABLE;
    wrmsr(MSR_APIC_BASE, base);
    if (x2apic)
        wrmsr(MSR_APIC_BASE, base | BASE_X2APIC);
    x2apic_on = x2apic;
    apic_write(APIC_TPR, 0); /* accept interrupts of every priority */
    apic_write(APIC_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
}

uint32_t apic_read(uint32_t reg)
{
    return x2apic_on ? (uint32_t)rdmsr(MSR_X2APIC + reg / 16) : mmio_read32(APIC_GPA + reg);
}

void apic_write(uint32_t reg, uint32_t value)
{
    if (x2apic_on)
        wrmsr(MSR_X2APIC + reg / 16, value);
    else
        mmio_write32(APIC_GPA + reg, value);
}

uint32_t apic_id(void)
{
    return x2apic_on ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24;
}

/* "End of interrupt": until then the APIC holds back those of the same or a lower priority. */
void apic_eoi(void)
{
    apic_write(APIC_EOI, 0);
}

void apic_send(uint32_t id, uint32_t command)
{
    if (x2apic_on) { /* one register of 64 bits, and no need to wait */
        wrmsr(MSR_X2APIC + APIC_ICR / 16, (uint64_t)id << 32 | command);
        return;
    }
    apic_write(APIC_ICR_HIGH, id << 24);
    apic_write(APIC_ICR, command); /* this write sends it */
    while (apic_read(APIC_ICR) & ICR_PENDING)
        cpu_pause();
}
