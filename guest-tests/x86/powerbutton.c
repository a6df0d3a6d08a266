/*
 * The power button: an interrupt, a register that says what happened, and a guest that reacts by
 * powering off. With ACPI that is the generic event device (ACPI 6.5, 5.6.9), whose method a kernel
 * finds in the DSDT; here the numbers are known.
 */
#include "guest-tests/lib/apic.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/idt.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/ioapic.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/wait.h"

const char guest_name[] = "powerbutton";

#define GSI_POWER     9
#define VECTOR_POWER  0x44
#define POWER_CONTROL (PORT_POWER + 0)
#define POWER_EVENTS  (PORT_POWER + 4)
#define EVENT_BUTTON  0x01
#define SLEEP_S5      0x34 /* SLP_EN | 5 << 2 (ACPI 6.5, 4.8.3.7) */

static volatile uint32_t presses;
static volatile uint8_t events, events_again;

static void on_power(struct trap_frame *frame)
{
    (void)frame;
    events = in8(POWER_EVENTS);
    events_again = in8(POWER_EVENTS);
    presses++;
    apic_eoi();
}

void guest_main(void)
{
    check_equal(in8(POWER_EVENTS), 0, "no event waits at the start");
    apic_enable(false);
    trap_set_handler(VECTOR_POWER, on_power);
    ioapic_route(GSI_POWER, VECTOR_POWER, apic_id());
    check_equal(ioapic_entry(GSI_POWER) & 0xff, VECTOR_POWER, "the I/O APIC keeps the vector");
    check(ioapic_lines() > GSI_POWER, "the I/O APIC has enough lines");
    printf("waiting for the power button\n");
    halt_until(&presses, 1);
    check_equal(events, EVENT_BUTTON, "the event is the button");
    check_equal(events_again, 0, "reading the events clears them");
    check_equal(presses, 1, "one interrupt");
    test_print_marker();
    out8(POWER_CONTROL, SLEEP_S5);
    for (;;) {
        interrupts_off();
        halt();
    }
}
