/*
 * The initramfs: see initramfs.h. Members' heads are built in a small buffer; contents go from
 * where they are into the memfd, modules without passing through hv at all.
 */
#include "hv/command/initramfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "firmware/cpio.h"
#include "firmware/init/wire.h"

#define MODULE_MAX (64 * MIB)

/* Members' names are the paths without their first slash. */
struct writer {
    int fd;
    struct buf buf;
    struct cpio cpio;
    uint8_t head[2 * CPIO_HEAD_MAX];
};

static int write_all(int fd, const void *data, size_t len)
{
    const char *at = data;

    while (len) {
        ssize_t n = write(fd, at, len);

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

static int flush(struct writer *w)
{
    int err = w->cpio.err ? w->cpio.err : buf_status(&w->buf);

    if (!err)
        err = write_all(w->fd, w->buf.data, w->buf.len);
    w->buf.len = 0;
    return err;
}

static int put_padding(struct writer *w, size_t len)
{
    static const char zero[CPIO_ALIGN];

    return write_all(w->fd, zero, (CPIO_ALIGN - len % CPIO_ALIGN) % CPIO_ALIGN);
}

static int put_file(struct writer *w, const char *path, uint32_t mode, const void *data, size_t len)
{
    int err;

    cpio_file_head(&w->cpio, path, mode, len);
    err = flush(w);
    if (!err)
        err = write_all(w->fd, data, len);
    return err ? err : put_padding(w, len);
}

/* Exactly `len` bytes, which are what the head says: a file that shrinks meanwhile is refused. */
static int copy(int to, int from, size_t len)
{
    while (len) {
        ssize_t n = sendfile(to, from, NULL, len);

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return -ENODATA;
        if (n > 0)
            len -= (size_t)n;
    }
    return 0;
}

static int put_open_module(struct writer *w, const char *path, int fd)
{
    char name[NAME_MAX + sizeof(INITRAMFS_MODULES)];
    struct stat st;
    int err;

    if (fstat(fd, &st))
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    if (st.st_size > (off_t)MODULE_MAX)
        return -EFBIG;
    snprintf(name, sizeof(name), "%s%s", &INITRAMFS_MODULES[1], initramfs_module_name(path));
    cpio_file_head(&w->cpio, name, 0644, (size_t)st.st_size);
    err = flush(w);
    if (!err)
        err = copy(w->fd, fd, (size_t)st.st_size);
    return err ? err : put_padding(w, (size_t)st.st_size);
}

static int put_module(struct writer *w, const char *dir, const char *name)
{
    char *path;
    int fd, err;

    if (asprintf(&path, "%s/%s", dir, name) < 0)
        return -ENOMEM;
    fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    err = fd < 0 ? -errno : put_open_module(w, name, fd);
    if (fd >= 0)
        close(fd);
    if (err)
        log_error("%s: cannot take this module for the guest: %s", path, strerror(-err));
    free(path);
    return err;
}

/* /dev/console is what the kernel opens for the first program before that has mounted anything. */
static int put_fixed(struct writer *w, const struct initramfs *what)
{
    int err;

    cpio_directory(&w->cpio, "dev", 0755);
    cpio_char_device(&w->cpio, "dev/console", 0600, 5, 1);
    cpio_directory(&w->cpio, "proc", 0755);
    cpio_directory(&w->cpio, "sys", 0755);
    cpio_directory(&w->cpio, "hv", 0755);
    cpio_directory(&w->cpio, "hv/modules", 0755);
    err = put_file(w, "init", 0755, what->init, what->init_size);
    return err ? err : put_file(w, &WIRE_CONFIG[1], 0644, what->config, what->config_size);
}

static int put_all(struct writer *w, const struct initramfs *what)
{
    int err = put_fixed(w, what);

    if (err)
        log_error("cannot make the guest's initramfs: %s", strerror(-err));
    for (unsigned i = 0; !err && i < what->module_count; i++)
        err = put_module(w, what->modules_dir, what->module[i]);
    if (err)
        return err;
    cpio_end(&w->cpio);
    err = flush(w);
    if (err)
        log_error("cannot make the guest's initramfs: %s", strerror(-err));
    return err;
}

int initramfs_make(const struct initramfs *what)
{
    struct writer *w = malloc(sizeof(*w));
    int fd = memfd_create("hv-initramfs", MFD_CLOEXEC);
    int err = fd < 0 ? -errno : -ENOMEM;

    if (fd < 0 || !w) {
        log_error("cannot make the guest's initramfs: %s", strerror(-err));
    } else {
        w->fd = fd;
        w->buf = buf_over(w->head, sizeof(w->head));
        w->cpio = cpio_over(&w->buf);
        err = put_all(w, what);
    }
    free(w);
    if (!err)
        return fd;
    if (fd >= 0)
        close(fd);
    return err;
}

const char *initramfs_module_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}
