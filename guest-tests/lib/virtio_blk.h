/*
 * A disk (virtio 1.2, 5.2). One queue, one request at a time: what is started is waited for.
 * Buffers are ordinary guest memory; the device reads and writes them by itself.
 */
#ifndef GUEST_VIRTIO_BLK_H
#define GUEST_VIRTIO_BLK_H

#include "guest-tests/lib/virtq.h"

#define SECTOR             512 /* bytes; the unit of all positions, whatever the disk's block size */

#define VIRTIO_BLK_F_RO    (UINT64_C(1) << 5)
#define VIRTIO_BLK_F_FLUSH (UINT64_C(1) << 9)

/* 5.2.6 */
enum { BLK_IN = 0, BLK_OUT = 1, BLK_FLUSH = 4, BLK_GET_ID = 8 };
enum { BLK_OK = 0, BLK_IOERR = 1, BLK_UNSUPPORTED = 2, BLK_NO_ANSWER = 0xff };
#define BLK_ID_LEN 20

struct virtio_blk {
    struct virtio dev;
    struct virtq queue;
    uint64_t sectors; /* capacity */
};

/* The nth disk, started; `features` beside VERSION_1 and FLUSH. False when there is none. */
bool virtio_blk_open(struct virtio_blk *disk, unsigned nth, uint64_t features);

/*
 * Carries out one request of BLK_* type; `size` bytes at `data`, 0 for those without. Returns the
 * device's status byte, BLK_NO_ANSWER if none came in some seconds.
 */
uint8_t virtio_blk_do(struct virtio_blk *disk, uint32_t type, uint64_t sector, void *data,
                      uint32_t size);

/*
 * The two halves of virtio_blk_do, for one who does something else in between, such as waiting for
 * the interrupt. False: the queue is full, and there is nothing to end.
 */
bool virtio_blk_start(struct virtio_blk *disk, uint32_t type, uint64_t sector, void *data,
                      uint32_t size);
uint8_t virtio_blk_end(struct virtio_blk *disk);

#endif
