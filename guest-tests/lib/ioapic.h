/*
 * The I/O APIC: turns a device's interrupt line (GSI) into an interrupt message to a local APIC
 * (Intel 82093AA data sheet).
 */
#ifndef GUEST_IOAPIC_H
#define GUEST_IOAPIC_H

#include <stdint.h>

#define GSI_UART      4

#define IOAPIC_MASKED (1u << 16)

unsigned ioapic_lines(void);

/* Edge triggered, active high, to one CPU. */
void ioapic_route(unsigned gsi, unsigned vector, uint32_t apic_id);
void ioapic_mask(unsigned gsi);

/* The low half of a line's redirection entry. */
uint32_t ioapic_entry(unsigned gsi);

#endif
