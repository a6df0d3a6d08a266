/*
 * The Linux "zero page" (struct boot_params). Called once a start by hv/arch/x86 (main thread);
 * declared in boot_x86.h. Offsets and field rules: Documentation/arch/x86/boot.rst ("The
 * Real-Mode Kernel Header", "64-bit BOOT PROTOCOL") and zero-page.rst of the Linux kernel.
 */
#include <errno.h>
#include <string.h>

#include "firmware/boot_x86.h"
#include "firmware/buf.h"

/* Offsets in the zero page. */
#define BP_ACPI_RSDP_ADDR    0x070
#define BP_EXT_RAMDISK_IMAGE 0x0c0
#define BP_EXT_RAMDISK_SIZE  0x0c4
#define BP_EXT_CMD_LINE_PTR  0x0c8
#define BP_E820_ENTRIES      0x1e8
#define BP_SETUP_HEADER      0x1f1
#define BP_VID_MODE          0x1fa
#define BP_BOOT_FLAG         0x1fe
#define BP_HEADER_LENGTH     0x201
#define BP_HEADER_BASE       0x202 /* the length byte counts from here */
#define BP_VERSION           0x206
#define BP_TYPE_OF_LOADER    0x210
#define BP_LOADFLAGS         0x211
#define BP_RAMDISK_IMAGE     0x218
#define BP_RAMDISK_SIZE      0x21c
#define BP_CMD_LINE_PTR      0x228
#define BP_INITRD_ADDR_MAX   0x22c
#define BP_KERNEL_ALIGNMENT  0x230
#define BP_RELOCATABLE       0x234
#define BP_CMDLINE_SIZE      0x238
#define BP_HEADER_LIMIT      0x290 /* EDD and e820 data follow: no header may reach them */
#define BP_E820_TABLE        0x2d0
#define BP_E820_MAX          128

#define BOOT_FLAG            0xaa55
#define HEADER_MAGIC         "HdrS"
#define PROTOCOL_2_15        0x020f
#define LOADER_UNREGISTERED  0xff
#define LOADFLAG_LOADED_HIGH 0x01
#define VID_MODE_NORMAL      0xffff

/*
 * Copies the kernel file's own header: all of it, and nothing after it, since the bytes that
 * follow are real-mode code and the kernel would take them for loader data.
 */
static int copy_setup_header(struct buf *b, const uint8_t *header, size_t len)
{
    size_t end;

    if (len < BP_TYPE_OF_LOADER - BP_SETUP_HEADER)
        return -EINVAL;
    end = BP_HEADER_BASE + (size_t)header[BP_HEADER_LENGTH - BP_SETUP_HEADER];
    if (end > BP_HEADER_LIMIT)
        end = BP_HEADER_LIMIT;
    if (len > end - BP_SETUP_HEADER)
        len = end - BP_SETUP_HEADER;
    buf_set_bytes(b, BP_SETUP_HEADER, header, len);
    return 0;
}

/* A vmlinux carries no header, yet the kernel looks for the fields of one. */
static void make_setup_header(struct buf *b, uint32_t cmdline_len)
{
    buf_set_le16(b, BP_BOOT_FLAG, BOOT_FLAG);
    buf_set_bytes(b, BP_HEADER_BASE, HEADER_MAGIC, 4);
    buf_set_le16(b, BP_VERSION, PROTOCOL_2_15);
    buf_set_u8(b, BP_LOADFLAGS, LOADFLAG_LOADED_HIGH);
    buf_set_le32(b, BP_INITRD_ADDR_MAX, 0x7fffffff);
    buf_set_le32(b, BP_KERNEL_ALIGNMENT, 0x01000000);
    buf_set_le32(b, BP_CMDLINE_SIZE, cmdline_len);
}

/* A 64-bit value whose upper half lives in a field of its own. */
static void set_split(struct buf *b, size_t low_at, size_t high_at, uint64_t v)
{
    buf_set_le32(b, low_at, (uint32_t)v);
    buf_set_le32(b, high_at, (uint32_t)(v >> 32));
}

static void set_e820(struct buf *b, const struct memmap_entry *map, unsigned count)
{
    size_t at = BP_E820_TABLE;

    buf_set_u8(b, BP_E820_ENTRIES, (uint8_t)count);
    for (unsigned i = 0; i < count; i++, at += 20) {
        buf_set_le64(b, at, map[i].gpa);
        buf_set_le64(b, at + 8, map[i].size);
        buf_set_le32(b, at + 16, map[i].type);
    }
}

int boot_params_build(const struct boot_params_x86 *in, uint8_t *buf, size_t cap)
{
    struct buf b = buf_over(buf, cap);
    int err = 0;

    if (in->map_count > BP_E820_MAX)
        return -EINVAL;
    buf_zero(&b, BOOT_PARAMS_BYTES);
    if (b.overflow)
        return -ENOSPC;

    if (in->setup_header && in->setup_header_len)
        err = copy_setup_header(&b, in->setup_header, in->setup_header_len);
    else
        make_setup_header(&b, in->cmdline_len);
    if (err)
        return err;

    buf_set_u8(&b, BP_TYPE_OF_LOADER, LOADER_UNREGISTERED);
    buf_set_le16(&b, BP_VID_MODE, VID_MODE_NORMAL);
    set_split(&b, BP_CMD_LINE_PTR, BP_EXT_CMD_LINE_PTR, in->cmdline_gpa);
    set_split(&b, BP_RAMDISK_IMAGE, BP_EXT_RAMDISK_IMAGE, in->initrd.size ? in->initrd.gpa : 0);
    set_split(&b, BP_RAMDISK_SIZE, BP_EXT_RAMDISK_SIZE, in->initrd.size);
    buf_set_le64(&b, BP_ACPI_RSDP_ADDR, in->rsdp_gpa);
    set_e820(&b, in->map, in->map_count);
    return buf_status(&b);
}
