/*
 * A virtio device that does nothing of its own, for the tests of queues and transports: it counts
 * what it is called for, and gives chains back at once, later, or not at all. Linked into every
 * test program.
 */
#ifndef HV_DEVICES_TEST_NULL_DEVICE_H
#define HV_DEVICES_TEST_NULL_DEVICE_H

#include "devices/virtio/virtio.h"

#define NULL_DEVICE_ID     0x77
#define NULL_DEVICE_CONFIG 12 /* bytes, of values 1, 2, 3, ... at first; all may be written */
#define NULL_DEVICE_HELD   64

enum null_mode {
    NULL_HOLD, /* counts kicks; the test pops */
    NULL_ECHO, /* copies the readable part into the writable one and gives back at once */
    NULL_ASYNC /* pops all; null_device_complete gives back */
};

struct null_device {
    struct virtio v; /* first member */
    enum null_mode mode;
    unsigned kicks[VIRTIO_MAX_QUEUES];
    unsigned activations, stops, config_writes;
    uint32_t stopped; /* queue of the last stop */
    int activate_error, load_error;
    bool *destroyed; /* set by destroy, unless NULL */

    /* NULL_ASYNC: what the host is said to work on. */
    struct {
        struct virtq_chain chain;
        unsigned queue;
        uint32_t epoch;
    } held[NULL_DEVICE_HELD];
    unsigned held_count;
};

struct null_device *null_device_create(unsigned queues, uint16_t size, uint64_t features);

/* The host is done with the oldest `count` chains: under dev.lock, on any thread. */
void null_device_complete(struct null_device *n, unsigned count);

#endif
