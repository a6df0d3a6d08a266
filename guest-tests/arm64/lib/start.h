/* Between the start code and C; no business of a test but for psci.h's. */
#ifndef GUEST_ARM64_START_H
#define GUEST_ARM64_START_H

/* Offsets in struct cpu_start, for start.S. */
#define CPU_START_STACK    0
#define CPU_START_FUNCTION 8
#define CPU_START_ARGUMENT 16

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct cpu_start {
    uint64_t stack; /* its upper end */
    void (*function)(uint64_t argument);
    uint64_t argument;
};
_Static_assert(offsetof(struct cpu_start, argument) == CPU_START_ARGUMENT, "start.S disagrees");

/* Called on the boot stack, interrupts off. Does not return. */
void guest_start(uintptr_t device_tree);

/* start.S: for PSCI, with a struct cpu_start as context. */
void cpu_entry(void);

/* What an exception found, in the order of start.S. */
struct frame {
    uint64_t x[31], elr, spsr, unused;
};
void exception_taken(uint64_t vector, struct frame *frame);
#endif

#endif
