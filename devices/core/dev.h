/*
 * What a device is. It knows four things only: offsets inside its register window, a guest-memory
 * handle, its interrupt line and its back end. It includes this header and its back end's, and
 * nothing of hv/.
 *
 * A device embeds `struct dev` as its first member. The bus takes dev.lock around read and write;
 * a device takes it itself in callbacks from the loop. Lock order: dev.lock, then a back end's
 * lock; never two devices' locks at once.
 */
#ifndef HV_CORE_DEV_H
#define HV_CORE_DEV_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/core/irq.h"

struct chardev;
struct dev;
struct gmem;
struct loop;
struct state_reader;
struct state_writer;

/*
 * Offsets start at 0 at the window's base; the bus guarantees offset + size <= window size and
 * size in {1, 2, 4, 8}. A device accepts every size at every offset. Reads return the value in the
 * low `size` bytes. All but create and destroy run under dev.lock.
 */
struct dev_ops {
    const char *tag;  /* names the section of saved state; at most 15 characters */
    uint16_t version; /* of that section; load refuses a newer one */
    uint64_t (*read)(struct dev *dev, uint64_t offset, unsigned size);
    void (*write)(struct dev *dev, uint64_t offset, unsigned size, uint64_t value);
    void (*reset)(struct dev *dev); /* to the state at power-on */
    void (*save)(struct dev *dev, struct state_writer *w);
    int (*load)(struct dev *dev, struct state_reader *r, uint16_t version); /* 0 or -EINVAL */
    void (*destroy)(struct dev *dev); /* frees dev; not called with NULL */
};

struct dev {
    const struct dev_ops *ops;
    pthread_mutex_t lock; /* protects the device's own fields */
};

/* What a guest asked of the machine. Reported by devices, decided on by hv. */
enum guest_event {
    GUEST_POWEROFF,    /* ACPI sleep state S5 */
    GUEST_RESET,       /* any reset register */
    GUEST_DEBUG_EXIT,  /* value: the status that the guest wrote */
    GUEST_PANICKED,    /* pvpanic bit 0 */
    GUEST_CRASH_LOADED /* pvpanic bit 1: a crash kernel takes over */
};

/* Any thread, may be called under dev.lock; returns at once, the vCPUs stop soon after. */
struct guest_event_sink {
    void (*report)(void *opaque, enum guest_event event, uint32_t value);
    void *opaque;
};

static inline void guest_report(const struct guest_event_sink *sink, enum guest_event event,
                                uint32_t value)
{
    if (sink->report)
        sink->report(sink->opaque, event, value);
}

/* All that a device's create function may use. Borrowed; must outlive the device. */
struct dev_env {
    const struct gmem *mem;
    struct loop *loop;
    struct chardev *console; /* for devices that print; NULL: output is dropped */
    struct irq_line irq;     /* by value, as are those below */
    struct msi_port msi;     /* for devices that send messages */
    struct doorbell_port doorbell;
    struct guest_event_sink sink;
};

void dev_init(struct dev *dev, const struct dev_ops *ops);
void dev_fini(struct dev *dev);

/* Calls ops->destroy; accepts NULL. */
void dev_destroy(struct dev *dev);

/* The operations of the same names, under dev.lock, in the device's own section of the state. */
void dev_reset(struct dev *dev);
void dev_save(struct dev *dev, struct state_writer *w);

/* -ENOENT: the data ended. -EINVAL: not this device's section, or a value it cannot have. */
int dev_load(struct dev *dev, struct state_reader *r);

/* `destroy` of a device that owns nothing but its own, calloc'ed memory. */
void dev_free(struct dev *dev);

/* The operations of a device without state. */
void dev_reset_nothing(struct dev *dev);
void dev_save_nothing(struct dev *dev, struct state_writer *w);
int dev_load_nothing(struct dev *dev, struct state_reader *r, uint16_t version);

/* For devices of byte registers: an access of `size` bytes is `size` accesses, lowest first. */
typedef uint8_t dev_read8_fn(struct dev *dev, uint64_t offset);
typedef void dev_write8_fn(struct dev *dev, uint64_t offset, uint8_t value);
uint64_t dev_read_bytes(struct dev *dev, uint64_t offset, unsigned size, dev_read8_fn *fn);
void dev_write_bytes(struct dev *dev, uint64_t offset, unsigned size, uint64_t value,
                     dev_write8_fn *fn);

#endif
