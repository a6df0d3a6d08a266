/*
 * From the value of `--net` to a network device: its address, its back end, the card (net.c).
 * Called by the device table. Main thread, at start-up.
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "devices/core/log.h"
#include "devices/virtio/models.h"
#include "devices/virtio/net_card.h"

#define MTU_MIN 68 /* 5.1.4.1 */

static bool parse_mac(const char *text, uint8_t mac[NET_MAC_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    static const uint8_t zero[NET_MAC_BYTES];

    for (unsigned i = 0; i < 3 * NET_MAC_BYTES - 1; i++) {
        char c = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] + 32) : text[i];
        const char *digit = c ? strchr(digits, c) : NULL;

        if (i % 3 == 2 ? c != ':' : !digit)
            return false;
        if (i % 3 == 0)
            mac[i / 3] = (uint8_t)((digit - digits) << 4);
        else if (i % 3 == 1)
            mac[i / 3] |= (uint8_t)(digit - digits);
    }
    return !text[3 * NET_MAC_BYTES - 1] && !(mac[0] & 1) && memcmp(mac, zero, sizeof(zero)) != 0;
}

/* Unicast and locally administered (IEEE 802), so that it is nobody's, and random: two guests on a
 * wire must differ. */
static int make_mac(uint8_t mac[NET_MAC_BYTES])
{
    if (getrandom(mac, NET_MAC_BYTES, 0) != NET_MAC_BYTES)
        return -EIO;
    mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02);
    return 0;
}

static int choose_address(const struct net_config *config, uint8_t mac[NET_MAC_BYTES])
{
    if (config->mac && !parse_mac(config->mac, mac)) {
        log_error("--net mac=%.40s: not the address of one card (like 52:54:00:12:34:56)",
                  config->mac);
        return -EINVAL;
    }
    if (!config->mac && make_mac(mac)) {
        log_error("--net: no random numbers for an address (give one: mac=52:54:00:12:34:56)");
        return -EIO;
    }
    return 0;
}

static int build(const struct net_config *config, struct loop *loop, struct virtio **out)
{
    uint8_t mac[NET_MAC_BYTES];
    struct net *net;
    int err;

    if (config->mtu && config->mtu < MTU_MIN) {
        log_error("--net mtu=%u: too small (at least %d)", config->mtu, MTU_MIN);
        return -EINVAL;
    }
    err = choose_address(config, mac);
    if (!err)
        err = net_open(config, loop, &net);
    if (err)
        return err;
    err = card_create(net, config, mac, loop, out);
    if (err)
        log_error("--net: out of memory");
    return err;
}

int virtio_net_create(const char *text, struct loop *loop, struct virtio **out)
{
    struct net_config config;
    char why[256];
    int err = params_parse(&net_params, text, &config, why, sizeof(why));

    if (err) {
        log_error("--net: %s", why);
        return err;
    }
    err = build(&config, loop, out);
    params_free(&net_params, &config);
    return err;
}
