/*
 * The one state format: sections of explicit little-endian fields. A section is
 * tag (16 bytes, NUL padded), version (u16), length of the body (u32), body.
 *
 * Saved state is as hostile as a guest: a reader never runs past its section, a short section
 * reads as zeroes and latches an error, and each device checks what it loads like a guest write.
 */
#ifndef HV_CORE_STATE_H
#define HV_CORE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATE_TAG_LEN    16
#define STATE_MAX_BUFFER (UINT32_C(16) << 20) /* bytes of device state of one VM; RAM is apart */

/* Growing output buffer. Zero-initialise; free with state_writer_free. Not thread safe. */
struct state_writer {
    uint8_t *data;
    size_t len, cap;
    size_t section; /* offset of the open section's header */
    int error;      /* first -errno, sticky */
};

void state_begin(struct state_writer *w, const char *tag, uint16_t version);
void state_end(struct state_writer *w);
void state_put_u8(struct state_writer *w, uint8_t v);
void state_put_u16(struct state_writer *w, uint16_t v);
void state_put_u32(struct state_writer *w, uint32_t v);
void state_put_u64(struct state_writer *w, uint64_t v);
void state_put_bytes(struct state_writer *w, const void *p, size_t len);
void state_writer_free(struct state_writer *w);

/* Reads a buffer it does not own. */
struct state_reader {
    const uint8_t *data;
    size_t len, pos;
    size_t section_end;
    int error; /* first -errno, sticky; getters return 0 once it is set */
};

void state_reader_init(struct state_reader *r, const void *data, size_t len);

/* Enters the next section. -ENOENT: end of data. -EINVAL: damaged header, or another tag. */
int state_enter(struct state_reader *r, const char *tag, uint16_t *version);

/* Leaves it. Returns r->error; -EINVAL when bytes of the section were left unread. */
int state_leave(struct state_reader *r);

uint8_t state_get_u8(struct state_reader *r);
uint16_t state_get_u16(struct state_reader *r);
uint32_t state_get_u32(struct state_reader *r);
uint64_t state_get_u64(struct state_reader *r);
void state_get_bytes(struct state_reader *r, void *p, size_t len);

#endif
