/*
 * An interrupt line: what a device knows of the interrupt controller. A level; the callee makes
 * edges of it. Any thread.
 */
#ifndef HV_CORE_IRQ_H
#define HV_CORE_IRQ_H

#include <stdbool.h>

struct irq_line {
    void (*set)(void *opaque, bool level); /* NULL: not wired, nothing happens */
    void *opaque;
};

static inline void irq_set(const struct irq_line *line, bool level)
{
    if (line->set)
        line->set(line->opaque, level);
}

#endif
