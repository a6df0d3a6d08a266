/*
 * What a device knows of the interrupt controller: a line, or messages (MSI), and what it knows of
 * notifications that need no exit. Any thread.
 */
#ifndef HV_CORE_IRQ_H
#define HV_CORE_IRQ_H

#include <stdbool.h>
#include <stdint.h>

/* A level; the callee makes edges of it. */
struct irq_line {
    void (*set)(void *opaque, bool level); /* NULL: not wired, nothing happens */
    void *opaque;
};

static inline void irq_set(const struct irq_line *line, bool level)
{
    if (line->set)
        line->set(line->opaque, level);
}

/*
 * Message-signalled interrupts of one device, by vector number. `set` tells what a vector's message
 * is, and whether it may be sent (a masked vector keeps none waiting here: that is the caller's
 * pending bit). 0 or -errno.
 */
struct msi_port {
    int (*set)(void *opaque, unsigned vector, bool on, uint64_t address, uint32_t data);
    void (*send)(void *opaque, unsigned vector);
    void *opaque;
};

/*
 * Notifications without an exit: a guest's write to `addr` on the memory bus signals the eventfd
 * `fd`. size 4: only a write of 4 bytes with the value `match`; size 0: any write. -errno, or
 * -ENOTSUP when switched off or not there: the write then reaches the device as an exit. NULL
 * functions mean the same.
 */
struct doorbell_port {
    int (*add)(void *opaque, uint64_t addr, unsigned size, uint32_t match, int fd);
    void (*remove)(void *opaque, uint64_t addr, unsigned size, uint32_t match, int fd);
    void *opaque;
};

#endif
