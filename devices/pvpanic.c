/*
 * The pvpanic device at I/O port 0x505: the guest's word that it has panicked (QEMU's
 * docs/specs/pvpanic). One byte register; reading tells which events we understand.
 */
#include <errno.h>
#include <stdlib.h>

#include "devices/core/dev.h"
#include "devices/core/util.h"
#include "devices/devices.h"

#define PVPANIC_PANICKED     0x01
#define PVPANIC_CRASH_LOADED 0x02

struct pvpanic {
    struct dev dev;
    struct guest_event_sink sink;
};

static uint8_t read8(struct dev *dev, uint64_t offset)
{
    (void)dev;
    return offset == 0 ? PVPANIC_PANICKED | PVPANIC_CRASH_LOADED : 0;
}

static void write8(struct dev *dev, uint64_t offset, uint8_t value)
{
    struct pvpanic *p = container_of(dev, struct pvpanic, dev);

    if (offset != 0)
        return;
    if (value & PVPANIC_PANICKED)
        guest_report(&p->sink, GUEST_PANICKED, 0);
    if (value & PVPANIC_CRASH_LOADED)
        guest_report(&p->sink, GUEST_CRASH_LOADED, 0);
}

static uint64_t pvpanic_read(struct dev *dev, uint64_t offset, unsigned size)
{
    return dev_read_bytes(dev, offset, size, read8);
}

static void pvpanic_write(struct dev *dev, uint64_t offset, unsigned size, uint64_t value)
{
    dev_write_bytes(dev, offset, size, value, write8);
}

static const struct dev_ops pvpanic_ops = {
    .tag = "pvpanic",
    .version = 1,
    .read = pvpanic_read,
    .write = pvpanic_write,
    .reset = dev_reset_nothing,
    .save = dev_save_nothing,
    .load = dev_load_nothing,
    .destroy = dev_free,
};

int pvpanic_create(const struct dev_env *env, struct dev **out)
{
    struct pvpanic *p = calloc(1, sizeof(*p));

    if (!p)
        return -ENOMEM;
    dev_init(&p->dev, &pvpanic_ops);
    p->sink = env->sink;
    *out = &p->dev;
    return 0;
}
