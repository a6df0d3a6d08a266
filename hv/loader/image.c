/*
 * Files that are loaded: opening them without being caught by what is no file, and reading them.
 * Called by the loaders and by `hv run`, main thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/core/gmem.h"
#include "devices/core/log.h"
#include "devices/core/util.h"
#include "hv/loader/plan.h"

/* How to mend what strerror only names. Distributions make /boot/vmlinuz readable by root only. */
static const char *open_hint(int err)
{
    switch (err) {
    case ENOENT:
    case ENOTDIR:
        return " (check the path)";
    case EACCES:
    case EPERM:
        return " (try: sudo chmod a+r on it, or boot a copy of your own)";
    case EMFILE:
        return " (raise the limit: ulimit -n)";
    default:
        return "";
    }
}

static const char *kind_of(mode_t mode)
{
    if (S_ISDIR(mode))
        return "a directory";
    if (S_ISFIFO(mode))
        return "a FIFO";
    if (S_ISSOCK(mode))
        return "a socket";
    return "a device";
}

/* Reading a device or FIFO may block for ever, and has no size to check a header against. */
static int check_kind(const char *path, const struct stat *st)
{
    if (!S_ISREG(st->st_mode)) {
        log_error("%s: is %s; give a regular file", path, kind_of(st->st_mode));
        return S_ISDIR(st->st_mode) ? -EISDIR : -EINVAL;
    }
    if (st->st_size <= 0) {
        log_error("%s: is empty; was the copy or download cut short?", path);
        return -ENODATA;
    }
    return 0;
}

static int open_failed(const char *path, int err)
{
    log_error("%s: cannot open: %s%s", path, strerror(err), open_hint(err));
    return -err;
}

int image_open(struct image *img, const char *path)
{
    struct stat st;
    int err;

    *img = (struct image){.path = path, .fd = -1};
    /* Before open: merely opening a device can rewind a tape or start a watchdog. */
    if (stat(path, &st) == 0) {
        err = check_kind(path, &st);
        if (err)
            return err;
    }
    img->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (img->fd < 0)
        return open_failed(path, errno);
    /* Again, for the path may lead elsewhere by now; this is the file that counts. */
    if (fstat(img->fd, &st) < 0)
        err = open_failed(path, errno);
    else
        err = check_kind(path, &st);
    if (err) {
        image_close(img);
        return err;
    }
    img->size = (uint64_t)st.st_size;
    return 0;
}

void image_close(struct image *img)
{
    if (img->fd >= 0)
        close(img->fd);
    img->fd = -1;
}

int image_read(const struct image *img, uint64_t offset, void *buf, size_t len)
{
    uint8_t *p = buf;

    /* The size at opening bounds every read, also of a file that has grown since. */
    if (!range_fits(offset, len, img->size))
        return -ENODATA;
    while (len > 0) {
        ssize_t n = pread(img->fd, p, len, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int err = errno;

            log_error("%s: cannot read at byte %" PRIu64 ": %s", img->path, offset, strerror(err));
            return -err;
        }
        if (n == 0)
            return -ENODATA;
        p += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

int image_load(const struct image *img, const struct gmem *mem, uint64_t gpa, uint64_t offset,
               uint64_t len)
{
    /* -EFAULT from here is the host without a page to give, since the range was checked. */
    int err = gmem_load_fd(mem, gpa, img->fd, offset, len);

    if (err == -ENODATA)
        log_error("%s: became shorter while it was read; try again", img->path);
    else if (err)
        log_error("%s: cannot read %" PRIu64 " bytes at byte %" PRIu64 " to guest memory: %s",
                  img->path, len, offset, strerror(-err));
    return err;
}
