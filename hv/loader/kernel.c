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
        [BOOT_PVH] = "pvh",   [BOOT_MULTIBOOT] = "multiboot", [BOOT_ARM64] = "arm64",
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

int kernel_load(const struct kernel_request *req, struct kernel *out)
{
    const struct kernel_format *const *format = req->formats->format;
    struct plan plan = {.req = req};
    struct head head;
    int err = read_head(req->image, &head);

    if (err)
        return err;
    while (*format && !(*format)->match(&head))
        format++;
    err = *format ? (*format)->plan(&plan, &head) : report_unknown(req, &head);
    if (!err)
        err = plan_load(&plan);
    if (!err)
        *out = plan.kernel;
    return err;
}
