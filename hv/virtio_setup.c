/* The virtio devices of a machine: see virtio_setup.h. */
#include "hv/virtio_setup.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "devices/table.h"
#include "devices/virtio/mmio.h"
#include "devices/virtio/virtio.h"
#include "hv/arch/arch.h"
#include "hv/config_table.h"
#include "hv/pci_setup.h"
#include "hv/vm.h"

#define AT(member) .type = PARAM_BOOL, .offset = offsetof(struct virtio_options, member)

static const char *const poll_modes[] = {
    [POLL_AUTO] = "auto", [POLL_ON] = "on", [POLL_OFF] = "off", NULL};

static const struct param_row option_keys[] = {
    {.key = "packed", AT(packed), .initial = "on", .help = "offer packed rings"},
    {.key = "indirect", AT(indirect), .initial = "on", .help = "offer indirect descriptors"},
    {.key = "event-idx",
     AT(event_idx),
     .initial = "on",
     .help = "offer interrupts and notifications by index"},
    {.key = "irqfd", AT(irqfd), .initial = "on", .help = "interrupts by eventfd"},
    {.key = "ioeventfd", AT(ioeventfd), .initial = "on", .help = "notifications without an exit"},
    {.key = "poll",
     .arg = "MODE",
     .type = PARAM_CHOICE,
     .offset = offsetof(struct virtio_options, poll),
     .choices = poll_modes,
     .initial = "auto",
     .help = "look at busy rings instead of sleeping; auto: where there are two CPUs"},
    {.key = "cmdline",
     AT(cmdline),
     .initial = "off",
     .help = "tell devices on the kernel command line, not in ACPI"},
    {.key = NULL},
};

const struct params virtio_options = {.rows = option_keys, .size = sizeof(struct virtio_options)};

struct virtio_options virtio_setup_options(const struct vm_config *config)
{
    struct virtio_options options = {0};
    char why[200];

    /* The text was checked when it was read, and nothing of it is a string. */
    params_parse(&virtio_options, config->virtio ? config->virtio : "", &options, why, sizeof(why));
    return options;
}

const char *virtio_setup_text(const char *text)
{
    if (strcmp(text, "on") == 0)
        return "";
    return strncmp(text, "on,", 3) == 0 ? text + 3 : text;
}

/* The values of one option of the configuration. */
static char *const *values_of(const struct vm_config *config, const char *option, unsigned *count)
{
    const struct option_row *row = option_by_name(option, strlen(option));

    *count = *(const unsigned *)((const char *)config + row->count_offset);
    return (char *const *)((const char *)config + row->offset);
}

static unsigned device_count(const struct vm_config *config)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < virtio_type_count; i++) {
        unsigned count;

        values_of(config, virtio_types[i].option, &count);
        sum += count;
    }
    return sum;
}

/* With one CPU, who looks keeps the guest from making what he looks for. */
bool virtio_setup_may_poll(const struct vm_config *config)
{
    unsigned poll = virtio_setup_options(config).poll;
    cpu_set_t cpus;

    if (poll != POLL_AUTO)
        return poll == POLL_ON;
    return sched_getaffinity(0, sizeof(cpus), &cpus) == 0 && CPU_COUNT(&cpus) > 1;
}

bool virtio_setup_in_acpi(const struct vm_config *config, unsigned index,
                          struct device_place *place)
{
    return config->bus == BUS_MMIO && !virtio_setup_options(config).cmdline &&
           index < device_count(config) && arch_virtio_place(index, place) == 0;
}

/* Linux: Documentation/admin-guide/kernel-parameters.txt, virtio_mmio.device. */
char *virtio_setup_cmdline(const struct vm_config *config)
{
    bool told_here = config->bus == BUS_MMIO && virtio_setup_options(config).cmdline;
    struct device_place place;
    size_t len;
    char *text = NULL;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return NULL;
    for (unsigned i = 0; told_here && i < device_count(config); i++)
        if (arch_virtio_place(i, &place) == 0)
            fprintf(out, " virtio_mmio.device=%" PRIu64 "@0x%" PRIx64 ":%d:%u", place.size,
                    place.base, place.gsi, i);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

/* --virtio takes from what every device offers. */
static void limit_features(struct virtio *v, const struct virtio_options *options)
{
    if (!options->packed)
        v->offered &= ~VIRTIO_F_RING_PACKED;
    if (!options->indirect)
        v->offered &= ~VIRTIO_F_INDIRECT_DESC;
    if (!options->event_idx)
        v->offered &= ~VIRTIO_F_EVENT_IDX;
}

/* Behind memory-mapped registers, with a line of its own. Takes `v`. */
static int add_mmio(struct vm *vm, const struct virtio_type *type, unsigned index, struct virtio *v)
{
    struct vm_device *d = &vm->device[vm->device_count];
    struct dev_env env = {.mem = &vm->ram.guest, .loop = vm->loop};
    int err;

    *d = (struct vm_device){.name = type->name};
    err = vm->device_count == VM_MAX_DEVICES ? -ENOSPC : arch_virtio_place(index, &d->place);
    if (!err)
        err = irq_pin_open(&d->pin, &vm->irqchip, d->place.gsi);
    if (err) {
        virtio_destroy(v);
        if (err == -ENOSPC)
            log_error("%s: no interrupt line is left for device %u (try --bus pci)", type->name,
                      index + 1);
        else
            log_error("%s: interrupt line: %s", type->name, strerror(-err));
        return err;
    }
    env.irq = irq_pin_line(&d->pin);
    env.doorbell = irqchip_doorbells(&vm->irqchip);
    err = virtio_mmio_create(&env, d->place.base, v, &d->dev);
    if (err) {
        irq_pin_close(&d->pin);
        log_error("%s: %s", type->name, strerror(-err));
        return err;
    }
    vm->device_count++;
    err = bus_add(&vm->mmio, d->place.base, d->place.size, d->dev);
    if (err)
        log_error("%s: no room on the bus: %s", type->name, strerror(-err));
    return err;
}

int virtio_setup_open(struct vm *vm)
{
    struct virtio_options options = virtio_setup_options(vm->config);

    for (unsigned i = 0; i < virtio_type_count; i++) {
        const struct virtio_type *type = &virtio_types[i];
        unsigned count;
        char *const *values = values_of(vm->config, type->option, &count);

        for (unsigned j = 0; j < count; j++) {
            struct vm_virtio *slot = &vm->virtio[vm->virtio_count];
            int err;

            assert(vm->virtio_count < ARRAY_SIZE(vm->virtio));
            err = type->create(virtio_setup_text(values[j]), vm->loop, &slot->v);
            if (err)
                return err;
            limit_features(slot->v, &options);
            slot->type = type;
            vm->virtio_count++;
        }
    }
    return 0;
}

bool virtio_setup_shares_memory(const struct vm *vm)
{
    for (unsigned i = 0; i < vm->virtio_count; i++)
        if (vm->virtio[i].v->shares_memory)
            return true;
    return false;
}

int virtio_setup_attach(struct vm *vm)
{
    int err = vm->config->bus == BUS_PCI ? pci_setup(vm) : 0;

    for (unsigned i = 0; !err && i < vm->virtio_count; i++) {
        struct vm_virtio *slot = &vm->virtio[i];
        struct virtio *v = slot->v;

        slot->v = NULL; /* the transport's from here on */
        err = vm->pci ? pci_setup_add(vm, slot->type->name, v) : add_mmio(vm, slot->type, i, v);
    }
    return err;
}

void virtio_setup_close(struct vm *vm)
{
    while (vm->virtio_count)
        virtio_destroy(vm->virtio[--vm->virtio_count].v);
}
