/* 32-bit protected mode without paging: segments, far jump, exception through a 32-bit gate. */
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/segments.h"
#include "guest-tests/lib/test.h"

const char guest_name[] = "protected";

#define CR0_PE         1u
#define CR0_PG         (1u << 31)
#define GATE_INTERRUPT 0x8e00

/* 32-bit gates: offset low, selector, type, offset high (SDM volume 3, 6.11). */
static uint16_t idt[32][4] __attribute__((aligned(8)));

struct __attribute__((packed)) table_pointer {
    uint16_t limit;
    uint32_t base;
};

extern volatile uint32_t divide_faults;
void on_divide(void);

/* Counts, and skips the two bytes of the instruction at fault. */
__asm__("    .text\n"
        "on_divide:\n"
        "    incl divide_faults\n"
        "    addl $2, (%esp)\n"
        "    iret\n");

volatile uint32_t divide_faults;

static uint32_t read_cr0(void)
{
    uint32_t value;

    __asm__ volatile("mov %%cr0, %0" : "=r"(value));
    return value;
}

/* start32.S has loaded our own segments; a hypervisor that lost one of them would show here. */
static void test_state(void)
{
    uint16_t cs, ss;

    __asm__ volatile("mov %%cs, %0" : "=r"(cs));
    __asm__ volatile("mov %%ss, %0" : "=r"(ss));
    check((read_cr0() & (CR0_PE | CR0_PG)) == CR0_PE, "CR0: protected, not paged");
    check_equal(cs, SEL_CODE32, "CS is our code segment");
    check_equal(ss, SEL_DATA, "SS is our data segment");
}

static void test_registers(void)
{
    uint32_t out;

    __asm__ volatile("mov $0x12345678, %%ecx\n\t"
                     "mov $0xab, %%cl\n\t"
                     "mov %%ecx, %0"
                     : "=r"(out)
                     :
                     : "ecx");
    check_equal(out, 0x123456ab, "a write to CL keeps the rest of ECX");
    __asm__ volatile("push $0x55aa55aa; pop %0" : "=r"(out));
    check_equal(out, 0x55aa55aa, "push and pop 32 bits");
}

/* The same table as in long mode, with gates of half the size. */
static void test_exception(void)
{
    struct table_pointer pointer = {sizeof(idt) - 1, (uint32_t)(uintptr_t)idt};
    uint32_t handler = (uint32_t)(uintptr_t)on_divide;

    idt[0][0] = (uint16_t)handler;
    idt[0][1] = SEL_CODE32;
    idt[0][2] = GATE_INTERRUPT;
    idt[0][3] = (uint16_t)(handler >> 16);
    __asm__ volatile("lidt %0" : : "m"(pointer));
    __asm__ volatile("div %%cl" : : "a"(1), "c"(0) : "memory");
    check_equal(divide_faults, 1, "division by zero goes through the gate and comes back");
}

void guest_main(void)
{
    printf("hello from protected mode, by %s\n", boot_protocol());
    test_state();
    test_registers();
    test_exception();
}
