/* DHCP messages. See dhcp.h. */
#include "firmware/init/dhcp.h"

#include <errno.h>
#include <string.h>

enum {
    IP_HEADER = 20,
    IP_UDP = 17,
    IP_TTL = 64,
    UDP_HEADER = 8,
    CLIENT_PORT = 68,
    SERVER_PORT = 67,
    /* RFC 2131, section 2. */
    OFF_XID = 4,
    OFF_FLAGS = 10,
    OFF_YIADDR = 16,
    OFF_CHADDR = 28,
    OFF_COOKIE = 236,
    OFF_OPTIONS = 240,
    BOOTREQUEST = 1,
    BOOTREPLY = 2,
    /* RFC 2132. */
    OPTION_PAD = 0,
    OPTION_MASK = 1,
    OPTION_ROUTER = 3,
    OPTION_DNS = 6,
    OPTION_ADDRESS = 50,
    OPTION_TYPE = 53,
    OPTION_SERVER = 54,
    OPTION_WANTED = 55,
    OPTION_END = 255
};

static const uint8_t cookie[4] = {99, 130, 83, 99};

static void put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static unsigned get16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

/* RFC 1071. */
static unsigned checksum(const uint8_t *p, size_t len)
{
    unsigned long sum = 0;

    for (size_t i = 0; i + 1 < len; i += 2)
        sum += get16(p + i);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (unsigned)~sum & 0xffff;
}

static uint8_t *put_option(uint8_t *p, uint8_t option, const void *value, uint8_t len)
{
    *p++ = option;
    *p++ = len;
    memcpy(p, value, len);
    return p + len;
}

/* From 0.0.0.0 to everybody. UDP's checksum stays 0: none. */
static void put_headers(uint8_t *packet)
{
    uint8_t *udp = packet + IP_HEADER;

    packet[0] = 0x45; /* version 4, header of five words */
    put16(packet + 2, DHCP_PACKET);
    packet[8] = IP_TTL;
    packet[9] = IP_UDP;
    memset(packet + 16, 0xff, 4);
    put16(packet + 10, checksum(packet, IP_HEADER));
    put16(udp, CLIENT_PORT);
    put16(udp + 2, SERVER_PORT);
    put16(udp + 4, DHCP_PACKET - IP_HEADER);
}

void dhcp_build(uint8_t packet[DHCP_PACKET], enum dhcp_type type, uint32_t transaction,
                const uint8_t mac[DHCP_MAC], const struct dhcp_answer *offer)
{
    static const uint8_t wanted[] = {OPTION_MASK, OPTION_ROUTER, OPTION_DNS};
    uint8_t *bootp = packet + IP_HEADER + UDP_HEADER, *p, type_byte = (uint8_t)type;

    memset(packet, 0, DHCP_PACKET);
    put_headers(packet);
    bootp[0] = BOOTREQUEST;
    bootp[1] = 1; /* Ethernet */
    bootp[2] = DHCP_MAC;
    memcpy(bootp + OFF_XID, &transaction, sizeof(transaction));
    memcpy(bootp + OFF_CHADDR, mac, DHCP_MAC);
    memcpy(bootp + OFF_COOKIE, cookie, sizeof(cookie));
    p = put_option(bootp + OFF_OPTIONS, OPTION_TYPE, &type_byte, 1);
    if (offer) {
        p = put_option(p, OPTION_ADDRESS, &offer->address, 4);
        p = put_option(p, OPTION_SERVER, &offer->server, 4);
    }
    p = put_option(p, OPTION_WANTED, wanted, sizeof(wanted));
    *p = OPTION_END;
}

static void take_option(struct dhcp_answer *answer, uint8_t option, const uint8_t *p, size_t len)
{
    if (option == OPTION_TYPE && len >= 1)
        answer->type = (enum dhcp_type)p[0];
    if (len < 4)
        return;
    if (option == OPTION_MASK)
        memcpy(&answer->mask, p, 4);
    else if (option == OPTION_ROUTER)
        memcpy(&answer->router, p, 4);
    else if (option == OPTION_SERVER)
        memcpy(&answer->server, p, 4);
    else if (option == OPTION_DNS)
        memcpy(answer->dns, p,
               (len < sizeof(answer->dns) ? len : sizeof(answer->dns)) & ~(size_t)3);
}

/* Where the UDP payload for our port starts, or 0. */
static size_t find_payload(const uint8_t *packet, size_t len)
{
    size_t header;

    if (len < IP_HEADER || packet[0] >> 4 != 4 || packet[9] != IP_UDP)
        return 0;
    header = (size_t)(packet[0] & 15) * 4;
    if (header < IP_HEADER || header + UDP_HEADER > len ||
        get16(packet + header + 2) != CLIENT_PORT)
        return 0;
    return header + UDP_HEADER;
}

int dhcp_parse(struct dhcp_answer *answer, const uint8_t *packet, size_t len, uint32_t transaction)
{
    size_t start = find_payload(packet, len), at = OFF_OPTIONS;
    const uint8_t *bootp = packet + start;

    *answer = (struct dhcp_answer){0};
    if (start == 0 || len - start < OFF_OPTIONS)
        return -EINVAL;
    len -= start;
    if (bootp[0] != BOOTREPLY || memcmp(bootp + OFF_XID, &transaction, 4) != 0 ||
        memcmp(bootp + OFF_COOKIE, cookie, sizeof(cookie)) != 0)
        return -EINVAL;
    memcpy(&answer->address, bootp + OFF_YIADDR, 4);
    while (at < len && bootp[at] != OPTION_END) {
        size_t size;

        if (bootp[at] == OPTION_PAD) {
            at++;
            continue;
        }
        if (len - at < 2 || len - at - 2 < bootp[at + 1])
            return -EINVAL;
        size = bootp[at + 1];
        take_option(answer, bootp[at], bootp + at + 2, size);
        at += 2 + size;
    }
    return answer->type ? 0 : -EINVAL;
}
