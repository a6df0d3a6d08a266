/* The interrupt descriptor table (SDM volume 3, 6.10 to 6.14) and what happens through it. */
#include "guest-tests/lib/idt.h"

#include <stddef.h>

#include "guest-tests/lib/console.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/segments.h"
#include "guest-tests/lib/start.h"
#include "guest-tests/lib/test.h"

#define VECTORS        256
#define STUB_SIZE      16   /* isr.S */
#define GATE_INTERRUPT 0x8e /* present, 64-bit interrupt gate: interrupts stay off inside */

struct gate {
    uint16_t offset_low, selector;
    uint8_t stack, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};

struct __attribute__((packed)) table_pointer {
    uint16_t limit;
    uint64_t base;
};

extern const char trap_stubs[];

static struct gate idt[VECTORS] __attribute__((aligned(16)));
static trap_handler *handlers[VECTORS];
unsigned trap_unexpected;

/* A gate says where to go, with which code segment, and what happens to the interrupt flag. The
 * address is cut in three, for the sake of the 16-bit processor that had the first such table. */
static void set_gate(unsigned vector)
{
    uintptr_t at = (uintptr_t)trap_stubs + vector * STUB_SIZE;

    idt[vector] = (struct gate){.offset_low = (uint16_t)at,
                                .offset_middle = (uint16_t)(at >> 16),
                                .offset_high = (uint32_t)(at >> 32),
                                .selector = SEL_CODE64,
                                .type = GATE_INTERRUPT};
}

void idt_load(void)
{
    struct table_pointer pointer = {sizeof(idt) - 1, (uintptr_t)idt};

    __asm__ volatile("lidt %0" : : "m"(pointer));
}

/*
 * Gates for exceptions only: the others are made when a handler is set, because 256 of them cost
 * milliseconds where ring 0 is emulated.
 */
void idt_init(void)
{
    for (unsigned vector = 0; vector < 32; vector++)
        set_gate(vector);
    set_gate(VECTOR_SPURIOUS);
    idt_load();
}

void trap_set_handler(unsigned vector, trap_handler *handler)
{
    set_gate(vector);
    handlers[vector] = handler;
}

/* The address whose access caused the last page fault. */
static uint64_t read_cr2(void)
{
    uint64_t value;

    __asm__ volatile("mov %%cr2, %0" : "=r"(value));
    return value;
}

/* All that helps to find the instruction: `objdump -d` of the image shows what is at rip. */
static void report(const struct trap_frame *f)
{
    static const char *const names[32] = {
        [0] = "divide error",
        [1] = "debug",
        [2] = "NMI",
        [3] = "breakpoint",
        [4] = "overflow",
        [5] = "bound range",
        [6] = "invalid opcode",
        [7] = "no FPU",
        [8] = "double fault",
        [10] = "invalid TSS",
        [11] = "no such segment",
        [12] = "stack fault",
        [13] = "general protection",
        [14] = "page fault",
        [16] = "x87 error",
        [17] = "alignment check",
        [18] = "machine check",
        [19] = "SIMD error",
    };
    const char *name = names[f->vector & 31];

    printf("FAIL: %s: unexpected exception %llu (%s), error code 0x%llx\n", guest_name,
           (unsigned long long)f->vector, name ? name : "reserved",
           (unsigned long long)f->error_code);
    printf("  rip %016llx cs %04llx rflags %08llx rsp %016llx cr2 %016llx\n",
           (unsigned long long)f->rip, (unsigned long long)f->cs, (unsigned long long)f->rflags,
           (unsigned long long)f->rsp, (unsigned long long)read_cr2());
    printf("  rax %016llx rbx %016llx rcx %016llx rdx %016llx\n", (unsigned long long)f->rax,
           (unsigned long long)f->rbx, (unsigned long long)f->rcx, (unsigned long long)f->rdx);
    printf("  rsi %016llx rdi %016llx rbp %016llx\n", (unsigned long long)f->rsi,
           (unsigned long long)f->rdi, (unsigned long long)f->rbp);
}

void trap_dispatch(struct trap_frame *frame)
{
    trap_handler *handler = handlers[frame->vector];

    if (handler) {
        handler(frame);
    } else if (frame->vector >= 32) {
        trap_unexpected++;
    } else {
        report(frame);
        guest_exit(EXIT_FAIL);
    }
}

/*
 * A PC's two old interrupt controllers (8259A) may be set up by a BIOS and would send the old
 * timer's interrupts to vectors that belong to exceptions. Masked; where there are none, the
 * writes go nowhere.
 */
static void mask_old_controllers(void)
{
    out8(0x21, 0xff);
    out8(0xa1, 0xff);
}

void arch_init(void)
{
    mask_old_controllers();
    idt_init();
}
