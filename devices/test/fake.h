/*
 * What the devices' tests stand on instead of a machine: guest memory between guard pages, an
 * interrupt line that counts edges, a sink that keeps events, a console over pipes whose loop is
 * stepped by hand, and accesses as the bus makes them. Linked into every test program.
 */
#ifndef HV_DEVICES_TEST_FAKE_H
#define HV_DEVICES_TEST_FAKE_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/core/chardev.h"
#include "devices/core/dev.h"
#include "devices/core/state.h"

/* Runs one test case as a suite; what main returns. */
int fake_run(TCase *tc);

/* RAM whose neighbours fault. */
struct fake_ram {
    uint8_t *host;
    uint8_t *map;
    size_t size; /* bytes, page aligned */
};
void fake_ram_create(struct fake_ram *ram, size_t size);
void fake_ram_destroy(struct fake_ram *ram);

struct fake_irq {
    unsigned rises, falls;
    bool level;
};
struct irq_line fake_irq_line(struct fake_irq *irq);

#define FAKE_EVENTS 16
struct fake_sink {
    unsigned count; /* may exceed FAKE_EVENTS; later ones are only counted */
    enum guest_event event[FAKE_EVENTS];
    uint32_t value[FAKE_EVENTS];
};
struct guest_event_sink fake_sink_of(struct fake_sink *sink);

/* A console with pipes for both directions, both ends non-blocking on the test's side. */
struct fake_console {
    struct loop *loop;
    struct chardev *chr;
    int in_fd;  /* what the host's user types goes here; -1: closed */
    int out_fd; /* what the guest prints comes here; -1: closed */
    int chr_in, chr_out;
};
void fake_console_open(struct fake_console *c, const struct chardev_config *config);
void fake_console_close(struct fake_console *c);

/* Runs the loop until nothing is ready; `ms` more when a timer is to fire. */
void fake_console_run(struct fake_console *c, unsigned ms);

/* Reads what came out into `buf`, NUL-terminated; returns the number of bytes. */
size_t fake_console_read(struct fake_console *c, char *buf, size_t cap);
void fake_console_type(struct fake_console *c, const char *text);

/* Device accesses under the lock. */
uint64_t fake_read(struct dev *dev, uint64_t offset, unsigned size);
void fake_write(struct dev *dev, uint64_t offset, unsigned size, uint64_t value);
uint8_t fake_in(struct dev *dev, uint64_t offset);
void fake_out(struct dev *dev, uint64_t offset, uint8_t value);

/* Saves `from`, loads into `to`; what dev_load returned. */
int fake_transfer(struct dev *from, struct dev *to);

/*
 * Loads into `dev` every prefix of its state and versions of it with each byte set to 0xff and
 * 0x80: each is refused or leaves a device that still answers. Ends with the state of before.
 */
void fake_hostile_states(struct dev *dev, uint64_t window);

/* Loads `dev`'s own state with the byte at `at` of the section's body replaced: to be refused. */
void fake_expect_refused(struct dev *dev, size_t at, uint8_t value);

/* xorshift64*: the same numbers on every host. */
uint64_t fake_random(uint64_t *seed);

#endif
