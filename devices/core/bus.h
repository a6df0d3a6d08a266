/*
 * A bus: ranges of port or physical addresses, each served by one device. Ranges are added while
 * the machine is built, then the bus is frozen; from then on look-ups from any vCPU need no lock.
 *
 * What an access means (docs/life-of-an-exit.md):
 * - An access that lies wholly in one range reaches the device, with the offset in that range.
 * - An access that straddles the edge of a range is split into bytes, each routed by itself.
 * - Bytes that no device claims read as all ones; writes to them are dropped and counted.
 */
#ifndef HV_CORE_BUS_H
#define HV_CORE_BUS_H

#include <stdbool.h>
#include <stdint.h>

struct dev;

#define BUS_MAX_RANGES 64

struct bus_range {
    uint64_t base, size; /* addresses; size is not 0 and base + size does not wrap */
    struct dev *dev;     /* not owned */
};

struct bus {
    const char *name;                       /* "port" or "mmio", for messages */
    struct bus_range range[BUS_MAX_RANGES]; /* ascending, not overlapping */
    unsigned count;
    bool frozen;
    uint64_t unclaimed; /* relaxed atomic: accesses with at least one byte nobody claimed */
};

/* -EINVAL: empty, wraps, overlaps. -ENOSPC: full. -EBUSY: frozen. */
int bus_add(struct bus *bus, uint64_t base, uint64_t size, struct dev *dev);
void bus_freeze(struct bus *bus);

/* The range that holds `addr`, or NULL. */
const struct bus_range *bus_find(const struct bus *bus, uint64_t addr);

/*
 * One access of `size` bytes, 1 to 8; a device sees 1, 2, 4 or 8, other sizes (KVM reports them
 * for an access that crosses a page) reach it as bytes. Takes the device's lock around its
 * callback. The value travels little-endian in `data`. Returns false when any byte was unclaimed.
 */
bool bus_read(struct bus *bus, uint64_t addr, unsigned size, uint8_t *data);
bool bus_write(struct bus *bus, uint64_t addr, unsigned size, const uint8_t *data);

#endif
