/* Waiting loops; see wait.h. Any CPU. */
#include "guest-tests/lib/wait.h"

#include "guest-tests/lib/io.h"

#define PORT_DELAY 0x80 /* the PC's port for diagnostic codes; writing there does nothing */

bool wait_until(const volatile uint32_t *value, uint32_t least)
{
    uint64_t start = rdtsc();

    interrupts_on();
    while (*value < least && rdtsc() - start < WAIT_CYCLES)
        cpu_pause();
    interrupts_off();
    return *value >= least;
}

void halt_until(const volatile uint32_t *value, uint32_t least)
{
    /* Looked at with interrupts off: one that comes after the look still ends the HLT. */
    interrupts_off();
    while (*value < least) {
        interrupts_on_and_halt();
        interrupts_off();
    }
}

void delay_us(unsigned microseconds)
{
    while (microseconds--)
        out8(PORT_DELAY, 0);
}
