/* Between the start code and the rest of the library; no business of a test. */
#ifndef GUEST_START_H
#define GUEST_START_H

/* Called by start32.S and start64.S on the boot stack, interrupts off. Does not return. */
void guest_start(void);

/* What a mode needs before guest_main: the interrupt table in 64-bit guests. */
void arch_init(void);

/* start64.S: the way from 32-bit protected mode to long mode. */
void enter_long_mode(void);

#endif
