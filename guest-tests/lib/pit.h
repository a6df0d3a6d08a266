/*
 * The 8254 programmable interval timer (Intel 8254 data sheet): three counters that run down at
 * 1,193,182 Hz. Counter 0 is the PC's old clock interrupt, counter 2 its loudspeaker.
 */
#ifndef GUEST_PIT_H
#define GUEST_PIT_H

#include <stdbool.h>
#include <stdint.h>

#define PIT_HZ           1193182u
#define PIT_ONE_SHOT     0 /* mode 0: the output rises once, at the end */
#define PIT_RATE         2 /* mode 2: a pulse every `count` ticks, again and again */
#define PIT_SQUARE       3

#define PIT_STATUS_OUT   0x80 /* of pit_status */
#define PIT_STATUS_EMPTY 0x40 /* the count has not been taken over yet */

/* Starts a counter, 0 or 2. count 0 stands for 65536. */
void pit_start(unsigned counter, unsigned mode, uint16_t count);

/* The counter's value, latched, so that its two bytes belong together. */
uint16_t pit_count(unsigned counter);

/* By the read-back command: PIT_STATUS_*, and in bits 1 to 3 the mode, in 4 and 5 how it is read.
 */
uint8_t pit_status(unsigned counter);

/* Counter 2 runs only while its gate is open (port 0x61); its output can be read there. */
void pit_gate(bool open);
bool pit_output(void);

#endif
