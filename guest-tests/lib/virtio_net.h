/*
 * A network card (virtio 1.2, 5.1): one queue for frames that come, one for frames that go. Frames
 * are Ethernet's, without preamble and checksum. No offloads: a frame is at most 1514 bytes.
 */
#ifndef GUEST_VIRTIO_NET_H
#define GUEST_VIRTIO_NET_H

#include "guest-tests/lib/virtq.h"

#define VIRTIO_NET_F_MAC    (UINT64_C(1) << 5)
#define VIRTIO_NET_F_STATUS (UINT64_C(1) << 16)

#define NET_FRAME_MAX       1514 /* bytes: header of 14 and 1500 */
#define NET_MAC_LEN         6
#define NET_RX_BUFFERS      32

/* What stands before every frame (5.1.6), all zero here but for num_buffers, which is 1. */
struct virtio_net_hdr {
    uint8_t flags, gso_type;
    uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};

struct virtio_net {
    struct virtio dev;
    struct virtq rx, tx;
    uint8_t mac[NET_MAC_LEN];
    struct {
        struct virtio_net_hdr header;
        uint8_t frame[NET_FRAME_MAX];
    } received[NET_RX_BUFFERS];
    uint16_t buffer_of[VIRTQ_MAX]; /* token -> place in `received` */
    uint16_t held;                 /* the one that the caller looks at; NET_RX_BUFFERS: none */
};

/* The nth card, started, with all receive buffers given to it. `card` is static memory: the device
 * writes to it. False when there is none. */
bool virtio_net_open(struct virtio_net *card, unsigned nth, uint64_t features);

/* Sends one frame and waits until the device has taken it. False: too long, or not taken. */
bool virtio_net_send(struct virtio_net *card, const void *frame, uint32_t len);

/* The next frame that came, valid until the next call; its length in *len. NULL: none yet. */
const uint8_t *virtio_net_receive(struct virtio_net *card, uint32_t *len);

#endif
