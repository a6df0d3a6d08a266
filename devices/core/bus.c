/*
 * Routes an access to the device that claims it. Called on vCPU threads; the ranges are frozen
 * before those start, so only the device's own lock is taken.
 */
#include "devices/core/bus.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "devices/core/dev.h"
#include "devices/core/util.h"

int bus_add(struct bus *bus, uint64_t base, uint64_t size, struct dev *dev)
{
    unsigned at = 0;

    if (bus->frozen)
        return -EBUSY;
    if (!dev || size == 0 || !range_fits(base, size, UINT64_MAX))
        return -EINVAL;
    if (bus->count == BUS_MAX_RANGES)
        return -ENOSPC;
    while (at < bus->count && bus->range[at].base < base)
        at++;
    if (at > 0 && bus->range[at - 1].base + bus->range[at - 1].size > base)
        return -EINVAL;
    if (at < bus->count && base + size > bus->range[at].base)
        return -EINVAL;

    memmove(&bus->range[at + 1], &bus->range[at], (bus->count - at) * sizeof(bus->range[0]));
    bus->range[at] = (struct bus_range){.base = base, .size = size, .dev = dev};
    bus->count++;
    return 0;
}

void bus_freeze(struct bus *bus)
{
    bus->frozen = true;
}

const struct bus_range *bus_find(const struct bus *bus, uint64_t addr)
{
    unsigned lo = 0, hi = bus->count;

    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        const struct bus_range *r = &bus->range[mid];

        if (addr < r->base)
            hi = mid;
        else if (addr - r->base >= r->size)
            lo = mid + 1;
        else
            return r;
    }
    return NULL;
}

/* The range that holds all of [addr, addr + size), or NULL. */
static const struct bus_range *find_whole(const struct bus *bus, uint64_t addr, unsigned size)
{
    const struct bus_range *r = bus_find(bus, addr);

    return r && size <= r->size - (addr - r->base) ? r : NULL;
}

/* The lock is held for the callback only: whoever the device tells of it may take its own. */
static uint64_t range_read(const struct bus_range *r, uint64_t addr, unsigned size)
{
    uint64_t value;

    pthread_mutex_lock(&r->dev->lock);
    value = r->dev->ops->read(r->dev, addr - r->base, size);
    pthread_mutex_unlock(&r->dev->lock);
    return value;
}

static void range_write(const struct bus_range *r, uint64_t addr, unsigned size, uint64_t value)
{
    pthread_mutex_lock(&r->dev->lock);
    r->dev->ops->write(r->dev, addr - r->base, size, value);
    pthread_mutex_unlock(&r->dev->lock);
}

static void count_unclaimed(struct bus *bus)
{
    /* Relaxed: a statistic, read by nobody who draws conclusions about other memory. */
    __atomic_fetch_add(&bus->unclaimed, 1, __ATOMIC_RELAXED);
}

/* Device registers come in these widths; KVM reports others for an access that crosses a page. */
static bool is_register_size(unsigned size)
{
    assert(size >= 1 && size <= 8);
    return (size & (size - 1)) == 0;
}

/* The byte `i` of an access, or NULL when nobody claims it or the address wraps. */
static const struct bus_range *find_byte(const struct bus *bus, uint64_t addr, unsigned i)
{
    return addr + i >= addr ? bus_find(bus, addr + i) : NULL;
}

bool bus_read(struct bus *bus, uint64_t addr, unsigned size, uint8_t *data)
{
    const struct bus_range *r = find_whole(bus, addr, size);
    bool claimed = true;
    uint8_t le[8];

    if (r && is_register_size(size)) {
        store_le64(le, range_read(r, addr, size));
        memcpy(data, le, size);
        return true;
    }
    /* Rare: over an edge, of an odd width, or of nobody. */
    for (unsigned i = 0; i < size; i++) {
        r = find_byte(bus, addr, i);
        data[i] = r ? (uint8_t)range_read(r, addr + i, 1) : 0xff;
        claimed = claimed && r;
    }
    if (!claimed)
        count_unclaimed(bus);
    return claimed;
}

bool bus_write(struct bus *bus, uint64_t addr, unsigned size, const uint8_t *data)
{
    const struct bus_range *r = find_whole(bus, addr, size);
    bool claimed = true;
    uint8_t le[8] = {0};

    if (r && is_register_size(size)) {
        memcpy(le, data, size);
        range_write(r, addr, size, load_le64(le));
        return true;
    }
    for (unsigned i = 0; i < size; i++) {
        r = find_byte(bus, addr, i);
        if (r)
            range_write(r, addr + i, 1, data[i]);
        claimed = claimed && r;
    }
    if (!claimed)
        count_unclaimed(bus);
    return claimed;
}
