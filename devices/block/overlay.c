/*
 * snapshot=on: writes go to a temporary file without a name, in clusters; a bitmap tells which
 * clusters are there, all others are read from the base, which is never written. Where the file
 * system can share extents, the temporary file is a reflink of the base and needs no bitmap.
 *
 * Any pool thread. A write to clusters that are all there already needs no lock; one that adds some
 * holds `lock` from its look at the bitmap to its change, so that two writes to different sectors
 * of one new cluster do not undo each other.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/block/internal.h"
#include "devices/core/log.h"
#include "devices/core/util.h"

#define CLUSTER UINT64_C(4096) /* what file systems write at once: then nothing is copied */
#define BITS    64

struct overlay {
    int fd; /* owned */
    uint64_t size;
    uint64_t *map; /* a bit a cluster; zero pages until touched */
    size_t map_bytes;
    pthread_mutex_t lock; /* protects the change of bits in map; reads of it are atomic */
};

/* Pairs with the release in set_present: who sees the bit sees the data in the file. */
static bool present(const struct overlay *o, uint64_t cluster)
{
    uint64_t word = __atomic_load_n(&o->map[cluster / BITS], __ATOMIC_ACQUIRE);

    return (word >> (cluster % BITS) & 1) != 0;
}

static void set_present(struct overlay *o, uint64_t first, uint64_t end)
{
    for (uint64_t c = first; c < end; c++)
        __atomic_fetch_or(&o->map[c / BITS], UINT64_C(1) << (c % BITS), __ATOMIC_RELEASE);
}

/* Bytes from `offset` on, at most `len`, whose clusters are all there, or all not there. */
static uint64_t run_length(const struct overlay *o, uint64_t offset, uint64_t len, bool *there)
{
    uint64_t end = align_down(offset, CLUSTER);

    *there = present(o, offset / CLUSTER);
    do
        end += CLUSTER;
    while (end < offset + len && present(o, end / CLUSTER) == *there);
    return end < offset + len ? end - offset : len;
}

static int read_merged(struct overlay *o, int base_fd, struct block_request *req)
{
    struct iovec part[BLOCK_SEGMENTS];
    int err = 0;

    while (!err && req->progress < req->len) {
        uint64_t offset = req->offset + req->progress;
        bool there;
        uint64_t len = run_length(o, offset, req->len - req->progress, &there);
        unsigned count = iov_front(req->iov, req->iov_count, len, part);

        err = iov_transfer(there ? o->fd : base_fd, false, part, count, offset, len);
        iov_advance(&req->iov, &req->iov_count, len);
        req->progress += len;
    }
    return err;
}

/* Brings the cluster of `offset` over from the base, unless it is there. Under lock. */
static int copy_up(struct overlay *o, int base_fd, uint64_t offset)
{
    uint64_t start = align_down(offset, CLUSTER);
    uint64_t len = o->size - start < CLUSTER ? o->size - start : CLUSTER;
    uint8_t buf[CLUSTER];
    struct iovec v = {.iov_base = buf, .iov_len = len};
    int err;

    if (present(o, start / CLUSTER))
        return 0;
    err = iov_transfer(base_fd, false, &v, 1, start, len);
    v = (struct iovec){.iov_base = buf, .iov_len = len};
    if (!err)
        err = iov_transfer(o->fd, true, &v, 1, start, len);
    if (!err)
        set_present(o, start / CLUSTER, start / CLUSTER + 1);
    return err;
}

/* Copies up the first and the last cluster of a range that does not cover them. Under lock. */
static int copy_edges(struct overlay *o, int base_fd, uint64_t offset, uint64_t len)
{
    uint64_t end = offset + len;
    int err = 0;

    if (offset % CLUSTER != 0)
        err = copy_up(o, base_fd, offset);
    if (!err && end % CLUSTER != 0)
        err = copy_up(o, base_fd, end);
    return err;
}

/* Zeroes in the overlay: a hole where it can be one, else written. */
static int put_zeroes(struct overlay *o, uint64_t offset, uint64_t len)
{
    static uint8_t zeroes[64 * KIB];
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    int err = 0;

    if (block_host.fallocate(o->fd, mode, (off_t)offset, (off_t)len) == 0)
        return 0;
    while (!err && len > 0) {
        uint64_t part = len < sizeof(zeroes) ? len : sizeof(zeroes);
        struct iovec v = {.iov_base = zeroes, .iov_len = part};

        err = iov_transfer(o->fd, true, &v, 1, offset, part);
        offset += part;
        len -= part;
    }
    return err;
}

static int put(struct overlay *o, struct block_request *req)
{
    if (req->op == BLOCK_WRITE)
        return iov_transfer(o->fd, true, req->iov, req->iov_count, req->offset, req->len);
    return put_zeroes(o, req->offset, req->len);
}

static int write_over(struct overlay *o, int base_fd, struct block_request *req)
{
    uint64_t first = req->offset / CLUSTER;
    uint64_t end = (req->offset + req->len + CLUSTER - 1) / CLUSTER;
    bool there;
    int err;

    if (run_length(o, req->offset, req->len, &there) == req->len && there)
        return put(o, req);
    pthread_mutex_lock(&o->lock);
    err = copy_edges(o, base_fd, req->offset, req->len);
    if (!err)
        err = put(o, req);
    if (!err)
        set_present(o, first, end);
    pthread_mutex_unlock(&o->lock);
    return err;
}

/* A hint: only whole clusters, which then read as zeroes. */
static int discard(struct overlay *o, int base_fd, struct block_request *req)
{
    uint64_t start = align_up(req->offset, CLUSTER);
    uint64_t end = align_down(req->offset + req->len, CLUSTER);

    if (start >= end)
        return 0;
    req->offset = start;
    req->len = end - start;
    return write_over(o, base_fd, req);
}

int overlay_run(struct overlay *o, int base_fd, struct block_request *req)
{
    switch (req->op) {
    case BLOCK_READ:
        return read_merged(o, base_fd, req);
    case BLOCK_WRITE:
    case BLOCK_ZERO:
        return write_over(o, base_fd, req);
    case BLOCK_DISCARD:
        return discard(o, base_fd, req);
    case BLOCK_FLUSH:
        break; /* nobody reads it after us */
    }
    return 0;
}

/* Without a name from the start, or, where the file system cannot do that, from the next moment. */
static int open_unnamed(const char *dir)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
    char *path;

    if (fd >= 0 || errno != EOPNOTSUPP || asprintf(&path, "%s/hv-snapshot-XXXXXX", dir) < 0)
        return fd;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    free(path);
    return fd;
}

/* A reflink of the base beside it, where the file system can. */
static int open_reflink(const char *path, int base_fd)
{
    char *dir = strdup(path);
    char *slash = dir ? strrchr(dir, '/') : NULL;
    int fd;

    if (!dir)
        return -1;
    if (slash)
        slash[slash == dir] = '\0';
    fd = open_unnamed(slash ? dir : ".");
    free(dir);
    if (fd >= 0 && ioctl(fd, FICLONE, base_fd) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static int open_sparse(const char *path, uint64_t size)
{
    const char *dir = getenv("TMPDIR");
    int fd = dir && dir[0] ? open_unnamed(dir) : -1;
    int err;

    if (fd < 0)
        fd = open_unnamed("/var/tmp");
    if (fd < 0) {
        log_warn("%s: no temporary file in TMPDIR or /var/tmp (%m): what the guest writes is kept "
                 "in memory",
                 path);
        fd = memfd_create("hv-snapshot", MFD_CLOEXEC);
    }
    if (fd >= 0 && ftruncate(fd, (off_t)size) < 0) {
        err = -errno;
        close(fd);
        return err;
    }
    return fd < 0 ? -errno : fd;
}

static int make_overlay(const char *path, uint64_t size, struct overlay *o)
{
    uint64_t words = (size / CLUSTER + BITS) / BITS;

    o->size = size;
    o->map_bytes = words * sizeof(*o->map);
    /* Untouched pages of it cost nothing, so a large sparse image costs no more than its use. */
    o->map = mmap(NULL, o->map_bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (o->map == MAP_FAILED) {
        o->map = NULL;
        return -errno;
    }
    o->fd = open_sparse(path, size);
    return o->fd < 0 ? o->fd : 0;
}

int overlay_create(const char *path, struct image *image, struct overlay **out)
{
    int clone = image->device ? -1 : open_reflink(path, image->fd);
    struct overlay *o;
    int err = -ENOMEM;

    image->info.discard = image->info.write_zeroes = true;
    image->info.discard_alignment = CLUSTER;
    if (clone >= 0) {
        close(image->fd); /* and with it the lock: the clone no longer needs the base */
        image->fd = clone;
        return 1;
    }
    o = calloc(1, sizeof(*o));
    if (o) {
        o->fd = -1;
        pthread_mutex_init(&o->lock, NULL);
        err = make_overlay(path, image->info.size, o);
    }
    if (err) {
        log_error("%s: snapshot=on: no place for what the guest writes: %s (set TMPDIR)", path,
                  strerrordesc_np(-err));
        overlay_destroy(o);
        return err;
    }
    *out = o;
    return 0;
}

void overlay_destroy(struct overlay *o)
{
    if (!o)
        return;
    if (o->fd >= 0)
        close(o->fd);
    if (o->map)
        munmap(o->map, o->map_bytes);
    pthread_mutex_destroy(&o->lock);
    free(o);
}
