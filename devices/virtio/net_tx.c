/*
 * Frames that the guest sends (virtio 1.2, 5.1.6.2): out of its memory into the back end without a
 * copy but that of the header, which is checked first. Called by net.c.
 */
#include <errno.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/virtio/net_card.h"

#define TURN_FRAMES 64 /* then the other devices have their turn */

/* What one chain asks for, in host memory. */
struct tx_frame {
    uint8_t hdr[NET_HEADER_BYTES];
    uint64_t len; /* without header */
};

/* -EINVAL: no frame that the host may see. */
static int parse(const struct card *card, const struct virtq_chain *chain, struct tx_frame *frame)
{
    if (chain->out_len < NET_HEADER_BYTES + NET_ETHERNET_BYTES ||
        chain->out_len > NET_HEADER_BYTES + NET_FRAME_MAX)
        return -EINVAL;
    frame->len = chain->out_len - NET_HEADER_BYTES;
    virtq_chain_read(chain, 0, frame->hdr, NET_HEADER_BYTES);
    return net_hdr_from_guest(frame->hdr, frame->len, card->v.acked);
}

/* Nanoseconds that the rate limit still asks for. */
static uint64_t limit(struct card *card, uint64_t len)
{
    uint64_t now, bytes, frames;

    if (!card->bytes[CARD_TX].rate && !card->frames[CARD_TX].rate)
        return 0;
    now = loop_now_ns();
    bytes = bucket_wait(&card->bytes[CARD_TX], len, now);
    frames = bucket_wait(&card->frames[CARD_TX], 1, now);
    return bytes > frames ? bytes : frames;
}

/* -EAGAIN: not now. */
static int execute(struct card_pair *pair, const struct virtq_chain *chain, struct tx_frame *frame)
{
    struct card *card = pair->card;
    struct iovec iov[1 + VIRTQ_MAX_SIZE] = {{frame->hdr, NET_HEADER_BYTES}};
    uint64_t wait = limit(card, frame->len);
    unsigned n;
    int err;

    if (wait) {
        loop_timer_arm(pair->tx_timer, wait);
        return -EAGAIN;
    }
    n = virtq_chain_slice(chain, false, NET_HEADER_BYTES, frame->len, iov + 1);
    err = net_send(card->net, pair->n, iov, n + 1);
    if (!err) {
        bucket_charge(&card->bytes[CARD_TX], frame->len);
        bucket_charge(&card->frames[CARD_TX], 1);
    }
    return err;
}

/* 1: one chain is done. 0: none waits. -EAGAIN, -EPROTO. */
static int serve_one(struct card_pair *pair, struct virtq *q)
{
    struct virtq_chain chain;
    struct tx_frame frame;
    int got = virtq_pop(q, &chain);

    if (got <= 0)
        return got;
    if (parse(pair->card, &chain, &frame)) {
        log_guest("virtio-net: a frame to send that is too short, too long or has a bad header");
        pair->card->dropped[CARD_TX]++;
    } else if (execute(pair, &chain, &frame) == -EAGAIN) {
        virtq_unpop(q, &chain);
        return -EAGAIN;
    }
    virtq_push(q, &chain, 0);
    return 1;
}

/*
 * A guest that sends is looked at once more before its notifications are asked for again: a turn of
 * the loop costs less than the guest's next way out.
 */
void card_serve_tx(struct card_pair *pair)
{
    struct virtio *v = &pair->card->v;
    unsigned queue = card_tx_queue(pair->n), sent = 0;
    struct virtq *q = &v->queue[queue];
    int got = 1;

    virtq_set_kicks(q, false);
    while (sent < TURN_FRAMES && (got = serve_one(pair, q)) > 0)
        sent++;
    virtio_notify(v, queue);
    if (got == -EPROTO)
        virtio_broken(v, "the transmit queue breaks a rule");
    else if (got > 0 || (got == 0 && (sent > 0 || virtq_set_kicks(q, true))))
        virtio_ring(v, queue); /* another turn, behind those who wait */
}
