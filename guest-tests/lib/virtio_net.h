/*
 * A network card (virtio 1.2, 5.1): one queue for frames that come, one for frames that go. Frames
 * are Ethernet's, without preamble and checksum. No offloads: a frame is at most 1514 bytes.
 */
#ifndef GUEST_VIRTIO_NET_H
#define GUEST_VIRTIO_NET_H

#include "guest-tests/lib/nic.h"
#include "guest-tests/lib/virtq.h"

#define VIRTIO_NET_F_MAC    (UINT64_C(1) << 5)
#define VIRTIO_NET_F_STATUS (UINT64_C(1) << 16)

#define NET_RX_BUFFERS      32

/* What stands before every frame (5.1.6), all zero here but for num_buffers, which is 1. */
struct virtio_net_hdr {
    uint8_t flags, gso_type;
    uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};

struct virtio_net {
    struct nic nic; /* first: the driver makes one of the other */
    struct virtio dev;
    struct virtq rx, tx;
    struct {
        struct virtio_net_hdr header;
        uint8_t frame[NET_FRAME_MAX];
    } received[NET_RX_BUFFERS];
    uint16_t buffer_of[VIRTQ_MAX]; /* token -> place in `received` */
    uint16_t held;                 /* the one that the caller looks at; NET_RX_BUFFERS: none */
};

/* The nth card, started, with all receive buffers given to it; then `nic` is ready. `card` is
 * static memory: the device writes to it. False when there is none. */
bool virtio_net_open(struct virtio_net *card, unsigned nth, uint64_t features);

#endif
