/*
 * A card's side of a network back end, for its tests: counts what the back end reports, sends
 * frames that can be told apart, keeps the last one that came, and runs the loop until something
 * holds.
 */
#ifndef HV_DEVICES_TEST_FAKE_NET_H
#define HV_DEVICES_TEST_FAKE_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/core/loop.h"
#include "devices/net/net.h"

struct fake_end {
    struct net *net; /* NULL: not open */
    bool take;       /* receives whatever comes */
    unsigned got, too_long;
    unsigned writable, link_changes;
    uint8_t last[NET_HEADER_BYTES + NET_FRAME_MAX];
    size_t last_len; /* with header */
};

/* The log of this test: the last line and the number of lines at or above LOG_WARN. */
extern char fake_log_line[512];
extern unsigned fake_log_count;
void fake_log_start(void);

/* net_open with `text`; what it returned. Attaches `end` when that was 0. */
int fake_end_open(struct fake_end *end, const char *text, struct loop *loop);
void fake_end_close(struct fake_end *end);

/* A frame of `len` bytes (14 at least) whose bytes depend on `tag`; what net_send returned. */
int fake_end_send(struct fake_end *end, size_t len, uint8_t tag);

/* The last frame is the one that fake_end_send makes of these. */
bool fake_end_has(const struct fake_end *end, size_t len, uint8_t tag);

/* Runs the loop until *count >= want; false after `ms`. */
bool fake_until(struct loop *loop, const unsigned *count, unsigned want, unsigned ms);
bool fake_until_link(struct loop *loop, const struct fake_end *end, bool up, unsigned ms);
void fake_run_ms(struct loop *loop, unsigned ms);

#endif
