/*
 * A disk image as a block device sees it: requests go in, completions come back on the loop's
 * thread. Behind it are io_uring (uring.c) or a pool of threads (pool.c) over a raw file or host
 * block device, and the overlay of snapshot=on.
 *
 * Thread: the loop's for everything (the one that called block_open: io_uring serves only that);
 * `done` runs there too, without any lock of a device held.
 */
#ifndef HV_BLOCK_BLOCK_H
#define HV_BLOCK_BLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct block;
struct loop;

#define BLOCK_SECTOR   512u
#define BLOCK_SEGMENTS 256

enum block_cache {
    BLOCK_WRITEBACK, /* host page cache; flush is fdatasync */
    BLOCK_NONE,      /* O_DIRECT; flush is fdatasync */
    BLOCK_UNSAFE,    /* host page cache; flush does nothing: for images that are thrown away */
};

/* Strings are borrowed for the call. */
struct block_config {
    const char *path;
    bool readonly;
    bool snapshot; /* writes go to an overlay that nobody sees and that vanishes at the end */
    enum block_cache cache;
    unsigned depth;    /* requests in flight that must fit */
    bool threads_only; /* do not use io_uring (for tests, and hosts that forbid it) */
};

/* Called when a batch of `done` is over, to tell the guest once for all of them. */
typedef void block_batch_fn(void *opaque);

enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_ZERO };

/*
 * One request; the caller's memory until `done`. [offset, offset + len) is checked by the caller:
 * multiples of BLOCK_SECTOR, within block_info.size, not empty. iov is for BLOCK_READ and
 * BLOCK_WRITE, at most BLOCK_SEGMENTS segments of any alignment and length that add up to len; the
 * back end changes the array as the transfer proceeds. It points to host memory that may be guest
 * memory, so contents may change at any time. Flush has neither.
 */
struct block_request {
    enum block_op op;
    uint64_t offset, len; /* bytes */
    struct iovec *iov;
    unsigned iov_count;
    bool unmap; /* BLOCK_ZERO: the range may become a hole */
    /* Exactly once, never from within block_submit or block_kick. 0 or -errno (-EIO, -ENOSPC, ...).
     * A short transfer was continued or is -EIO. */
    void (*done)(struct block_request *req, int result);
    void *opaque;

    /* The back end's, from block_submit to `done`. */
    struct block_request *next;
    uint64_t progress; /* bytes that are through */
    void *bounce;      /* a buffer that host and segments can agree on */
    int result;
    uint8_t state, retries;
};

struct block_info {
    uint64_t size;              /* bytes, a multiple of BLOCK_SECTOR */
    uint32_t logical, physical; /* block sizes in bytes: 512 unless the host's device says more */
    uint32_t optimal;           /* preferred transfer, bytes; 0: unknown */
    bool readonly;
    bool discard, write_zeroes; /* the host can do them without writing zeroes */
    uint32_t discard_alignment; /* bytes */
};

/*
 * Opens, locks and checks. 0, or -errno after one log_error line that names the path and what to
 * do: missing, unreadable, a directory, FIFO or socket, size 0 or no multiple of 512, in use by
 * another process (which is named), no O_DIRECT there. Main thread, before vCPUs run; nothing opens
 * files afterwards.
 *
 * With snapshot, cache is ignored: what is thrown away is never flushed.
 */
int block_open(const struct block_config *config, struct loop *loop, struct block **out);
void block_close(struct block *b); /* drains; accepts NULL */

const struct block_info *block_info(const struct block *b);

/* Who to tell of the end of each batch of completions; NULL: nobody. */
void block_set_batch(struct block *b, block_batch_fn *fn, void *opaque);

/* Queues a request; it may reach the host only at block_kick, which hands over all at once. */
void block_submit(struct block *b, struct block_request *req);
void block_kick(struct block *b);

/*
 * For who looks by himself: quiet: completions need not wake the loop. block_poll runs `done` of
 * what has come back; true if there was something. Without io_uring neither does anything.
 */
void block_quiet(struct block *b, bool on);
bool block_poll(struct block *b);

/* Waits for everything that was submitted and runs its `done`. */
void block_drain(struct block *b);

#endif
