/* 64-bit code runs: registers, addresses above 4 GiB in them, exceptions and the way back. */
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/idt.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/test.h"

const char guest_name[] = "longmode";

#define MSR_EFER 0xc0000080
#define EFER_LMA (1u << 10)

static volatile uint32_t faults;
static volatile uint64_t fault_vector, fault_error;

/* Skips the faulting instruction, whose length the test knows. */
static unsigned instruction_length;

static void on_fault(struct trap_frame *frame)
{
    faults++;
    fault_vector = frame->vector;
    fault_error = frame->error_code;
    frame->rip += instruction_length;
}

/* That a register has 64 bits, and the rule that surprises those who know the 32-bit processor. */
static void test_registers(void)
{
    uint64_t out;

    __asm__ volatile("mov $0x123456789abcdef0, %%r15\n\t"
                     "mov %%r15, %0"
                     : "=r"(out)
                     :
                     : "r15");
    check_equal(out, 0x123456789abcdef0, "R15 holds 64 bits");
    __asm__ volatile("mov $-1, %%rax\n\t"
                     "mov $1, %%eax\n\t"
                     "mov %%rax, %0"
                     : "=r"(out)
                     :
                     : "rax");
    check_equal(out, 1, "a write to EAX clears the upper half of RAX");
    check(rdmsr(MSR_EFER) & EFER_LMA, "EFER.LMA");
}

/* One exception without an error code, one with: isr.S must leave the same frame for both. */
static void test_exceptions(void)
{
    trap_set_handler(VECTOR_DIVIDE, on_fault);
    instruction_length = 2;
    __asm__ volatile("div %%cl" : : "a"(1), "c"(0) : "memory"); /* F6 F1 */
    check(faults == 1 && fault_vector == VECTOR_DIVIDE, "division by zero arrives as vector 0");

    trap_set_handler(VECTOR_PF, on_fault);
    instruction_length = 3;
    __asm__ volatile("mov (%%rcx), %%rax" /* 48 8B 01 */
                     :
                     : "c"(UINT64_C(0x7f0000000000))
                     : "rax", "memory");
    check(faults == 2 && fault_vector == VECTOR_PF && fault_error == 0,
          "a read of an unmapped page arrives as vector 14, error code 0");
}

void guest_main(void)
{
    printf("hello from long mode, by %s\n", boot_protocol());
    test_registers();
    test_exceptions();
}
