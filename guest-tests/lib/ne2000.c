/* The NE2000's driver; see ne2000.h. Section numbers are those of the DP8390D data sheet. */
#include "guest-tests/lib/ne2000.h"

#include "guest-tests/lib/io.h"
#include "guest-tests/lib/string.h"

/* Ports; those from 1 to 15 have other registers in each of two pages (10.3) */
#define COMMAND      0x00
#define PSTART       0x01 /* page 0: the receive ring */
#define PSTOP        0x02
#define BOUNDARY     0x03 /* the last page that has been read */
#define TX_PAGE      0x04
#define TX_COUNT     0x05 /* two bytes */
#define ISR          0x07
#define DMA_AT       0x08 /* two bytes */
#define DMA_LEN      0x0a /* two bytes */
#define RX_CONF      0x0c
#define TX_CONF      0x0d
#define DATA_CONF    0x0e
#define IMR          0x0f
#define MAC          0x01 /* page 1: six bytes */
#define CURRENT      0x07 /* page 1: where the next frame will be written */
#define DATA         0x10
#define RESET        0x1f

#define CR_STOP      0x01
#define CR_START     0x02
#define CR_SEND      0x04
#define CR_READ      0x08
#define CR_WRITE     0x10
#define CR_NO_DMA    0x20
#define CR_PAGE1     0x40

#define ISR_SENT     0x02
#define ISR_DMA_DONE 0x40
#define ISR_RESET    0x80

#define DATA_WORDS   0x49 /* 16 bits at a time, FIFO of 8 bytes, no loopback */
#define RX_BROADCAST 0x04
#define RX_MONITOR   0x20 /* looks, but keeps nothing */
#define TX_LOOPBACK  0x02

/* The card's memory, in pages: one frame to send, the rest a ring of those received. */
#define PAGE      256
#define FIRST_TX  0x40
#define FIRST_RX  0x46
#define END_RX    0x80
#define POLLS     100000
#define FRAME_MIN 60
#define CRC_LEN   4

static uint8_t get(const struct ne2000 *card, unsigned reg)
{
    return in8((uint16_t)(card->port + reg));
}

static void set(const struct ne2000 *card, unsigned reg, unsigned value)
{
    out8((uint16_t)(card->port + reg), (uint8_t)value);
}

static void set16(const struct ne2000 *card, unsigned reg, unsigned value)
{
    set(card, reg, value);
    set(card, reg + 1, value >> 8);
}

static bool wait_isr(const struct ne2000 *card, uint8_t bit)
{
    for (unsigned i = 0; i < POLLS; i++)
        if (get(card, ISR) & bit) {
            set(card, ISR, bit);
            return true;
        }
    return false;
}

/* "Remote DMA" (9.0): the card's own, between its memory and the data port. */
static void begin_dma(const struct ne2000 *card, unsigned at, unsigned len, unsigned direction)
{
    set(card, ISR, ISR_DMA_DONE);
    set16(card, DMA_LEN, len);
    set16(card, DMA_AT, at);
    set(card, COMMAND, CR_START | direction);
}

static void fetch(const struct ne2000 *card, unsigned at, uint8_t *to, unsigned len)
{
    begin_dma(card, at, (len + 1) & ~1u, CR_READ);
    for (unsigned i = 0; i < len; i += 2) {
        uint16_t word = in16((uint16_t)(card->port + DATA));

        to[i] = (uint8_t)word;
        if (i + 1 < len)
            to[i + 1] = (uint8_t)(word >> 8);
    }
    wait_isr(card, ISR_DMA_DONE);
}

/* Short frames are filled up: on a real wire they would pass for fragments of a collision. */
static bool send(struct nic *nic, const void *frame, uint32_t len)
{
    struct ne2000 *card = (struct ne2000 *)nic;
    static uint8_t out[NET_FRAME_MAX + 1];
    uint32_t whole = len < FRAME_MIN ? FRAME_MIN : len;

    if (len > NET_FRAME_MAX)
        return false;
    memset(out, 0, FRAME_MIN);
    memcpy(out, frame, len);
    begin_dma(card, FIRST_TX * PAGE, (whole + 1) & ~1u, CR_WRITE);
    for (uint32_t i = 0; i < whole; i += 2)
        out16((uint16_t)(card->port + DATA), (uint16_t)(out[i] | out[i + 1] << 8));
    if (!wait_isr(card, ISR_DMA_DONE))
        return false;
    set(card, ISR, ISR_SENT);
    set(card, TX_PAGE, FIRST_TX);
    set16(card, TX_COUNT, whole);
    set(card, COMMAND, CR_START | CR_NO_DMA | CR_SEND);
    return wait_isr(card, ISR_SENT);
}

static uint8_t current_page(const struct ne2000 *card)
{
    uint8_t page;

    set(card, COMMAND, CR_START | CR_NO_DMA | CR_PAGE1);
    page = get(card, CURRENT);
    set(card, COMMAND, CR_START | CR_NO_DMA);
    return page;
}

/* From the ring: what runs over its end goes on at its start. */
static void fetch_wrapped(const struct ne2000 *card, unsigned at, uint8_t *to, unsigned len)
{
    unsigned until_end = END_RX * PAGE - at;

    if (len <= until_end) {
        fetch(card, at, to, len);
        return;
    }
    fetch(card, at, to, until_end);
    fetch(card, FIRST_RX * PAGE, to + until_end, len - until_end);
}

/* Each frame has four bytes in front (7.0): status, the page of the next one, and the length, in
 * which the four of the checksum count, but not these. */
static const uint8_t *receive(struct nic *nic, uint32_t *len)
{
    struct ne2000 *card = (struct ne2000 *)nic;
    uint8_t header[4], next;
    unsigned size, at = card->next * PAGE;

    if (current_page(card) == card->next)
        return NULL;
    fetch(card, at, header, sizeof(header));
    next = header[1];
    size = (unsigned)(header[2] | header[3] << 8);
    if (next < FIRST_RX || next >= END_RX || size < CRC_LEN || size - CRC_LEN > NET_FRAME_MAX)
        return NULL;
    *len = size - CRC_LEN;
    fetch_wrapped(card, at + 4, card->frame, *len);
    card->next = next;
    set(card, BOUNDARY, next == FIRST_RX ? END_RX - 1u : next - 1u);
    return card->frame;
}

/* 10.2: the order in which the data sheet wants the registers set, stopped and in loopback. */
static void initialise(struct ne2000 *card)
{
    set(card, COMMAND, CR_STOP | CR_NO_DMA);
    set(card, DATA_CONF, DATA_WORDS);
    set16(card, DMA_LEN, 0);
    set(card, RX_CONF, RX_MONITOR);
    set(card, TX_CONF, TX_LOOPBACK);
    set(card, PSTART, FIRST_RX);
    set(card, PSTOP, END_RX);
    set(card, BOUNDARY, FIRST_RX);
    set(card, ISR, 0xff);
    set(card, IMR, 0);
}

/* The address stands in a PROM at the start of the card's memory, each byte twice. */
static void read_mac(struct ne2000 *card)
{
    uint8_t prom[2 * NET_MAC_LEN];

    set(card, COMMAND, CR_START | CR_NO_DMA);
    fetch(card, 0, prom, sizeof(prom));
    for (unsigned i = 0; i < NET_MAC_LEN; i++)
        card->nic.mac[i] = prom[2 * i];
}

bool ne2000_open(struct ne2000 *card, uint16_t port)
{
    card->port = port;
    card->nic.send = send;
    card->nic.receive = receive;
    set(card, RESET, get(card, RESET));
    if (!(get(card, ISR) & ISR_RESET) || get(card, ISR) == 0xff)
        return false;
    initialise(card);
    read_mac(card);
    set(card, COMMAND, CR_STOP | CR_NO_DMA | CR_PAGE1);
    for (unsigned i = 0; i < NET_MAC_LEN; i++)
        set(card, MAC + i, card->nic.mac[i]);
    card->next = FIRST_RX + 1;
    set(card, CURRENT, card->next);
    set(card, COMMAND, CR_START | CR_NO_DMA);
    set(card, TX_CONF, 0);
    set(card, RX_CONF, RX_BROADCAST);
    return true;
}

void ne2000_listen(struct ne2000 *card, bool on)
{
    set(card, ISR, 0xff);
    set(card, IMR, on ? NE2000_RECEIVED : 0);
}

uint8_t ne2000_ack(struct ne2000 *card)
{
    uint8_t why = get(card, ISR);

    set(card, ISR, why);
    return why;
}
