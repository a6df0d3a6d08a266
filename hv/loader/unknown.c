/*
 * What a file that is no kernel seems to be instead. It saves the user a guess; nothing depends on
 * it. Called when all formats have declined, main thread.
 */
#include <errno.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "hv/loader/plan.h"

/* Kernels of other machines. In this order: an x86 kernel with an EFI stub starts with "MZ" as
 * well, so these are looked at before anything else. */
static const struct {
    size_t offset;
    const char *magic;
    size_t len;
    const char *is;
} machines[] = {
    {0x38, "ARM\x64", 4, "an arm64 kernel"},
    {0x38, "RSC\x05", 4, "a RISC-V kernel"},
    {0x202, "HdrS", 4, "an x86 kernel (bzImage)"},
};

static const struct {
    size_t offset;
    const char *magic;
    size_t len;
    const char *is; /* and what to do */
} kinds[] = {
    {0, "\177ELF", 4, "is an ELF file, which this hv does not boot; give the kernel's Image"},
    {0, "\x1f\x8b", 2, "is gzip-compressed; unpack it first (gzip -dc FILE > KERNEL)"},
    {0,
     "\xfd"
     "7zXZ",
     5, "is xz-compressed; unpack it first (xz -dc FILE > KERNEL)"},
    {0, "\x28\xb5\x2f\xfd", 4, "is zstd-compressed; unpack it first (zstd -dc FILE > KERNEL)"},
    {0, "BZh", 3, "is bzip2-compressed; unpack it first (bzip2 -dc FILE > KERNEL)"},
    {0, "\x02\x21\x4c\x18", 4, "is lz4-compressed; unpack it first (lz4 -dc FILE > KERNEL)"},
    {0, "\x04\x22\x4d\x18", 4, "is lz4-compressed; unpack it first (lz4 -dc FILE > KERNEL)"},
    {0, "\x89LZO", 4, "is lzop-compressed; unpack it first (lzop -dc FILE > KERNEL)"},
    {0, "\x5d\0\0", 3, "is lzma-compressed; unpack it first (xz -dc --format=lzma FILE > KERNEL)"},
    {0, "0707", 4, "is a cpio archive, an initrd perhaps (-i), not a kernel"},
    {0, "QFI\xfb", 4, "is a qcow2 disk image, not a kernel"},
    {0, "!<arch>", 7, "is a Debian package or an archive; take the kernel out of it (dpkg -x)"},
    {0, "MZ", 2, "is an EFI program without a kernel's header; give the kernel inside"},
};

static bool has_magic(const struct head *head, size_t offset, const char *magic, size_t len)
{
    return range_fits(offset, len, head->len) && memcmp(head->data + offset, magic, len) == 0;
}

int report_unknown(const struct kernel_request *req, const struct head *head)
{
    const char *path = req->image->path;

    for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
        if (has_magic(head, machines[i].offset, machines[i].magic, machines[i].len)) {
            log_error("%s: is %s; this hv runs %s guests", path, machines[i].is,
                      req->formats->guests);
            return -ENOEXEC;
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (has_magic(head, kinds[i].offset, kinds[i].magic, kinds[i].len)) {
            log_error("%s: %s", path, kinds[i].is);
            return -ENOEXEC;
        }
    }
    log_error("%s: is no kernel hv knows; give %s", path, req->formats->wanted);
    return -ENOEXEC;
}
