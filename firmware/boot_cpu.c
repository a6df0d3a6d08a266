/*
 * Descriptor table and identity page tables that the boot processor starts with. Called once a
 * start by hv/arch/x86 (main thread); declared in boot_x86.h. Intel SDM volume 3, sections 3.4.5
 * (segment descriptors), 7.2.3 (TSS in 64-bit mode) and 4.5 (4-level paging).
 */
#include <errno.h>

#include "firmware/boot_x86.h"
#include "firmware/buf.h"

/*
 * Flat segments, base 0, limit 4 GiB. The accessed bit is set beforehand, so that loading a
 * selector never makes the CPU write to the table.
 */
#define DESC_CODE64 UINT64_C(0x00af9b000000ffff)
#define DESC_CODE32 UINT64_C(0x00cf9b000000ffff)
#define DESC_DATA   UINT64_C(0x00cf93000000ffff)

/*
 * Type 0xb (busy TSS) is what VM entry demands of TR. 32-bit mode reads the low half alone, so one
 * descriptor serves both. Nobody ever switches tasks through it: base 0 is never read.
 */
#define DESC_TSS_LOW  UINT64_C(0x00008b0000000067)
#define DESC_TSS_HIGH UINT64_C(0)

int gdt_build(int long_mode, uint8_t *buf, size_t cap)
{
    struct buf b = buf_over(buf, cap);

    buf_le64(&b, 0);
    buf_le64(&b, 0);
    buf_le64(&b, long_mode ? DESC_CODE64 : DESC_CODE32); /* BOOT_CS */
    buf_le64(&b, DESC_DATA);                             /* BOOT_DS */
    buf_le64(&b, DESC_TSS_LOW);                          /* BOOT_TSS */
    buf_le64(&b, DESC_TSS_HIGH);
    return buf_status(&b);
}

#define PTE_PRESENT  (1u << 0)
#define PTE_WRITABLE (1u << 1)
#define PTE_ACCESSED (1u << 5)
#define PTE_DIRTY    (1u << 6)
#define PTE_LARGE    (1u << 7)

/* Accessed and dirty from the start: a page walk then never has to write the tables back, which
 * costs an extra nested fault where the host tracks such writes. */
#define PTE_TABLE        (PTE_PRESENT | PTE_WRITABLE | PTE_ACCESSED)
#define PTE_PAGE         (PTE_TABLE | PTE_DIRTY | PTE_LARGE)

#define PAGE             UINT64_C(4096)
#define LARGE_PAGE       (UINT64_C(2) << 20)
#define IDENTITY_LIMIT   (UINT64_C(4) << 30)
#define PAGE_DIRECTORIES 4

int page_tables_build(uint64_t gpa, uint8_t *buf, size_t cap)
{
    struct buf b = buf_over(buf, cap);

    /* Beyond what they map, the tables could not be reached through themselves. */
    if (gpa % PAGE || gpa > IDENTITY_LIMIT - PAGE_TABLE_BYTES)
        return -EINVAL;

    buf_le64(&b, (gpa + PAGE) | PTE_TABLE); /* PML4 -> PDPT */
    buf_align(&b, PAGE);
    for (uint64_t i = 0; i < PAGE_DIRECTORIES; i++)
        buf_le64(&b, (gpa + (2 + i) * PAGE) | PTE_TABLE);
    buf_align(&b, PAGE);
    for (uint64_t page = 0; page < IDENTITY_LIMIT; page += LARGE_PAGE)
        buf_le64(&b, page | PTE_PAGE);
    return buf_status(&b);
}
