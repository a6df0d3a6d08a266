/*
 * The FIFO of a serial chip, or what stands for the wire before it: bytes in order. `depth` is that
 * of the chip, the same in each call, and at most SERIAL_FIFO_MAX. Under the device's dev.lock.
 */
#ifndef HV_DEVICES_SERIAL_FIFO_H
#define HV_DEVICES_SERIAL_FIFO_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/core/state.h"

#define SERIAL_FIFO_MAX 32

/* All zero: empty. */
struct serial_fifo {
    uint8_t byte[SERIAL_FIFO_MAX];
    uint8_t head, count;
};

/* False: it is full, and the byte is lost. */
static inline bool serial_fifo_put(struct serial_fifo *f, uint8_t depth, uint8_t value)
{
    if (f->count == depth)
        return false;
    f->byte[(f->head + f->count++) % depth] = value;
    return true;
}

/* The oldest byte; not of an empty one. */
static inline uint8_t serial_fifo_get(struct serial_fifo *f, uint8_t depth)
{
    uint8_t value = f->byte[f->head];

    f->head = (uint8_t)((f->head + 1) % depth);
    f->count--;
    return value;
}

static inline void serial_fifo_save(const struct serial_fifo *f, uint8_t depth,
                                    struct state_writer *w)
{
    state_put_u8(w, f->count);
    for (uint8_t i = 0; i < depth; i++)
        state_put_u8(w, i < f->count ? f->byte[(f->head + i) % depth] : 0);
}

/* Into an empty one. The caller checks `count` before it uses it. */
static inline void serial_fifo_load(struct serial_fifo *f, uint8_t depth, struct state_reader *r)
{
    f->count = state_get_u8(r);
    state_get_bytes(r, f->byte, depth);
}

#endif
