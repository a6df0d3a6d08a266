/*
 * What an x86 guest finds in memory at its first instruction: descriptor table, identity page
 * tables, and the information block of its boot protocol. Pure builders: they write into a host
 * buffer that the caller copies to `gpa`. Layouts are spelled out as offsets, so that they build
 * and are tested on any host architecture.
 *
 * Each fills exactly its *_BYTES, zero padded, so that no stale host memory reaches the guest. All
 * return 0, or -ENOSPC when `cap` is less than that or the content is more, or -EINVAL when the
 * description cannot be expressed (misaligned, or above 4 GiB where the protocol has 32 bits).
 */
#ifndef FIRMWARE_BOOT_X86_H
#define FIRMWARE_BOOT_X86_H

#include <stddef.h>
#include <stdint.h>

#include "firmware/memmap.h"

/* Selectors in the table that gdt_build writes (boot.rst: __BOOT_CS 0x10, __BOOT_DS 0x18). */
#define BOOT_CS   0x10
#define BOOT_DS   0x18
#define BOOT_TSS  0x20

#define GDT_BYTES 48 /* null, unused, code, data, TSS (16 bytes) */

/* long_mode: the code segment is 64-bit, else 32-bit flat. */
int gdt_build(int long_mode, uint8_t *buf, size_t cap);

#define PAGE_TABLE_BYTES (6 * 4096) /* PML4, PDPT, four page directories */

/* Identity map of the first 4 GiB with 2 MiB pages; CR3 = gpa (4 KiB aligned). */
int page_tables_build(uint64_t gpa, uint8_t *buf, size_t cap);

struct boot_blob {
    uint64_t gpa, size; /* bytes; size 0: none */
};

#define BOOT_PARAMS_BYTES 4096

struct boot_params_x86 {
    const uint8_t *setup_header; /* file bytes from 0x1f1; NULL for an ELF kernel */
    size_t setup_header_len;     /* bytes */
    const struct memmap_entry *map;
    unsigned map_count;
    struct boot_blob initrd;
    uint64_t cmdline_gpa; /* NUL-terminated text */
    uint32_t cmdline_len; /* without the NUL */
    uint64_t rsdp_gpa;    /* 0: none; boot_params.acpi_rsdp_addr */
};

/* The Linux "zero page" (boot.rst, zero-page.rst). An ELF kernel gets a header made up for it. */
int boot_params_build(const struct boot_params_x86 *in, uint8_t *buf, size_t cap);

struct pvh_x86 {
    const struct memmap_entry *map;
    unsigned map_count;
    struct boot_blob initrd; /* becomes module 0 */
    uint64_t cmdline_gpa;
    uint64_t rsdp_gpa;
};

#define PVH_BYTES 4096

/* hvm_start_info version 1, module list and memory map, in one blob at `gpa` (start_info first). */
int pvh_build(const struct pvh_x86 *in, uint64_t gpa, uint8_t *buf, size_t cap);

#define RESET_VECTOR_GPA   0xffff0 /* F000:FFF0 in real mode */
#define RESET_VECTOR_BYTES 16

/* Real-mode code for the reset vector: writes `value` to `port`, which must end the run. */
int reset_stub_build(uint16_t port, uint8_t value, uint8_t *buf, size_t cap);

#define MULTIBOOT_BOOT_MAGIC  0x2badb002u /* in EAX; EBX = gpa of the information */
#define MULTIBOOT_BYTES       8192
#define MULTIBOOT_MAX_MODULES 16

struct multiboot_module {
    struct boot_blob blob;
    const char *cmdline; /* text */
};

struct multiboot_x86 {
    const struct memmap_entry *map;
    unsigned map_count;
    const struct multiboot_module *module;
    unsigned module_count;
    const char *cmdline; /* text; copied into the blob */
};

/* Multiboot 0.6.96 information: memory, memory map, command line, modules, loader name. */
int multiboot_build(const struct multiboot_x86 *in, uint64_t gpa, uint8_t *buf, size_t cap);

#endif
