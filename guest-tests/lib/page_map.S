/*
 * Page tables of a 64-bit guest, made by the assembler: the first 4 GiB, each address mapped to
 * itself with 2 MiB pages (SDM volume 3, 4.5). paging.c adds memory above 4 GiB when a guest asks.
 */
#define PAGE_PRESENT  (1 << 0)
#define PAGE_WRITABLE (1 << 1)
#define PAGE_USER     (1 << 2) /* for ring 3, too (user.c): nothing is secret from it here */
#define PAGE_NO_CACHE ((1 << 3) | (1 << 4))
#define PAGE_ACCESSED (1 << 5)
#define PAGE_DIRTY    (1 << 6)
#define PAGE_LARGE    (1 << 7)
#define TABLE         (PAGE_PRESENT | PAGE_WRITABLE | PAGE_USER | PAGE_ACCESSED)
#define LEAF          (TABLE | PAGE_DIRTY | PAGE_LARGE)

    .section .data
    .balign 4096
    .globl page_map, page_directory_pointers
page_map: /* level 4: one entry for each 512 GiB */
    .quad page_directory_pointers + TABLE
    .skip 511 * 8
page_directory_pointers: /* level 3: one entry for each GiB */
    .quad page_directories + 0 * 4096 + TABLE
    .quad page_directories + 1 * 4096 + TABLE
    .quad page_directories + 2 * 4096 + TABLE
    .quad page_directories + 3 * 4096 + TABLE
    .skip 508 * 8
page_directories: /* level 2: one entry for each 2 MiB */
    .set address, 0
    .rept 3 * 512
    .quad address + LEAF
    .set address, address + 0x200000
    .endr
    .rept 512 /* the last GiB holds device registers: every access must really happen */
    .quad address + LEAF + PAGE_NO_CACHE
    .set address, address + 0x200000
    .endr

    .section .note.GNU-stack, "", @progbits
