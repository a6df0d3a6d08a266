/* Waiting loops; see wait.h. Any CPU. */
#include "guest-tests/lib/wait.h"

#include "guest-tests/lib/io.h"

bool wait_until(const volatile uint32_t *value, uint32_t least)
{
    uint64_t start = rdtsc();

    interrupts_on();
    while (*value < least && rdtsc() - start < WAIT_CYCLES)
        cpu_pause();
    interrupts_off();
    return *value >= least;
}
