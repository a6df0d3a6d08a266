/*
 * The smallest guest: writes one byte to COM1, then halts for ever with interrupts off. Measured by
 * guest-tests/bench/run: what passes until that byte is the monitor's own time, and while the guest
 * halts, the memory and the CPU time in use are the monitor's own.
 *
 * A 64-bit ELF file with a PVH note (Xen's docs/misc/pvh.pandoc), since QEMU takes PVH from no other
 * kind; it is entered in 32-bit protected mode.
 */
#define COM1                     0x3f8
#define XEN_ELFNOTE_PHYS32_ENTRY 18

    .section .note.pvh, "a", @note
    .balign 4
    .long 4 /* bytes of the name */
    .long 4 /* bytes of the value */
    .long XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long pvh_entry

    .text
    .code32
    .globl pvh_entry
pvh_entry:
    mov $COM1, %dx
    mov $'!', %al
    out %al, %dx
1:  cli
    hlt
    jmp 1b

    .section .note.GNU-stack, "", @progbits
