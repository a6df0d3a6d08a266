/*
 * What the files of devices/block share: the open image, a request cut into host operations, and
 * the engines that carry them out. Nobody outside includes this.
 */
#ifndef HV_BLOCK_INTERNAL_H
#define HV_BLOCK_INTERNAL_H

#include <pthread.h>
#include <sys/types.h>

#include "devices/block/block.h"

struct overlay;
struct loop_watch;

/* image.c: the file or host block device, checked and locked. */
struct image {
    int fd; /* owned; -1: none */
    bool device;
    bool direct;    /* O_DIRECT: addresses, offsets and lengths must be multiples of `align` */
    uint32_t align; /* bytes */
    struct block_info info;
};

int block_image_open(const struct block_config *config, struct image *image);
void block_image_close(struct image *image); /* accepts a closed one */

/* Reads behind the end fail by themselves; writes would make the file grow again, with a hole. */
bool image_shrunk(const struct image *image);

/* holder.c: writes who holds a lock on the file of `fd`, "NAME (process PID)", to `text`; false:
 * nobody was found, which is usual for processes of other users. */
bool image_holder(int fd, char *text, size_t cap);

/* step.c: requests as a sequence of host operations. */
enum host_kind { HOST_NOTHING, HOST_READ, HOST_WRITE, HOST_ALLOCATE, HOST_SYNC };

struct host_op {
    enum host_kind kind;
    int mode;                /* HOST_ALLOCATE: of fallocate(2) */
    uint64_t offset, len;    /* bytes */
    const struct iovec *iov; /* HOST_READ, HOST_WRITE; may be &single */
    unsigned count;
    struct iovec single;
};

#define BOUNCE_BYTES (256 * 1024)
#define BOUNCE_COUNT 4

struct bounce {
    uint8_t *buf; /* aligned to a page */
    bool taken;
};

/*
 * The system calls that can fail, for the tests to make them fail; NULL: what libc has. Set before
 * block_open; with it set only the pool is used, because io_uring makes no system calls here.
 */
struct block_syscalls {
    ssize_t (*preadv)(int fd, const struct iovec *iov, int count, off_t offset);
    ssize_t (*pwritev)(int fd, const struct iovec *iov, int count, off_t offset);
    int (*fdatasync)(int fd);
    int (*fallocate)(int fd, int mode, off_t offset, off_t len);
};
extern struct block_syscalls block_host;

/*
 * Engines. All on the loop's thread. submit takes a list linked by `next` and hands all of it to
 * the host at once; finished requests come back through block_finished.
 */
struct engine_ops {
    const char *name;
    int (*create)(struct block *b, struct loop *loop, unsigned depth, void **out);
    void (*submit)(void *engine, struct block_request *list);
    void (*wait)(void *engine); /* until at least one has finished; hands over what has */
    /* As block_quiet and block_poll; may be NULL. */
    void (*quiet)(void *engine, bool on);
    bool (*poll)(void *engine);
    void (*destroy)(void *engine);
};
extern const struct engine_ops engine_uring, engine_pool;

struct block {
    char path[128]; /* for messages; a longer one is cut */
    struct image image;
    enum block_cache cache;
    struct overlay *overlay; /* snapshot=on without reflink */
    const struct engine_ops *ops;
    void *engine;
    block_batch_fn *batch;
    void *batch_opaque;

    struct block_request *queued, **queued_tail; /* submitted, not kicked */
    unsigned busy;                               /* submitted, not done */

    /* Flushes: one fdatasync at a time serves all that came before it. */
    struct block_request *sync_leader, *sync_riders, *sync_waiting;
    bool sync_failed; /* for good: see finish_sync */

    /* Learnt from the host; relaxed atomics, a late reader only asks once more. */
    bool no_punch, no_zero_range;

    /* Protects bounce[].taken: worker threads take buffers too. Taken last. */
    pthread_mutex_t bounce_lock;
    struct bounce bounce[BOUNCE_COUNT];
    uint8_t *bounce_map; /* NULL when not O_DIRECT */
};

/* A list of finished requests, linked by `next`, with `result` set. Runs `done`. */
void block_finished(struct block *b, struct block_request *list);

int step_init(struct block *b);
void step_exit(struct block *b);

/* The next operation of `req`. False: no bounce buffer is free, so ask again when one is. */
bool step_next(struct block *b, struct block_request *req, struct host_op *op);

/* What the host answered to it: bytes, 0, or -errno. True: the request is over, result is set. */
bool step_done(struct block *b, struct block_request *req, ssize_t res);

/* The whole request on the calling thread; sets result. */
void step_run(struct block *b, struct block_request *req);

/* overlay.c */

/* 0: *out is where writes go. 1: there is none, image->fd is a private reflink now. -errno after
 * one logged line. */
int overlay_create(const char *path, struct image *image, struct overlay **out);
void overlay_destroy(struct overlay *o); /* accepts NULL */

/* A whole request on the calling thread, any; 0 or -errno. */
int overlay_run(struct overlay *o, int base_fd, struct block_request *req);

/* iov.c: segments. */

/* Takes `len` bytes off the front. */
void iov_advance(struct iovec **iov, unsigned *count, uint64_t len);

/* Copies the front `len` bytes' segments to `out`, which has room for `count`; returns how many. */
unsigned iov_front(const struct iovec *iov, unsigned count, uint64_t len, struct iovec *out);

/* All of `len` bytes of the segments at `offset` of `fd`; 0, or -errno, -EIO at the end of file. */
int iov_transfer(int fd, bool write, struct iovec *iov, unsigned count, uint64_t offset,
                 uint64_t len);

#endif
