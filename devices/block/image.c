/*
 * Opening a disk image: a raw file or a host block device, never guessed from its contents. All
 * that can be wrong with it is found here, before the guest runs, and said in one line with the way
 * to mend it. Called by block.c at start-up.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "devices/block/internal.h"
#include "devices/core/log.h"
#include "devices/core/util.h"

#define PAGE       4096u
#define LOCK_TRIES 25

/* What a path is, when it is nothing that holds a disk; else NULL. */
static const char *unfit(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
    case S_IFBLK:
        return NULL;
    case S_IFDIR:
        return "a directory";
    case S_IFIFO:
        return "a FIFO";
    case S_IFSOCK:
        return "a socket";
    case S_IFCHR:
        return "a character device";
    }
    return "no regular file";
}

static int open_failed(const struct block_config *config, int flags, int err)
{
    const char *hint = "";
    struct stat st;

    if (stat(config->path, &st) == 0 && unfit(st.st_mode)) {
        log_error("%s: it is %s; a disk is a raw image file or a block device", config->path,
                  unfit(st.st_mode));
        return -EINVAL;
    }
    if (err == ENOENT)
        hint = " (make one with: truncate -s 1G FILE)";
    else if ((flags & O_DIRECT) && err == EINVAL)
        hint = ": that file system has no direct I/O (use cache=writeback)";
    else if ((err == EACCES || err == EROFS || err == EPERM) && (flags & O_RDWR))
        hint = " (if it need not be written: readonly=on or snapshot=on)";
    else if (err == EBUSY)
        hint = " (it is mounted or part of another device; unmount it, or use readonly=on)";
    log_error("%s: %s%s", config->path, strerrordesc_np(err), hint);
    return -err;
}

static int open_file(const struct block_config *config, struct image *image)
{
    /* O_NONBLOCK: a FIFO must not make us wait for its other end. */
    int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    struct stat st;
    int mode;

    flags |= config->readonly || config->snapshot ? O_RDONLY : O_RDWR;
    flags |= image->direct ? O_DIRECT : 0;
    /* On a block device: refuse what the host has mounted. It means nothing else without O_CREAT.
     */
    if ((flags & O_RDWR) && stat(config->path, &st) == 0 && S_ISBLK(st.st_mode))
        flags |= O_EXCL;
    image->fd = open(config->path, flags);
    if (image->fd < 0)
        return open_failed(config, flags, errno);
    if (fstat(image->fd, &st) < 0 || unfit(st.st_mode))
        return open_failed(config, flags, EINVAL);
    image->device = S_ISBLK(st.st_mode);
    /* io_uring takes it for a wish to get EAGAIN. */
    mode = fcntl(image->fd, F_GETFL);
    if (mode < 0 || fcntl(image->fd, F_SETFL, mode & ~O_NONBLOCK) < 0)
        return open_failed(config, flags, errno);
    return 0;
}

/* True when the lock is ours. A holder that cannot be found may be a process that has ended, whose
 * requests the kernel is still clearing away: worth a short wait. */
static bool try_lock(int fd, short type, char *holder, size_t cap)
{
    const struct timespec nap = {.tv_nsec = 20 * 1000000L};
    struct flock fl = {.l_type = type, .l_whence = SEEK_SET};

    for (unsigned i = 0; i < LOCK_TRIES; i++) {
        if (fcntl(fd, F_OFD_SETLK, &fl) == 0)
            return true;
        if ((errno != EAGAIN && errno != EACCES) || image_holder(fd, holder, cap))
            return false;
        nanosleep(&nap, NULL);
        errno = EAGAIN;
    }
    return false;
}

/*
 * A writer excludes everybody, readers only writers. The lock belongs to the open file, so closing
 * some other descriptor of the same file does not lose it, and the kernel drops it when we die.
 */
static int lock(const struct block_config *config, struct image *image)
{
    bool shared = config->readonly || config->snapshot;
    char holder[96] = "";

    if (try_lock(image->fd, shared ? F_RDLCK : F_WRLCK, holder, sizeof(holder)))
        return 0;
    if (!holder[0] && errno != EAGAIN && errno != EACCES) {
        log_warn("%s: cannot be locked (%m): see to it yourself that nothing else writes it",
                 config->path);
        return 0;
    }
    log_error("%s: in use by %s (end that first, or use %s)", config->path,
              holder[0] ? holder : "another process", shared ? "a copy" : "a copy or snapshot=on");
    return -EBUSY;
}

/* A number from the queue's directory in sysfs; 0 when it is not there. A partition's is above. */
static uint64_t queue_limit(dev_t dev, const char *name)
{
    static const char *const form[] = {"/sys/dev/block/%u:%u/queue/%s",
                                       "/sys/dev/block/%u:%u/../queue/%s"};
    unsigned long long value = 0;
    char path[128];

    for (unsigned i = 0; i < 2; i++) {
        FILE *f;

        snprintf(path, sizeof(path), form[i], major(dev), minor(dev), name);
        f = fopen(path, "re");
        if (!f)
            continue;
        if (fscanf(f, "%llu", &value) != 1)
            value = 0;
        fclose(f);
        break;
    }
    return value;
}

static int measure_device(struct image *image, const struct stat *st)
{
    struct block_info *info = &image->info;
    unsigned physical = 0, optimal = 0;
    int logical = 0;

    if (ioctl(image->fd, BLKGETSIZE64, &info->size) < 0 ||
        ioctl(image->fd, BLKSSZGET, &logical) < 0)
        return -errno;
    info->logical = (uint32_t)logical;
    info->physical = ioctl(image->fd, BLKPBSZGET, &physical) == 0 ? physical : info->logical;
    info->optimal = ioctl(image->fd, BLKIOOPT, &optimal) == 0 ? optimal : 0;
    info->discard = queue_limit(st->st_rdev, "discard_max_bytes") > 0;
    info->write_zeroes = queue_limit(st->st_rdev, "write_zeroes_max_bytes") > 0;
    info->discard_alignment = (uint32_t)queue_limit(st->st_rdev, "discard_granularity");
    return 0;
}

static void measure_file(struct image *image, const struct stat *st)
{
    struct block_info *info = &image->info;

    info->size = (uint64_t)st->st_size;
    info->logical = info->physical = BLOCK_SECTOR;
    info->discard_alignment = (uint32_t)st->st_blksize;
    /* A hole behind the end changes nothing, and the answer is the same as for one inside. */
    info->discard =
        !info->readonly && fallocate(image->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                     (off_t)align_up(info->size, PAGE), PAGE) == 0;
    info->write_zeroes = info->discard;
}

/* What O_DIRECT wants here, by trying. */
static int find_alignment(struct image *image)
{
    void *buf = NULL;
    int err = -EINVAL;

    if (posix_memalign(&buf, PAGE, 2 * PAGE) != 0)
        return -ENOMEM;
    for (image->align = BLOCK_SECTOR; image->align <= PAGE && err == -EINVAL; image->align *= 2)
        err = pread(image->fd, (uint8_t *)buf + image->align, image->align, 0) < 0 ? -errno : 0;
    image->align /= 2;
    free(buf);
    return err;
}

static int measure(const struct block_config *config, struct image *image)
{
    struct block_info *info = &image->info;
    struct stat st;
    int err = 0;

    info->readonly = config->readonly;
    if (fstat(image->fd, &st) < 0)
        err = -errno;
    else if (image->device)
        err = measure_device(image, &st);
    else
        measure_file(image, &st);
    if (!err && image->direct && info->size > 0)
        err = find_alignment(image);
    if (err) {
        log_error("%s: cannot be examined: %s", config->path, strerrordesc_np(-err));
        return err;
    }
    if (image->direct && image->align > info->logical)
        info->logical = image->align;
    if (info->physical < info->logical)
        info->physical = info->logical;
    return 0;
}

static int check_size(const struct block_config *config, const struct image *image)
{
    const struct block_info *info = &image->info;

    if (info->size == 0) {
        log_error("%s: it is empty (give it a size with: truncate -s 1G FILE)", config->path);
        return -EINVAL;
    }
    if (info->size % info->logical == 0)
        return 0;
    log_error("%s: its size, %llu bytes, is no multiple of %u (%s)", config->path,
              (unsigned long long)info->size, info->logical,
              info->size % BLOCK_SECTOR == 0 ? "direct I/O needs that here: use cache=writeback"
                                             : "round it up with: truncate -s %512 FILE");
    return -EINVAL;
}

int block_image_open(const struct block_config *config, struct image *image)
{
    int err;

    *image = (struct image){.fd = -1};
    image->direct = config->cache == BLOCK_NONE && !config->snapshot;
    err = open_file(config, image);
    if (!err)
        err = lock(config, image);
    if (!err)
        err = measure(config, image);
    if (!err)
        err = check_size(config, image);
    if (err)
        block_image_close(image);
    return err;
}

void block_image_close(struct image *image)
{
    const struct flock fl = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

    if (image->fd >= 0) {
        /* By hand: io_uring lets go of the file some time after us. */
        (void)fcntl(image->fd, F_OFD_SETLK, &fl);
        close(image->fd);
    }
    image->fd = -1;
}

bool image_shrunk(const struct image *image)
{
    struct stat st;

    return !image->device && fstat(image->fd, &st) == 0 && (uint64_t)st.st_size < image->info.size;
}
