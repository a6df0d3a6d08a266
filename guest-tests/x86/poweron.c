/*
 * The registers of CPU, APICs and devices as they are after power-on, before a driver has touched
 * them. QEMU runs a BIOS first, which leaves traces; what it leaves alone is checked there, too.
 */
#include "guest-tests/lib/apic.h"
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/ioapic.h"
#include "guest-tests/lib/mmio.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/uart.h"

const char guest_name[] = "poweron";

#define MSR_APIC_BASE    0x1b
#define MSR_SYSENTER_CS  0x174
#define MSR_PAT          0x277
#define MSR_MTRR_DEFAULT 0x2ff
#define PAT_RESET        UINT64_C(0x0007040600070406) /* SDM volume 3, 12.12.4 */
#define BASE_BSP         0x100
#define BASE_ADDRESS     UINT64_C(0xfee00000)
#define APIC_GPA         0xfee00000u

#define APIC_LDR         0x0d0
#define APIC_DFR         0x0e0
#define APIC_ISR         0x100 /* eight registers each */
#define APIC_TMR         0x180
#define APIC_IRR         0x200
#define APIC_LVT_THERMAL 0x330
#define APIC_LVT_PERF    0x340
#define APIC_LVT_LINT0   0x350
#define APIC_LVT_LINT1   0x360
#define APIC_LVT_ERROR   0x370
#define EXTINT           0x700

#define PORT_PM1_STATUS  0x600 /* see docs/memory-map.md */
#define PORT_PM1_ENABLE  0x602
#define POWER_BUTTON     0x100
#define I8042_OUTPUT     0x01
#define PORT_I8042_DATA  0x60
#define DRAIN_READS      1000

static uint64_t debug_register(unsigned number)
{
    uint64_t value;

    if (number == 6)
        __asm__ volatile("mov %%dr6, %0" : "=r"(value));
    else
        __asm__ volatile("mov %%dr7, %0" : "=r"(value));
    return value;
}

/* SDM volume 3, table 10-1 */
static void test_cpu(void)
{
    group_begin("CPU");
    check_equal(debug_register(6), 0xffff0ff0, "DR6");
    check_equal(debug_register(7), 0x400, "DR7");
    check_equal(rdmsr(MSR_PAT), PAT_RESET, "PAT");
    check_equal(rdmsr(MSR_SYSENTER_CS), 0, "SYSENTER_CS");
    check(rdmsr(MSR_APIC_BASE) & BASE_BSP, "APIC base: this is the boot processor");
    check_equal(rdmsr(MSR_APIC_BASE) & ~UINT64_C(0xfff), BASE_ADDRESS, "APIC base: its address");
    group_end();
}

static uint32_t apic(unsigned reg)
{
    return mmio_read32(APIC_GPA + reg);
}

static uint32_t any_of_eight(unsigned reg)
{
    uint32_t any = 0;

    for (unsigned i = 0; i < 8; i++)
        any |= apic(reg + 16 * i);
    return any;
}

/* SDM volume 3, 11.4.7.1. A BIOS lets the 8259's interrupts through by LINT0. */
static void test_local_apic(void)
{
    static const struct {
        unsigned reg;
        const char *name;
    } entries[] = {{APIC_LVT_TIMER, "timer"},
                   {APIC_LVT_THERMAL, "thermal"},
                   {APIC_LVT_PERF, "performance"},
                   {APIC_LVT_ERROR, "error"}};

    group_begin("local APIC");
    check_equal(apic(APIC_ID) >> 24, 0, "id");
    check_equal(apic(APIC_VERSION) & 0xf0, 0x10, "version");
    check_equal(apic(APIC_TPR), 0, "task priority");
    check_equal(apic(APIC_LDR), 0, "logical destination");
    check_equal(apic(APIC_DFR), 0xffffffff, "destination format");
    check_equal(any_of_eight(APIC_ISR), 0, "nothing in service");
    check_equal(any_of_eight(APIC_IRR), 0, "nothing requested");
    check_equal(apic(APIC_TIMER_INITIAL), 0, "timer: initial count");
    check_equal(apic(APIC_TIMER_CURRENT), 0, "timer: current count");
    for (unsigned i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
        check(apic(entries[i].reg) & LVT_MASKED, "%s interrupt masked", entries[i].name);
    group_end();
}

/* 82093AA, 3.2.4: all entries masked. */
static void test_io_apic(void)
{
    unsigned masked = 0, lines = ioapic_lines();

    for (unsigned i = 0; i < lines; i++)
        masked += (ioapic_entry(i) & IOAPIC_MASKED) != 0;
    check_equal(lines, 24, "I/O APIC: lines");
    check_equal(masked, lines, "I/O APIC: all masked");
}

/* What drivers do first: read bytes from before until none waits. */
static bool is_drained(void)
{
    for (unsigned i = 0; i < DRAIN_READS; i++) {
        if (!(in8(PORT_I8042) & I8042_OUTPUT))
            return true;
        in8(PORT_I8042_DATA);
    }
    return false;
}

static void test_devices(void)
{
    group_begin("devices");
    check_equal(in8(PORT_UART + UART_IER), 0, "UART: no interrupts enabled");
    check_equal(in8(PORT_UART + UART_SCRATCH), 0, "UART: scratch");
    check(is_drained(), "keyboard controller: reading away what waits has an end");
    if (!on_qemu()) {
        check_equal(in16(PORT_PM1_STATUS) & POWER_BUTTON, 0, "ACPI: no button pressed");
        check_equal(in16(PORT_PM1_ENABLE), 0, "ACPI: no event enabled");
        check_equal(in8(PORT_UNCLAIMED), 0xff, "a port that nobody has");
    }
    group_end();
}

void guest_main(void)
{
    test_cpu();
    test_local_apic();
    test_io_apic();
    test_devices();
}
