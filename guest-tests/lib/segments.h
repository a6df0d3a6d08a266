/*
 * Segment selectors: byte offsets into the descriptor table of gdt.S. Used from C and assembly.
 */
#ifndef GUEST_SEGMENTS_H
#define GUEST_SEGMENTS_H

#define SEL_CODE32 0x08
#define SEL_DATA   0x10
#define SEL_CODE64 0x18
#define SEL_CODE16 0x20
#define SEL_DATA16 0x28
#define GDT_BYTES  0x30

#endif
