/*
 * Helpers of the builder tests: an output buffer with guard bytes behind `cap`, and independent
 * little-endian reads. Reading back does not use buf.h, so that an error there shows.
 */
#ifndef FIRMWARE_TEST_GUARDED_H
#define FIRMWARE_TEST_GUARDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `cap` writable bytes, filled with 0xcc, with guard bytes on both sides. */
struct guarded {
    uint8_t *bytes;
    size_t cap;
};

struct guarded guarded_new(size_t cap);
bool guarded_intact(const struct guarded *g);
bool guarded_untouched(const struct guarded *g, size_t from); /* [from, cap) as it was filled */
void guarded_free(struct guarded *g);

uint16_t rd16(const uint8_t *p);
uint32_t rd32(const uint8_t *p);
uint64_t rd64(const uint8_t *p);

/* Sum of bytes modulo 256; 0 is what a checksummed structure has. */
uint8_t byte_sum(const uint8_t *p, size_t len);

/* True when all `len` bytes are zero. */
bool all_zero(const uint8_t *p, size_t len);

#endif
