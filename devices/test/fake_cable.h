/*
 * A network back end for the tests of the network device: frames for the guest come from a list,
 * frames of the guest are kept, and what the device asks of the host is seen. Also the driver's
 * side of sending and receiving on top of driver.h.
 */
#ifndef HV_DEVICES_TEST_FAKE_CABLE_H
#define HV_DEVICES_TEST_FAKE_CABLE_H

#include "devices/net/backend.h"
#include "devices/test/driver.h"
#include "devices/virtio/net_card.h"

#define CABLE_FRAMES 512

struct fake_cable {
    struct net net;
    bool want[NET_QUEUES_MAX];
    bool full;   /* net_send answers -EAGAIN */
    bool closed; /* net_close was called */
    unsigned offloads_set, queues_set;

    /* For the guest, header first; `rx_at` is the next one. */
    uint8_t *rx[CABLE_FRAMES];
    size_t rx_len[CABLE_FRAMES];
    unsigned rx_at, rx_count;
    unsigned too_long; /* frames that did not fit */

    /* From the guest: the number, and the last one, header first. */
    unsigned sent, refused;
    unsigned sent_on[NET_QUEUES_MAX];
    uint8_t last[NET_HEADER_BYTES + NET_FRAME_MAX];
    size_t last_len;
};

extern struct fake_cable cable;
extern struct driver card_driver;
extern const uint8_t card_mac[NET_MAC_BYTES];

/* A card with MTU 0 and no limits unless `config` says otherwise; the cable has `pairs` queues and
 * `offloads`. Not negotiated. */
void cable_open(const struct net_config *config, unsigned pairs, unsigned offloads);
void cable_close(void);
struct card *cable_card(void);

/* Fixture of a test case: quiet, and the cable is closed behind each test, by the device. */
void cable_set_up(void);
void cable_tear_down(void);

/* Features of the four ring layouts. */
#define CABLE_LAYOUTS 4
extern const uint64_t cable_layouts[CABLE_LAYOUTS];

/* A running card with one pair, no offloads, 256 entries a queue. */
void cable_start(uint64_t features);

/* One frame with header in one buffer, from the guest; waits until it comes back. */
void cable_send(size_t len, uint8_t tag);

/* A frame of `len` bytes for the guest, to `card_mac`, with an empty header or `hdr`. */
void cable_feed(size_t len, uint8_t tag, const uint8_t *hdr);

/* Runs the device as long as it wants frames that are there; false: it did not stop. */
bool cable_run(void);

/* The bytes at `p` are those of cable_feed, `len` of the frame from byte `from` on. */
bool cable_matches(const uint8_t *p, size_t from, size_t len, uint8_t tag);

/* Guest memory with a frame of `len` bytes behind `hdr` (NULL: an empty one); its GPA. */
uint64_t cable_compose(size_t len, uint8_t tag, const uint8_t *hdr);

/* A writable buffer for pair 0; its GPA. No kick. */
uint64_t cable_add_buffer(uint32_t len);

/* A control command with `len` bytes of data; the answer, or -1 when there was none. */
int cable_control(uint8_t class, uint8_t command, const void *data, uint32_t len);
unsigned cable_control_queue(void);

#endif
