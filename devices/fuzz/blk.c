/* The block device under hostile drivers: see machine.h. Its disk is memory, reached by whatever
 * way to the host is there. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/fuzz/machine.h"
#include "devices/virtio/models.h"

#define DISK_BYTES 65536

static int disk = -1;

static int create(struct loop *loop, struct virtio **out)
{
    char text[80];

    disk = memfd_create("disk", MFD_CLOEXEC);
    if (disk < 0 || ftruncate(disk, DISK_BYTES) < 0)
        return -1;
    snprintf(text, sizeof(text), "file=/proc/self/fd/%d,queues=2,serial=fuzz", disk);
    return virtio_blk_create(text, loop, out);
}

static void destroyed(void)
{
    close(disk);
    disk = -1;
}

const struct fuzz_target fuzz_blk = {.name = "blk", .create = create, .destroyed = destroyed};
