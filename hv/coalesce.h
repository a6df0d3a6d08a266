/*
 * Batched writes. KVM can queue writes to a chosen register in a ring that all vCPUs share
 * (api.rst, KVM_REGISTER_COALESCED_MMIO) instead of returning to hv for each. That halves the exits
 * of a guest that polls its serial port byte by byte.
 *
 * The ring is emptied before any other exit is handled, so devices see writes in order, and by a
 * timer, so that output lags at most COALESCE_LAG_MS. Batching is switched on only while a guest
 * prints, and off again when it pauses: an idle guest causes no wake-up, and a lone write exits at
 * once.
 *
 * Lock: coalesce.lock protects the ring's tail and all state; taken before any dev.lock.
 */
#ifndef HV_COALESCE_H
#define HV_COALESCE_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/core/bus.h"
#include "devices/table.h"

struct loop;
struct loop_timer;

#define COALESCE_LAG_MS 10
#define COALESCE_START  64 /* exits for writes to the register before batching starts */

struct coalesce {
    pthread_mutex_t lock;
    struct bus *bus;
    struct kvm_coalesced_mmio_ring *ring; /* in the first vCPU's shared area; NULL: no support */
    uint32_t ring_entries;
    int vm_fd;
    struct loop_timer *timer;
    uint64_t addr;         /* the register, on `bus` */
    uint32_t size;         /* of it; 0: none */
    bool pio;              /* `bus` is that of ports */
    uint32_t writes;       /* exits for it since the last pause; by any vCPU under lock */
    uint64_t drained;      /* entries taken from the ring */
    uint64_t seen_drained; /* at the last tick */
    atomic_bool on;        /* relaxed hint for the exit path; decided under lock */
};

/*
 * Batches writes to what a place says may be batched, on its bus. `run` is the shared area of a
 * vCPU, which must outlive this. Does nothing when KVM lacks the capability. Main thread, before
 * vCPUs run. 0 or -errno.
 */
int coalesce_init(struct coalesce *c, int vm_fd, struct kvm_run *run,
                  const struct device_place *place, struct bus *bus, struct loop *loop);

/* A zeroed struct is inert: drain and note do nothing. Accepts one. */
void coalesce_fini(struct coalesce *c);

/* Replays queued writes on the bus. Any thread. */
void coalesce_drain(struct coalesce *c);

/* Looks at an exit that was just handled: is the guest printing? vCPU thread. */
void coalesce_note(struct coalesce *c, const struct kvm_run *run);

#endif
