/* The GICv3 (Arm IHI 0069): interrupts 0 to 15 are software's, 16 to 31 this CPU's, then lines. */
#ifndef GUEST_ARM64_GIC_H
#define GUEST_ARM64_GIC_H

#include <stdbool.h>
#include <stdint.h>

#define INTID_TIMER 27 /* the virtual timer's */
#define INTID_SPI   32 /* the first line */

/* The distributor, once; then each CPU for itself, by its number in the order of redistributors. */
void gic_init(void);
bool gic_cpu_init(unsigned cpu);

/* Lets one come: this CPU's, or a line, which goes to CPU 0. */
void gic_enable(unsigned intid, bool edge);

/* Software interrupt `intid` to the CPU with that MPIDR. */
void gic_send(unsigned intid, uint64_t mpidr);

unsigned gic_lines(void); /* shared interrupts that there are */

/* For exception.c. */
uint32_t gic_acknowledge(void);
void gic_end(uint32_t intid);

#endif
