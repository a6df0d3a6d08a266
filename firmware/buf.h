/*
 * A bounded output buffer: the builders of this folder write little-endian fields through it, one
 * after the other. Storage belongs to the caller. Any thread; no shared state.
 *
 * The first write that does not fit latches `overflow`; from then on nothing is written, so that a
 * builder may put a whole table and ask once, at its end, whether all of it is there.
 */
#ifndef FIRMWARE_BUF_H
#define FIRMWARE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    uint8_t *data; /* not owned */
    size_t cap, len;
    bool overflow;
};

struct buf buf_over(uint8_t *data, size_t cap);

/* 0, or -ENOSPC after an overflow. */
int buf_status(const struct buf *b);

/* Append. */
void buf_u8(struct buf *b, uint8_t v);
void buf_le16(struct buf *b, uint16_t v);
void buf_le32(struct buf *b, uint32_t v);
void buf_le64(struct buf *b, uint64_t v);
void buf_bytes(struct buf *b, const void *p, size_t len);
void buf_zero(struct buf *b, size_t len);
void buf_str(struct buf *b, const char *s); /* with its NUL */

/* Appends zeroes until len is a multiple of `align` (a power of two). */
void buf_align(struct buf *b, size_t align);

/* Replace bytes written earlier. A range that was never written (overflow) is left alone. */
void buf_set_u8(struct buf *b, size_t at, uint8_t v);
void buf_set_le16(struct buf *b, size_t at, uint16_t v);
void buf_set_le32(struct buf *b, size_t at, uint32_t v);
void buf_set_le64(struct buf *b, size_t at, uint64_t v);
void buf_set_bytes(struct buf *b, size_t at, const void *p, size_t len);

/* Puts bytes in front of what already stands at `at`: for lengths that are known only later. */
void buf_insert(struct buf *b, size_t at, const void *p, size_t len);

/* What must be added to the bytes [from, to) to make their sum 0 modulo 256 (ACPI, SMBIOS). */
uint8_t buf_checksum(const struct buf *b, size_t from, size_t to);

#endif
