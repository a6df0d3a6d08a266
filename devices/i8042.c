/*
 * The reset line of a PC's keyboard controller, at its command port 0x64, and nothing else of it.
 * Called on vCPU threads.
 *
 * No keyboard must be found, and quickly. Linux does not look when the FADT says so; other guests
 * do, and each kind of wait that is customary must end:
 * - "input buffer empty" (bit 1 clear) before a command, as for a reset: always true.
 * - "output buffer full" (bit 0) after a command: true, and port 0x60, which nobody claims, gives
 *   0xff: not what a self-test answers. A drain of stale bytes that stays full makes Linux'
 *   i8042_flush() conclude that there is no controller, after 17 reads.
 * - "output buffer empty", a drain without a bound: true after STALE_READS status reads.
 */
#include <errno.h>
#include <stdlib.h>

#include "devices/core/dev.h"
#include "devices/core/state.h"
#include "devices/core/util.h"
#include "devices/devices.h"

#define STATUS_OUTPUT_FULL 0x01
#define STALE_READS        32

/* Commands 0xf0 to 0xff pull the output lines low whose bit is 0; line 0 is the CPU's reset. */
#define CMD_PULSE      0xf0
#define PULSE_NO_RESET 0x01

struct i8042 {
    struct dev dev;
    struct guest_event_sink sink;
    uint8_t stale; /* status reads that still say "full" */
};

static uint8_t read8(struct dev *dev, uint64_t offset)
{
    struct i8042 *k = container_of(dev, struct i8042, dev);

    if (offset != 0)
        return 0xff;
    if (k->stale == 0)
        return 0;
    k->stale--;
    return STATUS_OUTPUT_FULL;
}

static void write8(struct dev *dev, uint64_t offset, uint8_t value)
{
    struct i8042 *k = container_of(dev, struct i8042, dev);

    if (offset != 0)
        return;
    k->stale = STALE_READS;
    if ((value & CMD_PULSE) == CMD_PULSE && !(value & PULSE_NO_RESET))
        guest_report(&k->sink, GUEST_RESET, 0);
}

static uint64_t i8042_read(struct dev *dev, uint64_t offset, unsigned size)
{
    return dev_read_bytes(dev, offset, size, read8);
}

static void i8042_write(struct dev *dev, uint64_t offset, unsigned size, uint64_t value)
{
    dev_write_bytes(dev, offset, size, value, write8);
}

static void i8042_reset(struct dev *dev)
{
    container_of(dev, struct i8042, dev)->stale = STALE_READS;
}

static void i8042_save(struct dev *dev, struct state_writer *w)
{
    state_put_u8(w, container_of(dev, struct i8042, dev)->stale);
}

static int i8042_load(struct dev *dev, struct state_reader *r, uint16_t version)
{
    uint8_t stale = state_get_u8(r);

    (void)version;
    if (r->error || stale > STALE_READS)
        return -EINVAL;
    container_of(dev, struct i8042, dev)->stale = stale;
    return 0;
}

static const struct dev_ops i8042_ops = {
    .tag = "i8042",
    .version = 1,
    .read = i8042_read,
    .write = i8042_write,
    .reset = i8042_reset,
    .save = i8042_save,
    .load = i8042_load,
    .destroy = dev_free,
};

int i8042_create(const struct dev_env *env, struct dev **out)
{
    struct i8042 *k = calloc(1, sizeof(*k));

    if (!k)
        return -ENOMEM;
    dev_init(&k->dev, &i8042_ops);
    k->sink = env->sink;
    i8042_reset(&k->dev);
    *out = &k->dev;
    return 0;
}
