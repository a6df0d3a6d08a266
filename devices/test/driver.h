/*
 * The guest's side of a virtio device, for tests: negotiates over the memory-mapped transport,
 * keeps split or packed rings in fake guest memory, adds chains, kicks, takes used ones. Linked
 * into every test program. Everything fails the test when the device breaks a rule.
 */
#ifndef HV_DEVICES_TEST_DRIVER_H
#define HV_DEVICES_TEST_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/core/gmem.h"
#include "devices/test/fake.h"
#include "devices/virtio/mmio.h"
#include "devices/virtio/virtio.h"

#define DRIVER_RAM    (4u << 20)         /* bytes of guest memory, from DRIVER_GPA on */
#define DRIVER_GPA    UINT64_C(0x100000) /* so that address 0 is not RAM */
#define DRIVER_QUEUES VIRTIO_MAX_QUEUES

/* A check for loops of many thousand rounds: ck_assert writes to a pipe whether it holds or not. */
#define DRIVER_CHECK(cond)                                                                         \
    do {                                                                                           \
        if (!(cond))                                                                               \
            ck_abort_msg("%s", #cond);                                                             \
    } while (0)

struct driver_queue {
    uint16_t size;
    uint64_t desc, avail, used; /* GPAs of descriptor, driver and device area */
    uint16_t next_free;         /* split: next descriptor to use; packed: next ring slot */
    uint16_t avail_idx, used_idx;
    bool avail_wrap, used_wrap;
    uint16_t next_id;    /* packed: buffer ids count up, modulo size */
    uint16_t slots[256]; /* packed: by buffer id */
};

struct driver {
    struct fake_ram ram;
    struct gmem mem;
    struct fake_irq irq;
    struct loop *loop;
    struct dev *dev; /* the transport; owns the device */
    struct virtio *v;
    uint64_t features;
    uint64_t brk; /* GPA of the next allocation */
    struct driver_queue q[DRIVER_QUEUES];
};

struct driver_buf {
    uint64_t gpa;
    uint32_t len;
    bool writable;
};

/* The loop comes first, since device models are created on it: loop, model, then the driver. */
struct loop *driver_loop(struct driver *d);
void driver_create(struct driver *d, struct virtio *v); /* takes `v`; not yet negotiated */
void driver_destroy(struct driver *d);                  /* frees the loop, too */

/* Registers of the transport. */
uint32_t driver_read(struct driver *d, unsigned reg);
void driver_write(struct driver *d, unsigned reg, uint32_t value);
uint64_t driver_config(struct driver *d, unsigned offset, unsigned size);

/* 3.1.1 from reset to DRIVER_OK with the features of `wanted` that are offered (VERSION_1 always),
 * all queues ready with `size` entries, or what is offered if that is less. */
void driver_start(struct driver *d, uint64_t wanted, uint16_t size);

/* The same in two parts: up to FEATURES_OK, and one queue. */
void driver_negotiate(struct driver *d, uint64_t wanted);
void driver_set_queue(struct driver *d, unsigned queue, uint16_t size);

/* Guest memory: 16-byte aligned, zeroed. driver_free gives back all from `gpa` on. */
uint64_t driver_alloc(struct driver *d, size_t len);
void driver_free(struct driver *d, uint64_t gpa);
void *driver_ptr(struct driver *d, uint64_t gpa);

/* Adds a chain and makes it available, without a kick. Returns its id: of the head (split) or of
 * the buffer (packed). Descriptors are used round and round: keep fewer in flight than `size`. */
uint16_t driver_add(struct driver *d, unsigned queue, const struct driver_buf *bufs, unsigned n);
uint16_t driver_add_indirect(struct driver *d, unsigned queue, const struct driver_buf *bufs,
                             unsigned n);

/* Raw descriptor `i` of a table at `gpa`, in the layout that is negotiated. */
void driver_put_desc(struct driver *d, uint64_t gpa, unsigned i, uint64_t addr, uint32_t len,
                     uint16_t flags, uint16_t next_or_id);

/* Split rings: makes `head` available, whatever it is. */
void driver_publish(struct driver *d, unsigned queue, uint16_t head);

/* Notifies and runs what is ready. */
void driver_kick(struct driver *d, unsigned queue);
void driver_run(struct driver *d);

/* The next used chain. If none is there, waits for up to `ms` milliseconds, running the loop. */
bool driver_used(struct driver *d, unsigned queue, unsigned ms, uint16_t *id, uint32_t *len);

/* Adds, kicks, waits for its end (5 s) and returns the used length. */
uint32_t driver_do(struct driver *d, unsigned queue, const struct driver_buf *bufs, unsigned n);

bool driver_broken(struct driver *d); /* DEVICE_NEEDS_RESET */

#endif
