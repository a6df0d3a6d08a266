/* Waiting, with an end: a test must fail, not hang, when what it waits for does not come. */
#ifndef GUEST_WAIT_H
#define GUEST_WAIT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Until *value is at least `least`, but at most WAIT_CYCLES of the time stamp counter (some
 * seconds). Interrupts are on meanwhile and off afterwards. Returns whether it came.
 */
bool wait_until(const volatile uint32_t *value, uint32_t least);

/* The same, asleep in HLT between interrupts. Only an interrupt ends the wait. */
void halt_until(const volatile uint32_t *value, uint32_t least);

/* At least this long: a port access takes about a microsecond on any PC, real or virtual. */
void delay_us(unsigned microseconds);

#define WAIT_CYCLES UINT64_C(10000000000)

#endif
