/*
 * Shared by acpi.c, acpi_dsdt.c and acpi_pci.c alone: the header that every ACPI table but the RSDP
 * starts with (ACPI 6.5, 5.2.6), and the DSDT, which is long enough for a file of its own.
 */
#ifndef FIRMWARE_ACPI_TABLE_H
#define FIRMWARE_ACPI_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "firmware/acpi.h"
#include "firmware/buf.h"

#define ACPI_OEM_ID "HV    " /* 6 bytes */

/* Aligns, writes a header and returns its offset; acpi_table_end fills length and checksum in. */
size_t acpi_table_begin(struct buf *b, const char *signature, uint8_t revision);
void acpi_table_end(struct buf *b, size_t table);

/* Returns the table's offset. */
size_t acpi_put_dsdt(struct buf *b, const struct acpi_machine *m);

/* acpi_pci.c: the MCFG, and the devices of the DSDT's \_SB scope. */
struct aml;
size_t acpi_put_mcfg(struct buf *b, const struct acpi_pci *pci);
void acpi_put_pci(struct aml *a, const struct acpi_pci *pci);

#endif
