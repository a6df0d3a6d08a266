/*
 * What makes a PVH loader recognise the image (Xen, docs/misc/pvh.pandoc): an ELF note of type 18 that
 * holds the address to start at.
 */
#define XEN_ELFNOTE_PHYS32_ENTRY 18

    .section .note.pvh, "a", @note
    .balign 4
    .long 4 /* bytes of the name */
    .long 4 /* bytes of the value */
    .long XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long pvh_entry

    .section .note.GNU-stack, "", @progbits
