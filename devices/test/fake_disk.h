/*
 * A block device over a file of random bytes with the test's driver in front of it, and a host
 * whose disk can be held up or made to fail. Linked into every test program.
 */
#ifndef HV_DEVICES_TEST_FAKE_DISK_H
#define HV_DEVICES_TEST_FAKE_DISK_H

#include "devices/test/driver.h"
#include "devices/virtio/blk.h"

#define FAKE_DISK_BYTES   (1u << 20)
#define FAKE_DISK_SECTORS (FAKE_DISK_BYTES / 512)

struct fake_disk {
    struct driver d;
    char path[64];
    uint8_t image[FAKE_DISK_BYTES]; /* what the file is expected to hold */
    uint64_t header, data, status;  /* GPAs: 16 bytes, 256 KiB, 1 byte */
    uint32_t used_len;              /* of the last request */
};

/* `options` follow the file's name ("" or ",readonly=on"). Negotiated and running. */
void fake_disk_open(struct fake_disk *f, const char *options, uint64_t features);
void fake_disk_close(struct fake_disk *f); /* removes the file and mends the host */

/* Makes the file and the loop only, for tests that bring the device up themselves. */
struct virtio *fake_disk_create(struct fake_disk *f, const char *options);

void *fake_disk_data(struct fake_disk *f);
void fake_disk_header(struct fake_disk *f, uint32_t type, uint64_t sector);

/* One request of three descriptors with `len` bytes at f->data; returns the status byte. */
uint8_t fake_disk_do(struct fake_disk *f, uint32_t type, uint64_t sector, uint32_t len);

/* Discard or write zeroes of one range. */
uint8_t fake_disk_range(struct fake_disk *f, uint32_t type, uint64_t sector, uint32_t sectors,
                        uint32_t flags);

/* Adds a read or write of its own header, data and status, without a kick; returns the GPA of its
 * status byte, which is 0xff until the device writes it. */
uint64_t fake_disk_queue(struct fake_disk *f, unsigned queue, uint32_t type, uint64_t sector,
                         uint64_t data, uint32_t len);

void fake_disk_expect_file(struct fake_disk *f); /* equals f->image */

/*
 * The host. Call fake_host_install before the device is made: it then uses threads, and these
 * calls. Held: transfers wait. fail_at: the n-th call from now on fails with fake_host_errno.
 */
void fake_host_install(void);
void fake_host_hold(bool held);
void fake_host_fail(unsigned n, int error); /* n 0: none */
unsigned fake_host_calls(void);

#endif
