/* The guest's network card: loopback, and an address by DHCP. See net.h. */
#include "firmware/init/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "firmware/init/dhcp.h"
#include "firmware/init/format.h"
#include "firmware/init/say.h"
#include "firmware/init/session.h"

enum {
    HOLD_UP_MS = 1000, /* that long the command waits for the network */
    ASK_MS = 500,      /* then ask again */
    GIVE_UP_MS = 10000,
    PAUSE_MS = 2,
    MAX_INDEX = 255 /* a kernel that has just started numbers its cards from 1 */
};

struct card {
    char name[IFNAMSIZ];
    int index;
    uint8_t mac[DHCP_MAC];
};

static int bring_up(int fd, const char *name)
{
    struct ifreq request = {0};

    memcpy(request.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
    if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
        return -errno;
    request.ifr_flags |= IFF_UP;
    return ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

void net_loopback(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    /* A kernel without networking has none, and that is fine. */
    if (fd < 0)
        return;
    (void)bring_up(fd, "lo");
    (void)close(fd);
}

/* The first Ethernet card in the kernel's order. */
static bool find_card(int fd, struct card *card)
{
    for (int index = 1; index <= MAX_INDEX; index++) {
        struct ifreq request = {.ifr_ifindex = index};

        if (ioctl(fd, SIOCGIFNAME, &request) < 0 || ioctl(fd, SIOCGIFHWADDR, &request) < 0 ||
            request.ifr_hwaddr.sa_family != ARPHRD_ETHER)
            continue;
        *card = (struct card){.index = index};
        memcpy(card->name, request.ifr_name, sizeof(card->name));
        memcpy(card->mac, request.ifr_hwaddr.sa_data, sizeof(card->mac));
        return true;
    }
    return false;
}

static int set_address(int fd, const struct card *card, bool mask, uint32_t address)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = address};
    struct ifreq request = {0};

    memcpy(request.ifr_name, card->name, sizeof(card->name));
    memcpy(&request.ifr_addr, &in, sizeof(in));
    return ioctl(fd, mask ? SIOCSIFNETMASK : SIOCSIFADDR, &request) < 0 ? -errno : 0;
}

static int set_route(int fd, uint32_t router)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};

    memcpy(&route.rt_dst, &in, sizeof(in));
    memcpy(&route.rt_genmask, &in, sizeof(in));
    in.sin_addr.s_addr = router;
    memcpy(&route.rt_gateway, &in, sizeof(in));
    return ioctl(fd, SIOCADDRT, &route) < 0 ? -errno : 0;
}

/* In place of what is there, which may be a link into a directory that is not. */
static void write_resolv_conf(const uint32_t *servers)
{
    static const char path[] = "/etc/resolv.conf";
    char text[DHCP_SERVERS * 32 + 1];
    size_t len = 0;
    int fd;

    for (int i = 0; i < DHCP_SERVERS && servers[i]; i++) {
        uint8_t part[4];

        memcpy(part, &servers[i], sizeof(part));
        len += text_print(text + len, sizeof(text) - len, "nameserver %u.%u.%u.%u\n", part[0],
                          part[1], part[2], part[3]);
    }
    if (len == 0)
        return;
    (void)mkdir("/etc", 0755);
    (void)unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, text, len) != (ssize_t)len)
        say("net: cannot write %s: %s", path, strerror(errno));
    if (fd >= 0)
        (void)close(fd);
}

static void configure(int fd, const struct card *card, const struct dhcp_answer *answer)
{
    int err = set_address(fd, card, false, answer->address);

    if (!err && answer->mask)
        err = set_address(fd, card, true, answer->mask);
    if (!err && answer->router)
        err = set_route(fd, answer->router);
    if (err)
        say("net: cannot set the address of %s: %s", card->name, strerror(-err));
    write_resolv_conf(answer->dns);
}

/* Waits until `until` for an answer of `transaction`. 0, -ETIMEDOUT or another negative errno. */
static int receive(int fd, uint32_t transaction, int64_t until, struct dhcp_answer *answer)
{
    uint8_t packet[1500];

    for (int64_t left; (left = until - session_clock()) > 0;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        ssize_t n;

        if (poll(&ready, 1, (int)left) <= 0)
            continue;
        n = recv(fd, packet, sizeof(packet), 0);
        if (n < 0)
            return -errno;
        if (dhcp_parse(answer, packet, (size_t)n, transaction) == 0)
            return 0;
    }
    return -ETIMEDOUT;
}

static int broadcast(int fd, const struct card *card, const uint8_t packet[DHCP_PACKET])
{
    struct sockaddr_ll to = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(ETHERTYPE_IP),
                             .sll_ifindex = card->index,
                             .sll_halen = DHCP_MAC};

    memset(to.sll_addr, 0xff, DHCP_MAC);
    return sendto(fd, packet, DHCP_PACKET, 0, (const struct sockaddr *)&to, sizeof(to)) < 0 ? -errno
                                                                                            : 0;
}

/* Discover, offer, request, acknowledgement; from the start again when nobody answers. */
static int negotiate(int fd, const struct card *card, struct dhcp_answer *answer)
{
    int64_t until = session_clock() + GIVE_UP_MS;
    uint32_t transaction = (uint32_t)session_clock() * 2654435761U ^ (uint32_t)card->mac[5];
    const struct dhcp_answer none = {0};
    struct dhcp_answer offer = none;
    uint8_t packet[DHCP_PACKET];
    int err = -ETIMEDOUT;

    while (session_clock() < until) {
        bool asks = offer.type == DHCP_OFFER;

        dhcp_build(packet, asks ? DHCP_REQUEST : DHCP_DISCOVER, transaction, card->mac,
                   asks ? &offer : NULL);
        err = broadcast(fd, card, packet);
        if (!err)
            err = receive(fd, transaction, session_clock() + ASK_MS, answer);
        if (err && err != -ETIMEDOUT && err != -ENETDOWN)
            return err;
        if (!err && asks && answer->type == DHCP_ACK)
            return 0;
        if (err == -ENETDOWN)
            (void)poll(NULL, 0, PAUSE_MS);
        offer = err ? none : *answer;
    }
    return err ? err : -ETIMEDOUT;
}

/* The whole of it, in the child. */
static void dhcp(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), packets, err;
    struct dhcp_answer answer = {0};
    struct card card;

    if (fd < 0) {
        say("net: the kernel has no network: CONFIG_INET");
        return;
    }
    if (!find_card(fd, &card)) {
        say("net: there is no network card: the kernel needs CONFIG_VIRTIO_NET");
        return;
    }
    packets = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETHERTYPE_IP));
    if (packets < 0) {
        say("net: DHCP needs packet sockets: build CONFIG_PACKET=y into the kernel");
        return;
    }
    err = bring_up(fd, card.name);
    if (!err)
        err = negotiate(packets, &card, &answer);
    if (err == -ETIMEDOUT)
        say("net: nobody answers on %s: is there a DHCP server (--net user has one)?", card.name);
    else if (err)
        say("net: %s: %s", card.name, strerror(-err));
    else
        configure(fd, &card, &answer);
}

void net_dhcp(void)
{
    int64_t until = session_clock() + HOLD_UP_MS;
    pid_t pid = fork();

    if (pid == 0) {
        dhcp();
        _exit(0);
    }
    if (pid < 0)
        say("net: cannot start a process: %s", strerror(errno));
    while (pid > 0 && session_clock() < until && waitpid(pid, NULL, WNOHANG) == 0)
        (void)poll(NULL, 0, PAUSE_MS);
}
