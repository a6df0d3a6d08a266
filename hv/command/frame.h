/*
 * Frames (firmware/init/wire.h) over a stream socket on the event loop. A peer is one end of such a
 * socket: it hands whole frames to its user and queues what the user sends, both bounded. The other
 * side is not trusted: a header that cannot be right ends the peer.
 *
 * Thread: the loop's. The user may call everything here, peer_destroy too, from its callbacks.
 */
#ifndef HV_COMMAND_FRAME_H
#define HV_COMMAND_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "firmware/init/wire.h"

struct loop;
struct peer;

#define FRAME_MAX (WIRE_HEADER + WIRE_PAYLOAD) /* bytes of the largest frame */

struct frame {
    uint32_t session;
    uint8_t type, stream;
    uint16_t len;           /* of the payload; at most WIRE_PAYLOAD */
    const uint8_t *payload; /* NULL if len is 0 */
};

struct peer_user {
    /*
     * A frame has come; its payload is valid during the call. False: it cannot be taken now. It
     * stays, and nothing is read behind it, until peer_resume.
     */
    bool (*frame)(void *opaque, const struct frame *frame);
    void (*room)(void *opaque); /* after a peer_send that was refused: try again */
    /* Once, after all frames that came: nothing more will. `why` is NULL when the other side went
     * away, else what it did wrong. */
    void (*gone)(void *opaque, const char *why);
    void *opaque;
};

/*
 * Takes `fd`, a connected stream socket, even when it fails. `queue` bytes of frames may wait to be
 * sent, at least FRAME_MAX; memory is touched only as it is used. NULL with errno.
 */
struct peer *peer_create(struct loop *loop, int fd, size_t queue, const struct peer_user *user);
void peer_destroy(struct peer *peer); /* accepts NULL; what is queued is lost */

/*
 * Queues a frame and sends what the socket takes. False: no room, `room` will be called. To a side
 * that does not read any more everything is lost, with success: `gone` tells.
 */
bool peer_send(struct peer *peer, const struct frame *frame);

/* Offers the frame that was not taken again, from the loop. */
void peer_resume(struct peer *peer);

/* True when nothing waits to be sent. */
bool peer_is_flushed(const struct peer *peer);

#endif
