/*
 * The local APIC: interrupts between CPUs and from the CPU's own timer (SDM volume 3, chapter 11).
 * Each CPU sees its own one, at the same address. Two ways to reach it: xAPIC, registers in
 * memory; x2APIC, registers as MSRs, and 32-bit APIC ids.
 */
#ifndef GUEST_APIC_H
#define GUEST_APIC_H

#include <stdbool.h>
#include <stdint.h>

#define APIC_ID            0x020
#define APIC_VERSION       0x030
#define APIC_TPR           0x080
#define APIC_EOI           0x0b0
#define APIC_SPURIOUS      0x0f0
#define APIC_ESR           0x280
#define APIC_ICR           0x300
#define APIC_ICR_HIGH      0x310
#define APIC_LVT_TIMER     0x320
#define APIC_TIMER_INITIAL 0x380
#define APIC_TIMER_CURRENT 0x390
#define APIC_TIMER_DIVIDE  0x3e0

#define ICR_INIT           0x4500 /* level assert */
#define ICR_STARTUP        0x4600
#define ICR_FIXED          0x4000
#define ICR_PENDING        0x1000

#define LVT_MASKED         (1u << 16)
#define LVT_PERIODIC       (1u << 17)
#define LVT_TSC_DEADLINE   (1u << 18)
#define DIVIDE_BY_1        0xb

#define MSR_TSC_DEADLINE   0x6e0

bool apic_has_x2apic(void);
bool apic_has_tsc_deadline(void);

/* Switches this CPU's APIC on, as xAPIC or x2APIC, whatever it was before. */
void apic_enable(bool x2apic);

/* Registers by their xAPIC offset in both modes; of this CPU. */
uint32_t apic_read(uint32_t reg);
void apic_write(uint32_t reg, uint32_t value);

uint32_t apic_id(void);
void apic_eoi(void);

/* Sends `command` (ICR_* | vector) to the CPU with that id and waits until it is on its way. */
void apic_send(uint32_t id, uint32_t command);

#endif
