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
/* Of ring 3: the low two bits of a selector are the ring that asks. */
#define SEL_USER_CODE 0x33
#define SEL_USER_DATA 0x3b
#define SEL_TSS       0x40 /* takes two entries; user.c fills it in */
#define GDT_BYTES     0x50

#endif
