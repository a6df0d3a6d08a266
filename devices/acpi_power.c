/*
 * Power-off, reset and power button of a hardware-reduced ACPI machine. Registers run on vCPU
 * threads, the button on the loop's; both under dev.lock. The bits are those of ACPI 6.5,
 * 4.8.3.7; the events register is our own, described to the guest in the DSDT.
 */
#include "devices/acpi_power.h"

#include <errno.h>
#include <stdlib.h>

#include "devices/core/log.h"
#include "devices/core/state.h"
#include "devices/core/util.h"
#include "devices/devices.h"

#define SLEEP_TYPE(v)  ((v) >> 2 & 7)
#define SLEEP_TYPE_MSK 0x1c
#define SLEEP_ENABLE   0x20
#define WAKE_STATUS    0x80

struct acpi_power {
    struct dev dev;
    struct irq_line irq;
    struct guest_event_sink sink;
    uint8_t control; /* the sleep type; SLP_EN reads as 0 */
    uint8_t status;
    uint8_t events; /* not 0: the line is high */
};

/* The line is high while an event waits; hv makes the edge that the event device is wired for. */
static void set_events(struct acpi_power *p, uint8_t events)
{
    bool was = p->events != 0, is = events != 0;

    p->events = events;
    if (was != is)
        irq_set(&p->irq, is);
}

static uint8_t read8(struct dev *dev, uint64_t offset)
{
    struct acpi_power *p = container_of(dev, struct acpi_power, dev);
    uint8_t events = p->events;

    switch (offset) {
    case ACPI_POWER_REG_CONTROL:
        return p->control;
    case ACPI_POWER_REG_STATUS:
        return p->status;
    case ACPI_POWER_REG_EVENTS:
        set_events(p, 0);
        return events;
    default:
        return 0;
    }
}

static void write_control(struct acpi_power *p, uint8_t value)
{
    p->control = value & SLEEP_TYPE_MSK;
    if (!(value & SLEEP_ENABLE))
        return;
    /* The tables offer no other state; a guest that asks all the same stays awake. */
    if (SLEEP_TYPE(value) == ACPI_POWER_S5)
        guest_report(&p->sink, GUEST_POWEROFF, 0);
    else
        log_guest("ACPI: sleep type %u does not exist", SLEEP_TYPE(value));
}

static void write8(struct dev *dev, uint64_t offset, uint8_t value)
{
    struct acpi_power *p = container_of(dev, struct acpi_power, dev);

    switch (offset) {
    case ACPI_POWER_REG_CONTROL:
        write_control(p, value);
        break;
    case ACPI_POWER_REG_STATUS:
        p->status &= (uint8_t) ~(value & WAKE_STATUS);
        break;
    case ACPI_POWER_REG_RESET:
        if (value == ACPI_POWER_RESET_VALUE)
            guest_report(&p->sink, GUEST_RESET, 0);
        break;
    }
}

static uint64_t acpi_power_read(struct dev *dev, uint64_t offset, unsigned size)
{
    return dev_read_bytes(dev, offset, size, read8);
}

static void acpi_power_write(struct dev *dev, uint64_t offset, unsigned size, uint64_t value)
{
    dev_write_bytes(dev, offset, size, value, write8);
}

static void acpi_power_reset(struct dev *dev)
{
    struct acpi_power *p = container_of(dev, struct acpi_power, dev);

    p->control = 0;
    p->status = 0;
    set_events(p, 0);
}

static void acpi_power_save(struct dev *dev, struct state_writer *w)
{
    struct acpi_power *p = container_of(dev, struct acpi_power, dev);

    state_put_u8(w, p->control);
    state_put_u8(w, p->status);
    state_put_u8(w, p->events);
}

static int acpi_power_load(struct dev *dev, struct state_reader *r, uint16_t version)
{
    struct acpi_power *p = container_of(dev, struct acpi_power, dev);
    uint8_t control = state_get_u8(r), status = state_get_u8(r), events = state_get_u8(r);

    (void)version;
    if (r->error || control & ~SLEEP_TYPE_MSK || status & ~WAKE_STATUS ||
        events & ~ACPI_POWER_EVENT_BUTTON)
        return -EINVAL;
    p->control = control;
    p->status = status;
    set_events(p, events);
    return 0;
}

static const struct dev_ops acpi_power_ops = {
    .tag = "acpi-power",
    .version = 1,
    .read = acpi_power_read,
    .write = acpi_power_write,
    .reset = acpi_power_reset,
    .save = acpi_power_save,
    .load = acpi_power_load,
    .destroy = dev_free,
};

int acpi_power_create(const struct dev_env *env, struct dev **out)
{
    struct acpi_power *p = calloc(1, sizeof(*p));

    if (!p)
        return -ENOMEM;
    dev_init(&p->dev, &acpi_power_ops);
    p->irq = env->irq;
    p->sink = env->sink;
    *out = &p->dev;
    return 0;
}

void acpi_power_button(struct dev *dev)
{
    struct acpi_power *p = container_of(dev, struct acpi_power, dev);

    pthread_mutex_lock(&dev->lock);
    set_events(p, p->events | ACPI_POWER_EVENT_BUTTON);
    pthread_mutex_unlock(&dev->lock);
}
