/*
 * The one device table: what devices there are, and for each architecture which of them it has and
 * where. Start-up, help, reset, save, load and teardown all walk it, in this order; teardown in
 * reverse. Adding a device is one file, one type and one row in table.c, and its tests.
 */
#ifndef HV_DEVICES_TABLE_H
#define HV_DEVICES_TABLE_H

#include <stdint.h>

#include "devices/core/dev.h"

/* Which kinds of machine (--mode) have the device. */
enum { MODE_PV = 1 << 0 };

enum device_bus { DEVICE_PORT, DEVICE_MMIO };

struct device_place {
    enum device_bus bus;
    uint64_t base, size; /* addresses on that bus */
    int gsi;             /* interrupt line, or -1; on arm64 the number of the SPI, 0 up */
    unsigned batched;    /* bytes at the base whose writes may reach the device late and in batches:
                            output registers; 0: none */
};

struct device_type {
    const char *name; /* as in messages and `hv help devices` */
    const char *help; /* one line */
    unsigned modes;   /* MODE_* */
    int (*create)(const struct dev_env *env, struct dev **out); /* 0 or -errno */
};

struct device_row {
    const struct device_type *type;
    struct device_place place;
};

/* The devices of one architecture. The linker drops the tables of the others, and with them the
 * devices that only they have: no row needs an #ifdef. */
struct device_table {
    const struct device_row *row;
    unsigned count;
};

extern const struct device_table devices_x86, devices_arm64;

struct loop;
struct params;
struct virtio;

/*
 * A virtio device: there is one for each value of an option, behind the transport that --bus names
 * and in the next free place. `create` gets that value (devices/virtio/models.h).
 */
struct virtio_type {
    const char *name;            /* as in messages and `hv help devices` */
    const char *help;            /* one line */
    const char *option;          /* --OPTION makes one */
    const struct params *params; /* what its value may say */
    int (*create)(const char *text, struct loop *loop, struct virtio **out); /* 0 or -errno */
};

extern const struct virtio_type virtio_types[];
extern const unsigned virtio_type_count;

/* The row whose option is called `option`, or NULL. */
const struct virtio_type *virtio_type_find(const char *option);

#endif
