/*
 * Interrupt lines into the in-kernel interrupt controller, by GSI.
 */
#ifndef HV_IRQCHIP_H
#define HV_IRQCHIP_H

#include "devices/core/irq.h"

/* What an irq_line points at. Must stay where it is while the line is used. */
struct irq_pin {
    int vm_fd;
    int gsi;
};

/* A line that drives `pin`; with pin->gsi < 0 one that is not wired. */
struct irq_line irq_pin_line(struct irq_pin *pin);

#endif
