/*
 * The plan of a load: every segment is checked here, for all formats, before any byte is read into
 * guest memory. Called by the format parsers and kernel_load, main thread.
 */
#include "hv/loader/plan.h"

#include <errno.h>
#include <inttypes.h>

#include "devices/core/gmem.h"
#include "devices/core/log.h"
#include "devices/core/util.h"

/* RAM is in one piece at least up to here (the hole for devices lies between it and 4 GiB). */
#define SURE_RAM_END (3 * GIB)

/* More RAM than asked for is suggested, since hv puts tables of its own at the top. */
#define ROOM_STEP (16 * MIB)

int report_no_room(const struct gmem *mem, const char *path, const char *what, uint64_t end)
{
    uint64_t have = gmem_total(mem), want = 0, base = mem->count ? mem->region[0].gpa : 0;
    uint64_t used = end - base; /* of RAM, which begins at 0 on x86 only */

    /* A suggestion is only made where following it is certain to help. */
    if (end >= base && used <= SURE_RAM_END - ROOM_STEP)
        want = align_up(used + MIB, ROOM_STEP);
    if (want > have)
        log_error("%s: %s needs memory up to %" PRIu64 " MiB, the guest has %" PRIu64
                  " MiB; try -m %" PRIu64,
                  path, what, align_up(used, MIB) / MIB, have / MIB, want / MIB);
    else
        log_error("%s: %s does not fit in guest memory (it would end at 0x%" PRIx64
                  ", the guest has %" PRIu64 " MiB)",
                  path, what, end, have / MIB);
    return -ENOMEM;
}

/* The file's own claims come first: a truncated file must not be reported as a lack of RAM. */
static int check_file(const struct image *img, const char *what, const struct segment *seg)
{
    if (seg->file_size > seg->mem_size) {
        log_error("%s: damaged: %s has %" PRIu64 " bytes in the file but %" PRIu64 " in memory",
                  img->path, what, seg->file_size, seg->mem_size);
        return -ENOEXEC;
    }
    if (!range_fits(seg->offset, seg->file_size, img->size)) {
        log_error("%s: truncated: %s is %" PRIu64 " bytes from byte %" PRIu64
                  ", the file has %" PRIu64 "; copy it again",
                  img->path, what, seg->file_size, seg->offset, img->size);
        return -ENOEXEC;
    }
    return 0;
}

/* The sum is proven not to wrap before anything else is compared with it. */
static int check_memory(const struct kernel_request *req, const char *what,
                        const struct segment *seg)
{
    const char *path = req->image->path;
    const struct reserved_range *r;
    uint64_t end;

    if (__builtin_add_overflow(seg->gpa, seg->mem_size, &end)) {
        log_error("%s: damaged: %s wraps around the end of the address space (0x%" PRIx64
                  " bytes at 0x%" PRIx64 ")",
                  path, what, seg->mem_size, seg->gpa);
        return -ENOEXEC;
    }
    if (!gmem_contains(req->mem, seg->gpa, seg->mem_size))
        return report_no_room(req->mem, path, what, end);
    r = reserved_in(req, seg->gpa, end);
    if (!r)
        return 0;
    log_error("%s: %s at 0x%" PRIx64 "-0x%" PRIx64 " meets %s at 0x%" PRIx64 "-0x%" PRIx64
              "; link it elsewhere (1 MiB and up is free)",
              path, what, seg->gpa, end - 1, r->what, r->gpa, r->gpa + r->size - 1);
    return -ENOMEM;
}

/*
 * Overlap would make the result depend on the order of loading. At most PLAN_MAX_SEGMENTS squared
 * comparisons, so that no file can make this slow.
 */
static int check_overlap(const struct plan *plan, const char *what, const struct segment *seg)
{
    for (unsigned i = 0; i < plan->count; i++) {
        const struct segment *s = &plan->segment[i];

        if (seg->gpa < s->gpa + s->mem_size && s->gpa < seg->gpa + seg->mem_size) {
            log_error("%s: damaged: %s at 0x%" PRIx64 " overlaps another segment at 0x%" PRIx64,
                      plan->req->image->path, what, seg->gpa, s->gpa);
            return -ENOEXEC;
        }
    }
    return 0;
}

int plan_add(struct plan *plan, const char *what, const struct segment *seg)
{
    struct kernel *kernel = &plan->kernel;
    int err = check_file(plan->req->image, what, seg);

    if (!err)
        err = check_memory(plan->req, what, seg);
    if (!err)
        err = check_overlap(plan, what, seg);
    if (err)
        return err;
    if (plan->count == PLAN_MAX_SEGMENTS) {
        log_error("%s: more than %d segments", plan->req->image->path, PLAN_MAX_SEGMENTS);
        return -ENOEXEC;
    }
    /* The footprint is one range: what lies between two segments is left to the kernel too. */
    if (plan->count == 0 || seg->gpa < kernel->low)
        kernel->low = seg->gpa;
    if (seg->gpa + seg->mem_size > kernel->high)
        kernel->high = seg->gpa + seg->mem_size;
    plan->segment[plan->count++] = *seg;
    return 0;
}

bool plan_has_code(const struct plan *plan, uint64_t gpa)
{
    for (unsigned i = 0; i < plan->count; i++) {
        const struct segment *s = &plan->segment[i];

        if (gpa >= s->gpa && gpa - s->gpa < s->file_size)
            return true;
    }
    return false;
}

/* One pread a segment: the page cache is copied once, to where the guest will use it. */
int plan_load(const struct plan *plan)
{
    if (plan->load)
        return plan->load(plan);
    for (unsigned i = 0; i < plan->count; i++) {
        const struct segment *s = &plan->segment[i];
        int err = image_load(plan->req->image, plan->req->mem, s->gpa, s->offset, s->file_size);

        if (err)
            return err;
    }
    return 0;
}
