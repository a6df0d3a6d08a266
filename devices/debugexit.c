/*
 * The debug-exit device at I/O port 0xf4: one write ends the run, and its value is the status. For
 * test guests that know no other way to say how they fared. Called on vCPU threads; no state.
 */
#include <errno.h>
#include <stdlib.h>

#include "devices/core/dev.h"
#include "devices/core/util.h"
#include "devices/devices.h"

struct debugexit {
    struct dev dev;
    struct guest_event_sink sink;
};

static uint64_t debugexit_read(struct dev *dev, uint64_t offset, unsigned size)
{
    (void)dev;
    (void)offset;
    (void)size;
    return 0;
}

/* Whatever byte of the window is written: guests differ in the width that they use. */
static void debugexit_write(struct dev *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct debugexit *d = container_of(dev, struct debugexit, dev);

    (void)offset;
    guest_report(&d->sink, GUEST_DEBUG_EXIT, (uint32_t)(value & size_mask(size)));
}

static const struct dev_ops debugexit_ops = {
    .tag = "debugexit",
    .version = 1,
    .read = debugexit_read,
    .write = debugexit_write,
    .reset = dev_reset_nothing,
    .save = dev_save_nothing,
    .load = dev_load_nothing,
    .destroy = dev_free,
};

int debugexit_create(const struct dev_env *env, struct dev **out)
{
    struct debugexit *d = calloc(1, sizeof(*d));

    if (!d)
        return -ENOMEM;
    dev_init(&d->dev, &debugexit_ops);
    d->sink = env->sink;
    *out = &d->dev;
    return 0;
}
