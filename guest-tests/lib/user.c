/* The way to ring 3 and back (SDM volume 3, 5.8 and 7.7). See user.h. */
#include "guest-tests/lib/user.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest-tests/lib/idt.h"
#include "guest-tests/lib/segments.h"

#define STACK_SIZE 16384
#define TSS_TYPE   UINT64_C(0x89) /* present, 64-bit TSS that is not busy */
#define PORTS      65536

/* All that is left of task switching in 64-bit mode: which stack an interrupt gets that comes while
 * ring 3 runs, and which ports ring 3 may use (SDM volume 1, 19.5.2). */
struct __attribute__((packed)) task_state {
    uint32_t reserved0;
    uint64_t rsp[3]; /* of rings 0 to 2 */
    uint64_t reserved1, ist[7], reserved2;
    uint16_t reserved3, io_map;
    uint8_t closed[PORTS / 8 + 1]; /* a bit a port, then a byte of ones */
};

extern uint64_t gdt[];
uint64_t user_saved_rsp; /* of ring 0, in user_run; user_entry.S writes it */

static struct task_state task;
static uint8_t interrupt_stack[STACK_SIZE] __attribute__((aligned(16)));
static uint8_t user_stack[STACK_SIZE] __attribute__((aligned(16)));

/* A system descriptor's base is cut in four (SDM volume 3, 7.2.3). */
static void load_task(void)
{
    uint64_t base = (uintptr_t)&task;

    task.rsp[0] = (uintptr_t)interrupt_stack + STACK_SIZE;
    task.io_map = offsetof(struct task_state, closed);
    task.closed[PORTS / 8] = 0xff;
    gdt[SEL_TSS / 8] =
        (sizeof(task) - 1) | (base & 0xffffff) << 16 | TSS_TYPE << 40 | (base >> 24 & 0xff) << 56;
    gdt[SEL_TSS / 8 + 1] = base >> 32;
    __asm__ volatile("ltr %w0" : : "r"(SEL_TSS) : "memory");
}

/* IRET takes us where the frame says: to the end of user_enter, in ring 0. */
static void on_invalid_opcode(struct trap_frame *frame)
{
    if (frame->rip != (uintptr_t)user_leave) {
        trap_set_handler(VECTOR_UD, NULL); /* not the one that is meant: the default reports it */
        trap_dispatch(frame);
        return;
    }
    frame->cs = SEL_CODE64;
    frame->ss = SEL_DATA;
    frame->rsp = user_saved_rsp;
    frame->rip = (uintptr_t)user_resume;
}

void user_run(void (*function)(void))
{
    static bool ready;

    if (!ready)
        load_task();
    ready = true;
    trap_set_handler(VECTOR_UD, on_invalid_opcode);
    user_enter(function, user_stack + STACK_SIZE);
    trap_set_handler(VECTOR_UD, NULL);
}
