/* The memory map as every boot protocol tells it (e820 entry layout and type numbers, ACPI 6.5
 * section 15). Shared by the builders of this folder. */
#ifndef FIRMWARE_MEMMAP_H
#define FIRMWARE_MEMMAP_H

#include <stdint.h>

enum memmap_type { MEMMAP_RAM = 1, MEMMAP_RESERVED = 2, MEMMAP_ACPI = 3 };

struct memmap_entry {
    uint64_t gpa, size; /* bytes */
    enum memmap_type type;
};

#define MEMMAP_MAX_ENTRIES 16

#endif
