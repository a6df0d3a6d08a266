/*
 * arm64's Image: the header of Linux' Documentation/arch/arm64/booting.rst, section 4, at the start
 * of what is otherwise the kernel as it lies in memory. Called by kernel_load, main thread.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "devices/core/gmem.h"
#include "devices/core/log.h"
#include "devices/core/util.h"
#include "hv/loader/plan.h"

/* The header; all fields are little-endian, also those of a big-endian kernel. */
#define TEXT_OFFSET      8
#define IMAGE_SIZE       16
#define FLAGS            24
#define MAGIC            56
#define PE_OFFSET        60
#define HEADER_BYTES     64

#define FLAG_BIG_ENDIAN  UINT64_C(1)
#define FLAGS_PAGE_SHIFT 1 /* two bits: not known, 4, 16, 64 KiB */

#define BASE_ALIGN       (2 * MIB)
#define WINDOW_ALIGN     GIB /* of the initrd's window */
#define WINDOW           (32 * GIB)
#define ADDRESS_LIMIT    (UINT64_C(1) << 48)

/* COMMAND_LINE_SIZE of arm64 Linux, without the NUL; the header does not tell. */
#define CMDLINE_MAX 2047

bool image_match(const struct head *head)
{
    return head->len >= PE_OFFSET && memcmp(head->data + MAGIC, "ARM\x64", 4) == 0;
}

/*
 * The header has no size of the file in it. The one for EFI behind it does, in its sections (PE
 * Format, "Section Table"); a kernel without it cannot be told from one cut short.
 */
static uint64_t least_bytes(const struct head *head)
{
    uint64_t pe = load_le32(head->data + PE_OFFSET), at, end, least = HEADER_BYTES;
    const uint8_t *h = head->data;
    unsigned count;

    if (pe == 0 || !range_fits(pe, 24, head->len) || memcmp(h + pe, "PE\0\0", 4) != 0)
        return least;
    count = load_le16(h + pe + 6);
    at = pe + 24 + load_le16(h + pe + 20);
    for (unsigned i = 0; i < count && range_fits(at, 40, head->len); i++, at += 40) {
        end = (uint64_t)load_le32(h + at + 16) + load_le32(h + at + 20);
        if (end > least)
            least = end;
    }
    return least;
}

int image_check_least(const struct plan *plan, uint64_t have)
{
    if (have >= plan->least)
        return 0;
    log_error("%s: truncated: its header says %" PRIu64 " bytes, there are %" PRIu64
              "; copy it again",
              plan->req->image->path, plan->least, have);
    return -ENOEXEC;
}

/* What can be known to be wrong from the header alone. */
static int check_header(const struct kernel_request *req, const uint8_t *header)
{
    uint64_t size = load_le64(header + IMAGE_SIZE), offset = load_le64(header + TEXT_OFFSET);
    const char *path = req->image->path, *why = NULL;

    if (load_le64(header + FLAGS) & FLAG_BIG_ENDIAN)
        why = "is a big-endian kernel; hv boots little-endian ones (CONFIG_CPU_BIG_ENDIAN=n)";
    else if (size == 0)
        why =
            "is older than Linux 3.17 and does not say how much memory it needs; take a newer one";
    else if (size < HEADER_BYTES || size > ADDRESS_LIMIT)
        why = "is damaged: no kernel has such an image_size; copy it again";
    else if (offset >= BASE_ALIGN)
        why = "is damaged: text_offset is 2 MiB or more; copy it again";
    if (why) {
        log_error("%s: %s", path, why);
        return -ENOEXEC;
    }
    if (req->wish == BOOT_AUTO)
        return 0;
    log_error("%s: an arm64 kernel has no %s entry; leave out --entry", path,
              boot_protocol_name(req->wish));
    return -ENOEXEC;
}

/* Section 2: the initrd lies in a window, aligned to 1 GiB, of 32 GiB, that covers the kernel. */
static void fill_kernel(struct kernel *kernel, const uint8_t *header)
{
    unsigned pages = load_le64(header + FLAGS) >> FLAGS_PAGE_SHIFT & 3;

    kernel->protocol = BOOT_ARM64;
    kernel->format = "Image";
    kernel->entry = kernel->low;
    kernel->initrd_min = align_down(kernel->low, WINDOW_ALIGN);
    kernel->initrd_max = kernel->initrd_min + WINDOW - 1;
    kernel->cmdline_max = CMDLINE_MAX;
    kernel->page_size = pages ? 1024U << 2 * pages : 0;
}

static uint64_t ram_start(const struct gmem *mem)
{
    return mem->count ? mem->region[0].gpa : 0;
}

int image_plan(struct plan *plan, const struct head *head, uint64_t have)
{
    const struct kernel_request *req = plan->req;
    uint64_t offset = load_le64(head->data + TEXT_OFFSET);
    struct segment seg = {.mem_size = load_le64(head->data + IMAGE_SIZE)};
    struct place place = {.req = req, .align = BASE_ALIGN, .limit = ADDRESS_LIMIT};
    int err;

    plan->least = HEADER_BYTES;
    err = image_check_least(plan, head->len);
    if (!err)
        err = check_header(req, head->data);
    if (err)
        return err;
    plan->least = least_bytes(head);
    err = image_check_least(plan, have);
    if (err)
        return err;
    /* As low as possible: kernels before Linux 4.6 cannot use what lies below them. What stands
     * in the file behind image_size is no part of the kernel (a signature). */
    place.size = offset + seg.mem_size;
    if (!place_low(&place, &seg.gpa))
        return report_no_room(req->mem, req->image->path, "the kernel",
                              align_up(ram_start(req->mem), BASE_ALIGN) + place.size);
    seg.gpa += offset;
    if (have != UINT64_MAX)
        seg.file_size = have < seg.mem_size ? have : seg.mem_size;
    err = plan_add(plan, "the kernel", &seg);
    if (!err)
        fill_kernel(&plan->kernel, head->data);
    return err;
}

static int whole_image_plan(struct plan *plan, const struct head *head)
{
    return image_plan(plan, head, plan->req->image->size);
}

const struct kernel_format kernel_image = {image_match, whole_image_plan};
