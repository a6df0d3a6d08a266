/*
 * Two guests on one wire: this one asks, the other (`role=answer`) answers. ARP, ICMP echo and UDP,
 * over the driver in lib/virtio_net.c. guest-tests/run starts both (`peer =` in tests.cfg).
 *
 * Command line: role=ask (the default) or role=answer, datagrams=N (200).
 */
#include "guest-tests/lib/apic.h"
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/idt.h"
#include "guest-tests/lib/inet.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/virtio_net.h"
#include "guest-tests/lib/wait.h"

const char guest_name[] = "vnet";

#define ASKER      INET_ADDRESS(10, 9, 0, 1)
#define ANSWERER   INET_ADDRESS(10, 9, 0, 2)
#define NOBODY     INET_ADDRESS(10, 9, 0, 99)
#define PORT_ECHO  7 /* RFC 862 */
#define PORT_OURS  2000
#define ECHO_ID    0x4856
#define VECTOR_NET 0x51
#define TRIES      20
#define SHORT_WAIT 200000000u /* cycles */

static struct virtio_net card;
static struct inet inet = {.card = &card.nic};
static uint8_t peer[NET_MAC_LEN];
static uint8_t pattern[INET_DATA_MAX];
static volatile uint32_t interrupts;

static void on_card(struct trap_frame *frame)
{
    (void)frame;
    interrupts++;
    card.dev.transport->ack_interrupt(&card.dev);
    apic_eoi();
}

/* The other guest may start later, so the question is repeated. */
static bool test_arp(void)
{
    struct inet_message m = {.kind = INET_NONE};

    for (unsigned i = 0; i < TRIES && m.kind != INET_ARP_REPLY; i++) {
        inet_ask(&inet, ANSWERER);
        inet_wait(&inet, INET_ARP_REPLY, &m);
    }
    memcpy(peer, m.mac, NET_MAC_LEN);
    return check(m.kind == INET_ARP_REPLY && m.from == ANSWERER, "ARP: the other guest answers");
}

static bool is_same(const struct inet_message *m, uint32_t len)
{
    return m->len == len && memcmp(m->data, pattern, len) == 0;
}

/* Odd lengths for the checksum's last byte; the largest fills a frame. */
static void test_ping(void)
{
    static const uint32_t lengths[] = {0, 1, 17, 56, 999, INET_DATA_MAX};
    struct inet_message m;

    group_begin("ICMP echo");
    for (uint16_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        check(inet_send_echo(&inet, peer, ANSWERER, ECHO_ID, i, pattern, lengths[i]) &&
                  inet_wait(&inet, INET_ECHO_REPLY, &m) && m.port == ECHO_ID && m.from_port == i &&
                  is_same(&m, lengths[i]),
              "%u bytes come back as they were", lengths[i]);
    }
    group_end();
}

/* One at a time: each answer must be that to the question before. */
static void test_udp(unsigned datagrams)
{
    struct inet_message m;
    unsigned good = 0;

    for (unsigned i = 0; i < datagrams; i++) {
        uint32_t len = 1 + i * 7 % INET_DATA_MAX;

        pattern[0] = (uint8_t)i;
        if (inet_send_udp(&inet, peer, ANSWERER, PORT_ECHO, PORT_OURS, pattern, len) &&
            inet_wait(&inet, INET_UDP, &m) && m.port == PORT_OURS && m.from_port == PORT_ECHO &&
            is_same(&m, len))
            good++;
    }
    check_equal(good, datagrams, "UDP: datagrams that came back as they were");
}

/* Many on their way: the wire may drop what finds no room, but nothing comes twice or damaged. */
static void test_burst(void)
{
    enum { BURST = 24 };
    bool seen[BURST] = {false};
    struct inet_message m;
    unsigned sent = 0, back = 0, wrong = 0;

    for (uint8_t i = 0; i < BURST; i++) {
        pattern[0] = i;
        sent += inet_send_udp(&inet, peer, ANSWERER, PORT_ECHO, PORT_OURS, pattern, 64);
    }
    for (uint64_t start = rdtsc(); back + wrong < sent && rdtsc() - start < WAIT_CYCLES;) {
        m = inet_poll(&inet);
        if (m.kind != INET_UDP)
            continue;
        if (m.len != 64 || m.data[0] >= BURST || seen[m.data[0]]) {
            wrong++;
            continue;
        }
        seen[m.data[0]] = true;
        back++;
    }
    check(sent == BURST && back == BURST && wrong == 0, "burst of %u: %u came back, %u wrong", sent,
          back, wrong);
}

/* What nobody answers stays without an answer, and damaged messages are not answered. */
static void test_silence(void)
{
    struct inet_message m;
    unsigned heard = 0;

    inet_ask(&inet, NOBODY);
    for (uint64_t start = rdtsc(); rdtsc() - start < SHORT_WAIT;) {
        m = inet_poll(&inet);
        heard += m.kind == INET_ARP_REPLY;
    }
    check_equal(heard, 0, "ARP: no answer for an address that nobody has");
}

static void test_interrupts(void)
{
    struct inet_message m;
    uint32_t before = interrupts;

    inet_send_echo(&inet, peer, ANSWERER, ECHO_ID, 100, pattern, 56);
    check(wait_until(&interrupts, before + 1), "an interrupt tells of a frame");
    check(inet_wait(&inet, INET_ECHO_REPLY, &m), "and there it is");
}

/* The other guest ends when it is told, and its own verdict counts, too. */
static void say_goodbye(void)
{
    static const char bye[] = "bye";
    struct inet_message m;

    check(inet_send_udp(&inet, peer, ANSWERER, PORT_ECHO, PORT_OURS, bye, sizeof(bye)) &&
              inet_wait(&inet, INET_UDP, &m) && m.len == sizeof(bye),
          "the other guest says goodbye");
}

static void ask(void)
{
    for (unsigned i = 0; i < sizeof(pattern); i++)
        pattern[i] = (uint8_t)(i * 31);
    if (!test_arp())
        return;
    test_ping();
    test_udp((unsigned)cmdline_number("datagrams", 200));
    test_burst();
    test_silence();
    test_interrupts();
    say_goodbye();
}

/* ARP and echo requests are answered below inet_poll. */
static void answer(void)
{
    struct inet_message m;
    unsigned datagrams = 0;
    bool bye = false;

    while (!bye && inet_wait(&inet, INET_UDP, &m)) {
        if (m.port != PORT_ECHO)
            continue;
        datagrams++;
        bye = m.len == 4 && memcmp(m.data, "bye", 4) == 0;
        inet_send_udp(&inet, m.mac, m.from, m.from_port, PORT_ECHO, m.data, m.len);
    }
    check(bye, "told to end, after %u datagrams", datagrams);
}

void guest_main(void)
{
    const char *role = cmdline_text("role");
    bool answers = role && string_starts_with(role, "answer");

    trap_set_handler(VECTOR_NET, on_card);
    apic_enable(false);
    if (!virtio_find(VIRTIO_ID_NET, 0, &card.dev))
        skip("no virtio network card");
    card.dev.transport->route(&card.dev, VECTOR_NET);
    if (!check(virtio_net_open(&card, 0, cmdline_has("event-idx") ? VIRTIO_F_EVENT_IDX : 0),
               "the card starts"))
        return;
    check((card.nic.mac[0] & 1) == 0, "its address is that of one station, not of a group");
    printf("on %s, as %02x:%02x:%02x:%02x:%02x:%02x\n", card.dev.transport->name, card.nic.mac[0],
           card.nic.mac[1], card.nic.mac[2], card.nic.mac[3], card.nic.mac[4], card.nic.mac[5]);
    inet.address = answers ? ANSWERER : ASKER;
    if (answers)
        answer();
    else
        ask();
}
