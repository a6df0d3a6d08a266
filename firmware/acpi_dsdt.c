/*
 * The DSDT: devices that a guest cannot find by probing, and how to power the machine off. Called
 * by acpi_build. Section numbers: ACPI 6.5.
 */
#include <assert.h>

#include "firmware/acpi_table.h"
#include "firmware/aml.h"

#define STA_PRESENT 0x0f /* 6.3.7: present, enabled, shown, working */

static void put_crs(struct aml *a, const struct acpi_port_device *d)
{
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_io(a, d->port, d->size);
    if (d->gsi >= 0)
        aml_interrupt(a, (uint32_t)d->gsi, AML_EDGE);
    aml_end(a);
}

static void put_uart(struct aml *a, const struct acpi_port_device *uart)
{
    if (!uart->port)
        return;
    aml_device(a, "COM1");
    aml_name_eisaid(a, "_HID", "PNP0501");
    aml_name_int(a, "_UID", 0);
    aml_name_int(a, "_STA", STA_PRESENT);
    put_crs(a, uart);
    aml_end(a);
}

static void put_rtc(struct aml *a, const struct acpi_port_device *rtc)
{
    if (!rtc->port)
        return;
    aml_device(a, "RTC0");
    aml_name_eisaid(a, "_HID", "PNP0B00");
    put_crs(a, rtc);
    aml_end(a);
}

static void put_pvpanic(struct aml *a, const struct acpi_port_device *pvpanic)
{
    if (!pvpanic->port)
        return;
    aml_device(a, "PVPN");
    aml_name_string(a, "_HID", "QEMU0001");
    aml_name_int(a, "_STA", STA_PRESENT);
    put_crs(a, pvpanic);
    aml_end(a);
}

/* The id is Linaro's for virtio-mmio; there is no other. */
static void put_virtio(struct aml *a, const struct acpi_virtio *virtio, unsigned index)
{
    const char name[] = {'V', 'I', (char)('0' + index / 10), (char)('0' + index % 10), '\0'};

    aml_device(a, name);
    aml_name_string(a, "_HID", "LNRO0005");
    aml_name_int(a, "_UID", index);
    aml_name_int(a, "_CCA", 1); /* 6.2.17: its memory accesses are coherent */
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_memory32(a, virtio->gpa, virtio->size);
    aml_interrupt(a, virtio->gsi, AML_EDGE);
    aml_end(a);
    aml_end(a);
}

/*
 * 5.6.9: hardware-reduced ACPI has no SCI. The generic event device's interrupt runs _EVT, which
 * reads the waiting events once (reading clears them) and passes them on.
 */
static void put_event_device(struct aml *a, const struct acpi_port_device *power)
{
    aml_device(a, "GED0");
    aml_name_string(a, "_HID", "ACPI0013");
    aml_name_int(a, "_UID", 0);
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_interrupt(a, (uint32_t)power->gsi, AML_EDGE);
    aml_end(a);

    aml_port_region(a, "EVRG", (uint16_t)(power->port + ACPI_POWER_EVENTS), 1);
    aml_field(a, "EVRG");
    aml_field_unit(a, "EVTS", 8);
    aml_end(a);

    aml_method(a, "_EVT", 1);
    aml_store_path_to_local(a, "EVTS", 0);
    aml_if_local_bits(a, 0, ACPI_EVENT_POWER_BUTTON);
    aml_notify(a, "\\_SB.PWRB", 0x80); /* 4.8.2.2.1.2: pressed */
    aml_end(a);
    aml_end(a);

    aml_end(a);
}

static void put_power_button(struct aml *a)
{
    aml_device(a, "PWRB");
    aml_name_eisaid(a, "_HID", "PNP0C0C");
    aml_name_int(a, "_UID", 0);
    aml_end(a);
}

/* 7.4.2: the first number goes to the sleep control register, the rest are of older hardware. */
static void put_soft_off(struct aml *a)
{
    aml_name(a, "\\_S5");
    aml_package(a, 4);
    aml_int(a, ACPI_SLEEP_TYPE_S5);
    aml_int(a, 0);
    aml_int(a, 0);
    aml_int(a, 0);
    aml_end(a);
}

size_t acpi_put_dsdt(struct buf *b, const struct acpi_machine *m)
{
    size_t table = acpi_table_begin(b, "DSDT", 2); /* from 2 on integers have 64 bits */
    struct aml a = aml_over(b);

    aml_scope(&a, "\\_SB");
    put_uart(&a, &m->uart);
    put_rtc(&a, &m->rtc);
    put_pvpanic(&a, &m->pvpanic);
    for (unsigned i = 0; i < m->virtio_count; i++)
        put_virtio(&a, &m->virtio[i], i);
    if (m->pci.ecam)
        acpi_put_pci(&a, &m->pci);
    if (m->power.port && m->power.gsi >= 0) {
        put_power_button(&a);
        put_event_device(&a, &m->power);
    }
    aml_end(&a);
    if (m->power.port)
        put_soft_off(&a);
    assert(a.depth == 0);
    acpi_table_end(b, table);
    return table;
}
