/* INIT, SIPI, SIPI. smp_start runs on the boot processor, ap_start on each AP. */
#include "guest-tests/lib/smp.h"

#include "guest-tests/lib/apic.h"
#include "guest-tests/lib/idt.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/wait.h"

#define TRAMPOLINE_GPA 0x8000
#define AP_STACK_SIZE  4096

extern const char trampoline_start[], trampoline_end[];
uint32_t ap_stack; /* read by trampoline.S: address of the stack's end */
void ap_start(void);

/* One each: an interrupt may come at any time, and two CPUs on one stack would overwrite it. */
static char stacks[SMP_MAX_CPUS][AP_STACK_SIZE] __attribute__((aligned(16)));

/* What the AP that is starting needs. APs start one after the other, so one set is enough. */
static smp_main *volatile ap_main;
static volatile uint32_t ap_id;
static volatile bool ap_x2apic;
static volatile uint32_t ap_running;

void ap_start(void)
{
    smp_main *main = ap_main;
    uint32_t id = ap_id;

    idt_load();
    apic_enable(ap_x2apic);
    ap_running = 1; /* from here on the boot processor may start the next one */
    main(id);
    for (;;)
        interrupts_on_and_halt();
}

bool smp_start(uint32_t id, bool x2apic, smp_main *main)
{
    if (id >= SMP_MAX_CPUS)
        return false;
    memcpy((void *)TRAMPOLINE_GPA, trampoline_start, (size_t)(trampoline_end - trampoline_start));
    ap_stack = (uint32_t)(uintptr_t)stacks[id] + AP_STACK_SIZE;
    ap_main = main;
    ap_id = id;
    ap_x2apic = x2apic;
    ap_running = 0;

    apic_send(id, ICR_INIT); /* reset, then wait for a startup message */
    delay_us(100);
    apic_send(id, ICR_STARTUP | TRAMPOLINE_GPA >> 12); /* begin at that page */
    if (wait_until(&ap_running, 1))
        return true;
    apic_send(id, ICR_STARTUP | TRAMPOLINE_GPA >> 12); /* the manual asks for a second try */
    return wait_until(&ap_running, 1);
}
