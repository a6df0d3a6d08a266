/*
 * A compressed arm64 Image: Image.gz, which some distributions install as vmlinuz, and an EFI
 * "zboot" kernel, which is a program that carries one (Linux'
 * drivers/firmware/efi/libstub/zboot-header.S). Unpacked by zlib straight into guest memory, never
 * more than the kernel says it needs. Called by kernel_load, main thread.
 */
#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "devices/core/gmem.h"
#include "devices/core/log.h"
#include "devices/core/util.h"
#include "hv/loader/plan.h"

#define ZBOOT_OFFSET      8
#define ZBOOT_SIZE        12
#define ZBOOT_COMPRESSION 24
#define ZBOOT_BYTES       32

#define GZIP_WINDOW       (MAX_WBITS + 16) /* zlib.h: expect gzip's header and check its CRC */
#define CHUNK             (16 * KIB)

struct unpacker {
    const struct image *img;
    uint64_t next, end; /* what is left of the file */
    z_stream z;
    bool ended;
    uint8_t in[CHUNK];
};

static bool is_gzip(const struct head *head)
{
    return head->len >= 3 && memcmp(head->data, "\x1f\x8b\x08", 3) == 0;
}

static bool is_zboot(const struct head *head)
{
    return head->len >= ZBOOT_BYTES && memcmp(head->data, "MZ", 2) == 0 &&
           memcmp(head->data + 4, "zimg", 4) == 0 &&
           memcmp(head->data + ZBOOT_COMPRESSION, "gzip", 5) == 0;
}

static bool gzip_match(const struct head *head)
{
    return is_gzip(head) || is_zboot(head);
}

/* Where in the file the compressed bytes are. */
static int find_packed(struct plan *plan, const struct head *head)
{
    const struct image *img = plan->req->image;
    uint64_t size = img->size, offset = 0;

    if (!is_gzip(head)) {
        offset = load_le32(head->data + ZBOOT_OFFSET);
        size = load_le32(head->data + ZBOOT_SIZE);
    }
    if (!range_fits(offset, size, img->size)) {
        log_error("%s: truncated: its compressed kernel ends behind the file; copy it again",
                  img->path);
        return -ENOEXEC;
    }
    plan->packed = offset;
    plan->packed_size = size;
    return 0;
}

static int refill(struct unpacker *u)
{
    uint64_t len = u->end - u->next < CHUNK ? u->end - u->next : CHUNK;
    int err = len ? image_read(u->img, u->next, u->in, len) : -ENODATA;

    if (err == -ENODATA) {
        log_error("%s: truncated: the compressed kernel has no end; copy it again", u->img->path);
        return -ENOEXEC;
    }
    if (err)
        return err;
    u->next += len;
    u->z.next_in = u->in;
    u->z.avail_in = (uInt)len;
    return 0;
}

/* One step of zlib's. Hostile input may make it fail, nothing else. */
static int step(struct unpacker *u)
{
    int ret = inflate(&u->z, Z_NO_FLUSH);

    if (ret == Z_STREAM_END)
        u->ended = true;
    if (ret == Z_OK || ret == Z_STREAM_END)
        return 0;
    if (ret == Z_MEM_ERROR) {
        log_error("%s: cannot unpack: %s", u->img->path, strerror(ENOMEM));
        return -ENOMEM;
    }
    log_error("%s: damaged: the compressed kernel does not unpack (%s); copy it again",
              u->img->path, u->z.msg ? u->z.msg : "bad data");
    return -ENOEXEC;
}

/* Unpacks until `cap` bytes are there or there are no more; *len: how many. */
static int unpack(struct unpacker *u, uint8_t *out, uint64_t cap, uint64_t *len)
{
    int err = 0;

    *len = 0;
    while (!err && !u->ended && *len < cap) {
        uInt room = (uInt)(cap - *len < GIB ? cap - *len : GIB);

        u->z.next_out = out + *len;
        u->z.avail_out = room;
        if (u->z.avail_in == 0)
            err = refill(u);
        if (!err)
            err = step(u);
        *len += room - u->z.avail_out;
    }
    return err;
}

static int unpack_start(struct unpacker *u, const struct plan *plan)
{
    *u = (struct unpacker){
        .img = plan->req->image, .next = plan->packed, .end = plan->packed + plan->packed_size};
    if (inflateInit2(&u->z, GZIP_WINDOW) == Z_OK)
        return 0;
    log_error("%s: cannot unpack: %s", u->img->path, strerror(ENOMEM));
    return -ENOMEM;
}

/*
 * The end of the data is looked for even behind the kernel's own: the check sum is there. What is
 * unpacked on the way is dropped, and no more of it than the guest has RAM.
 */
static int find_end(struct unpacker *u, const struct gmem *mem)
{
    uint8_t scratch[CHUNK];
    uint64_t len, dropped = 0;
    int err = 0;

    while (!err && !u->ended) {
        err = unpack(u, scratch, sizeof(scratch), &len);
        dropped += len;
        if (!err && dropped > gmem_total(mem)) {
            log_error("%s: damaged: it unpacks to more than the guest's memory", u->img->path);
            err = -ENOEXEC;
        }
    }
    return err;
}

static int gzip_load(const struct plan *plan)
{
    const struct segment *seg = &plan->segment[0];
    uint8_t *out = gmem_ptr(plan->req->mem, seg->gpa, seg->mem_size);
    struct unpacker u;
    uint64_t len;
    int err;

    if (!out) {
        log_error("%s: the kernel lies in two pieces of guest memory", plan->req->image->path);
        return -ENOMEM;
    }
    err = unpack_start(&u, plan);
    if (err)
        return err;
    err = unpack(&u, out, seg->mem_size, &len);
    if (!err)
        err = find_end(&u, plan->req->mem);
    if (!err)
        err = image_check_least(plan, len);
    inflateEnd(&u.z);
    return err;
}

/* Only the first bytes are unpacked before everything is checked. */
static int gzip_plan(struct plan *plan, const struct head *head)
{
    struct head inner = {.len = 0};
    struct unpacker u;
    uint64_t len = 0;
    int err = find_packed(plan, head);

    if (!err)
        err = unpack_start(&u, plan);
    if (err)
        return err;
    err = unpack(&u, inner.data, sizeof(inner.data), &len);
    inflateEnd(&u.z);
    if (err)
        return err;
    inner.len = (size_t)len;
    if (!image_match(&inner))
        return report_unknown(plan->req, &inner);
    plan->load = gzip_load;
    err = image_plan(plan, &inner, UINT64_MAX);
    plan->kernel.format = "compressed Image";
    return err;
}

const struct kernel_format kernel_image_gzip = {gzip_match, gzip_plan};
