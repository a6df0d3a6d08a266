/* SMBIOS 3.x entry point and structures (DSP0134 3.4): who made the machine, its UUID, CPUs, RAM.
 */
#ifndef FIRMWARE_SMBIOS_H
#define FIRMWARE_SMBIOS_H

#include <stddef.h>
#include <stdint.h>

struct smbios_machine {
    uint8_t uuid[16]; /* in RFC 4122 byte order, as printed; the builder swaps as SMBIOS wants */
    uint64_t ram;     /* bytes */
    uint64_t low_ram; /* bytes of it from address 0 up, the rest at 4 GiB; 0: all lies from 0 up */
    unsigned cpus;
    const char *version; /* of hv */
    const char *name;    /* of the VM; printed as the system's serial number */
};

/*
 * Writes entry point and table for `gpa` (16-byte aligned, in 0xf0000..0xfffff so that the guest's
 * scan finds it) into `buf`. *len: bytes used. -ENOSPC, -EINVAL as acpi_build.
 */
int smbios_build(const struct smbios_machine *m, uint64_t gpa, uint8_t *buf, size_t cap,
                 size_t *len);

#endif
