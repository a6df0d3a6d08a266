/*
 * The network device (virtio 1.2, 5.1): features, configuration, link, life. One card for each
 * `--net`; the other end of its cable is a back end of devices/net/net.h. Created by net_create.c.
 * Frames: net_rx.c, net_tx.c; the control queue: net_ctrl.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/loop.h"
#include "devices/core/state.h"
#include "devices/core/util.h"
#include "devices/virtio/net_card.h"

#define DEVICE_ID  1
#define QUEUE_SIZE 256

/* Offloads of the back end, and the features that stand for them in each direction. */
static const struct {
    unsigned net;
    uint64_t host, guest;
} offloads[] = {
    {NET_CSUM, NET_F_CSUM, NET_F_GUEST_CSUM | NET_F_CTRL_GUEST_OFFLOADS},
    {NET_TSO4, NET_F_HOST_TSO4, NET_F_GUEST_TSO4},
    {NET_TSO6, NET_F_HOST_TSO6, NET_F_GUEST_TSO6},
    {NET_ECN, NET_F_HOST_ECN, NET_F_GUEST_ECN},
    {NET_UFO, NET_F_HOST_UFO, NET_F_GUEST_UFO},
};

static struct card *card_of(struct virtio *v)
{
    return container_of(v, struct card, v);
}

static uint64_t features_of(const struct card *card)
{
    uint64_t features = NET_F_MAC | NET_F_STATUS | NET_F_MRG_RXBUF | NET_F_CTRL_VQ | NET_F_CTRL_RX |
                        NET_F_CTRL_RX_EXTRA | NET_F_CTRL_MAC_ADDR;

    for (unsigned i = 0; i < ARRAY_SIZE(offloads); i++)
        if (net_offloads(card->net) & offloads[i].net)
            features |= offloads[i].host | offloads[i].guest;
    if (card->mtu)
        features |= NET_F_MTU;
    if (card->pairs > 1)
        features |= NET_F_MQ;
    return features;
}

/* 5.1.3.1: large frames need checksums; a driver that says otherwise gets none. */
static unsigned offloads_for(uint64_t guest)
{
    unsigned found = 0;

    if (!(guest & NET_F_GUEST_CSUM))
        return 0;
    for (unsigned i = 0; i < ARRAY_SIZE(offloads); i++)
        if (guest & offloads[i].guest)
            found |= offloads[i].net;
    if (!(found & (NET_TSO4 | NET_TSO6)))
        found &= ~(unsigned)NET_ECN;
    return found;
}

void card_settle(struct card *card)
{
    if (!card->stale)
        return;
    card->stale = false;
    net_set_offloads(card->net, offloads_for(card->guest_offloads));
    net_set_queues(card->net, card->active_pairs);
}

void card_forget(struct card *card)
{
    card->active_pairs = 1;
    card->guest_offloads = card->v.acked & NET_F_GUEST_OFFLOADS;
    /* A driver that does not know the control queue gets all frames. */
    card->filter = (struct net_filter){.promisc = true};
    memcpy(card->v.config + NET_CONFIG_MAC, card->own_mac, NET_MAC_BYTES);
    card->stale = true;
}

/* Callbacks of virtio.c. */

/* On a vCPU thread: the back end learns of it at the first kick, which follows. */
static int card_activate(struct virtio *v)
{
    card_forget(card_of(v));
    return 0;
}

/* 5.1.2: behind the pairs that the driver knows of. */
static unsigned ctrl_queue(const struct card *card)
{
    return 2 * (virtio_has(&card->v, NET_F_MQ) ? card->pairs : 1);
}

static void card_kick(struct virtio *v, unsigned queue)
{
    struct card *card = card_of(v);
    struct card_pair *pair = &card->pair[queue / 2];

    card_settle(card);
    if (queue == ctrl_queue(card)) {
        if (virtio_has(v, NET_F_CTRL_VQ))
            card_serve_ctrl(card, queue);
    } else if (queue > ctrl_queue(card)) {
        return; /* pairs of a driver that did not ask for them */
    } else if (queue % 2) {
        card_serve_tx(pair);
    } else {
        card_start_rx(pair);
    }
}

/* The back end is not told: this may be a vCPU thread. It asks once more, and is told then. */
static void card_stop(struct virtio *v, unsigned queue)
{
    struct card *card = card_of(v);

    for (unsigned i = 0; i < card->pairs; i++) {
        if (queue == VIRTIO_ALL_QUEUES || queue == card_rx_queue(i))
            loop_timer_disarm(card->pair[i].rx_timer);
        if (queue == VIRTIO_ALL_QUEUES || queue == card_tx_queue(i))
            loop_timer_disarm(card->pair[i].tx_timer);
    }
    /* The next driver reads it before it starts the device. */
    if (queue == VIRTIO_ALL_QUEUES)
        memcpy(v->config + NET_CONFIG_MAC, card->own_mac, NET_MAC_BYTES);
}

static void card_destroy(struct virtio *v)
{
    struct card *card = card_of(v);

    net_close(card->net);
    for (unsigned i = 0; i < NET_QUEUES_MAX; i++) {
        loop_timer_remove(card->pair[i].rx_timer);
        loop_timer_remove(card->pair[i].tx_timer);
    }
    free(card->stash_block);
    free(card->spill);
    free(card);
}

/* Callbacks of the loop: under no lock yet. */

static void lock(struct card *card)
{
    pthread_mutex_lock(card->v.lock);
}

static void unlock(struct card *card)
{
    pthread_mutex_unlock(card->v.lock);
}

static void serve_rx(struct card_pair *pair)
{
    struct card *card = pair->card;

    lock(card);
    card_settle(card);
    if (virtio_queue_ready(&card->v, card_rx_queue(pair->n)) && pair->n < card->active_pairs)
        card_serve_rx(pair);
    else
        net_want_read(card->net, pair->n, false);
    unlock(card);
}

static void serve_tx(struct card_pair *pair)
{
    struct card *card = pair->card;

    lock(card);
    card_settle(card);
    if (virtio_queue_ready(&card->v, card_tx_queue(pair->n)))
        card_serve_tx(pair);
    unlock(card);
}

static void on_readable(void *opaque, unsigned queue)
{
    struct card *card = opaque;

    serve_rx(&card->pair[queue]);
}

static void on_writable(void *opaque, unsigned queue)
{
    struct card *card = opaque;

    serve_tx(&card->pair[queue]);
}

static void on_rx_timer(void *opaque)
{
    serve_rx(opaque);
}

static void on_tx_timer(void *opaque)
{
    serve_tx(opaque);
}

static void set_status(struct card *card)
{
    store_le16(card->v.config + NET_CONFIG_STATUS, net_link_up(card->net) ? NET_STATUS_LINK_UP : 0);
}

static void on_link(void *opaque, bool up)
{
    struct card *card = opaque;

    (void)up;
    lock(card);
    set_status(card);
    if (virtio_has(&card->v, NET_F_STATUS))
        virtio_config_changed(&card->v);
    unlock(card);
}

/* Saved state: what the driver set by the control queue. */

static void card_save(struct virtio *v, struct state_writer *w)
{
    const struct card *card = card_of(v);
    const struct net_filter *f = &card->filter;
    const bool modes[] = {f->promisc, f->allmulti, f->alluni,   f->nomulti,
                          f->nouni,   f->nobcast,  f->many_uni, f->many_multi};
    uint8_t bits = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(modes); i++)
        bits |= (uint8_t)(modes[i] << i);
    state_put_bytes(w, v->config + NET_CONFIG_MAC, NET_MAC_BYTES);
    state_put_u16(w, (uint16_t)card->active_pairs);
    state_put_u64(w, card->guest_offloads);
    state_put_u8(w, bits);
    state_put_u8(w, (uint8_t)f->uni);
    state_put_u8(w, (uint8_t)f->multi);
    state_put_bytes(w, f->table, sizeof(f->table));
}

static int card_load(struct virtio *v, struct state_reader *r)
{
    struct card *card = card_of(v);
    struct net_filter f = {0};
    bool *const modes[] = {&f.promisc, &f.allmulti, &f.alluni,   &f.nomulti,
                           &f.nouni,   &f.nobcast,  &f.many_uni, &f.many_multi};
    uint8_t mac[NET_MAC_BYTES], bits;
    unsigned pairs;
    uint64_t guest;

    state_get_bytes(r, mac, sizeof(mac));
    pairs = state_get_u16(r);
    guest = state_get_u64(r);
    bits = state_get_u8(r);
    f.uni = state_get_u8(r);
    f.multi = state_get_u8(r);
    state_get_bytes(r, f.table, sizeof(f.table));
    if (r->error || pairs < 1 || pairs > card->pairs ||
        guest & ~(v->acked & NET_F_GUEST_OFFLOADS) || f.uni + f.multi > NET_TABLE_MAX)
        return -EINVAL;
    for (unsigned i = 0; i < ARRAY_SIZE(modes); i++)
        *modes[i] = bits >> i & 1;
    card->filter = f;
    card->active_pairs = pairs;
    card->guest_offloads = guest;
    card->stale = true;
    memcpy(v->config + NET_CONFIG_MAC, mac, sizeof(mac));
    return 0;
}

static const struct virtio_ops card_ops = {
    .name = "virtio-net",
    .id = DEVICE_ID,
    .activate = card_activate,
    .kick = card_kick,
    .stop = card_stop,
    .save = card_save,
    .load = card_load,
    .destroy = card_destroy,
};

/* Creation. */

static void set_limits(struct card *card, const struct net_config *config)
{
    uint64_t now = loop_now_ns();

    for (unsigned i = 0; i < 2; i++) {
        bucket_init(&card->bytes[i], config->bps, 0, now);
        bucket_init(&card->frames[i], config->pps, 0, now);
    }
}

static int make_buffers(struct card *card, struct loop *loop)
{
    card->stash_block = calloc(NET_STASH, sizeof(*card->stash_block));
    card->spill = malloc(NET_FRAME_MAX);
    if (!card->stash_block || !card->spill)
        return -ENOMEM;
    for (unsigned i = 0; i < NET_STASH; i++)
        card->stash[i] = &card->stash_block[i];
    for (unsigned i = 0; i < card->pairs; i++) {
        struct card_pair *pair = &card->pair[i];

        pair->card = card;
        pair->n = i;
        pair->rx_timer = loop_timer_add(loop, on_rx_timer, pair);
        pair->tx_timer = loop_timer_add(loop, on_tx_timer, pair);
        if (!pair->rx_timer || !pair->tx_timer)
            return -ENOMEM;
    }
    return 0;
}

int card_create(struct net *net, const struct net_config *config, const uint8_t mac[NET_MAC_BYTES],
                struct loop *loop, struct virtio **out)
{
    struct card *card = calloc(1, sizeof(*card));
    struct net_user user = {on_readable, on_writable, on_link, card};

    if (!card) {
        net_close(net);
        return -ENOMEM;
    }
    card->net = net;
    card->pairs = net_queues(net);
    card->mtu = config->mtu;
    memcpy(card->own_mac, mac, NET_MAC_BYTES);
    virtio_init(&card->v, &card_ops, 2 * card->pairs + 1, QUEUE_SIZE, features_of(card));
    card->v.config_len = NET_CONFIG_BYTES;
    store_le16(card->v.config + NET_CONFIG_PAIRS, (uint16_t)card->pairs);
    store_le16(card->v.config + NET_CONFIG_MTU, (uint16_t)card->mtu);
    set_status(card);
    set_limits(card, config);
    card_forget(card);
    if (make_buffers(card, loop)) {
        virtio_destroy(&card->v);
        return -ENOMEM;
    }
    net_attach(net, &user);
    *out = &card->v;
    return 0;
}
