/*
 * Initrds and Multiboot modules: whole files, read straight into guest memory. Called by the
 * architecture's boot code after kernel_load, main thread.
 */
#include <errno.h>
#include <inttypes.h>

#include "devices/core/gmem.h"
#include "devices/core/log.h"
#include "devices/core/util.h"
#include "hv/loader/plan.h"

#define PAGE UINT64_C(4096)

/* Between cpio archives the kernel skips zeroes, but each must begin at a multiple of 4. */
#define CPIO_STEP 4

/* Nothing is put below: real-mode tables, and memory that the guest takes for firmware's. */
#define LOWEST MIB

/* Adds `size`, rounded up to `align`, to *sum. */
static int add_rounded(const char *path, uint64_t *sum, uint64_t size, uint64_t align)
{
    if (!range_fits(*sum, size, INT64_MAX)) {
        log_error("%s: the files are too large together", path);
        return -EFBIG;
    }
    *sum = align_up(*sum + size, align);
    return 0;
}

/* Every file is opened before one is read, so that a mistake in the last costs no time. */
static int sum_sizes(const char *const *paths, unsigned count, uint64_t *total)
{
    *total = 0;
    for (unsigned i = 0; i < count; i++) {
        struct image img;
        int err = image_open(&img, paths[i]);

        if (err)
            return err;
        err = add_rounded(paths[i], total, img.size, CPIO_STEP);
        image_close(&img);
        if (err)
            return err;
    }
    return 0;
}

/* More RAM does not help against a limit of the kernel's own: then nothing is said of -m. */
static int no_room(const struct kernel_request *req, const struct kernel *kernel, const char *path,
                   uint64_t size)
{
    uint64_t top = kernel->initrd_max + 1;

    if (!range_fits(kernel->high, size, top) && !range_fits(LOWEST, size, kernel->low)) {
        log_error("%s: the initrd of %" PRIu64 " MiB does not fit below %" PRIu64
                  " MiB, where this kernel wants it; make it smaller",
                  path, align_up(size, MIB) / MIB, top / MIB);
        return -ENOMEM;
    }
    return report_no_room(req->mem, path, "the initrd",
                          align_up(kernel->high, PAGE) + align_up(size, PAGE));
}

/* Reads one file to `gpa`, at most up to `end`; its last word is padded with zeroes. */
static int load_one(const struct kernel_request *req, const char *path, uint64_t *gpa, uint64_t end)
{
    static const uint8_t zeroes[CPIO_STEP];
    struct image img;
    uint64_t pad;
    int err = image_open(&img, path);

    if (err)
        return err;
    if (!range_fits(*gpa, img.size, end)) {
        log_error("%s: became longer while it was read; try again", path);
        err = -EAGAIN;
    } else {
        err = image_load(&img, req->mem, *gpa, 0, img.size);
    }
    image_close(&img);
    if (err)
        return err;
    *gpa += img.size;
    pad = align_up(*gpa, CPIO_STEP) - *gpa;
    err = gmem_write(req->mem, *gpa, zeroes, pad);
    *gpa += pad;
    return err;
}

int initrd_load(const struct kernel_request *req, const struct kernel *kernel,
                const char *const *paths, unsigned count, struct initrd *out)
{
    struct place place = {.req = req,
                          .avoid = kernel->low,
                          .avoid_end = kernel->high,
                          .align = PAGE,
                          .min = kernel->initrd_min > LOWEST ? kernel->initrd_min : LOWEST,
                          .limit = kernel->initrd_max + 1};
    uint64_t at;
    int err;

    *out = (struct initrd){0};
    err = sum_sizes(paths, count, &place.size);
    if (err || count == 0)
        return err;
    if (!place_high(&place, &out->gpa))
        return no_room(req, kernel, paths[0], place.size);
    at = out->gpa;
    for (unsigned i = 0; i < count && !err; i++)
        err = load_one(req, paths[i], &at, out->gpa + place.size);
    out->size = err ? 0 : at - out->gpa;
    return err;
}

/* One module to the lowest page at or above *next; *next becomes its end. */
static int load_module(const struct kernel_request *req, const char *path, uint64_t *next,
                       struct boot_module *out)
{
    struct place place = {.req = req, .align = PAGE, .min = *next, .limit = 4 * GIB};
    struct image img;
    int err = image_open(&img, path);

    if (err)
        return err;
    place.size = img.size;
    *out = (struct boot_module){.size = img.size, .cmdline = path};
    if (!place_low(&place, &out->gpa))
        err = report_no_room(req->mem, path, "the module", align_up(*next, PAGE) + img.size);
    else
        err = image_load(&img, req->mem, out->gpa, 0, img.size);
    image_close(&img);
    *next = out->gpa + out->size;
    return err;
}

int modules_load(const struct kernel_request *req, const struct kernel *kernel,
                 const char *const *paths, unsigned count, struct boot_module *out)
{
    uint64_t next = kernel->high > LOWEST ? kernel->high : LOWEST;
    int err = 0;

    for (unsigned i = 0; i < count && !err; i++)
        err = load_module(req, paths[i], &next, &out[i]);
    return err;
}
