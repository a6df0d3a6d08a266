/*
 * Reading and writing the fields of a message, little-endian. Both kinds of cursor remember that
 * the end was passed, so that callers check once, at the end; what is read beyond is 0.
 */
#ifndef HV_FS_P9_MSG_H
#define HV_FS_P9_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct p9_reader {
    const uint8_t *at, *end;
    bool bad;
};

struct p9_writer {
    uint8_t *start, *at, *end;
    bool bad;
};

/* Text of a message: length and bytes, without a NUL. Points into the message. */
struct p9_text {
    const char *at;
    uint16_t len;
};

struct p9_qid {
    uint8_t type;
    uint32_t version;
    uint64_t path;
};

uint64_t p9_get(struct p9_reader *r, unsigned bytes); /* 1, 2, 4 or 8 */
struct p9_text p9_get_text(struct p9_reader *r);

void p9_put(struct p9_writer *w, unsigned bytes, uint64_t value);
void p9_put_bytes(struct p9_writer *w, const void *from, size_t len);
void p9_put_text(struct p9_writer *w, const char *text, size_t len); /* len < 64 KiB */
void p9_put_qid(struct p9_writer *w, const struct p9_qid *qid);

/*
 * Copies a name into `to` of `cap` bytes, with a NUL. -EINVAL: empty, or with a NUL or a slash in
 * it; -ENAMETOOLONG. "." and ".." are names for this function: callers refuse them where they must.
 */
int p9_copy_name(struct p9_text text, char *to, size_t cap);

#endif
