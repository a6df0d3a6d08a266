/* DHCP messages (RFC 2131, RFC 2132) inside IPv4 and UDP. Pure. */
#ifndef FIRMWARE_INIT_DHCP_H
#define FIRMWARE_INIT_DHCP_H

#include <stddef.h>
#include <stdint.h>

enum { DHCP_MAC = 6, DHCP_SERVERS = 3, DHCP_PACKET = 28 + 300 };

enum dhcp_type { DHCP_DISCOVER = 1, DHCP_OFFER = 2, DHCP_REQUEST = 3, DHCP_ACK = 5, DHCP_NAK = 6 };

/* Addresses are in network order; 0: none was given. */
struct dhcp_answer {
    enum dhcp_type type;
    uint32_t address, mask, router, server;
    uint32_t dns[DHCP_SERVERS];
};

/*
 * Writes a request of `type`, an IPv4 packet of DHCP_PACKET bytes. A DHCP_REQUEST asks for what
 * `offer` offers; else that is NULL.
 */
void dhcp_build(uint8_t packet[DHCP_PACKET], enum dhcp_type type, uint32_t transaction,
                const uint8_t mac[DHCP_MAC], const struct dhcp_answer *offer);

/* 0 when the IPv4 packet answers that transaction, else -EINVAL. */
int dhcp_parse(struct dhcp_answer *answer, const uint8_t *packet, size_t len, uint32_t transaction);

#endif
