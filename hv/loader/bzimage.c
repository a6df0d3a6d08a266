/*
 * Linux bzImage: the setup header of Documentation/arch/x86/boot.rst (offsets below are from the
 * start of the file) and the protected-mode part behind it. The real-mode code is never run; hv
 * enters at the 64-bit or the 32-bit entry. Called by kernel_load, main thread.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "hv/loader/plan.h"

#define SETUP_SECTS          0x1f1
#define SYSSIZE              0x1f4
#define BOOT_FLAG            0x1fe
#define JUMP_OFFSET          0x201 /* the header ends this many bytes after 0x202 */
#define HEADER_MAGIC         0x202
#define VERSION              0x206
#define LOADFLAGS            0x211
#define CODE32_START         0x214
#define INITRD_ADDR_MAX      0x22c
#define KERNEL_ALIGNMENT     0x230
#define RELOCATABLE          0x234
#define XLOADFLAGS           0x236
#define CMDLINE_SIZE         0x238
#define PAYLOAD_OFFSET       0x248
#define PAYLOAD_LENGTH       0x24c
#define PREF_ADDRESS         0x258
#define INIT_SIZE            0x260

#define LOADED_HIGH          0x01
#define XLF_KERNEL_64        0x01

#define SECTOR               512
#define DEFAULT_LOAD         MIB
#define DEFAULT_INITRD_MAX   0x37ffffff
#define DEFAULT_CMDLINE_SIZE 255
#define ENTRY64_OFFSET       0x200

/* The fields that matter here, with the defaults that boot.rst gives for old versions. */
struct setup {
    unsigned version;
    size_t header_end;   /* file offset */
    uint64_t offset;     /* of the protected-mode part in the file */
    uint64_t image_size; /* bytes of it */
    uint64_t code32_start;
    uint64_t pref_address, init_size; /* 0: not known */
    uint64_t alignment;               /* of a relocatable kernel */
    uint64_t payload_offset, payload_length;
    uint32_t initrd_max, cmdline_max;
    bool relocatable, entry64;
};

static bool bzimage_match(const struct head *head)
{
    return head->len >= HEADER_MAGIC + 4 && load_le16(head->data + BOOT_FLAG) == 0xaa55 &&
           memcmp(head->data + HEADER_MAGIC, "HdrS", 4) == 0;
}

/* Where the header of each protocol version ends at the earliest. */
static size_t least_end(unsigned version)
{
    static const struct {
        unsigned since;
        size_t end;
    } table[] = {{0x20a, 0x264}, {0x209, 0x258}, {0x208, 0x250}, {0x207, 0x248}, {0x206, 0x23c},
                 {0x205, 0x235}, {0x203, 0x230}, {0x202, 0x22c}, {0x201, 0x226}};

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        if (version >= table[i].since)
            return table[i].end;
    }
    return 0x224;
}

/* Is this a header whose fields can be believed to be there? */
static int check_header(const char *path, const struct head *head, struct setup *s)
{
    s->header_end = HEADER_MAGIC + (size_t)head->data[JUMP_OFFSET];
    if (head->len < s->header_end || head->len < VERSION + 2) {
        log_error("%s: truncated inside the setup header (%zu bytes); copy it again", path,
                  head->len);
        return -ENOEXEC;
    }
    s->version = load_le16(head->data + VERSION);
    if (s->version < 0x200 || s->header_end < least_end(s->version)) {
        log_error("%s: damaged: boot protocol %u.%02u with a setup header of %zu bytes", path,
                  s->version >> 8, s->version & 0xff, s->header_end - SETUP_SECTS);
        return -ENOEXEC;
    }
    if (!(head->data[LOADFLAGS] & LOADED_HIGH)) {
        log_error("%s: is a zImage (loaded below 1 MiB), which hv does not boot; build a bzImage",
                  path);
        return -ENOEXEC;
    }
    return 0;
}

static void parse_relocation(struct setup *s, const uint8_t *h)
{
    s->relocatable = s->version >= 0x205 && h[RELOCATABLE];
    if (s->relocatable)
        s->alignment = load_le32(h + KERNEL_ALIGNMENT);
    if (s->version >= 0x20a) {
        s->pref_address = load_le64(h + PREF_ADDRESS);
        s->init_size = load_le32(h + INIT_SIZE);
    }
}

/* Each field is read once; a field that the protocol version lacks gets the book's default. */
static void parse_fields(struct setup *s, const uint8_t *h, uint64_t file_size)
{
    unsigned sects = h[SETUP_SECTS] ? h[SETUP_SECTS] : 4; /* 0 means 4, by history */

    s->offset = (sects + 1) * SECTOR;
    /* Before 2.04 syssize had 16 bits, too few for a bzImage: the file's end decides. */
    if (s->version >= 0x204)
        s->image_size = UINT64_C(16) * load_le32(h + SYSSIZE);
    else if (file_size > s->offset)
        s->image_size = file_size - s->offset;
    s->code32_start = load_le32(h + CODE32_START);
    s->initrd_max = s->version >= 0x203 ? load_le32(h + INITRD_ADDR_MAX) : DEFAULT_INITRD_MAX;
    s->cmdline_max = s->version >= 0x206 ? load_le32(h + CMDLINE_SIZE) : DEFAULT_CMDLINE_SIZE;
    s->entry64 = s->version >= 0x20c && load_le16(h + XLOADFLAGS) & XLF_KERNEL_64;
    if (s->version >= 0x208) {
        s->payload_offset = load_le32(h + PAYLOAD_OFFSET);
        s->payload_length = load_le32(h + PAYLOAD_LENGTH);
    }
    parse_relocation(s, h);
}

/* What can be known to be wrong from the header and the file's size alone. */
static int check_fields(const struct image *img, const struct setup *s)
{
    const char *why = NULL;

    if (!range_fits(s->offset, s->image_size, img->size)) {
        log_error("%s: truncated: its setup header says %" PRIu64 " bytes, the file has %" PRIu64
                  "; copy it again",
                  img->path, s->offset + s->image_size, img->size);
        return -ENOEXEC;
    }
    if (s->image_size <= ENTRY64_OFFSET)
        why = "it holds no kernel (syssize)";
    else if (!range_fits(s->payload_offset, s->payload_length, s->image_size))
        why = "its payload lies outside of it (payload_offset, payload_length)";
    else if (s->relocatable && (s->alignment == 0 || s->alignment & (s->alignment - 1)))
        why = "kernel_alignment is no power of two";
    else if (s->code32_start - DEFAULT_LOAD >= s->image_size) /* below wraps, so is refused too */
        why = "its 32-bit entry lies outside of it (code32_start)";
    if (!why)
        return 0;
    log_error("%s: damaged bzImage: %s; copy it again", img->path, why);
    return -ENOEXEC;
}

/*
 * A relocatable kernel runs where it is loaded, but never below pref_address: there it would move
 * itself up, out of the memory that was checked. So that is the lowest place tried. The others are
 * loaded at 1 MiB and run at pref_address. In both cases init_size bytes are in use from where the
 * kernel runs, before it looks at any memory map.
 */
static int place_image(const struct plan *plan, const struct setup *s, struct segment *seg)
{
    uint64_t run = s->pref_address > DEFAULT_LOAD ? s->pref_address : DEFAULT_LOAD;
    uint64_t size = s->init_size > s->image_size ? s->init_size : s->image_size;
    struct place place = {
        .req = plan->req, .size = size, .align = s->alignment, .min = run, .limit = 4 * GIB};

    *seg = (struct segment){s->offset, s->image_size, DEFAULT_LOAD, size};
    if (!range_fits(run, size, 4 * GIB)) {
        log_error("%s: damaged bzImage: it would use %" PRIu64 " bytes at 0x%" PRIx64
                  ", above 4 GiB; copy it again",
                  plan->req->image->path, size, run);
        return -ENOEXEC;
    }
    if (!s->relocatable) {
        seg->mem_size = run - DEFAULT_LOAD + size;
        return 0;
    }
    if (place_low(&place, &seg->gpa))
        return 0;
    return report_no_room(plan->req->mem, plan->req->image->path, "the kernel",
                          align_up(run, s->alignment) + size);
}

/* The 64-bit entry saves the kernel its own way from 32 to 64 bit, so it is preferred. */
static int choose_entry(struct plan *plan, const struct setup *s, uint64_t load)
{
    enum boot_protocol wish = plan->req->wish;
    struct kernel *kernel = &plan->kernel;

    if (wish == BOOT_PVH || wish == BOOT_MULTIBOOT || (wish == BOOT_LINUX64 && !s->entry64)) {
        log_error("%s: this bzImage has no %s entry; leave out --entry", plan->req->image->path,
                  boot_protocol_name(wish));
        return -ENOEXEC;
    }
    if (s->entry64 && wish != BOOT_LINUX32) {
        kernel->protocol = BOOT_LINUX64;
        kernel->entry = load + ENTRY64_OFFSET;
    } else {
        kernel->protocol = BOOT_LINUX32;
        kernel->entry = load + (s->code32_start - DEFAULT_LOAD);
    }
    return 0;
}

/* The header as it is in the file: the kernel finds its own constants in it again. */
static void fill_kernel(struct kernel *kernel, const struct setup *s, const struct head *head)
{
    size_t len = s->header_end - SETUP_SECTS;

    kernel->format = "bzImage";
    kernel->initrd_max = s->initrd_max;
    kernel->cmdline_max = s->cmdline_max;
    kernel->setup_header_len = len < SETUP_HEADER_MAX ? len : SETUP_HEADER_MAX;
    memcpy(kernel->setup_header, head->data + SETUP_SECTS, kernel->setup_header_len);
}

static int bzimage_plan(struct plan *plan, const struct head *head)
{
    const struct image *img = plan->req->image;
    struct setup s = {0};
    struct segment seg = {0};
    int err = check_header(img->path, head, &s);

    if (err)
        return err;
    parse_fields(&s, head->data, img->size);
    err = check_fields(img, &s);
    if (!err)
        err = place_image(plan, &s, &seg);
    if (!err)
        err = plan_add(plan, "the kernel", &seg);
    if (!err)
        err = choose_entry(plan, &s, seg.gpa);
    if (err)
        return err;
    fill_kernel(&plan->kernel, &s, head);
    /* "reloc" field: where the code is now (boot.rst, code32_start). */
    store_le32(plan->kernel.setup_header + (CODE32_START - SETUP_SECTS), (uint32_t)seg.gpa);
    return 0;
}

const struct kernel_format kernel_bzimage = {bzimage_match, bzimage_plan};
