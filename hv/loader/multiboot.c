/*
 * Multiboot 0.6.96 headers: small teaching kernels and test programs. The header lies anywhere in
 * the first 8192 bytes of a file of any format, mostly ELF. Called by kernel_load and the ELF
 * loader, main thread.
 */
#include <errno.h>
#include <inttypes.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "hv/loader/plan.h"

#define MAGIC          0x1badb002u
#define FLAG_VIDEO     (1u << 2)
#define FLAG_ADDRESSES (1u << 16)
#define REQUIRED       0xffffu
#define REQUIRED_KNOWN 0x0007u /* page-aligned modules, memory information, video */

#define SHORT_HEADER   12 /* magic, flags, checksum */
#define LONG_HEADER    32 /* and the five addresses */

/* The specification sets no limit; hv's information block holds a command line of this length. */
#define MULTIBOOT_CMDLINE_MAX 2047

bool multiboot_find(const struct head *head, struct multiboot_header *out)
{
    for (size_t at = 0; at + SHORT_HEADER <= head->len; at += 4) {
        const uint8_t *h = head->data + at;
        uint32_t flags = load_le32(h + 4);

        if (load_le32(h) != MAGIC || MAGIC + flags + load_le32(h + 8) != 0)
            continue;
        *out = (struct multiboot_header){.offset = (uint32_t)at, .flags = flags};
        if (!(flags & FLAG_ADDRESSES))
            return true;
        /* The whole header must lie in these bytes; a magic right at their end is chance. */
        if (at + LONG_HEADER > head->len)
            continue;
        out->header_addr = load_le32(h + 12);
        out->load_addr = load_le32(h + 16);
        out->load_end_addr = load_le32(h + 20);
        out->bss_end_addr = load_le32(h + 24);
        out->entry_addr = load_le32(h + 28);
        return true;
    }
    return false;
}

bool multiboot_has_addresses(const struct multiboot_header *header)
{
    return header->flags & FLAG_ADDRESSES;
}

/* Bits 0 to 15 are requirements, bits 16 to 31 offers that a loader may leave alone. */
int multiboot_accept(struct plan *plan, const struct multiboot_header *header)
{
    const char *path = plan->req->image->path;
    uint32_t unknown = header->flags & REQUIRED & ~REQUIRED_KNOWN;

    if (unknown) {
        log_error("%s: its Multiboot header requires features that hv lacks (flags 0x%" PRIx32 ")",
                  path, unknown);
        return -ENOEXEC;
    }
    /* Strictly a reason to refuse, but such kernels mostly do well with their serial console. */
    if (header->flags & FLAG_VIDEO)
        log_warn("%s: asks for a video mode; there is no display, only a serial port", path);
    plan->kernel.protocol = BOOT_MULTIBOOT;
    plan->kernel.initrd_max = UINT32_MAX;
    plan->kernel.cmdline_max = MULTIBOOT_CMDLINE_MAX;
    return 0;
}

/* From addresses to a segment (section 3.1.3). Differences only after the order is proven. */
static const char *to_segment(const struct multiboot_header *h, uint64_t file_size,
                              struct segment *seg)
{
    uint32_t before = h->header_addr - h->load_addr;

    if (h->header_addr < h->load_addr || before > h->offset)
        return "load_addr lies before the start of the file";
    seg->offset = h->offset - before;
    seg->gpa = h->load_addr;
    seg->file_size = file_size - seg->offset;
    if (h->load_end_addr) {
        if (h->load_end_addr <= h->load_addr)
            return "load_end_addr is not above load_addr";
        seg->file_size = h->load_end_addr - h->load_addr;
    }
    seg->mem_size = seg->file_size;
    if (h->bss_end_addr) {
        if (h->bss_end_addr < h->load_addr || h->bss_end_addr - h->load_addr < seg->file_size)
            return "bss_end_addr lies before the end of the data";
        seg->mem_size = h->bss_end_addr - h->load_addr;
    }
    return NULL;
}

/* Shared by flat images and by ELF files whose header overrides the ELF program headers. */
int multiboot_plan(struct plan *plan, const struct multiboot_header *header)
{
    const struct image *img = plan->req->image;
    struct segment seg;
    const char *why = to_segment(header, img->size, &seg);
    int err;

    if (why) {
        log_error("%s: damaged Multiboot header: %s", img->path, why);
        return -ENOEXEC;
    }
    err = multiboot_accept(plan, header);
    if (!err)
        err = plan_add(plan, "the kernel", &seg);
    if (err)
        return err;
    if (!plan_has_code(plan, header->entry_addr)) {
        log_error("%s: damaged Multiboot header: the entry 0x%" PRIx32 " is not in the file",
                  img->path, header->entry_addr);
        return -ENOEXEC;
    }
    plan->kernel.entry = header->entry_addr;
    return 0;
}

static bool flat_match(const struct head *head)
{
    struct multiboot_header header;

    return multiboot_find(head, &header);
}

static int flat_plan(struct plan *plan, const struct head *head)
{
    const char *path = plan->req->image->path;
    struct multiboot_header header;

    if (!multiboot_find(head, &header))
        return report_unknown(plan->req, head);
    if (!multiboot_has_addresses(&header)) {
        log_error("%s: has a Multiboot header but is no ELF file, and the header gives no load "
                  "addresses; use the ELF file it was made from",
                  path);
        return -ENOEXEC;
    }
    if (plan->req->wish != BOOT_AUTO && plan->req->wish != BOOT_MULTIBOOT) {
        log_error("%s: is a flat Multiboot image, it has no %s entry; leave out --entry", path,
                  boot_protocol_name(plan->req->wish));
        return -ENOEXEC;
    }
    plan->kernel.format = "flat";
    return multiboot_plan(plan, &header);
}

/* A file that is neither ELF nor bzImage may still carry a Multiboot header with addresses. */
const struct kernel_format kernel_flat = {flat_match, flat_plan};
