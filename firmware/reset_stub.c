/*
 * The reset vector of a PC, as far as it is needed without a BIOS. Linux on hardware-reduced ACPI
 * without EFI does not try the ACPI reset register: it goes to real mode and jumps to F000:FFF0,
 * where a BIOS would start the machine anew (arch/x86/kernel/reboot.c, BOOT_BIOS).
 */
#include <errno.h>
#include <string.h>

#include "firmware/boot_x86.h"

int reset_stub_build(uint16_t port, uint8_t value, uint8_t *buf, size_t cap)
{
    const uint8_t code[] = {
        0xb0, value,                               /* mov al, value */
        0xba, (uint8_t)port, (uint8_t)(port >> 8), /* mov dx, port */
        0xee,                                      /* out dx, al */
        0xfa,                                      /* cli */
        0xf4,                                      /* hlt */
        0xeb, 0xfd,                                /* jmp to the hlt */
    };

    if (cap < sizeof(code))
        return -ENOSPC;
    memcpy(buf, code, sizeof(code));
    return 0;
}
