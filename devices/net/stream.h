/*
 * Frames over a stream socket, each behind its length in 4 bytes, big-endian: what passt speaks on
 * its socket, and QEMU's stream network as well, so the wire (wire.c) can have a QEMU at its end.
 *
 * The peer is not trusted: lengths are checked, and no more than two frames are held for it.
 * Thread: the loop's.
 */
#ifndef HV_NET_STREAM_H
#define HV_NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct loop;
struct loop_watch;
struct loop_timer;

struct stream_user {
    void (*readable)(void *opaque); /* while wanted */
    void (*writable)(void *opaque); /* after a stream_send that returned -EAGAIN */
    void (*gone)(void *opaque);     /* the peer hung up; last: the user closes the stream */
    void *opaque;
};

struct stream {
    int fd; /* owned; -1: closed */
    struct loop_watch *watch;
    struct loop_timer *again; /* calls readable for frames that were read before */
    struct stream_user user;
    bool want_read, dead;
    bool refused; /* a frame was answered with -EAGAIN: `writable` is owed */
    uint8_t *rx;  /* owned; received bytes are [rx_start, rx_end) */
    size_t rx_start, rx_end;
    uint8_t *tx; /* owned; what the socket did not take of a frame is [tx_start, tx_end) */
    size_t tx_start, tx_end;
};

#define STREAM_CLOSED                                                                              \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

/* Takes over `fd`, also when it fails. 0 or -errno. */
int stream_open(struct stream *s, int fd, struct loop *loop, const struct stream_user *user);
void stream_close(struct stream *s); /* accepts a closed one; buffers stay for the next open */
void stream_free(struct stream *s);  /* closes, too */

/* 0: taken, or lost because the peer is gone. -EAGAIN: `writable` will be called. */
int stream_send(struct stream *s, const struct iovec *iov, unsigned count);

/*
 * The next frame: its length, and where it lies until stream_next. -EAGAIN: none is there. A peer
 * that is gone or sends a length that no frame has: -EAGAIN, and `gone` is called later.
 */
ssize_t stream_peek(struct stream *s, const uint8_t **frame);
void stream_next(struct stream *s);

/* Both, into iov with an empty header in front: net_recv. */
ssize_t stream_recv(struct stream *s, const struct iovec *iov, unsigned count);

void stream_want_read(struct stream *s, bool on);

#endif
