/*
 * Interrupts into the in-kernel interrupt controller, and notifications out of the guest without an
 * exit: lines by GSI, messages (MSI), doorbells. Devices see the ports of devices/core/irq.h only.
 *
 * Create and destroy: main thread. What the ports do: any thread, see there.
 */
#ifndef HV_IRQCHIP_H
#define HV_IRQCHIP_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>

#include "devices/core/irq.h"

#define IRQCHIP_MAX_MSIS 2048 /* of KVM's 4096 routes */

struct irqchip {
    int vm_fd;                                 /* not owned */
    bool use_irqfd, use_ioeventfd, any_length; /* constant */
    pthread_mutex_t lock;                      /* protects what follows */
    struct kvm_irq_routing *routing;           /* as KVM has it; owned; NULL before the first MSI */
    unsigned msis; /* given out; the next GSI is arch_irqs.pins + msis */
};

/*
 * After KVM_CREATE_IRQCHIP. What is switched off (or what KVM lacks) takes the long way: interrupts
 * by an ioctl, notifications by an exit. Must stay where it is until irqchip_fini.
 */
void irqchip_init(struct irqchip *chip, int vm_fd, bool use_irqfd, bool use_ioeventfd);

/* After all users are gone. Accepts a zeroed chip. */
void irqchip_fini(struct irqchip *chip);

/* What an irq_line points at. Must stay where it is while the line is used. */
struct irq_pin {
    int vm_fd;
    int gsi;
    bool use_irqfd; /* then event_fd is bound to the pin */
    int event_fd;   /* owned, when use_irqfd */
};

/*
 * A pin that is driven by an irqfd when the chip uses those: each rise of the line is one edge and
 * a fall does nothing, so it fits edge-triggered lines only. A pin that is initialised by hand with
 * {vm_fd, gsi} goes by KVM_IRQ_LINE. 0 or -errno, no message.
 */
int irq_pin_open(struct irq_pin *pin, const struct irqchip *chip, int gsi);
void irq_pin_close(struct irq_pin *pin); /* accepts one that is zeroed */

/* A line that drives `pin`; with pin->gsi < 0 one that is not wired. */
struct irq_line irq_pin_line(struct irq_pin *pin);

/* Doorbells; the chip must outlive what uses them. */
struct doorbell_port irqchip_doorbells(struct irqchip *chip);

/*
 * One device's message interrupts, vectors 0 to count - 1 (count at least 1). `device`: how the
 * interrupt controller knows it where that matters (arch_irqs), a PCI function's requester ID. 0,
 * or -errno without a message: -ENOSPC when the chip has given out all.
 */
struct irq_msi;
int irq_msi_create(struct irqchip *chip, uint32_t device, unsigned count, struct irq_msi **out);
void irq_msi_destroy(struct irq_msi *msi); /* accepts NULL */

/* The device holds its own lock around calls of one port. */
struct msi_port irq_msi_port(struct irq_msi *msi);

#endif
