/*
 * RSDP, XSDT, FADT and MADT of a hardware-reduced machine (ACPI 6.5, 4.1 and chapter 5). Called
 * once a start by hv/arch/x86 (main thread).
 *
 * Tables are written bottom up, so that each address is known when it is needed; only the RSDP,
 * which comes first, is filled in last.
 */
#include "firmware/acpi.h"

#include <errno.h>

#include "firmware/acpi_table.h"

#define TABLE_ALIGN     16
#define MAX_CPUS        254 /* APIC ids of one byte; 0xff is broadcast */

#define HEADER_LENGTH   4 /* offsets in a table header */
#define HEADER_CHECKSUM 9

#define RSDP_SIZE       36
#define RSDP_V1_SIZE    20 /* what its first checksum covers */
#define RSDP_CHECKSUM   8
#define RSDP_XSDT       24
#define RSDP_X_CHECKSUM 32

size_t acpi_table_begin(struct buf *b, const char *signature, uint8_t revision)
{
    size_t table;

    buf_align(b, TABLE_ALIGN);
    table = b->len;
    buf_bytes(b, signature, 4);
    buf_le32(b, 0); /* length: below */
    buf_u8(b, revision);
    buf_u8(b, 0); /* checksum: below */
    buf_bytes(b, ACPI_OEM_ID, 6);
    buf_bytes(b, "HVTABLE ", 8);
    buf_le32(b, 1);          /* OEM revision */
    buf_bytes(b, "HV  ", 4); /* creator */
    buf_le32(b, 1);          /* its revision */
    return table;
}

void acpi_table_end(struct buf *b, size_t table)
{
    buf_set_le32(b, table + HEADER_LENGTH, (uint32_t)(b->len - table));
    buf_set_u8(b, table + HEADER_CHECKSUM, buf_checksum(b, table, b->len));
}

/* FADT offsets (table 5.9). */
#define FADT_DSDT           40
#define FADT_IAPC_BOOT_ARCH 109
#define FADT_FLAGS          112
#define FADT_RESET_REG      116
#define FADT_RESET_VALUE    128
#define FADT_MINOR_VERSION  131
#define FADT_X_DSDT         140
#define FADT_SLEEP_CONTROL  244
#define FADT_SLEEP_STATUS   256
#define FADT_HYPERVISOR_ID  268
#define FADT_SIZE           276

/* Table 5.10. No VGA, no 8042, no ISA devices that need probing: absent must look absent. */
#define BOOT_ARCH_NO_VGA  (1u << 2)
#define BOOT_ARCH_NO_ASPM (1u << 4)
#define BOOT_ARCH_NO_RTC  (1u << 5)

/* Table 5.11. Both buttons count as devices of the name space, whether there or not. */
#define FADT_WBINVD        (1u << 0)
#define FADT_PROC_C1       (1u << 2)
#define FADT_PWR_BUTTON    (1u << 4)
#define FADT_SLP_BUTTON    (1u << 5)
#define FADT_RESET_REG_SUP (1u << 10)
#define FADT_HW_REDUCED    (1u << 20)

/* 5.2.3.2: an 8-bit register at an I/O port. */
static void set_port_register(struct buf *b, size_t at, uint16_t port)
{
    buf_set_u8(b, at, 1);     /* system I/O */
    buf_set_u8(b, at + 1, 8); /* bits */
    buf_set_u8(b, at + 2, 0); /* first bit */
    buf_set_u8(b, at + 3, 1); /* byte access */
    buf_set_le64(b, at + 4, port);
}

static uint32_t set_power_registers(struct buf *b, size_t fadt, uint16_t port)
{
    set_port_register(b, fadt + FADT_RESET_REG, (uint16_t)(port + ACPI_POWER_RESET));
    buf_set_u8(b, fadt + FADT_RESET_VALUE, ACPI_RESET_VALUE);
    set_port_register(b, fadt + FADT_SLEEP_CONTROL, (uint16_t)(port + ACPI_POWER_SLEEP_CONTROL));
    set_port_register(b, fadt + FADT_SLEEP_STATUS, (uint16_t)(port + ACPI_POWER_SLEEP_STATUS));
    return FADT_RESET_REG_SUP;
}

static size_t put_fadt(struct buf *b, const struct acpi_machine *m, uint64_t dsdt)
{
    uint32_t flags =
        FADT_WBINVD | FADT_PROC_C1 | FADT_PWR_BUTTON | FADT_SLP_BUTTON | FADT_HW_REDUCED;
    unsigned arch = BOOT_ARCH_NO_VGA | BOOT_ARCH_NO_ASPM;
    size_t fadt = acpi_table_begin(b, "FACP", 6);

    buf_zero(b, FADT_SIZE - (b->len - fadt));
    if (m->power.port)
        flags |= set_power_registers(b, fadt, m->power.port);
    if (!m->rtc.port)
        arch |= BOOT_ARCH_NO_RTC;
    if (dsdt <= UINT32_MAX)
        buf_set_le32(b, fadt + FADT_DSDT, (uint32_t)dsdt);
    buf_set_le64(b, fadt + FADT_X_DSDT, dsdt);
    buf_set_le16(b, fadt + FADT_IAPC_BOOT_ARCH, (uint16_t)arch);
    buf_set_le32(b, fadt + FADT_FLAGS, flags);
    buf_set_u8(b, fadt + FADT_MINOR_VERSION, 5);
    buf_set_bytes(b, fadt + FADT_HYPERVISOR_ID, ACPI_OEM_ID, 6);
    acpi_table_end(b, fadt);
    return fadt;
}

/* 5.2.12.2: an enabled processor; its UID, like its APIC id, is its index. */
static void put_local_apic(struct buf *b, uint8_t index)
{
    buf_u8(b, 0);
    buf_u8(b, 8);
    buf_u8(b, index);
    buf_u8(b, index);
    buf_le32(b, 1);
}

/* 5.2.12.3 */
static void put_io_apic(struct buf *b, const struct acpi_machine *m)
{
    buf_u8(b, 1);
    buf_u8(b, 12);
    buf_u8(b, m->ioapic_id);
    buf_u8(b, 0);
    buf_le32(b, m->ioapic_gpa);
    buf_le32(b, 0); /* its first GSI */
}

/* 5.2.12.7: LINT1 of every processor is the NMI, as on any PC. */
static void put_local_nmi(struct buf *b)
{
    buf_u8(b, 4);
    buf_u8(b, 6);
    buf_u8(b, 0xff); /* all processors */
    buf_le16(b, 0);  /* polarity and trigger as the bus has them */
    buf_u8(b, 1);
}

/*
 * 5.2.12. Flags 0: no 8259 beside the APICs. No interrupt source override: each line keeps the GSI
 * of its number, and the DSDT says trigger and polarity.
 */
static size_t put_madt(struct buf *b, const struct acpi_machine *m)
{
    size_t madt = acpi_table_begin(b, "APIC", 5);

    buf_le32(b, m->lapic_gpa);
    buf_le32(b, 0);
    for (unsigned i = 0; i < m->cpus; i++)
        put_local_apic(b, (uint8_t)i);
    put_io_apic(b, m);
    put_local_nmi(b);
    acpi_table_end(b, madt);
    return madt;
}

/* 5.2.8. `count` addresses; a machine without PCI has no last one. */
static size_t put_xsdt(struct buf *b, const uint64_t *table, unsigned count)
{
    size_t xsdt = acpi_table_begin(b, "XSDT", 1);

    for (unsigned i = 0; i < count; i++)
        buf_le64(b, table[i]);
    acpi_table_end(b, xsdt);
    return xsdt;
}

/* 5.2.5.3, at offset 0. */
static void set_rsdp(struct buf *b, uint64_t xsdt)
{
    buf_set_bytes(b, 0, "RSD PTR ", 8);
    buf_set_bytes(b, 9, ACPI_OEM_ID, 6);
    buf_set_u8(b, 15, 2); /* revision */
    buf_set_le32(b, 20, RSDP_SIZE);
    buf_set_le64(b, RSDP_XSDT, xsdt);
    buf_set_u8(b, RSDP_CHECKSUM, buf_checksum(b, 0, RSDP_V1_SIZE));
    buf_set_u8(b, RSDP_X_CHECKSUM, buf_checksum(b, 0, RSDP_SIZE));
}

static int check_ports(const struct acpi_port_device *d, unsigned size)
{
    if (d->port && (size == 0 || d->port + size > 0x10000))
        return -EINVAL;
    return 0;
}

static int check(const struct acpi_machine *m, uint64_t gpa)
{
    if (m->cpus < 1 || m->cpus > MAX_CPUS || gpa % TABLE_ALIGN)
        return -EINVAL;
    if (check_ports(&m->uart, m->uart.size) || check_ports(&m->rtc, m->rtc.size) ||
        check_ports(&m->pvpanic, m->pvpanic.size) || check_ports(&m->power, ACPI_POWER_SIZE))
        return -EINVAL;
    /* Ends are written as last addresses: a window up to 4 GiB is expressible, no window is not. */
    if (m->pci.ecam &&
        (m->pci.window_size == 0 || m->pci.window > UINT32_MAX - (m->pci.window_size - 1)))
        return -EINVAL;
    return 0;
}

int acpi_build(const struct acpi_machine *m, uint64_t gpa, uint8_t *buf, size_t cap, size_t *len)
{
    struct buf b = buf_over(buf, cap);
    uint64_t table[3];
    unsigned count = 0;
    size_t dsdt, xsdt;
    int err = check(m, gpa);

    if (err)
        return err;
    buf_zero(&b, RSDP_SIZE);
    dsdt = acpi_put_dsdt(&b, m);
    table[count++] = gpa + put_fadt(&b, m, gpa + dsdt);
    table[count++] = gpa + put_madt(&b, m);
    if (m->pci.ecam)
        table[count++] = gpa + acpi_put_mcfg(&b, &m->pci);
    xsdt = put_xsdt(&b, table, count);
    set_rsdp(&b, gpa + xsdt);
    if (b.overflow)
        return -ENOSPC;
    if (b.len > UINT64_MAX - gpa)
        return -EINVAL;
    *len = b.len;
    return 0;
}
