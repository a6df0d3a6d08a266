/*
 * A line's level goes to KVM by KVM_IRQ_LINE rather than an irqfd: KVM delivers I/O APIC pins that
 * an irqfd raises from a work queue, one context switch later.
 */
#include "hv/irqchip.h"

#include "hv/kvm.h"

/* vCPU threads and the loop's; KVM orders them. */
static void set_level(void *opaque, bool level)
{
    const struct irq_pin *pin = opaque;

    /* Fails only for a GSI that the chip does not have, which the device table rules out. */
    kvm_irq_line(pin->vm_fd, (unsigned)pin->gsi, level);
}

struct irq_line irq_pin_line(struct irq_pin *pin)
{
    if (pin->gsi < 0)
        return (struct irq_line){.set = NULL};
    return (struct irq_line){.set = set_level, .opaque = pin};
}
