/* The virtual timer: an interrupt once it is due and not before, again and again, and from sleep.
 */
#include "guest-tests/arm64/lib/exception.h"
#include "guest-tests/arm64/lib/gic.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/wait.h"

const char guest_name[] = "timer";

#define TIMER_ON 1
#define TIMES    5

static volatile uint32_t ticks;
static volatile uint64_t last;

/* It is a level: the timer is switched off, or it would come for ever. */
static void tick(void)
{
    last = read_sysreg("cntvct_el0");
    write_sysreg("cntv_ctl_el0", 0);
    ticks++;
}

static uint64_t arm(uint64_t after)
{
    uint64_t due = read_sysreg("cntvct_el0") + after;

    write_sysreg("cntv_cval_el0", due);
    write_sysreg("cntv_ctl_el0", TIMER_ON);
    return due;
}

void guest_main(void)
{
    uint64_t due, ms = read_sysreg("cntfrq_el0") / 1000;

    interrupt_handle(INTID_TIMER, tick);
    gic_enable(INTID_TIMER, false);
    for (uint32_t i = 1; i <= TIMES; i++) {
        due = arm(20 * ms);
        if (!check(wait_until(&ticks, i), "interrupt %u comes", i))
            return;
        check(last >= due, "not too early");
    }
    due = arm(20 * ms);
    halt(); /* ends though interrupts are off */
    check(read_sysreg("cntvct_el0") >= due, "the timer ends a WFI");
    check(wait_until(&ticks, TIMES + 1), "and interrupts when they are on");
}
