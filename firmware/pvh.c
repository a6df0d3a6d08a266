/*
 * hvm_start_info: what a kernel entered by its PVH note finds through EBX. Called once a start by
 * hv/arch/x86 (main thread); declared in boot_x86.h. Layout: Xen's public header
 * arch-x86/hvm/start_info.h, version 1 (with a memory map), and docs/misc/pvh.pandoc.
 */
#include <errno.h>

#include "firmware/boot_x86.h"
#include "firmware/buf.h"

#define START_INFO_MAGIC   0x336ec578u
#define START_INFO_VERSION 1
#define START_INFO_SIZE    56
#define MODLIST_ENTRY_SIZE 32

static void put_start_info(struct buf *b, const struct pvh_x86 *in, uint64_t gpa)
{
    unsigned modules = in->initrd.size ? 1 : 0;
    uint64_t modlist = gpa + START_INFO_SIZE;
    uint64_t memmap = modlist + modules * MODLIST_ENTRY_SIZE;

    buf_le32(b, START_INFO_MAGIC);
    buf_le32(b, START_INFO_VERSION);
    buf_le32(b, 0); /* flags: not the initial domain */
    buf_le32(b, modules);
    buf_le64(b, modules ? modlist : 0);
    buf_le64(b, in->cmdline_gpa);
    buf_le64(b, in->rsdp_gpa);
    buf_le64(b, in->map_count ? memmap : 0);
    buf_le32(b, in->map_count);
    buf_le32(b, 0);
}

static void put_module(struct buf *b, const struct boot_blob *blob)
{
    buf_le64(b, blob->gpa);
    buf_le64(b, blob->size);
    buf_le64(b, 0); /* no command line of its own */
    buf_le64(b, 0);
}

static void put_memmap(struct buf *b, const struct memmap_entry *map, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        buf_le64(b, map[i].gpa);
        buf_le64(b, map[i].size);
        buf_le32(b, map[i].type);
        buf_le32(b, 0);
    }
}

int pvh_build(const struct pvh_x86 *in, uint64_t gpa, uint8_t *buf, size_t cap)
{
    struct buf b = buf_over(buf, PVH_BYTES);

    /* EBX holds its address: 32 bits. */
    if (gpa % 8 || gpa > (UINT64_C(1) << 32) - PVH_BYTES)
        return -EINVAL;
    if (cap < PVH_BYTES)
        return -ENOSPC;

    put_start_info(&b, in, gpa);
    if (in->initrd.size)
        put_module(&b, &in->initrd);
    put_memmap(&b, in->map, in->map_count);
    buf_zero(&b, PVH_BYTES - b.len);
    return buf_status(&b);
}
