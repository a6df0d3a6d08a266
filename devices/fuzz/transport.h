/* The registers that a fuzzed device is reached by: memory-mapped or PCI. For machine.c. */
#ifndef HV_DEVICES_FUZZ_TRANSPORT_H
#define HV_DEVICES_FUZZ_TRANSPORT_H

#include "devices/core/dev.h"
#include "devices/fuzz/machine.h"

struct pci_host;

struct transport {
    struct virtio *v;
    struct dev *dev;       /* owns v */
    struct pci_host *host; /* NULL: memory-mapped */
    unsigned doorbells;    /* that the device has now */
};

/* Takes `v`. 0 or -errno. */
int transport_create(struct transport *t, bool pci, const struct dev_env *env, struct virtio *v);
void transport_destroy(struct transport *t);

/* What a driver writes to start a device (3.1.1), by the same names on both. */
enum transport_register {
    REG_STATUS,
    REG_ACCEPT_SELECT,
    REG_ACCEPT,
    REG_QUEUE_SELECT,
    REG_QUEUE_SIZE,
    REG_QUEUE_DESC, /* 64 bits each */
    REG_QUEUE_DRIVER,
    REG_QUEUE_DEVICE,
    REG_QUEUE_READY
};
void transport_write(struct transport *t, enum transport_register reg, uint64_t value);
void transport_notify(struct transport *t, unsigned queue);

/* On PCI the input may have switched the device off, or moved it. */
void transport_prepare(struct transport *t);

/* Any register that the bus would let through, of the input's choice. */
void transport_access(struct transport *t, struct fuzz_input *in, bool write);

void transport_reset(struct transport *t); /* of the machine, not by the driver */
void transport_save(struct transport *t, struct state_writer *w);
void transport_load(struct transport *t, struct state_reader *r);

#endif
