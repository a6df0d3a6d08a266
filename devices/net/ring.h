/*
 * A bounded queue of frames in one block of memory: what a hub keeps for its own guest. Thread: the
 * loop's.
 */
#ifndef HV_NET_RING_H
#define HV_NET_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RING_BYTES (512u << 10)

struct ring {
    uint8_t *buf; /* owned; NULL until ring_init */
    size_t head;  /* of the oldest frame */
    size_t tail;  /* where the next one goes */
    size_t wrap;  /* end of what was filled before tail went back to 0 */
    bool wrapped; /* tail is behind head */
};

int ring_init(struct ring *r); /* 0 or -ENOMEM */
void ring_free(struct ring *r);

/* False: there is no room, the frame is lost. 1 <= len <= NET_FRAME_MAX. */
bool ring_put(struct ring *r, const uint8_t *frame, size_t len);

/* The oldest frame until ring_next; 0: none. */
size_t ring_peek(const struct ring *r, const uint8_t **frame);
void ring_next(struct ring *r);

#endif
