/*
 * Sends the same frame to a network interface as fast as it takes them, until it is killed: what a
 * guest behind a tap has to receive in `make bench`.
 *
 *   blast INTERFACE 64|tso
 *
 * tso: TCP segments of 64 KiB, which the kernel hands on uncut when the other end can take them
 * (packet(7), PACKET_VNET_HDR).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define SMALL   64
#define HEADERS 54
#define LARGE   65226
#define SEGMENT 1448
#define BATCH   32

static struct virtio_net_hdr header;
static uint8_t frame[LARGE] = {0x02, 0,  0,  0, 0, 0x01, 0x02, 0,    0,    0,   0, 0x99, 0x08, 0x00,
                               0x45, 0,  0,  0, 0, 0,    0x40, 0,    64,   6,   0, 0,    10,   8,
                               0,    99, 10, 8, 0, 2,    0x12, 0x34, 0x56, 0x78};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void set(int s, int option, const char *what)
{
    int one = 1;

    if (setsockopt(s, SOL_PACKET, option, &one, sizeof(one)) < 0)
        fail(what);
}

static int open_socket(const char *name)
{
    int s = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP)};

    if (s < 0)
        fail("socket");
    to.sll_ifindex = (int)if_nametoindex(name);
    if (to.sll_ifindex == 0 || bind(s, (struct sockaddr *)&to, sizeof(to)) < 0)
        fail(name);
    set(s, PACKET_VNET_HDR, "PACKET_VNET_HDR");
    set(s, PACKET_QDISC_BYPASS, "PACKET_QDISC_BYPASS");
    return s;
}

static size_t make_frame(int large)
{
    size_t len = large ? LARGE : SMALL;

    frame[16] = (uint8_t)((len - 14) >> 8);
    frame[17] = (uint8_t)(len - 14);
    frame[46] = 0x50;
    frame[47] = 0x10;
    if (large) {
        header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        header.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
        header.hdr_len = HEADERS;
        header.gso_size = SEGMENT;
        header.csum_start = 34;
        header.csum_offset = 16;
    }
    return len;
}

int main(int argc, char **argv)
{
    struct mmsghdr batch[BATCH] = {0};
    struct iovec iov[2];
    int s;

    if (argc != 3) {
        fprintf(stderr, "usage: blast INTERFACE 64|tso\n");
        return 2;
    }
    s = open_socket(argv[1]);
    iov[0] = (struct iovec){&header, sizeof(header)};
    iov[1] = (struct iovec){frame, make_frame(strcmp(argv[2], "tso") == 0)};
    for (int i = 0; i < BATCH; i++) {
        batch[i].msg_hdr.msg_iov = iov;
        batch[i].msg_hdr.msg_iovlen = 2;
    }
    for (;;) { /* a full queue drops: the receiver is to be the slower one */
        if (sendmmsg(s, batch, BATCH, 0) < 0 && errno != ENOBUFS && errno != ENETDOWN &&
            errno != EAGAIN)
            fail("sendmmsg");
        sched_yield();
    }
}
