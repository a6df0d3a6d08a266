/*
 * The header before each frame (virtio 1.2, 5.1.6): pure functions that check what a guest or a
 * host claims about a frame. Called by net_tx.c and net_rx.c.
 */
#include <errno.h>

#include "devices/core/util.h"
#include "devices/virtio/net_card.h"

#define FLAGS           0
#define GSO_TYPE        1
#define HDR_LEN         2
#define GSO_SIZE        4
#define CSUM_START      6
#define CSUM_OFFSET     8
#define NUM_BUFFERS     10

#define FLAG_NEEDS_CSUM 1
#define FLAG_DATA_VALID 2

#define GSO_NONE        0
#define GSO_TCPV4       1
#define GSO_UDP         3
#define GSO_TCPV6       4
#define GSO_ECN         0x80

/* The feature that allows a kind of large frame; 0: there is none. */
static uint64_t feature_of(uint8_t gso_type, bool to_guest)
{
    switch (gso_type & ~GSO_ECN) {
    case GSO_TCPV4:
        return to_guest ? NET_F_GUEST_TSO4 : NET_F_HOST_TSO4;
    case GSO_TCPV6:
        return to_guest ? NET_F_GUEST_TSO6 : NET_F_HOST_TSO6;
    case GSO_UDP:
        return to_guest ? NET_F_GUEST_UFO : NET_F_HOST_UFO;
    default:
        return 0;
    }
}

/* The place of the checksum, two bytes, must lie in the frame. */
static bool checksum_fits(const uint8_t *hdr, uint64_t len)
{
    return (uint64_t)load_le16(hdr + CSUM_START) + load_le16(hdr + CSUM_OFFSET) + 2 <= len;
}

/* A large frame is cut up by somebody who must also compute checksums, and into what is not 0. */
static bool gso_fits(const uint8_t *hdr, uint64_t len)
{
    return hdr[FLAGS] & FLAG_NEEDS_CSUM && load_le16(hdr + GSO_SIZE) > 0 &&
           load_le16(hdr + HDR_LEN) <= len;
}

static void clear(uint8_t *hdr, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        hdr[i] = 0;
}

static int check(uint8_t *hdr, uint64_t len, uint64_t features, bool to_guest)
{
    uint8_t type = hdr[GSO_TYPE];

    if (hdr[FLAGS] & FLAG_NEEDS_CSUM) {
        if (!(features & (to_guest ? NET_F_GUEST_CSUM : NET_F_CSUM)) || !checksum_fits(hdr, len))
            return -EINVAL;
    } else {
        clear(hdr, CSUM_START, NUM_BUFFERS);
    }
    if (type == GSO_NONE) {
        clear(hdr, HDR_LEN, CSUM_START);
        return 0;
    }
    if (!(features & feature_of(type, to_guest)) || !gso_fits(hdr, len))
        return -EINVAL;
    if (type & GSO_ECN && !(features & (to_guest ? NET_F_GUEST_ECN : NET_F_HOST_ECN)))
        return -EINVAL;
    return 0;
}

int net_hdr_from_guest(uint8_t hdr[NET_HEADER_BYTES], uint64_t len, uint64_t acked)
{
    hdr[FLAGS] &= FLAG_NEEDS_CSUM; /* 5.1.6.2.2: others are ignored */
    clear(hdr, NUM_BUFFERS, NET_HEADER_BYTES);
    return check(hdr, len, acked, false);
}

int net_hdr_to_guest(uint8_t hdr[NET_HEADER_BYTES], size_t len, uint64_t guest)
{
    hdr[FLAGS] &= FLAG_NEEDS_CSUM | FLAG_DATA_VALID;
    if (!(guest & NET_F_GUEST_CSUM))
        hdr[FLAGS] &= (uint8_t)~FLAG_DATA_VALID;
    return check(hdr, len, guest, true);
}

bool net_hdr_is_gso(const uint8_t hdr[NET_HEADER_BYTES])
{
    return hdr[GSO_TYPE] != GSO_NONE;
}
