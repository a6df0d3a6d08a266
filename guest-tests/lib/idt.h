/*
 * Interrupts and exceptions of 64-bit guests. An exception that nobody expects prints the registers
 * and ends the run with FAIL; an interrupt without a handler is counted and dropped.
 */
#ifndef GUEST_IDT_H
#define GUEST_IDT_H

#include <stdint.h>

/* What isr.S and the CPU push, lowest address first. A handler may change it: IRET loads it. */
struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
    uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error_code;
    uint64_t rip, cs, rflags, rsp, ss;
};

typedef void trap_handler(struct trap_frame *frame);

#define VECTOR_DIVIDE   0
#define VECTOR_UD       6
#define VECTOR_GP       13
#define VECTOR_PF       14
#define VECTOR_TIMER    0x40
#define VECTOR_UART     0x41
#define VECTOR_IPI      0x42
#define VECTOR_REPLY    0x43
#define VECTOR_SPURIOUS 0xff

/* Makes the table; once, on the boot processor. */
void idt_init(void);

/* Makes this CPU use it; each processor. */
void idt_load(void);

/* NULL: back to the default. Interrupt handlers acknowledge by apic_eoi. */
void trap_set_handler(unsigned vector, trap_handler *handler);

/* Interrupts (vectors from 32 on) that had no handler. */
extern unsigned trap_unexpected;

/* Called by isr.S. */
void trap_dispatch(struct trap_frame *frame);

#endif
