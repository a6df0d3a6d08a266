/*
 * Multiboot information: what a small teaching kernel finds through EBX. Called once a start by
 * hv/arch/x86 (main thread); declared in boot_x86.h. Multiboot Specification 0.6.96, section 3.3.
 *
 * The information structure stands first, its arrays and texts behind it in the same blob.
 */
#include <errno.h>

#include "firmware/boot_x86.h"
#include "firmware/buf.h"

/* Offsets in the information structure. */
#define MBI_FLAGS        0
#define MBI_MEM_LOWER    4
#define MBI_MEM_UPPER    8
#define MBI_CMDLINE      16
#define MBI_MODS_COUNT   20
#define MBI_MODS_ADDR    24
#define MBI_MMAP_LENGTH  44
#define MBI_MMAP_ADDR    48
#define MBI_LOADER_NAME  64
#define MBI_SIZE         120

#define FLAG_MEM         (1u << 0)
#define FLAG_CMDLINE     (1u << 2)
#define FLAG_MODS        (1u << 3)
#define FLAG_MMAP        (1u << 6)
#define FLAG_LOADER_NAME (1u << 9)

#define MOD_ENTRY_SIZE   16
#define MMAP_ENTRY_SIZE  20 /* what its size field says: that field itself does not count */

#define KIB              1024
#define LOW_MEMORY_END   (UINT64_C(640) * KIB)
#define HIGH_MEMORY      (UINT64_C(1024) * KIB)
#define LIMIT_4G         (UINT64_C(1) << 32)

/* One past the entry's last byte; saturates, as the map may have come from anywhere. */
static uint64_t entry_end(const struct memmap_entry *e)
{
    return e->size > UINT64_MAX - e->gpa ? UINT64_MAX : e->gpa + e->size;
}

/* First address at or above `from` that is not RAM. Entries may come in any order, so each pass
 * may join on one that an earlier pass had to leave; every pass but the last makes `end` grow. */
static uint64_t ram_end(const struct multiboot_x86 *in, uint64_t from)
{
    uint64_t end = from;
    bool grew;

    do {
        grew = false;
        for (unsigned i = 0; i < in->map_count; i++) {
            const struct memmap_entry *e = &in->map[i];

            if (e->type != MEMMAP_RAM || e->gpa > end || entry_end(e) <= end)
                continue;
            end = entry_end(e);
            grew = true;
        }
    } while (grew);
    return end;
}

static void set_memory(struct buf *b, const struct multiboot_x86 *in)
{
    uint64_t low = ram_end(in, 0);
    uint64_t high = (ram_end(in, HIGH_MEMORY) - HIGH_MEMORY) / KIB;

    buf_set_le32(b, MBI_MEM_LOWER, (uint32_t)((low < LOW_MEMORY_END ? low : LOW_MEMORY_END) / KIB));
    buf_set_le32(b, MBI_MEM_UPPER, high > UINT32_MAX ? UINT32_MAX : (uint32_t)high);
}

static uint32_t here(const struct buf *b, uint64_t gpa)
{
    return (uint32_t)(gpa + b->len);
}

static void put_mmap(struct buf *b, const struct multiboot_x86 *in, uint64_t gpa)
{
    buf_set_le32(b, MBI_MMAP_ADDR, here(b, gpa));
    buf_set_le32(b, MBI_MMAP_LENGTH, in->map_count * (4 + MMAP_ENTRY_SIZE));
    for (unsigned i = 0; i < in->map_count; i++) {
        buf_le32(b, MMAP_ENTRY_SIZE);
        buf_le64(b, in->map[i].gpa);
        buf_le64(b, in->map[i].size);
        buf_le32(b, in->map[i].type);
    }
}

static void put_modules(struct buf *b, const struct multiboot_x86 *in, uint64_t gpa)
{
    size_t list = b->len;

    buf_set_le32(b, MBI_MODS_COUNT, in->module_count);
    buf_set_le32(b, MBI_MODS_ADDR, here(b, gpa));
    for (unsigned i = 0; i < in->module_count; i++) {
        const struct boot_blob *blob = &in->module[i].blob;

        buf_le32(b, (uint32_t)blob->gpa);
        buf_le32(b, (uint32_t)(blob->gpa + blob->size)); /* one past the last byte */
        buf_le32(b, 0);                                  /* text: below */
        buf_le32(b, 0);
    }
    for (unsigned i = 0; i < in->module_count; i++) {
        buf_set_le32(b, list + i * MOD_ENTRY_SIZE + 8, here(b, gpa));
        buf_str(b, in->module[i].cmdline ? in->module[i].cmdline : "");
    }
}

static void put_text(struct buf *b, size_t field, const char *text, uint64_t gpa)
{
    buf_set_le32(b, field, here(b, gpa));
    buf_str(b, text);
}

/* Addresses are 32 bits wide throughout; what lies higher cannot be told to the guest. */
static int check(const struct multiboot_x86 *in, uint64_t gpa)
{
    if (gpa % 4 || gpa > LIMIT_4G - MULTIBOOT_BYTES)
        return -EINVAL;
    if (in->module_count > MULTIBOOT_MAX_MODULES)
        return -EINVAL;
    for (unsigned i = 0; i < in->module_count; i++) {
        const struct boot_blob *blob = &in->module[i].blob;

        if (blob->gpa >= LIMIT_4G || blob->size >= LIMIT_4G - blob->gpa)
            return -EINVAL;
    }
    return 0;
}

int multiboot_build(const struct multiboot_x86 *in, uint64_t gpa, uint8_t *buf, size_t cap)
{
    struct buf b = buf_over(buf, MULTIBOOT_BYTES);
    uint32_t flags = FLAG_MEM | FLAG_MODS | FLAG_MMAP | FLAG_LOADER_NAME;
    int err = check(in, gpa);

    if (err)
        return err;
    if (cap < MULTIBOOT_BYTES)
        return -ENOSPC;

    buf_zero(&b, MBI_SIZE);
    set_memory(&b, in);
    put_mmap(&b, in, gpa);
    put_modules(&b, in, gpa);
    put_text(&b, MBI_LOADER_NAME, "hv", gpa);
    if (in->cmdline) {
        flags |= FLAG_CMDLINE;
        put_text(&b, MBI_CMDLINE, in->cmdline, gpa);
    }
    buf_set_le32(&b, MBI_FLAGS, flags);
    buf_zero(&b, MULTIBOOT_BYTES - b.len);
    return buf_status(&b);
}
