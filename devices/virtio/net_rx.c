/*
 * Frames for the guest (virtio 1.2, 5.1.6.3 and 5.1.6.4): from the back end straight into the
 * driver's buffers. Called by net.c.
 *
 * How long a frame is shows only when it is there. So the back end reads into the chains at hand
 * and, behind them, into a spill buffer; what lands there is copied into further chains. After a
 * large frame enough chains for the largest are taken beforehand, so that a stream of them is not
 * copied. The header and the addresses go through host memory, where they are checked.
 */
#include <errno.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/virtio/net_card.h"

#define TURN_FRAMES  64
#define HEAD_BYTES   (NET_HEADER_BYTES + NET_ETHERNET_BYTES)
#define SEGMENTS_MAX (NET_IOV_MAX - 4) /* of the chains; the head and the spill come on top */
#define LARGE_BYTES  4096              /* a frame above that makes us expect more of the kind */
#define LARGE_FRAMES 64                /* until this many smaller ones came */
#define NUM_BUFFERS  10                /* offset in the header */

_Static_assert(SEGMENTS_MAX == VIRTQ_MAX_SIZE, "one chain always fits");

/* One turn. The chains in card->stash[0, held) were popped and are not used yet. */
struct rx {
    struct card_pair *pair;
    struct card *card;
    struct virtq *q;
    bool mergeable;
    unsigned held;
    uint64_t room; /* bytes in them */
    uint8_t head[HEAD_BYTES];
};

/* 1: one more chain is held. 0: there is none. -EPROTO. */
static int hold(struct rx *rx)
{
    for (unsigned i = 0; i < VIRTQ_MAX_SIZE; i++) {
        struct virtq_chain *chain = rx->card->stash[rx->held];
        int got = rx->held < NET_STASH ? virtq_pop(rx->q, chain) : 0;

        if (got <= 0)
            return got;
        if (chain->in_len >= NET_HEADER_BYTES) {
            rx->held++;
            rx->room += chain->in_len;
            return 1;
        }
        log_guest("virtio-net: a receive buffer without room for a header");
        if (rx->held > 0)
            return -EPROTO; /* it would have to be given back before those that are held */
        virtq_push(rx->q, chain, 0);
    }
    return 0;
}

static int hold_until(struct rx *rx, uint64_t room)
{
    int got = 1;

    while (got > 0 && rx->room < room)
        got = hold(rx);
    return got;
}

/* Gives back what is held, last first. */
static void release(struct rx *rx)
{
    while (rx->held > 0)
        virtq_unpop(rx->q, rx->card->stash[--rx->held]);
    rx->room = 0;
}

/* Copies to byte `offset` of the held chains, as if they were one. */
static void scatter(const struct rx *rx, uint64_t offset, const uint8_t *from, size_t len)
{
    for (unsigned i = 0; i < rx->held && len > 0; i++) {
        const struct virtq_chain *chain = rx->card->stash[i];
        size_t n;

        if (offset >= chain->in_len) {
            offset -= chain->in_len;
            continue;
        }
        n = virtq_chain_write(chain, offset, from, len);
        from += n;
        len -= n;
        offset = 0;
    }
}

/* The held chains behind the first HEAD_BYTES; *covered counts the head and all segments. */
static unsigned build_iov(const struct rx *rx, struct iovec *iov, uint64_t *covered)
{
    uint64_t skip = HEAD_BYTES;
    unsigned n = 1;

    iov[0] = (struct iovec){(void *)(uintptr_t)rx->head, HEAD_BYTES};
    *covered = HEAD_BYTES;
    for (unsigned i = 0; i < rx->held; i++) {
        const struct virtq_chain *chain = rx->card->stash[i];

        for (unsigned k = 0; k < chain->in_count; k++) {
            struct iovec seg = chain->iov[chain->out_count + k];
            size_t cut = skip < seg.iov_len ? (size_t)skip : seg.iov_len;

            skip -= cut;
            if (cut == seg.iov_len)
                continue;
            if (n > SEGMENTS_MAX)
                return n;
            iov[n++] = (struct iovec){(uint8_t *)seg.iov_base + cut, seg.iov_len - cut};
            *covered += seg.iov_len - cut;
        }
    }
    return n;
}

/* Whether the guest is to have the frame of `len` bytes whose head was read. */
static bool wanted(struct rx *rx, size_t len)
{
    const struct card *card = rx->card;
    uint8_t *hdr = rx->head;

    if (len < NET_ETHERNET_BYTES || net_hdr_to_guest(hdr, len, card->guest_offloads))
        return false;
    /* 5.1.4.1: no packet above the MTU that was agreed upon. */
    if (virtio_has(&card->v, NET_F_MTU) && !net_hdr_is_gso(hdr) &&
        len > card->mtu + NET_ETHERNET_BYTES + NET_VLAN_BYTES)
        return false;
    return net_filter_accepts(&card->filter, card->v.config + NET_CONFIG_MAC,
                              hdr + NET_HEADER_BYTES);
}

/* The first `n` of the held chains are used: their memory goes behind those that are still held. */
static void forget(struct rx *rx, unsigned n)
{
    struct virtq_chain **stash = rx->card->stash, *used[NET_STASH];

    rx->held -= n;
    for (unsigned i = 0; i < n; i++)
        used[i] = stash[i];
    for (unsigned i = 0; i < rx->held; i++)
        stash[i] = stash[n + i];
    for (unsigned i = 0; i < n; i++)
        stash[rx->held + i] = used[i];
}

/* Hands the first chains over, filled with `total` bytes, and keeps the others held. */
static void deliver(struct rx *rx, uint64_t total)
{
    struct virtq_chain **stash = rx->card->stash;
    uint32_t written[NET_STASH];
    unsigned n = 0;

    for (uint64_t left = total; left > 0; n++) {
        uint64_t len = left < stash[n]->in_len ? left : stash[n]->in_len;

        written[n] = (uint32_t)len;
        left -= len;
        rx->room -= stash[n]->in_len;
    }
    store_le16(rx->head + NUM_BUFFERS, rx->mergeable ? (uint16_t)n : 1);
    scatter(rx, 0, rx->head, HEAD_BYTES);
    virtq_push_all(rx->q, (const struct virtq_chain *const *)stash, written, n);
    forget(rx, n);
}

static void remember_size(struct card_pair *pair, size_t total)
{
    if (total > LARGE_BYTES)
        pair->large = LARGE_FRAMES;
    else if (pair->large > 0)
        pair->large--;
}

/* A frame of `total` bytes was read; -EPROTO, or 1, delivered or dropped. */
static int finish(struct rx *rx, uint64_t total, uint64_t covered)
{
    struct card *card = rx->card;

    if (wanted(rx, (size_t)total - NET_HEADER_BYTES)) {
        if (rx->mergeable && hold_until(rx, total) < 0)
            return -EPROTO;
        if (rx->room >= total) {
            if (total > covered)
                scatter(rx, covered, card->spill, (size_t)(total - covered));
            deliver(rx, total);
            bucket_charge(&card->bytes[CARD_RX], total - NET_HEADER_BYTES);
            bucket_charge(&card->frames[CARD_RX], 1);
            return 1;
        }
    }
    card->dropped[CARD_RX]++;
    return 1;
}

/* 1: a frame was read. -EAGAIN: none is there. -ENOBUFS: the driver gave no buffer. -EPROTO. */
static int serve_one(struct rx *rx)
{
    uint64_t largest = rx->mergeable && rx->pair->large ? NET_HEADER_BYTES + NET_FRAME_MAX : 1;
    struct iovec iov[NET_IOV_MAX];
    uint64_t covered;
    unsigned count;
    ssize_t n;
    int got = hold_until(rx, largest);

    if (got < 0)
        return got;
    if (rx->held == 0)
        return -ENOBUFS;
    count = build_iov(rx, iov, &covered);
    if (rx->mergeable)
        iov[count++] = (struct iovec){rx->card->spill, NET_FRAME_MAX};
    n = net_recv(rx->card->net, rx->pair->n, iov, count);
    if (n == -EMSGSIZE) {
        rx->card->dropped[CARD_RX]++;
        return 1;
    }
    if (n < NET_HEADER_BYTES)
        return -EAGAIN;
    remember_size(rx->pair, (size_t)n);
    return finish(rx, (uint64_t)n, covered);
}

/* Nanoseconds that the rate limit asks for; a frame's size is charged when it is known. */
static uint64_t limit(struct card *card)
{
    uint64_t now, bytes, frames;

    if (!card->bytes[CARD_RX].rate && !card->frames[CARD_RX].rate)
        return 0;
    now = loop_now_ns();
    bytes = bucket_wait(&card->bytes[CARD_RX], 1, now);
    frames = bucket_wait(&card->frames[CARD_RX], 1, now);
    return bytes > frames ? bytes : frames;
}

/* Without buffers the host is not asked for frames, and the driver is asked for its kick. */
static void wait_for_buffers(struct card_pair *pair, struct virtq *q)
{
    net_want_read(pair->card->net, pair->n, false);
    if (virtq_set_kicks(q, true))
        card_start_rx(pair);
}

void card_serve_rx(struct card_pair *pair)
{
    struct card *card = pair->card;
    unsigned queue = card_rx_queue(pair->n);
    struct rx rx = {.pair = pair,
                    .card = card,
                    .q = &card->v.queue[queue],
                    .mergeable = virtio_has(&card->v, NET_F_MRG_RXBUF)};
    uint64_t wait = 0;
    int got = 1;

    for (unsigned i = 0; i < TURN_FRAMES && got > 0 && !wait; i++) {
        wait = limit(card);
        if (!wait)
            got = serve_one(&rx);
    }
    release(&rx);
    virtio_notify(&card->v, queue);
    if (got == -EPROTO) {
        virtio_broken(&card->v, "the receive queue breaks a rule");
    } else if (got == -ENOBUFS) {
        wait_for_buffers(pair, rx.q);
    } else if (wait) {
        net_want_read(card->net, pair->n, false);
        loop_timer_arm(pair->rx_timer, wait);
    } else {
        net_want_read(card->net, pair->n, true); /* the next frame, or another turn */
    }
}

void card_start_rx(struct card_pair *pair)
{
    if (pair->n >= pair->card->active_pairs)
        return; /* 5.1.6.5.5.2: until the driver turns it on */
    virtq_set_kicks(&pair->card->v.queue[card_rx_queue(pair->n)], false);
    net_want_read(pair->card->net, pair->n, true);
}
