/*
 * The debug console at I/O port 0xe9: every byte written appears on the console, no set-up needed.
 * Reading gives the port's own number, by which guests know that it is there. Called on vCPU
 * threads; no state.
 */
#include <errno.h>
#include <stdlib.h>

#include "devices/core/chardev.h"
#include "devices/core/dev.h"
#include "devices/core/util.h"
#include "devices/devices.h"

#define DEBUGCON_PRESENT 0xe9

struct debugcon {
    struct dev dev;
    struct chardev *chr;
};

static uint8_t read8(struct dev *dev, uint64_t offset)
{
    (void)dev;
    (void)offset;
    return DEBUGCON_PRESENT;
}

static uint64_t debugcon_read(struct dev *dev, uint64_t offset, unsigned size)
{
    return dev_read_bytes(dev, offset, size, read8);
}

static void debugcon_write(struct dev *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct debugcon *d = container_of(dev, struct debugcon, dev);
    uint8_t bytes[8];

    (void)offset;
    store_le64(bytes, value);
    if (d->chr)
        chardev_write(d->chr, bytes, size);
}

static const struct dev_ops debugcon_ops = {
    .tag = "debugcon",
    .version = 1,
    .read = debugcon_read,
    .write = debugcon_write,
    .reset = dev_reset_nothing,
    .save = dev_save_nothing,
    .load = dev_load_nothing,
    .destroy = dev_free,
};

int debugcon_create(const struct dev_env *env, struct dev **out)
{
    struct debugcon *d = calloc(1, sizeof(*d));

    if (!d)
        return -ENOMEM;
    dev_init(&d->dev, &debugcon_ops);
    d->chr = env->console;
    *out = &d->dev;
    return 0;
}
