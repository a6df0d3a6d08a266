/*
 * Where arm64 Linux finds its device tree: the rules of Documentation/arch/arm64/booting.rst,
 * section 2. Called by the architecture's boot code after the initrd is loaded, main thread.
 */
#include <errno.h>
#include <inttypes.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "hv/loader/plan.h"

#define BLOCK (2 * MIB)   /* the kernel maps the tree by blocks of this size */
#define REACH (512 * MIB) /* of kernels before Linux 4.2, from where their memory starts */
#define LEAST 8           /* alignment */

/* A power of two that is not smaller than the tree keeps it inside of one block. */
static uint64_t alignment(uint64_t size)
{
    uint64_t align = LEAST;

    while (align < size)
        align *= 2;
    return align;
}

int dtb_place(const struct kernel_request *req, const struct kernel *kernel,
              const struct initrd *initrd, uint64_t size, uint64_t *gpa)
{
    struct place place = {.req = req,
                          .avoid = initrd->gpa,
                          .avoid_end = initrd->gpa + initrd->size,
                          .size = size,
                          .align = alignment(size < DTB_MAX_BYTES ? size : DTB_MAX_BYTES),
                          .min = kernel->high,
                          .limit = align_down(kernel->low, BLOCK) + REACH};

    if (size > DTB_MAX_BYTES) {
        log_error("the device tree has %" PRIu64 " bytes, Linux takes %" PRIu64, size,
                  DTB_MAX_BYTES);
        return -ENOMEM;
    }
    if (place_low(&place, gpa))
        return 0;
    return report_no_room(req->mem, req->image->path, "the device tree of this kernel",
                          kernel->high + initrd->size + BLOCK);
}
