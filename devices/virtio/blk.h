/*
 * The parts of the block device (virtio 1.2, 5.2): blk_parse.c makes a checked command of a chain,
 * blk_io.c carries commands out, blk.c is options, features and configuration.
 */
#ifndef HV_VIRTIO_BLK_H
#define HV_VIRTIO_BLK_H

#include "devices/block/block.h"
#include "devices/core/bucket.h"
#include "devices/core/loop.h"
#include "devices/virtio/virtio.h"

#define BLK_MAX_QUEUES   16
#define BLK_QUEUE_SIZE   256
#define BLK_SLOTS        128                 /* requests in flight, over all queues */
#define BLK_ID_BYTES     20                  /* of the serial number (5.2.6) */
#define BLK_MAX_SEGMENTS 16                  /* ranges of one discard or write-zeroes request */
#define BLK_MAX_RANGE    (UINT32_C(1) << 21) /* sectors of such a range: 1 GiB */

/* Feature bits (5.2.3). */
#define BLK_F_SIZE_MAX     (UINT64_C(1) << 1)
#define BLK_F_SEG_MAX      (UINT64_C(1) << 2)
#define BLK_F_RO           (UINT64_C(1) << 5)
#define BLK_F_BLK_SIZE     (UINT64_C(1) << 6)
#define BLK_F_FLUSH        (UINT64_C(1) << 9)
#define BLK_F_TOPOLOGY     (UINT64_C(1) << 10)
#define BLK_F_CONFIG_WCE   (UINT64_C(1) << 11)
#define BLK_F_MQ           (UINT64_C(1) << 12)
#define BLK_F_DISCARD      (UINT64_C(1) << 13)
#define BLK_F_WRITE_ZEROES (UINT64_C(1) << 14)

/* Request types and status bytes (5.2.6). */
enum blk_type {
    BLK_T_IN = 0,
    BLK_T_OUT = 1,
    BLK_T_FLUSH = 4,
    BLK_T_GET_ID = 8,
    BLK_T_DISCARD = 11,
    BLK_T_WRITE_ZEROES = 13,
};
enum blk_status { BLK_S_OK = 0, BLK_S_IOERR = 1, BLK_S_UNSUPP = 2 };

#define BLK_HEADER_BYTES 16

/* Offsets in the configuration (5.2.4). */
enum blk_config {
    BLK_C_CAPACITY = 0,
    BLK_C_SIZE_MAX = 8,
    BLK_C_SEG_MAX = 12,
    BLK_C_BLK_SIZE = 20,
    BLK_C_PHYSICAL_EXP = 24,
    BLK_C_MIN_IO = 26,
    BLK_C_OPT_IO = 28,
    BLK_C_WRITEBACK = 32,
    BLK_C_NUM_QUEUES = 34,
    BLK_C_MAX_DISCARD = 36,
    BLK_C_MAX_DISCARD_SEG = 40,
    BLK_C_DISCARD_ALIGN = 44,
    BLK_C_MAX_ZEROES = 48,
    BLK_C_MAX_ZEROES_SEG = 52,
    BLK_C_ZEROES_UNMAP = 56,
    BLK_C_BYTES = 60,
};

/* What commands are checked against. */
struct blk_limits {
    uint64_t size; /* of the disk in bytes */
    bool readonly;
    bool discard, write_zeroes; /* negotiated */
};

enum blk_action {
    BLK_ANSWER, /* nothing to do: complete with `status` */
    BLK_IDENTIFY,
    BLK_IO,
};

struct blk_range {
    uint64_t offset, len; /* bytes; inside the disk */
    bool unmap;
};

/* A request in host memory. Nothing in it is the guest's to change. */
struct blk_command {
    enum blk_action action;
    uint8_t status;
    enum block_op op;
    unsigned ranges; /* 1 for reads and writes; a flush has none */
    struct blk_range range[BLK_MAX_SEGMENTS];
};

/* Pure. False: the chain has no byte for the status, so that it cannot be answered. */
bool blk_parse(const struct blk_limits *limits, const struct virtq_chain *chain,
               struct blk_command *cmd);

struct blk;

/* One request from virtq_pop to virtq_push. */
struct blk_slot {
    struct block_request req;
    struct blk_slot *next; /* free, or completed */
    struct blk *blk;
    unsigned queue;
    uint32_t epoch; /* blk.epoch[queue] when it began */
    int result;
    unsigned ranges_done;
    bool flush; /* a flush follows, or runs: the guest wants no write cache */
    bool flushing;
    struct blk_command cmd;
    struct virtq_chain chain;
    struct iovec iov[VIRTQ_MAX_SIZE];
};

struct blk {
    struct virtio v;
    struct block *block;      /* owned */
    struct loop_timer *timer; /* tokens are there again */
    struct loop_poller *poller;
    bool polling; /* rings are looked at: no kicks, please. Under dev.lock */
    struct bucket iops, bps;
    bool zeroes_cost; /* the host writes zeroes byte by byte */
    uint8_t id[BLK_ID_BYTES];
    struct blk_limits limits;

    struct blk_slot *slots, *free;  /* owned array, and a list of those that are free again */
    unsigned fresh;                 /* slots from here on were never used */
    uint32_t hungry;                /* queues, a bit each, that we left with requests in them */
    uint32_t epoch[BLK_MAX_QUEUES]; /* grows when a queue stops: what began before is dropped */

    /* Only the loop's thread touches these, without dev.lock. */
    struct blk_slot *completed, **completed_tail;
};

/* blk_poll.c. The loop's thread, without dev.lock. opaque: struct blk. */
int blk_poll_init(struct blk *blk, struct loop *loop);
bool blk_poll(void *opaque, enum loop_poll what);

/* blk_io.c. Loop thread, under dev.lock. */
int blk_io_init(struct blk *blk, struct loop *loop);
void blk_io_exit(struct blk *blk); /* after block_close; accepts half-built */
void blk_kick(struct virtio *v, unsigned queue);
void blk_stop(struct virtio *v, unsigned queue); /* any thread, under dev.lock */

#endif
