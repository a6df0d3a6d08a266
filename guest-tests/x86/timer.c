/*
 * HLT sleeps until an interrupt, here from the local APIC's timer: one-shot, periodic and TSC
 * deadline, each as xAPIC and, where there is one, as x2APIC.
 *
 * Command line: `x2apic` and `deadline` say that these must be there.
 */
#include "guest-tests/lib/apic.h"
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/idt.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/wait.h"

const char guest_name[] = "timer";

#define TICKS_SHORT    100000u  /* of the APIC's clock: a fraction of a millisecond */
#define CYCLES_SHORT   1000000u /* of the TSC */
#define CYCLES_LONG    300000000u
#define PERIODIC_COUNT 5

static volatile uint32_t interrupts;

static void on_timer(struct trap_frame *frame)
{
    (void)frame;
    interrupts++;
    apic_eoi();
}

/* Counts down once; the interrupt comes when it reaches 0. */
static void test_oneshot(void)
{
    interrupts = 0;
    apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
    apic_write(APIC_TIMER_INITIAL, TICKS_SHORT);
    halt_until(&interrupts, 1);
    check_equal(apic_read(APIC_TIMER_CURRENT), 0, "one-shot: HLT ends, the counter is at 0");
    apic_write(APIC_TIMER_INITIAL, 0xffffffff);
    check(apic_read(APIC_TIMER_CURRENT) != 0, "one-shot: the counter can be started again");
    apic_write(APIC_TIMER_INITIAL, 0);
    check_equal(apic_read(APIC_TIMER_CURRENT), 0, "one-shot: writing 0 stops it");
    check_equal(interrupts, 1, "one-shot: one interrupt");
}

/* Starts again by itself. How many come is not exact: several may merge into one when we are slow.
 */
static void test_periodic(void)
{
    interrupts = 0;
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER | LVT_PERIODIC);
    apic_write(APIC_TIMER_INITIAL, 10 * TICKS_SHORT);
    halt_until(&interrupts, PERIODIC_COUNT);
    apic_write(APIC_LVT_TIMER, LVT_MASKED);
    apic_write(APIC_TIMER_INITIAL, 0);
    check(interrupts >= PERIODIC_COUNT, "periodic: keeps coming");
}

/* Waits until the time is really over, or the test would prove nothing. */
static void test_disarmed_deadline(void)
{
    uint64_t due = rdtsc() + CYCLES_LONG;

    wrmsr(MSR_TSC_DEADLINE, due);
    wrmsr(MSR_TSC_DEADLINE, 0);
    interrupts_on();
    while (rdtsc() < due + CYCLES_SHORT)
        cpu_pause();
    interrupts_off();
    check_equal(interrupts, 2, "TSC deadline: writing 0 disarms it");
}

/* Not an interval but a time: the TSC value at which the interrupt is due (SDM volume 3, 11.5.4.1).
 */
static void test_deadline(void)
{
    uint64_t due;

    if (!check(!cmdline_has("deadline") || apic_has_tsc_deadline(), "CPUID: TSC deadline"))
        return;
    if (!apic_has_tsc_deadline()) {
        check_xfail(false, "CPUID says that there is none", "TSC deadline");
        return;
    }
    interrupts = 0;
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER | LVT_TSC_DEADLINE);
    due = rdtsc() + CYCLES_SHORT;
    wrmsr(MSR_TSC_DEADLINE, due);
    halt_until(&interrupts, 1);
    check(rdtsc() >= due, "TSC deadline: not before it is due");
    check_equal(rdmsr(MSR_TSC_DEADLINE), 0, "TSC deadline: the register reads 0 afterwards");
    wrmsr(MSR_TSC_DEADLINE, 1);
    halt_until(&interrupts, 2);
    check_equal(interrupts, 2, "TSC deadline: one in the past comes at once");
    test_disarmed_deadline();
    apic_write(APIC_LVT_TIMER, LVT_MASKED);
}

static void test_mode(bool x2apic)
{
    group_begin(x2apic ? "x2APIC" : "xAPIC");
    apic_enable(x2apic);
    check_equal(apic_id(), 0, "the boot processor has id 0");
    check((apic_read(APIC_VERSION) & 0xf0) == 0x10, "version 0x1X: an integrated APIC");
    test_oneshot();
    test_periodic();
    test_deadline();
    group_end();
}

void guest_main(void)
{
    trap_set_handler(VECTOR_TIMER, on_timer);
    test_mode(false);
    if (check(!cmdline_has("x2apic") || apic_has_x2apic(), "CPUID: x2APIC") && apic_has_x2apic()) {
        test_mode(true);
        test_mode(false); /* and back, by way of "off" */
    }
    check_equal(trap_unexpected, 0, "no interrupt that nobody asked for");
}
