/*
 * The NE2000: an ISA network card around National's DP8390 (data sheet DP8390D/NS32490D). It has 16
 * KiB of memory of its own, in pages of 256 bytes, to which the driver gets through one port.
 */
#ifndef GUEST_NE2000_H
#define GUEST_NE2000_H

#include "guest-tests/lib/nic.h"

struct ne2000 {
    struct nic nic; /* first: the driver makes one of the other */
    uint16_t port;
    uint8_t next; /* page where the next frame will be */
    uint8_t frame[NET_FRAME_MAX];
};

/* Resets the card at that port and starts it; then `nic` is ready. False: no card answers. */
bool ne2000_open(struct ne2000 *card, uint16_t port);

/* Interrupts for frames that come; ne2000_ack says which reasons there were, and takes them back.
 */
void ne2000_listen(struct ne2000 *card, bool on);
uint8_t ne2000_ack(struct ne2000 *card);
#define NE2000_RECEIVED 0x01

#endif
