/*
 * What the files of the network device share: net.c (life), net_create.c (options), net_rx.c,
 * net_tx.c (frames), net_ctrl.c
 * (the control queue), net_hdr.c (the header of a frame). Virtio 1.2, 5.1; for net*.c of this
 * directory and their tests only.
 *
 * Everything runs under dev.lock, and, but for activation, reset and saved state, on the loop
 * thread: the back end (devices/net/net.h) belongs to that thread.
 */
#ifndef HV_VIRTIO_NET_CARD_H
#define HV_VIRTIO_NET_CARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/core/bucket.h"
#include "devices/net/net.h"
#include "devices/virtio/virtio.h"

/* Feature bits (5.1.3). */
#define NET_F_CSUM                (UINT64_C(1) << 0)
#define NET_F_GUEST_CSUM          (UINT64_C(1) << 1)
#define NET_F_CTRL_GUEST_OFFLOADS (UINT64_C(1) << 2)
#define NET_F_MTU                 (UINT64_C(1) << 3)
#define NET_F_MAC                 (UINT64_C(1) << 5)
#define NET_F_GUEST_TSO4          (UINT64_C(1) << 7)
#define NET_F_GUEST_TSO6          (UINT64_C(1) << 8)
#define NET_F_GUEST_ECN           (UINT64_C(1) << 9)
#define NET_F_GUEST_UFO           (UINT64_C(1) << 10)
#define NET_F_HOST_TSO4           (UINT64_C(1) << 11)
#define NET_F_HOST_TSO6           (UINT64_C(1) << 12)
#define NET_F_HOST_ECN            (UINT64_C(1) << 13)
#define NET_F_HOST_UFO            (UINT64_C(1) << 14)
#define NET_F_MRG_RXBUF           (UINT64_C(1) << 15)
#define NET_F_STATUS              (UINT64_C(1) << 16)
#define NET_F_CTRL_VQ             (UINT64_C(1) << 17)
#define NET_F_CTRL_RX             (UINT64_C(1) << 18)
#define NET_F_CTRL_RX_EXTRA       (UINT64_C(1) << 20)
#define NET_F_MQ                  (UINT64_C(1) << 22)
#define NET_F_CTRL_MAC_ADDR       (UINT64_C(1) << 23)

#define NET_F_GUEST_OFFLOADS                                                                       \
    (NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 | NET_F_GUEST_ECN | NET_F_GUEST_UFO)

/* Configuration space (5.1.4). */
#define NET_CONFIG_MAC     0
#define NET_CONFIG_STATUS  6
#define NET_CONFIG_PAIRS   8
#define NET_CONFIG_MTU     10
#define NET_CONFIG_BYTES   12
#define NET_STATUS_LINK_UP 1

#define NET_MAC_BYTES      6
#define NET_ETHERNET_BYTES 14
#define NET_VLAN_BYTES     4

/* Addresses that the control queue can list; more of a kind means all of that kind. */
#define NET_TABLE_MAX 64

/* Chains of the driver that one received frame may be spread over. */
#define NET_STASH 64

struct net_filter {
    bool promisc, allmulti, alluni, nomulti, nouni, nobcast;
    bool many_uni, many_multi; /* the list was longer than the table */
    unsigned uni, multi;       /* entries; the multicast ones lie behind the unicast ones */
    uint8_t table[NET_TABLE_MAX][NET_MAC_BYTES];
};

struct card;

struct card_pair {
    struct card *card;
    unsigned n;
    struct loop_timer *rx_timer, *tx_timer; /* the rate limit's */
    unsigned large;                         /* so many more frames are taken to be large ones */
};

enum { CARD_TX, CARD_RX };

struct card {
    struct virtio v; /* first */
    struct net *net; /* owned */
    unsigned pairs;  /* that are offered */
    uint8_t own_mac[NET_MAC_BYTES];
    unsigned mtu;                      /* 0: not offered */
    struct bucket bytes[2], frames[2]; /* by CARD_TX, CARD_RX */

    /* What the driver set since activation. */
    unsigned active_pairs;
    uint64_t guest_offloads; /* NET_F_GUEST_*; what the guest takes at the moment */
    struct net_filter filter;
    bool stale; /* the back end does not know active_pairs and guest_offloads yet */

    struct card_pair pair[NET_QUEUES_MAX];
    uint64_t dropped[2]; /* frames, by CARD_TX, CARD_RX */

    /* Used within one turn of net_rx.c only. */
    struct virtq_chain *stash[NET_STASH];
    struct virtq_chain *stash_block; /* owned; where they lie */
    uint8_t *spill;                  /* owned, NET_FRAME_MAX bytes: what the chains did not hold */
};

/*
 * Checks the header of a frame of `len` bytes that the driver sends, with the negotiated features
 * (5.1.6.2.2), and takes out what it must not say: the host sees what was checked. -EINVAL: the
 * frame is to be dropped.
 */
int net_hdr_from_guest(uint8_t hdr[NET_HEADER_BYTES], uint64_t len, uint64_t acked);

/* The same for a frame of the host (5.1.6.4.1); `guest` are the offloads that the guest takes. */
int net_hdr_to_guest(uint8_t hdr[NET_HEADER_BYTES], size_t len, uint64_t guest);

/* A header that says that the frame is larger than a packet may be. */
bool net_hdr_is_gso(const uint8_t hdr[NET_HEADER_BYTES]);

bool net_filter_accepts(const struct net_filter *f, const uint8_t own[NET_MAC_BYTES],
                        const uint8_t to[NET_MAC_BYTES]);

/* Each serves its queue for a turn; whether it is ready is the caller's to know. */
void card_serve_rx(struct card_pair *pair);
void card_serve_tx(struct card_pair *pair);
void card_serve_ctrl(struct card *card, unsigned queue);

/* The driver gave receive buffers, or may have. */
void card_start_rx(struct card_pair *pair);

/* Tells the back end what is stale. Loop thread. */
void card_settle(struct card *card);

/*
 * A card at `net`, which it takes over, on failure, too. `config` is for MTU and limits. 0 or
 * -ENOMEM.
 */
int card_create(struct net *net, const struct net_config *config, const uint8_t mac[NET_MAC_BYTES],
                struct loop *loop, struct virtio **out);

/* State after device reset (5.1.6.5). */
void card_forget(struct card *card);

static inline unsigned card_rx_queue(unsigned pair)
{
    return 2 * pair;
}

static inline unsigned card_tx_queue(unsigned pair)
{
    return 2 * pair + 1;
}

#endif
