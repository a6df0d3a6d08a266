/*
 * A 9P client for tests, straight on the server: builds requests, reads answers, one at a time.
 * Linked into every test program. Functions that end in an answer return 0 or the negative errno
 * that it carries, and leave `r` at the answer's first field.
 */
#ifndef HV_DEVICES_TEST_P9_CLIENT_H
#define HV_DEVICES_TEST_P9_CLIENT_H

#include "devices/fs/p9.h"
#include "devices/fs/p9_msg.h"
#include "devices/fs/p9_proto.h"
#include "devices/virtio/queue.h"

#define P9_CLIENT_ROOT 0 /* the fid that p9_client_start attaches */

struct p9_client {
    struct p9 *s;
    char dir[64]; /* the directory that is served */
    bool made;    /* by p9_client_start; it is removed in the end */
    struct p9_writer w;
    struct p9_reader r;
    uint8_t request[P9_MSIZE_MAX], answer[P9_MSIZE_MAX];
    uint32_t len; /* of the answer */
};

/* Makes a directory in /tmp, serves it, agrees on the version and attaches; or serves one that is
 * there. */
void p9_client_start(struct p9_client *c, bool writable);
void p9_client_serve(struct p9_client *c, const char *dir, bool writable);
void p9_client_end(struct p9_client *c);

/* One request: begin, p9_put... on c->w, then do. */
void p9_client_begin(struct p9_client *c, uint8_t type);
int p9_client_do(struct p9_client *c);

/* Whatever the bytes are: through as they stand. Returns the answer's length. */
uint32_t p9_client_raw(struct p9_client *c, const void *request, size_t len, size_t room);

/* Requests that many tests make. A path is names with slashes between. */
int p9_client_walk(struct p9_client *c, uint32_t fid, uint32_t to, const char *path);
int p9_client_open(struct p9_client *c, uint32_t fid, uint32_t flags);
int p9_client_create(struct p9_client *c, uint32_t fid, const char *name, uint32_t flags,
                     uint32_t mode);
int p9_client_read(struct p9_client *c, uint32_t fid, uint64_t offset, uint32_t count);
int p9_client_write(struct p9_client *c, uint32_t fid, uint64_t offset, const void *data,
                    uint32_t len);
int p9_client_clunk(struct p9_client *c, uint32_t fid);
int p9_client_name(struct p9_client *c, uint8_t type, uint32_t fid, const char *name);

/* A file of the host in that directory. */
void p9_client_put_file(const struct p9_client *c, const char *name, const char *content);
const char *p9_client_path(const struct p9_client *c, const char *name); /* static buffer */

#endif
