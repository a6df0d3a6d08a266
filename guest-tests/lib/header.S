/*
 * What makes a Multiboot loader recognise the image (Multiboot 0.6.96, section 3.1): twelve bytes near
 * the start of the file. The guest starts at the ELF file's entry point.
 */
#define MULTIBOOT_HEADER_MAGIC 0x1badb002
#define MULTIBOOT_PAGE_ALIGN   1 /* modules start on a page */
#define MULTIBOOT_MEMORY_INFO  2 /* tell us the memory map */
#define MULTIBOOT_FLAGS        (MULTIBOOT_PAGE_ALIGN | MULTIBOOT_MEMORY_INFO)

    .section .multiboot, "a"
    .balign 4
    .long MULTIBOOT_HEADER_MAGIC
    .long MULTIBOOT_FLAGS
    .long -(MULTIBOOT_HEADER_MAGIC + MULTIBOOT_FLAGS) /* the three add up to zero */

    .section .note.GNU-stack, "", @progbits
