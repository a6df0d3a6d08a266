/*
 * What makes boot loaders recognise the image. Linked into every guest but linux64, which must look
 * like a plain kernel. A loader uses one of the two and ignores the other:
 *
 * - Multiboot 0.6.96, section 3.1: twelve bytes near the start of the file. The guest starts at
 *   the ELF file's entry point.
 * - Xen PVH (docs/misc/pvh.pandoc): an ELF note of type 18 that holds the entry point itself.
 */
#define MULTIBOOT_HEADER_MAGIC 0x1badb002
#define MULTIBOOT_PAGE_ALIGN   1 /* modules start on a page */
#define MULTIBOOT_MEMORY_INFO  2 /* tell us the memory map */
#define MULTIBOOT_FLAGS        (MULTIBOOT_PAGE_ALIGN | MULTIBOOT_MEMORY_INFO)

#define XEN_ELFNOTE_PHYS32_ENTRY 18

    .section .multiboot, "a"
    .balign 4
    .long MULTIBOOT_HEADER_MAGIC
    .long MULTIBOOT_FLAGS
    .long -(MULTIBOOT_HEADER_MAGIC + MULTIBOOT_FLAGS) /* the three add up to zero */

    .section .note.pvh, "a", @note
    .balign 4
    .long 4 /* bytes of the name */
    .long 4 /* bytes of the value */
    .long XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long pvh_entry

    .section .note.GNU-stack, "", @progbits
