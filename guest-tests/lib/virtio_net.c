/* A virtio network card's driver; see virtio_net.h. */
#include "guest-tests/lib/virtio_net.h"

#include "guest-tests/lib/string.h"

#define QUEUE_RX   0 /* 5.1.2 */
#define QUEUE_TX   1
#define QUEUE_SIZE 64
#define CONFIG_MAC 0 /* 5.1.4 */

/* One buffer, header and frame together: without MRG_RXBUF it has to hold a whole frame (5.1.6.3).
 */
static void give_buffer(struct virtio_net *card, uint16_t which)
{
    struct virtq_part part = {&card->received[which], sizeof(card->received[which]), true};
    uint16_t token = virtq_add(&card->rx, &part, 1);

    if (token != VIRTQ_NO_TOKEN)
        card->buffer_of[token] = which;
}

static bool send(struct nic *nic, const void *frame, uint32_t len)
{
    struct virtio_net *card = (struct virtio_net *)nic;
    static struct virtio_net_hdr header; /* all zero: nothing is left for the device to do */
    static uint8_t copy[NET_FRAME_MAX];
    struct virtq_part part[] = {{&header, sizeof(header), false}, {copy, len, false}};
    uint16_t token;
    uint32_t written;

    if (len > sizeof(copy))
        return false;
    memcpy(copy, frame, len);
    if (virtq_add(&card->tx, part, 2) == VIRTQ_NO_TOKEN)
        return false;
    virtq_publish(&card->tx);
    return virtq_wait(&card->tx, &token, &written);
}

static const uint8_t *receive(struct nic *nic, uint32_t *len)
{
    struct virtio_net *card = (struct virtio_net *)nic;
    uint16_t token;
    uint32_t written;

    if (card->held < NET_RX_BUFFERS) {
        give_buffer(card, card->held);
        virtq_publish(&card->rx);
        card->held = NET_RX_BUFFERS;
    }
    if (!virtq_take(&card->rx, &token, &written))
        return NULL;
    card->held = card->buffer_of[token];
    *len = written < sizeof(struct virtio_net_hdr)
               ? 0
               : written - (uint32_t)sizeof(struct virtio_net_hdr);
    return card->received[card->held].frame;
}

bool virtio_net_open(struct virtio_net *card, unsigned nth, uint64_t features)
{
    if (!virtio_find(VIRTIO_ID_NET, nth, &card->dev) ||
        !virtio_start(&card->dev, features | VIRTIO_NET_F_MAC) ||
        !virtq_setup(&card->rx, &card->dev, QUEUE_RX, QUEUE_SIZE) ||
        !virtq_setup(&card->tx, &card->dev, QUEUE_TX, QUEUE_SIZE))
        return false;
    virtio_driver_ok(&card->dev);
    for (unsigned i = 0; i < NET_MAC_LEN; i++)
        card->nic.mac[i] = virtio_config8(&card->dev, CONFIG_MAC + i);
    card->nic.send = send;
    card->nic.receive = receive;
    card->held = NET_RX_BUFFERS;
    for (uint16_t i = 0; i < NET_RX_BUFFERS; i++)
        give_buffer(card, i);
    virtq_publish(&card->rx);
    return true;
}
