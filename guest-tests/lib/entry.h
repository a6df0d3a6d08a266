/*
 * The state in which the boot loader left the CPU, saved by start32.S or start64.S before they
 * change anything. Included from C and assembly; the offsets are checked in boot.c.
 */
#ifndef GUEST_ENTRY_H
#define GUEST_ENTRY_H

#define ENTRY_PROTOCOL       0
#define ENTRY_EAX            4
#define ENTRY_INFO           8
#define ENTRY_CR0            16
#define ENTRY_CR4            20
#define ENTRY_EFLAGS         24
#define ENTRY_CS             28
#define ENTRY_DS             30
#define ENTRY_ES             32
#define ENTRY_SS             34
#define ENTRY_TR             36

#define PROTOCOL_MULTIBOOT   1
#define PROTOCOL_PVH         2
#define PROTOCOL_LINUX64     3

#define MULTIBOOT_BOOT_MAGIC 0x2badb002

#ifndef __ASSEMBLER__
#include <stdint.h>

struct entry_state {
    uint32_t protocol;
    uint32_t eax;
    uint32_t info; /* address of the loader's information: EBX, or RSI for Linux */
    uint32_t info_high;
    uint32_t cr0, cr4, eflags;
    uint16_t cs, ds, es, ss, tr;
};

extern struct entry_state entry_state;
#endif

#endif
