/*
 * What the boot loader told us: memory map, command line, modules. Each protocol has its own
 * format; one file each turns it into this. Everything but the modules' contents is copied, so
 * that a guest may use the memory where the loader's tables lie.
 */
#ifndef GUEST_BOOT_H
#define GUEST_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOOT_MAX_REGIONS 32
#define BOOT_MAX_MODULES 16
#define BOOT_TEXT_MAX    2048
#define BOOT_NAME_MAX    128

/* Type numbers as in the BIOS call E820, which all protocols took over (ACPI 6.5, section 15). */
enum { REGION_RAM = 1, REGION_RESERVED = 2, REGION_ACPI = 3 };

struct boot_region {
    uint64_t start, size; /* bytes */
    uint32_t type;
};

struct boot_module {
    uint64_t start, size; /* bytes */
    char name[BOOT_NAME_MAX];
};

struct boot_info {
    char cmdline[BOOT_TEXT_MAX];
    struct boot_region region[BOOT_MAX_REGIONS];
    unsigned regions;
    struct boot_module module[BOOT_MAX_MODULES];
    unsigned modules;
    uint64_t rsdp; /* ACPI root pointer; 0: not told */
};

extern struct boot_info boot_info;

/* "multiboot", "pvh", "linux64". */
const char *boot_protocol(void);

/* Whether `word` stands on the command line by itself. */
bool cmdline_has(const char *word);

/* Under QEMU guest-tests/run says so: it differs from hv, or from the book, in known ways. */
bool on_qemu(void);

/* The value of NAME=VALUE on the command line (which runs to the next blank), or NULL. */
const char *cmdline_text(const char *name);

/* The same for the nth of several NAME=VALUE. */
const char *cmdline_nth(const char *name, unsigned nth);

/* The same as a number, decimal or 0x...; `otherwise` when it is not there. */
uint64_t cmdline_number(const char *name, uint64_t otherwise);

/* For the files that read the protocols. Entries beyond the limits above are dropped. */
void boot_add_region(uint64_t start, uint64_t size, uint32_t type);
void boot_add_module(uint64_t start, uint64_t size, const char *name);
void boot_read_multiboot(uintptr_t info);
void boot_read_pvh(uintptr_t info);
void boot_read_linux64(uintptr_t info);

/* A field of a table at any alignment, little-endian. */
uint32_t load32(uintptr_t at);
uint64_t load64(uintptr_t at);

#endif
