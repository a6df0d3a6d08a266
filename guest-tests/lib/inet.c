/* ARP, ICMP echo and UDP; see inet.h. All numbers on the wire are big-endian. */
#include "guest-tests/lib/inet.h"

#include "guest-tests/lib/io.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/wait.h"

#define TYPE_IP       0x0800
#define TYPE_ARP      0x0806
#define ARP_REQUEST   1
#define ARP_REPLY     2
#define PROTOCOL_ICMP 1
#define PROTOCOL_UDP  17
#define ECHO_REPLY    0
#define ECHO_REQUEST  8

/* Where things lie in a frame: Ethernet, then ARP or IP, then what is in that. */
enum {
    ETH_TO = 0,
    ETH_FROM = 6,
    ETH_TYPE = 12,
    ETH_LEN = 14,
    ARP_KINDS = 14, /* hardware type 1, protocol type IP, lengths 6 and 4 */
    ARP_WHAT = 20,
    ARP_FROM_MAC = 22,
    ARP_FROM = 28,
    ARP_TO_MAC = 32,
    ARP_TO = 38,
    ARP_END = 42,
    IP_VERSION = 14,
    IP_TOTAL = 16,
    IP_LIFE = 22,
    IP_PROTOCOL = 23,
    IP_SUM = 24,
    IP_FROM = 26,
    IP_TO = 30,
    IP_END = 34,
    ICMP_TYPE = 34,
    ICMP_SUM = 36,
    ICMP_ID = 38,
    ICMP_NUMBER = 40,
    ICMP_END = 42,
    UDP_FROM = 34,
    UDP_TO = 36,
    UDP_LEN = 38,
    UDP_SUM = 40,
    UDP_END = 42
};

static uint8_t out[NET_FRAME_MAX];
static const uint8_t everybody[NET_MAC_LEN] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value);
}

uint16_t inet_checksum(const uint8_t *data, uint32_t len, uint32_t sum)
{
    for (uint32_t i = 0; i + 1 < len; i += 2)
        sum += get16(data + i);
    if (len & 1)
        sum += (uint32_t)data[len - 1] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void begin_frame(const struct inet *inet, const uint8_t *mac, uint16_t type)
{
    memset(out, 0, sizeof(out));
    memcpy(out + ETH_TO, mac, NET_MAC_LEN);
    memcpy(out + ETH_FROM, inet->card->mac, NET_MAC_LEN);
    put16(out + ETH_TYPE, type);
}

static bool send_arp(struct inet *inet, uint16_t what, const uint8_t *mac, uint32_t whose)
{
    static const uint8_t kinds[] = {0, 1, TYPE_IP >> 8, TYPE_IP & 0xff, NET_MAC_LEN, 4};

    begin_frame(inet, mac, TYPE_ARP);
    memcpy(out + ARP_KINDS, kinds, sizeof(kinds));
    put16(out + ARP_WHAT, what);
    memcpy(out + ARP_FROM_MAC, inet->card->mac, NET_MAC_LEN);
    put32(out + ARP_FROM, inet->address);
    if (what == ARP_REPLY)
        memcpy(out + ARP_TO_MAC, mac, NET_MAC_LEN);
    put32(out + ARP_TO, whose);
    return inet->card->send(inet->card, out, ARP_END);
}

bool inet_ask(struct inet *inet, uint32_t whose)
{
    return send_arp(inet, ARP_REQUEST, everybody, whose);
}

/* Puts the IP header in front of `len` bytes at IP_END, and sends it all. */
static bool send_ip(struct inet *inet, uint32_t to, uint8_t protocol, uint32_t len)
{
    out[IP_VERSION] = 0x45; /* version 4, a header of five words */
    put16(out + IP_TOTAL, IP_END - ETH_LEN + len);
    out[IP_LIFE] = 64;
    out[IP_PROTOCOL] = protocol;
    put32(out + IP_FROM, inet->address);
    put32(out + IP_TO, to);
    put16(out + IP_SUM, inet_checksum(out + ETH_LEN, IP_END - ETH_LEN, 0));
    return inet->card->send(inet->card, out, IP_END + len);
}

static bool send_icmp(struct inet *inet, const uint8_t *mac, uint32_t to, uint8_t type, uint16_t id,
                      uint16_t number, const void *data, uint32_t len)
{
    begin_frame(inet, mac, TYPE_IP);
    out[ICMP_TYPE] = type;
    put16(out + ICMP_ID, id);
    put16(out + ICMP_NUMBER, number);
    memcpy(out + ICMP_END, data, len);
    len += ICMP_END - IP_END;
    put16(out + ICMP_SUM, inet_checksum(out + IP_END, len, 0));
    return send_ip(inet, to, PROTOCOL_ICMP, len);
}

bool inet_send_echo(struct inet *inet, const uint8_t mac[NET_MAC_LEN], uint32_t to, uint16_t id,
                    uint16_t number, const void *data, uint32_t len)
{
    return send_icmp(inet, mac, to, ECHO_REQUEST, id, number, data, len);
}

/* RFC 768: the checksum covers the addresses, too, and 0 means that there is none. */
static uint32_t udp_pseudo_sum(const uint8_t *frame, uint32_t len)
{
    return (uint32_t)get16(frame + IP_FROM) + get16(frame + IP_FROM + 2) + get16(frame + IP_TO) +
           get16(frame + IP_TO + 2) + PROTOCOL_UDP + len;
}

bool inet_send_udp(struct inet *inet, const uint8_t mac[NET_MAC_LEN], uint32_t to, uint16_t to_port,
                   uint16_t from_port, const void *data, uint32_t len)
{
    uint16_t sum;

    begin_frame(inet, mac, TYPE_IP);
    put16(out + UDP_FROM, from_port);
    put16(out + UDP_TO, to_port);
    memcpy(out + UDP_END, data, len);
    len += UDP_END - IP_END;
    put16(out + UDP_LEN, len);
    put32(out + IP_FROM, inet->address);
    put32(out + IP_TO, to);
    sum = inet_checksum(out + IP_END, len, udp_pseudo_sum(out, len));
    put16(out + UDP_SUM, sum ? sum : 0xffff);
    return send_ip(inet, to, PROTOCOL_UDP, len);
}

static enum inet_kind read_arp(struct inet *inet, const uint8_t *frame, uint32_t len)
{
    if (len < ARP_END || get32(frame + ARP_TO) != inet->address)
        return INET_OTHER;
    if (get16(frame + ARP_WHAT) == ARP_REPLY)
        return INET_ARP_REPLY;
    if (get16(frame + ARP_WHAT) == ARP_REQUEST)
        send_arp(inet, ARP_REPLY, frame + ARP_FROM_MAC, get32(frame + ARP_FROM));
    return INET_OTHER;
}

/* `len`: bytes behind the IP header. */
static enum inet_kind read_icmp(struct inet *inet, const uint8_t *frame, uint32_t len,
                                struct inet_message *m)
{
    if (len < ICMP_END - IP_END || inet_checksum(frame + IP_END, len, 0) != 0)
        return INET_OTHER;
    m->port = get16(frame + ICMP_ID);
    m->from_port = get16(frame + ICMP_NUMBER);
    m->data = frame + ICMP_END;
    m->len = len - (ICMP_END - IP_END);
    if (frame[ICMP_TYPE] == ECHO_REPLY)
        return INET_ECHO_REPLY;
    if (frame[ICMP_TYPE] == ECHO_REQUEST)
        send_icmp(inet, m->mac, m->from, ECHO_REPLY, m->port, m->from_port, m->data, m->len);
    return INET_OTHER;
}

static enum inet_kind read_udp(const uint8_t *frame, uint32_t len, struct inet_message *m)
{
    if (len < UDP_END - IP_END || get16(frame + UDP_LEN) != len ||
        inet_checksum(frame + IP_END, len, udp_pseudo_sum(frame, len)) != 0)
        return INET_OTHER;
    m->port = get16(frame + UDP_TO);
    m->from_port = get16(frame + UDP_FROM);
    m->data = frame + UDP_END;
    m->len = len - (UDP_END - IP_END);
    return INET_UDP;
}

/* A short message may come with padding behind it: what counts is the length that IP says. */
static enum inet_kind read_ip(struct inet *inet, const uint8_t *frame, uint32_t len,
                              struct inet_message *m)
{
    uint32_t total = len < IP_END ? 0 : get16(frame + IP_TOTAL);

    if (total < IP_END - ETH_LEN || total > len - ETH_LEN || frame[IP_VERSION] != 0x45 ||
        get32(frame + IP_TO) != inet->address ||
        inet_checksum(frame + ETH_LEN, IP_END - ETH_LEN, 0) != 0)
        return INET_OTHER;
    m->from = get32(frame + IP_FROM);
    total -= IP_END - ETH_LEN;
    if (frame[IP_PROTOCOL] == PROTOCOL_ICMP)
        return read_icmp(inet, frame, total, m);
    return frame[IP_PROTOCOL] == PROTOCOL_UDP ? read_udp(frame, total, m) : INET_OTHER;
}

struct inet_message inet_poll(struct inet *inet)
{
    struct inet_message m = {.kind = INET_NONE};
    uint32_t len;
    const uint8_t *frame = inet->card->receive(inet->card, &len);

    if (!frame)
        return m;
    m.kind = INET_OTHER;
    if (len < ETH_LEN)
        return m;
    memcpy(m.mac, frame + ETH_FROM, NET_MAC_LEN);
    if (get16(frame + ETH_TYPE) == TYPE_ARP) {
        m.kind = read_arp(inet, frame, len);
        m.from = m.kind == INET_ARP_REPLY ? get32(frame + ARP_FROM) : 0;
    } else if (get16(frame + ETH_TYPE) == TYPE_IP) {
        m.kind = read_ip(inet, frame, len, &m);
    }
    return m;
}

bool inet_wait(struct inet *inet, enum inet_kind kind, struct inet_message *message)
{
    uint64_t start = rdtsc();

    do {
        *message = inet_poll(inet);
        if (message->kind == kind)
            return true;
        cpu_pause();
    } while (rdtsc() - start < WAIT_CYCLES);
    return false;
}
