/*
 * struct boot_params, the "zero page" of the Linux boot protocol (Documentation/arch/x86/
 * zero-page.rst and boot.rst). Called by guest_start.
 */
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/string.h"

#define ACPI_RSDP_ADDR 0x070
#define E820_ENTRIES   0x1e8
#define RAMDISK_IMAGE  0x218
#define RAMDISK_SIZE   0x21c
#define CMD_LINE_PTR   0x228
#define E820_TABLE     0x2d0
#define E820_ENTRY     20 /* bytes */

void boot_read_linux64(uintptr_t info)
{
    unsigned entries = *(const uint8_t *)(info + E820_ENTRIES);
    uintptr_t text = load32(info + CMD_LINE_PTR), at = info + E820_TABLE;

    if (text)
        string_copy(boot_info.cmdline, (const char *)text, BOOT_TEXT_MAX);
    if (load32(info + RAMDISK_SIZE))
        boot_add_module(load32(info + RAMDISK_IMAGE), load32(info + RAMDISK_SIZE), "");
    boot_info.rsdp = load64(info + ACPI_RSDP_ADDR);
    for (; entries; entries--, at += E820_ENTRY)
        boot_add_region(load64(at), load64(at + 8), load32(at + 16));
}
