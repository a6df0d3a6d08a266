/*
 * The control queue of the network device (virtio 1.2, 5.1.6.5): which frames the guest wants, its
 * address, its queue pairs, its offloads. Called by net.c.
 */
#include <errno.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "devices/virtio/net_card.h"

#define TURN_COMMANDS        16
#define HEAD_BYTES           2 /* class and command */
#define ACK_OK               0
#define ACK_ERR              1

#define CLASS_RX             0
#define CLASS_MAC            1
#define CLASS_MQ             4
#define CLASS_GUEST_OFFLOADS 5

bool net_filter_accepts(const struct net_filter *f, const uint8_t own[NET_MAC_BYTES],
                        const uint8_t to[NET_MAC_BYTES])
{
    static const uint8_t broadcast[NET_MAC_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    bool multi = to[0] & 1;
    unsigned from = multi ? f->uni : 0, end = multi ? f->uni + f->multi : f->uni;

    if (f->promisc)
        return true;
    if (memcmp(to, broadcast, NET_MAC_BYTES) == 0)
        return !f->nobcast;
    if (multi ? f->nomulti : f->nouni)
        return false;
    if (multi ? f->allmulti || f->many_multi : f->alluni || f->many_uni)
        return true;
    if (!multi && memcmp(to, own, NET_MAC_BYTES) == 0)
        return true;
    for (unsigned i = from; i < end; i++)
        if (memcmp(to, f->table[i], NET_MAC_BYTES) == 0)
            return true;
    return false;
}

/* 5.1.6.5.1: modes of one byte each. */
static uint8_t set_mode(struct card *card, uint8_t command, const struct virtq_chain *chain)
{
    struct net_filter *f = &card->filter;
    bool *const modes[] = {&f->promisc, &f->allmulti, &f->alluni,
                           &f->nomulti, &f->nouni,    &f->nobcast};
    uint64_t feature = command < 2 ? NET_F_CTRL_RX : NET_F_CTRL_RX_EXTRA;
    uint8_t on;

    if (command >= ARRAY_SIZE(modes) || !virtio_has(&card->v, feature) ||
        chain->out_len != HEAD_BYTES + 1)
        return ACK_ERR;
    virtq_chain_read(chain, HEAD_BYTES, &on, 1);
    *modes[command] = on;
    return ACK_OK;
}

/*
 * One list of addresses at *offset: a count and that many. Stores them behind the *used that are
 * there; *count is how many, *many says that they did not all fit. False: the list is cut short.
 */
static bool read_list(const struct virtq_chain *chain, uint64_t *offset, struct net_filter *f,
                      unsigned used, unsigned *count, bool *many)
{
    uint8_t word[4];
    uint64_t bytes;

    if (virtq_chain_read(chain, *offset, word, sizeof(word)) != sizeof(word))
        return false;
    *offset += sizeof(word);
    bytes = (uint64_t)load_le32(word) * NET_MAC_BYTES;
    if (!range_fits(*offset, bytes, chain->out_len))
        return false;
    *many = bytes > (uint64_t)(NET_TABLE_MAX - used) * NET_MAC_BYTES;
    *count = *many ? 0 : (unsigned)(bytes / NET_MAC_BYTES);
    virtq_chain_read(chain, *offset, f->table[used], (size_t)*count * NET_MAC_BYTES);
    *offset += bytes;
    return true;
}

/* 5.1.6.5.2: unicast addresses, then multicast ones. Nothing changes unless both are sound. */
static uint8_t set_table(struct card *card, const struct virtq_chain *chain)
{
    struct net_filter f = card->filter;
    uint64_t offset = HEAD_BYTES;

    f.uni = f.multi = 0;
    if (!virtio_has(&card->v, NET_F_CTRL_RX) ||
        !read_list(chain, &offset, &f, 0, &f.uni, &f.many_uni) ||
        !read_list(chain, &offset, &f, f.uni, &f.multi, &f.many_multi) || offset != chain->out_len)
        return ACK_ERR;
    card->filter = f;
    return ACK_OK;
}

static uint8_t set_address(struct card *card, const struct virtq_chain *chain)
{
    if (!virtio_has(&card->v, NET_F_CTRL_MAC_ADDR) || chain->out_len != HEAD_BYTES + NET_MAC_BYTES)
        return ACK_ERR;
    virtq_chain_read(chain, HEAD_BYTES, card->v.config + NET_CONFIG_MAC, NET_MAC_BYTES);
    return ACK_OK;
}

/* 5.1.6.5.5 */
static uint8_t set_pairs(struct card *card, uint8_t command, const struct virtq_chain *chain)
{
    unsigned pairs, before = card->active_pairs;
    uint8_t data[2];

    if (command != 0 || !virtio_has(&card->v, NET_F_MQ) ||
        chain->out_len != HEAD_BYTES + sizeof(data))
        return ACK_ERR;
    virtq_chain_read(chain, HEAD_BYTES, data, sizeof(data));
    pairs = load_le16(data);
    if (pairs < 1 || pairs > card->pairs)
        return ACK_ERR;
    card->active_pairs = pairs;
    card->stale = true;
    card_settle(card);
    for (unsigned i = before; i < pairs; i++)
        if (virtio_queue_ready(&card->v, card_rx_queue(i)))
            card_start_rx(&card->pair[i]);
    return ACK_OK;
}

/* 5.1.6.5.6.1: some of what was negotiated. */
static uint8_t set_offloads(struct card *card, uint8_t command, const struct virtq_chain *chain)
{
    uint8_t data[8];
    uint64_t wanted;

    if (command != 0 || !virtio_has(&card->v, NET_F_CTRL_GUEST_OFFLOADS) ||
        chain->out_len != HEAD_BYTES + sizeof(data))
        return ACK_ERR;
    virtq_chain_read(chain, HEAD_BYTES, data, sizeof(data));
    wanted = load_le64(data);
    if (wanted & ~(card->v.acked & NET_F_GUEST_OFFLOADS))
        return ACK_ERR;
    card->guest_offloads = wanted;
    card->stale = true;
    card_settle(card);
    return ACK_OK;
}

static uint8_t execute(struct card *card, const struct virtq_chain *chain)
{
    uint8_t head[HEAD_BYTES];

    if (virtq_chain_read(chain, 0, head, sizeof(head)) != sizeof(head))
        return ACK_ERR;
    switch (head[0]) {
    case CLASS_RX:
        return set_mode(card, head[1], chain);
    case CLASS_MAC:
        if (head[1] == 0)
            return set_table(card, chain);
        return head[1] == 1 ? set_address(card, chain) : ACK_ERR;
    case CLASS_MQ:
        return set_pairs(card, head[1], chain);
    case CLASS_GUEST_OFFLOADS:
        return set_offloads(card, head[1], chain);
    default:
        return ACK_ERR;
    }
}

static int serve_one(struct card *card, struct virtq *q)
{
    struct virtq_chain chain;
    int got = virtq_pop(q, &chain);
    uint8_t ack;

    if (got <= 0)
        return got;
    ack = execute(card, &chain);
    if (ack != ACK_OK)
        log_guest("virtio-net: a control command that is not known or malformed");
    virtq_push(q, &chain, (uint32_t)virtq_chain_write(&chain, 0, &ack, sizeof(ack)));
    return 1;
}

void card_serve_ctrl(struct card *card, unsigned queue)
{
    struct virtq *q = &card->v.queue[queue];
    int got = 1;

    for (unsigned i = 0; i < TURN_COMMANDS && got > 0; i++) {
        got = serve_one(card, q);
        if (got == 0 && virtq_set_kicks(q, true))
            got = 1;
    }
    virtio_notify(&card->v, queue);
    if (got == -EPROTO)
        virtio_broken(&card->v, "the control queue breaks a rule");
    else if (got > 0)
        virtio_ring(&card->v, queue);
}
