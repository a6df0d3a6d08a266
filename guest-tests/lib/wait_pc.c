/* Waiting as only a PC can: see wait.h. Any CPU. */
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/wait.h"

#define PORT_DELAY 0x80 /* the port for diagnostic codes; writing there does nothing */

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
