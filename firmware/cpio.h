/*
 * Archives for Linux's initramfs, in the "newc" form (Documentation/driver-api/early-userspace/
 * buffer-format.rst). Members are put one after the other behind what the buffer holds; the
 * contents of a file may be left to the caller, who then copies them once. Any thread; no shared
 * state.
 *
 * Everything belongs to root and is of the time 0, so that equal calls make equal archives.
 */
#ifndef FIRMWARE_CPIO_H
#define FIRMWARE_CPIO_H

#include <stddef.h>
#include <stdint.h>

#include "firmware/buf.h"

#define CPIO_ALIGN    4
#define CPIO_NAME_MAX 4095 /* bytes; Linux skips what does not fit in its PATH_MAX with a NUL */
/* Bytes of a member without its contents, at most. */
#define CPIO_HEAD_MAX (110 + CPIO_NAME_MAX + 1 + CPIO_ALIGN)

struct cpio {
    struct buf *out; /* not owned; its length is a multiple of CPIO_ALIGN between members */
    uint32_t inode;  /* of the last member */
    int err;         /* the first error; nothing is put after it */
};

struct cpio cpio_over(struct buf *out);

/*
 * Paths are relative ("dev/console"), without empty, "." and ".." parts. `mode` is permission bits.
 * A directory must stand before what lies in it: Linux makes none by itself.
 */
void cpio_directory(struct cpio *c, const char *path, uint32_t mode);
void cpio_file(struct cpio *c, const char *path, uint32_t mode, const void *data, size_t len);
void cpio_symlink(struct cpio *c, const char *path, const char *target);
void cpio_char_device(struct cpio *c, const char *path, uint32_t mode, uint32_t major,
                      uint32_t minor);

/* All of a file but its `len` bytes of contents: the caller puts them behind what the buffer holds
 * now, and zeroes up to a multiple of CPIO_ALIGN. */
void cpio_file_head(struct cpio *c, const char *path, uint32_t mode, size_t len);

/* The end of the archive. 0; -EINVAL: a path or size was refused; -ENOSPC: the buffer is full. */
int cpio_end(struct cpio *c);

#endif
