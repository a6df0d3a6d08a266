/*
 * Hardware-reduced ACPI tables (ACPI 6.5): RSDP, XSDT, FADT, MADT, DSDT, and MCFG with PCI. A pure
 * builder: a description in, bytes out.
 */
#ifndef FIRMWARE_ACPI_H
#define FIRMWARE_ACPI_H

#include <stddef.h>
#include <stdint.h>

/* A device of the DSDT at an I/O port range. port 0: absent. gsi -1: no interrupt. */
struct acpi_port_device {
    uint16_t port;
    uint8_t size; /* bytes */
    int gsi;      /* edge triggered, active high */
};

/* A virtio device behind memory-mapped registers (LNRO0005). */
struct acpi_virtio {
    uint32_t gpa, size; /* bytes */
    uint32_t gsi;       /* edge triggered, active high */
};

#define ACPI_MAX_VIRTIO 32

/* A PCI host bridge of one bus. ecam 0: absent. */
struct acpi_pci {
    uint32_t ecam;                /* 1 MiB of configuration space, aligned to it */
    uint32_t window, window_size; /* where memory BARs may lie */
};

struct acpi_machine {
    unsigned cpus;       /* 1 to 254; APIC id = index */
    uint32_t lapic_gpa;  /* local APICs */
    uint32_t ioapic_gpa; /* one I/O APIC with GSIs from 0 */
    uint8_t ioapic_id;
    struct acpi_port_device uart;    /* PNP0501 */
    struct acpi_port_device rtc;     /* PNP0B00 */
    struct acpi_port_device pvpanic; /* QEMU0001 */

    /*
     * Power registers (devices/acpi_power.c), byte offsets from .port: 0 sleep control, 1 sleep
     * status, 2 reset (write acpi_reset_value), 4 events that wait (read clears; bit 0: power
     * button). .gsi: the generic event device's line, edge triggered.
     */
    struct acpi_port_device power;
    struct acpi_pci pci;

    struct acpi_virtio virtio[ACPI_MAX_VIRTIO];
    unsigned virtio_count;
};

#define ACPI_POWER_SLEEP_CONTROL 0
#define ACPI_POWER_SLEEP_STATUS  1
#define ACPI_POWER_RESET         2
#define ACPI_POWER_EVENTS        4
#define ACPI_POWER_SIZE          8
#define ACPI_RESET_VALUE         0x01
#define ACPI_SLEEP_TYPE_S5       5
#define ACPI_EVENT_POWER_BUTTON  0x01

/*
 * Writes the tables for guest-physical address `gpa` (16-byte aligned) into `buf`; the RSDP comes
 * first, so its address is `gpa`. *len: bytes used. -ENOSPC: `cap` bytes are too few. -EINVAL: a
 * description that cannot be expressed (no CPU, too many).
 */
int acpi_build(const struct acpi_machine *m, uint64_t gpa, uint8_t *buf, size_t cap, size_t *len);

#endif
