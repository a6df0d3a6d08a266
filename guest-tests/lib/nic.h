/*
 * What all network cards have in common, so that inet.c works on any: each driver puts this in
 * front of its own structure. Frames are Ethernet's, without preamble and checksum.
 */
#ifndef GUEST_NIC_H
#define GUEST_NIC_H

#include <stdbool.h>
#include <stdint.h>

#define NET_FRAME_MAX 1514 /* bytes: header of 14 and 1500 */
#define NET_MAC_LEN   6

struct nic {
    uint8_t mac[NET_MAC_LEN];
    /* Sends one frame and waits until the card has taken it. False: too long, or not taken. */
    bool (*send)(struct nic *nic, const void *frame, uint32_t len);
    /* The next frame that came, valid until the next call; its length in *len. NULL: none yet. */
    const uint8_t *(*receive)(struct nic *nic, uint32_t *len);
};

#endif
