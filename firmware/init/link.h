/*
 * Frames (wire.h) over one nonblocking descriptor: the bytes that came and are no whole frame yet,
 * and those that wait to be written. One thread.
 */
#ifndef FIRMWARE_INIT_LINK_H
#define FIRMWARE_INIT_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "firmware/init/wire.h"

struct link {
    int fd; /* the caller's */
    uint8_t in[WIRE_HEADER + WIRE_PAYLOAD];
    size_t in_len, in_taken;
    uint8_t *out; /* bytes [out_head, out_tail) wait */
    size_t out_head, out_tail, out_size;
};

struct frame {
    uint32_t session;
    uint8_t type, stream;
    uint16_t len;
    const uint8_t *payload; /* valid until the next link_read */
};

/* Reads once what there is. 0; -EPIPE: the other side is gone; or another negative errno. */
int link_read(struct link *link);

/* Takes the next whole frame that was read: 1, 0 when there is none, -EPROTO. */
int link_next(struct link *link, struct frame *frame);

/*
 * Queues a frame of up to WIRE_PAYLOAD bytes and writes what can be written. 0 or a negative errno.
 * Never refuses: whoever sends much asks link_has_room before.
 */
int link_send(struct link *link, uint32_t session, uint8_t type, uint8_t stream,
              const void *payload, size_t len);

/* Writes what can be written now. 0 or a negative errno. */
int link_flush(struct link *link);

/* So little waits that a frame of command output may be queued. */
bool link_has_room(const struct link *link);

/* Bytes that wait to be written. */
size_t link_waiting(const struct link *link);

void link_free(struct link *link);

uint16_t wire_get16(const uint8_t *p);
uint32_t wire_get32(const uint8_t *p);
void wire_put32(uint8_t *p, uint32_t v);

#endif
