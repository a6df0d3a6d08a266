/* Interrupts and faults of the CPU that runs. */
#ifndef GUEST_ARM64_EXCEPTION_H
#define GUEST_ARM64_EXCEPTION_H

#include <stdbool.h>
#include <stdint.h>

/* Called with interrupts off, after the GIC has acknowledged and before it is told the end. */
typedef void interrupt_handler(void);
void interrupt_handle(unsigned intid, interrupt_handler *handler);

#define INTIDS 96

/* The last fault. A fault that nobody expects ends the guest. */
struct fault {
    uint64_t esr, far, elr;
    uint32_t count;
};
extern volatile struct fault fault;

/* Faults are written down, and the instruction that made one is left out. */
void faults_expect(bool on);

#define ESR_CLASS(esr)   ((esr) >> 26 & 0x3f)
#define ESR_STATUS(esr)  ((esr)&0x3f)
#define CLASS_DATA_ABORT 0x25 /* without a change of exception level */
#define STATUS_EXTERNAL  0x10 /* synchronous external abort, not on a table walk */

#endif
