/* A virtio disk's driver; see virtio_blk.h. docs/virtio-from-the-guest.md follows a read through
 * it. */
#include "guest-tests/lib/virtio_blk.h"

#define CONFIG_CAPACITY 0 /* 5.2.4 */
#define QUEUE_SIZE      128

/* 5.2.6: what a request begins with. Data, and a byte for the status, follow it. */
struct blk_header {
    uint32_t type, reserved;
    uint64_t sector;
};

bool virtio_blk_open(struct virtio_blk *disk, unsigned nth, uint64_t features)
{
    if (!virtio_find(VIRTIO_ID_BLOCK, nth, &disk->dev) ||
        !virtio_start(&disk->dev, features | VIRTIO_BLK_F_FLUSH) ||
        !virtq_setup(&disk->queue, &disk->dev, 0, QUEUE_SIZE))
        return false;
    virtio_driver_ok(&disk->dev);
    disk->sectors = virtio_config64(&disk->dev, CONFIG_CAPACITY);
    return true;
}

/* Static: a request that is never answered must not be written to a stack that has moved on. */
static struct blk_header header;
static volatile uint8_t status;

bool virtio_blk_start(struct virtio_blk *disk, uint32_t type, uint64_t sector, void *data,
                      uint32_t size)
{
    struct virtq_part part[3] = {{&header, sizeof(header), false}};
    unsigned parts = 1;

    header = (struct blk_header){.type = type, .sector = sector};
    status = BLK_NO_ANSWER;
    if (size)
        part[parts++] = (struct virtq_part){data, size, type != BLK_OUT};
    part[parts++] = (struct virtq_part){(void *)&status, 1, true};
    if (virtq_add(&disk->queue, part, parts) == VIRTQ_NO_TOKEN)
        return false;
    virtq_publish(&disk->queue);
    return true;
}

uint8_t virtio_blk_end(struct virtio_blk *disk)
{
    uint16_t token;
    uint32_t written;

    return virtq_wait(&disk->queue, &token, &written) ? status : BLK_NO_ANSWER;
}

uint8_t virtio_blk_do(struct virtio_blk *disk, uint32_t type, uint64_t sector, void *data,
                      uint32_t size)
{
    return virtio_blk_start(disk, type, sector, data, size) ? virtio_blk_end(disk) : BLK_NO_ANSWER;
}
