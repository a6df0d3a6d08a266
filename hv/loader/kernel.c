/*
 * kernel_load: recognises the format, lets its parser make the plan, carries the plan out. Called
 * by the architecture's boot code, main thread.
 */
#include <errno.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "hv/loader/plan.h"

const char *boot_protocol_name(enum boot_protocol protocol)
{
    static const char *const names[] = {
        [BOOT_AUTO] = "auto", [BOOT_LINUX64] = "linux64",     [BOOT_LINUX32] = "linux32",
        [BOOT_PVH] = "pvh",   [BOOT_MULTIBOOT] = "multiboot",
    };

    return (size_t)protocol < ARRAY_SIZE(names) ? names[protocol] : "unknown";
}

/* One read serves the recognition and all parsers. */
static int read_head(const struct image *img, struct head *head)
{
    int err;

    head->len = img->size < sizeof(head->data) ? (size_t)img->size : sizeof(head->data);
    err = image_read(img, 0, head->data, head->len);
    if (err == -ENODATA)
        log_error("%s: became shorter while it was read; try again", img->path);
    return err;
}

/* A file that is neither ELF nor bzImage may still carry a Multiboot header with addresses. */
static int flat_plan(struct plan *plan, const struct head *head)
{
    const char *path = plan->req->image->path;
    struct multiboot_header header;

    if (!multiboot_find(head, &header))
        return report_unknown(path, head);
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

int kernel_load(const struct kernel_request *req, struct kernel *out)
{
    struct plan plan = {.req = req};
    struct head head;
    int err = read_head(req->image, &head);

    if (err)
        return err;
    /* ELF first: its magic is at the very start, where a bzImage has a jump or "MZ". */
    if (elf_match(&head))
        err = elf_plan(&plan, &head);
    else if (bzimage_match(&head))
        err = bzimage_plan(&plan, &head);
    else
        err = flat_plan(&plan, &head);
    if (!err)
        err = plan_load(&plan);
    if (!err)
        *out = plan.kernel;
    return err;
}
