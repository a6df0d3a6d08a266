/*
 * Lines, messages and doorbells on KVM's terms (Linux Documentation/virt/kvm/api.rst, 4.25, 4.52,
 * 4.59, 4.71, 4.75).
 *
 * By default a line's level goes to KVM by KVM_IRQ_LINE: KVM delivers I/O APIC pins that an irqfd
 * raises from a work queue, one context switch later. Messages gain by an irqfd, which KVM delivers
 * at once.
 */
#include "hv/irqchip.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hv/arch/arch.h"
#include "hv/kvm.h"

void irqchip_init(struct irqchip *chip, int vm_fd, bool use_irqfd, bool use_ioeventfd)
{
    *chip = (struct irqchip){.vm_fd = vm_fd};
    /* A host kernel that has messages has routes, irqfds and ioeventfds of 4 bytes. */
    chip->use_irqfd = use_irqfd && kvm_check_extension(vm_fd, KVM_CAP_IRQFD) > 0;
    chip->use_ioeventfd = use_ioeventfd && kvm_check_extension(vm_fd, KVM_CAP_IOEVENTFD) > 0;
    chip->any_length = kvm_check_extension(vm_fd, KVM_CAP_IOEVENTFD_ANY_LENGTH) > 0;
    pthread_mutex_init(&chip->lock, NULL);
}

void irqchip_fini(struct irqchip *chip)
{
    pthread_mutex_destroy(&chip->lock);
    free(chip->routing);
    chip->routing = NULL;
}

/* An eventfd's counter cannot be full: KVM takes each write before the next comes to count. */
static void signal_event(int fd)
{
    eventfd_write(fd, 1);
}

int irq_pin_open(struct irq_pin *pin, const struct irqchip *chip, int gsi)
{
    int err;

    *pin = (struct irq_pin){.vm_fd = chip->vm_fd, .gsi = gsi};
    if (!chip->use_irqfd || gsi < 0)
        return 0;
    pin->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pin->event_fd < 0)
        return -errno;
    pin->use_irqfd = true;
    err = kvm_irqfd(pin->vm_fd, pin->event_fd, (unsigned)gsi, true);
    if (err)
        irq_pin_close(pin);
    return err;
}

void irq_pin_close(struct irq_pin *pin)
{
    if (pin->use_irqfd)
        close(pin->event_fd); /* KVM lets go of it by itself */
    pin->use_irqfd = false;
}

/* vCPU threads and the loop's; KVM orders them. */
static void set_level(void *opaque, bool level)
{
    const struct irq_pin *pin = opaque;

    /* Fails only for a GSI that the chip does not have, which the device table rules out. */
    kvm_irq_line(pin->vm_fd, arch_irqs.line + (unsigned)pin->gsi, level);
}

static void set_edge(void *opaque, bool level)
{
    const struct irq_pin *pin = opaque;

    if (level)
        signal_event(pin->event_fd);
}

struct irq_line irq_pin_line(struct irq_pin *pin)
{
    if (pin->gsi < 0)
        return (struct irq_line){.set = NULL};
    return (struct irq_line){.set = pin->use_irqfd ? set_edge : set_level, .opaque = pin};
}

static int doorbell_add(void *opaque, uint64_t addr, unsigned size, uint32_t match, int fd)
{
    const struct irqchip *chip = opaque;

    if (!chip->use_ioeventfd || (size == 0 && !chip->any_length))
        return -ENOTSUP;
    return kvm_ioeventfd(chip->vm_fd, fd, addr, size, match, true);
}

static void doorbell_remove(void *opaque, uint64_t addr, unsigned size, uint32_t match, int fd)
{
    const struct irqchip *chip = opaque;

    if (chip->use_ioeventfd)
        kvm_ioeventfd(chip->vm_fd, fd, addr, size, match, false);
}

struct doorbell_port irqchip_doorbells(struct irqchip *chip)
{
    return (struct doorbell_port){doorbell_add, doorbell_remove, chip};
}

/* A message. Protected by the device's lock, but for the route's place in the table. */
struct msi_vector {
    uint64_t address;
    uint32_t data;
    bool on;
    int event_fd;   /* owned; -1: no irqfd */
    unsigned route; /* index in the routing table; 0, a pin's: none yet */
};

struct irq_msi {
    struct irqchip *chip;
    unsigned first_gsi, count;
    uint32_t device;
    struct msi_vector vector[];
};

/* KVM's own table at KVM_CREATE_IRQCHIP, less the PIC, which no guest is told of. */
static void put_pins(struct kvm_irq_routing *routing)
{
    for (unsigned i = 0; i < arch_irqs.pins; i++)
        routing->entries[routing->nr++] = (struct kvm_irq_routing_entry){
            .gsi = i,
            .type = KVM_IRQ_ROUTING_IRQCHIP,
            .u.irqchip = {.irqchip = arch_irqs.pin_chip, .pin = i},
        };
}

/* Takes `count` GSIs, and makes room for their routes: setting one later cannot fail for memory. */
static int reserve(struct irqchip *chip, unsigned count, unsigned *first_gsi)
{
    size_t entries = arch_irqs.pins + chip->msis + count;
    struct kvm_irq_routing *grown;

    if (count > IRQCHIP_MAX_MSIS - chip->msis)
        return -ENOSPC;
    grown = realloc(chip->routing, sizeof(*grown) + entries * sizeof(grown->entries[0]));
    if (!grown)
        return -ENOMEM;
    if (!chip->routing) {
        *grown = (struct kvm_irq_routing){.nr = 0};
        put_pins(grown);
    }
    chip->routing = grown;
    *first_gsi = arch_irqs.pins + chip->msis;
    chip->msis += count;
    return 0;
}

static int open_vector(struct irq_msi *msi, unsigned i)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0)
        return -errno;
    msi->vector[i].event_fd = fd;
    return kvm_irqfd(msi->chip->vm_fd, fd, msi->first_gsi + i, true);
}

int irq_msi_create(struct irqchip *chip, uint32_t device, unsigned count, struct irq_msi **out)
{
    struct irq_msi *msi = calloc(1, sizeof(*msi) + count * sizeof(msi->vector[0]));
    int err;

    if (!msi)
        return -ENOMEM;
    *msi = (struct irq_msi){.chip = chip, .count = count, .device = device};
    for (unsigned i = 0; i < count; i++)
        msi->vector[i].event_fd = -1;
    pthread_mutex_lock(&chip->lock);
    err = reserve(chip, count, &msi->first_gsi);
    pthread_mutex_unlock(&chip->lock);
    for (unsigned i = 0; !err && chip->use_irqfd && i < count; i++)
        err = open_vector(msi, i);
    if (err) {
        irq_msi_destroy(msi);
        return err;
    }
    *out = msi;
    return 0;
}

/* GSIs are not given out again: machines are taken down as a whole. */
void irq_msi_destroy(struct irq_msi *msi)
{
    if (!msi)
        return;
    for (unsigned i = 0; i < msi->count; i++)
        if (msi->vector[i].event_fd >= 0)
            close(msi->vector[i].event_fd);
    free(msi);
}

/*
 * Tells KVM what the vector's GSI sends. Each call costs KVM a grace period, so callers come here
 * only with a new message. A table that KVM refuses (a message of the guest's making) is undone, so
 * that it cannot spoil the routes of others.
 */
static int set_route(struct irq_msi *msi, unsigned i, uint64_t address, uint32_t data)
{
    struct msi_vector *v = &msi->vector[i];
    struct irqchip *chip = msi->chip;
    struct kvm_irq_routing *r;
    struct kvm_irq_routing_entry old, *e;
    unsigned at;
    int err;

    pthread_mutex_lock(&chip->lock);
    r = chip->routing;
    at = v->route ? v->route : r->nr++;
    e = &r->entries[at];
    old = *e;
    *e = (struct kvm_irq_routing_entry){
        .gsi = msi->first_gsi + i,
        .type = KVM_IRQ_ROUTING_MSI,
        .flags = arch_irqs.msi_flags,
        .u.msi = {.address_lo = (uint32_t)address,
                  .address_hi = (uint32_t)(address >> 32),
                  .data = data,
                  .devid = msi->device},
    };
    err = kvm_set_gsi_routing(chip->vm_fd, r);
    if (!err)
        v->route = at;
    else if (v->route)
        *e = old;
    else
        r->nr--;
    pthread_mutex_unlock(&chip->lock);
    return err;
}

/* A vector that is off keeps its route: nothing is sent, and most come back as they were. */
static int msi_set(void *opaque, unsigned vector, bool on, uint64_t address, uint32_t data)
{
    struct irq_msi *msi = opaque;
    struct msi_vector *v = &msi->vector[vector];
    int err = 0;

    assert(vector < msi->count);
    v->on = false;
    if (!on)
        return 0;
    if (msi->chip->use_irqfd && (!v->route || v->address != address || v->data != data))
        err = set_route(msi, vector, address, data);
    if (err)
        return err;
    v->address = address;
    v->data = data;
    v->on = true;
    return 0;
}

static void send_now(const struct irq_msi *msi, const struct msi_vector *v)
{
    struct kvm_msi message = {.address_lo = (uint32_t)v->address,
                              .address_hi = (uint32_t)(v->address >> 32),
                              .data = v->data,
                              .flags = arch_irqs.msi_flags,
                              .devid = msi->device};

    kvm_signal_msi(msi->chip->vm_fd, &message);
}

static void msi_send(void *opaque, unsigned vector)
{
    struct irq_msi *msi = opaque;
    struct msi_vector *v = &msi->vector[vector];

    assert(vector < msi->count);
    if (!v->on)
        return;
    if (v->event_fd >= 0)
        signal_event(v->event_fd);
    else
        send_now(msi, v); /* a bad message goes nowhere */
}

struct msi_port irq_msi_port(struct irq_msi *msi)
{
    return (struct msi_port){msi_set, msi_send, msi};
}
