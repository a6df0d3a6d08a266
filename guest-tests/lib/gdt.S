/*
 * The one descriptor table of a guest (Intel SDM volume 3, 3.4.5). In protected and long mode a
 * segment register holds an index into it. Ours are flat: base 0, limit 4 GiB, so that segments do
 * nothing. The two 16-bit ones serve the way to real mode: base 0, limit 64 KiB.
 *
 * The accessed bit (the 1 in 9b and 93) is set beforehand, so that the CPU has no need to write it.
 */
#include "guest-tests/lib/segments.h"

    .section .data
    .balign 8
    .globl gdt, gdt_pointer
gdt:
    .quad 0                  /* selector 0 means "no segment" */
    .quad 0x00cf9b000000ffff /* SEL_CODE32 */
    .quad 0x00cf93000000ffff /* SEL_DATA */
    .quad 0x00af9b000000ffff /* SEL_CODE64 */
    .quad 0x00009b000000ffff /* SEL_CODE16 */
    .quad 0x000093000000ffff /* SEL_DATA16 */
    .quad 0x00affb000000ffff /* SEL_USER_CODE, without the 3 */
    .quad 0x00cff3000000ffff /* SEL_USER_DATA, without the 3 */
    .quad 0, 0               /* SEL_TSS */
    .if . - gdt != GDT_BYTES
    .error "segments.h: GDT_BYTES"
    .endif

/* What LGDT reads: limit, then base. In 32-bit code it takes four bytes of base, in 64-bit eight. */
    .balign 8
    .skip 6 /* so that the base is aligned */
gdt_pointer:
    .word GDT_BYTES - 1
    .long gdt
    .long 0

    .section .note.GNU-stack, "", @progbits
