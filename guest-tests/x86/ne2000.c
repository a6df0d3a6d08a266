/*
 * The NE2000 network card, by lib/ne2000.c: asks QEMU's user network for its router's address, and
 * pings it, polled and by interrupt.
 */
#include "guest-tests/lib/ne2000.h"
#include "guest-tests/lib/apic.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/idt.h"
#include "guest-tests/lib/inet.h"
#include "guest-tests/lib/ioapic.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/wait.h"

const char guest_name[] = "ne2000";

#define PORT          0x300
#define GSI_NE2000    9
#define VECTOR_NE2000 0x54
#define ADDRESS       INET_ADDRESS(10, 0, 2, 15)
#define ROUTER        INET_ADDRESS(10, 0, 2, 2)
#define ECHO_ID       0x4e32
#define PINGS         60 /* of the largest kind: the ring of the card holds nine */

static struct ne2000 card;
static struct inet inet = {.card = &card.nic, .address = ADDRESS};
static uint8_t pattern[INET_DATA_MAX];
static uint8_t router[NET_MAC_LEN];
static volatile uint32_t interrupts;

static void on_card(struct trap_frame *frame)
{
    (void)frame;
    interrupts += (ne2000_ack(&card) & NE2000_RECEIVED) != 0;
    apic_eoi();
}

static bool ping(uint16_t number, uint32_t len)
{
    struct inet_message m;

    return inet_send_echo(&inet, router, ROUTER, ECHO_ID, number, pattern, len) &&
           inet_wait(&inet, INET_ECHO_REPLY, &m) && m.port == ECHO_ID && m.from_port == number &&
           m.len == len && memcmp(m.data, pattern, len) == 0;
}

static void test_interrupt(void)
{
    struct inet_message m;

    trap_set_handler(VECTOR_NE2000, on_card);
    ioapic_route(GSI_NE2000, VECTOR_NE2000, 0);
    ne2000_listen(&card, true);
    inet_ask(&inet, ROUTER);
    check(wait_until(&interrupts, 1), "an interrupt tells of the answer");
    check(inet_wait(&inet, INET_ARP_REPLY, &m), "and there it is");
    ne2000_listen(&card, false);
}

void guest_main(void)
{
    struct inet_message m = {.kind = INET_NONE};
    unsigned good = 0;

    apic_enable(false);
    if (!check(ne2000_open(&card, PORT), "there is a card"))
        return;
    printf("address %02x:%02x:%02x:%02x:%02x:%02x\n", card.nic.mac[0], card.nic.mac[1],
           card.nic.mac[2], card.nic.mac[3], card.nic.mac[4], card.nic.mac[5]);
    check(inet_ask(&inet, ROUTER) && inet_wait(&inet, INET_ARP_REPLY, &m) && m.from == ROUTER,
          "ARP: the router answers");
    memcpy(router, m.mac, NET_MAC_LEN);
    for (unsigned i = 0; i < sizeof(pattern); i++)
        pattern[i] = (uint8_t)(i * 7);
    check(ping(0, 1), "ICMP echo: 1 byte");
    for (uint16_t i = 1; i <= PINGS; i++)
        good += ping(i, INET_DATA_MAX - i % 2);
    check_equal(good, PINGS, "ICMP echo: full frames, several times around the ring");
    test_interrupt();
}
