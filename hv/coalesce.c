/* Batched writes: see coalesce.h for what and why. */
#include "hv/coalesce.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "hv/kvm.h"

#define LAG_NS (COALESCE_LAG_MS * UINT64_C(1000000))

/* The ring's producer is KVM: `last` is published after the entry is filled (its smp_wmb). */
static bool ring_empty(const struct coalesce *c)
{
    return __atomic_load_n(&c->ring->first, __ATOMIC_RELAXED) ==
           __atomic_load_n(&c->ring->last, __ATOMIC_ACQUIRE);
}

/* At most one ring's worth: another vCPU may be filling it as fast as this one empties it. */
static void drain_locked(struct coalesce *c)
{
    for (uint32_t n = 0; n < c->ring_entries && !ring_empty(c); n++) {
        uint32_t first = c->ring->first % c->ring_entries;
        struct kvm_coalesced_mmio entry = c->ring->coalesced_mmio[first];

        if (entry.pio == c->pio && (entry.len == 1 || entry.len == 2 || entry.len == 4))
            bus_write(c->bus, entry.phys_addr, entry.len, entry.data);
        c->drained++;
        /* Partner: KVM reads `first` to see free space before it fills an entry. */
        __atomic_store_n(&c->ring->first, (first + 1) % c->ring_entries, __ATOMIC_RELEASE);
    }
}

/*
 * Registers or removes the zone. A KVM that refuses it is left in peace from then on: the guest
 * runs as well without, only with more exits.
 */
static void set_on(struct coalesce *c, bool on)
{
    int err = kvm_coalesce(c->vm_fd, c->addr, c->size, c->pio, on);

    if (err && on) {
        log_debug("batched writes: %s; going on without", strerror(-err));
        c->size = 0;
        return;
    }
    atomic_store_explicit(&c->on, on, memory_order_relaxed);
}

/* Every COALESCE_LAG_MS while batching is on. Loop thread. */
static void tick(void *opaque)
{
    struct coalesce *c = opaque;

    pthread_mutex_lock(&c->lock);
    drain_locked(c);
    if (c->drained == c->seen_drained) {
        /* Off first, then drain: a write between the two may still have been queued. */
        set_on(c, false);
        drain_locked(c);
        c->writes = 0;
    } else {
        c->seen_drained = c->drained;
        loop_timer_arm(c->timer, LAG_NS);
    }
    pthread_mutex_unlock(&c->lock);
}

int coalesce_init(struct coalesce *c, int vm_fd, struct kvm_run *run,
                  const struct device_place *place, struct bus *bus, struct loop *loop)
{
    int page = kvm_check_extension(vm_fd, KVM_CAP_COALESCED_MMIO);
    bool pio = place->bus == DEVICE_PORT;
    long page_bytes = sysconf(_SC_PAGESIZE);

    if (page <= 0 || (pio && !kvm_check_extension(vm_fd, KVM_CAP_COALESCED_PIO)))
        return 0;
    c->timer = loop_timer_add(loop, tick, c);
    if (!c->timer)
        return -ENOMEM;
    pthread_mutex_init(&c->lock, NULL);
    c->ring = (void *)((uint8_t *)run + page * page_bytes);
    c->ring_entries =
        (uint32_t)(((size_t)page_bytes - sizeof(*c->ring)) / sizeof(struct kvm_coalesced_mmio));
    c->vm_fd = vm_fd;
    c->bus = bus;
    c->pio = pio;
    c->addr = place->base;
    c->size = place->batched;
    return 0;
}

void coalesce_fini(struct coalesce *c)
{
    if (!c->ring)
        return;
    loop_timer_remove(c->timer);
    pthread_mutex_destroy(&c->lock);
    *c = (struct coalesce){.ring = NULL};
}

void coalesce_drain(struct coalesce *c)
{
    if (!c->ring || ring_empty(c))
        return;
    pthread_mutex_lock(&c->lock);
    drain_locked(c);
    pthread_mutex_unlock(&c->lock);
}

static bool is_write(const struct coalesce *c, const struct kvm_run *run)
{
    if (c->pio)
        return run->exit_reason == KVM_EXIT_IO && run->io.port == c->addr &&
               run->io.direction == KVM_EXIT_IO_OUT;
    return run->exit_reason == KVM_EXIT_MMIO && run->mmio.phys_addr == c->addr &&
           run->mmio.is_write;
}

void coalesce_note(struct coalesce *c, const struct kvm_run *run)
{
    if (!c->size || atomic_load_explicit(&c->on, memory_order_relaxed) || !is_write(c, run))
        return;
    pthread_mutex_lock(&c->lock);
    if (!atomic_load_explicit(&c->on, memory_order_relaxed) && ++c->writes >= COALESCE_START) {
        set_on(c, true);
        c->seen_drained = c->drained;
        loop_timer_arm(c->timer, LAG_NS);
    }
    pthread_mutex_unlock(&c->lock);
}
