/*
 * As much of the Internet's protocols as two guests need to talk: ARP (RFC 826), ICMP echo
 * (RFC 792) and UDP (RFC 768) over IPv4 without options or fragments. Addresses are in host order.
 */
#ifndef GUEST_INET_H
#define GUEST_INET_H

#include "guest-tests/lib/nic.h"

#define INET_ADDRESS(a, b, c, d)                                                                   \
    ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))
#define INET_DATA_MAX 1400 /* bytes of a message */

struct inet {
    struct nic *card;
    uint32_t address;
};

/* What has come: a message for us, of the kinds below. `data` lies in the card's buffer. */
enum inet_kind { INET_NONE, INET_ARP_REPLY, INET_ECHO_REPLY, INET_UDP, INET_OTHER };
struct inet_message {
    enum inet_kind kind;
    uint8_t mac[NET_MAC_LEN]; /* who sent it */
    uint32_t from;
    uint16_t port, from_port; /* UDP; of an echo: its id and number */
    const uint8_t *data;
    uint32_t len;
};

/*
 * Looks at the next frame, if there is one. Questions (ARP requests for our address, echo requests)
 * are answered at once and come back as INET_OTHER, as does whatever is not for us or damaged.
 */
struct inet_message inet_poll(struct inet *inet);

/* inet_poll until a message of that kind comes, for some seconds at most. False: none came. */
bool inet_wait(struct inet *inet, enum inet_kind kind, struct inet_message *message);

/* Asks for the hardware address that belongs to `whose`: an INET_ARP_REPLY answers. */
bool inet_ask(struct inet *inet, uint32_t whose);

/* len <= INET_DATA_MAX. False: the card did not take it. */
bool inet_send_echo(struct inet *inet, const uint8_t mac[NET_MAC_LEN], uint32_t to, uint16_t id,
                    uint16_t number, const void *data, uint32_t len);
bool inet_send_udp(struct inet *inet, const uint8_t mac[NET_MAC_LEN], uint32_t to, uint16_t to_port,
                   uint16_t from_port, const void *data, uint32_t len);

/* The Internet checksum of `len` bytes (RFC 1071), beginning from `sum`; 0 when data that holds its
 * own checksum is whole. */
uint16_t inet_checksum(const uint8_t *data, uint32_t len, uint32_t sum);

#endif
