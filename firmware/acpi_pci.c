/*
 * What a guest must be told of PCI: the MCFG (PCI Firmware Specification 3.0, 4.1.2), the host
 * bridge and the reservation of its configuration space. Called by acpi.c and acpi_dsdt.c. Section
 * numbers: ACPI 6.5.
 */
#include "firmware/acpi_table.h"
#include "firmware/aml.h"

#define CONFIG_PORT  0xcf8
#define CONFIG_PORTS 8
#define BUS_BYTES    (UINT32_C(1) << 20) /* of configuration space */

size_t acpi_put_mcfg(struct buf *b, const struct acpi_pci *pci)
{
    size_t mcfg = acpi_table_begin(b, "MCFG", 1);

    buf_zero(b, 8);
    buf_le64(b, pci->ecam);
    buf_le16(b, 0); /* segment */
    buf_u8(b, 0);   /* first bus */
    buf_u8(b, 0);   /* last bus */
    buf_le32(b, 0);
    acpi_table_end(b, mcfg);
    return mcfg;
}

/* A PCI Express bridge, for the sake of the MCFG; software that knows PCI only finds that, too. No
 * _PRT: functions send messages, none has an interrupt pin. */
static void put_bridge(struct aml *a, const struct acpi_pci *pci)
{
    aml_device(a, "PCI0");
    aml_name_eisaid(a, "_HID", "PNP0A08");
    aml_name_eisaid(a, "_CID", "PNP0A03");
    aml_name_int(a, "_UID", 0);
    aml_name_int(a, "_SEG", 0);
    aml_name_int(a, "_BBN", 0);
    aml_name_int(a, "_CCA", 1); /* 6.2.17: memory accesses are coherent */
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_bus_range(a, 0, 0);
    aml_io(a, CONFIG_PORT, CONFIG_PORTS);
    aml_memory_window(a, pci->window, pci->window_size);
    aml_end(a);
    aml_end(a);
}

/* Guests use ECAM only where a motherboard resource says that the addresses are taken. */
static void put_reservation(struct aml *a, const struct acpi_pci *pci)
{
    aml_device(a, "ECAM");
    aml_name_eisaid(a, "_HID", "PNP0C02");
    aml_name_int(a, "_UID", 0);
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_memory32(a, pci->ecam, BUS_BYTES);
    aml_end(a);
    aml_end(a);
}

void acpi_put_pci(struct aml *a, const struct acpi_pci *pci)
{
    put_bridge(a, pci);
    put_reservation(a, pci);
}
