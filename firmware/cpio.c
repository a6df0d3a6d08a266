/* "newc" archives: see cpio.h. */
#include "firmware/cpio.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* File types as they stand in the mode field (buffer-format.rst, "c_mode"); as in stat(2). */
#define TYPE_CHAR_DEVICE 0020000u
#define TYPE_DIRECTORY   0040000u
#define TYPE_FILE        0100000u
#define TYPE_SYMLINK     0120000u
#define PERMISSIONS      07777u

struct member {
    uint32_t mode, links, size, major, minor;
};

struct cpio cpio_over(struct buf *out)
{
    return (struct cpio){.out = out};
}

/* What Linux would create is what the path says, and below the root. */
static bool path_ok(const char *path)
{
    size_t len = strlen(path);

    if (len == 0 || len > CPIO_NAME_MAX)
        return false;
    while (true) {
        size_t part = strcspn(path, "/");

        if (part == 0 || (part == 1 && path[0] == '.') ||
            (part == 2 && path[0] == '.' && path[1] == '.'))
            return false;
        path += part;
        if (!*path)
            return true;
        path++;
    }
}

static void put_head(struct cpio *c, const char *path, const struct member *m)
{
    /* ino, mode, uid, gid, nlink, mtime, filesize, maj, min, rmaj, rmin, namesize, chksum */
    const uint32_t fields[] = {++c->inode, m->mode,  0,        0,
                               m->links,   0,        m->size,  0,
                               0,          m->major, m->minor, (uint32_t)strlen(path) + 1,
                               0};
    char text[9];

    buf_bytes(c->out, "070701", 6);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        snprintf(text, sizeof(text), "%08" PRIX32, fields[i]);
        buf_bytes(c->out, text, 8);
    }
    buf_str(c->out, path);
    buf_align(c->out, CPIO_ALIGN);
}

static void put(struct cpio *c, const char *path, const struct member *m)
{
    if (!c->err && !path_ok(path))
        c->err = -EINVAL;
    if (!c->err)
        put_head(c, path, m);
}

void cpio_directory(struct cpio *c, const char *path, uint32_t mode)
{
    put(c, path, &(struct member){.mode = TYPE_DIRECTORY | (mode & PERMISSIONS), .links = 2});
}

void cpio_file_head(struct cpio *c, const char *path, uint32_t mode, size_t len)
{
    struct member m = {.mode = TYPE_FILE | (mode & PERMISSIONS), .links = 1};

    if (!c->err && len > UINT32_MAX)
        c->err = -EINVAL;
    m.size = (uint32_t)len;
    put(c, path, &m);
}

void cpio_file(struct cpio *c, const char *path, uint32_t mode, const void *data, size_t len)
{
    cpio_file_head(c, path, mode, len);
    if (c->err)
        return;
    buf_bytes(c->out, data, len);
    buf_align(c->out, CPIO_ALIGN);
}

void cpio_symlink(struct cpio *c, const char *path, const char *target)
{
    size_t len = strlen(target);

    /* Linux reads it into a buffer of PATH_MAX and skips a longer one. */
    if (!c->err && (len == 0 || len > CPIO_NAME_MAX))
        c->err = -EINVAL;
    put(c, path, &(struct member){.mode = TYPE_SYMLINK | 0777, .links = 1, .size = (uint32_t)len});
    if (c->err)
        return;
    buf_bytes(c->out, target, len);
    buf_align(c->out, CPIO_ALIGN);
}

void cpio_char_device(struct cpio *c, const char *path, uint32_t mode, uint32_t major,
                      uint32_t minor)
{
    put(c, path,
        &(struct member){.mode = TYPE_CHAR_DEVICE | (mode & PERMISSIONS),
                         .links = 1,
                         .major = major,
                         .minor = minor});
}

int cpio_end(struct cpio *c)
{
    if (!c->err) {
        put_head(c, "TRAILER!!!", &(struct member){.links = 1});
        c->err = buf_status(c->out);
    }
    return c->err;
}
