/* A 9P client for tests: see p9_client.h. */
#include "devices/test/p9_client.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAG 7

void p9_client_begin(struct p9_client *c, uint8_t type)
{
    c->w = (struct p9_writer){c->request, c->request, c->request + sizeof(c->request), false};
    p9_put(&c->w, 4, 0);
    p9_put(&c->w, 1, type);
    p9_put(&c->w, 2, type == P9_VERSION ? 0xffff : TAG);
}

/* In three pieces each way, so that fields lie across the seams. */
uint32_t p9_client_raw(struct p9_client *c, const void *request, size_t len, size_t room)
{
    static struct virtq_chain chain;
    uint8_t *in = (uint8_t *)(uintptr_t)request;
    size_t cut = len < 9 ? len : 9, first = room < 5 ? room : 5;

    chain = (struct virtq_chain){.out_len = len, .in_len = room};
    chain.iov[chain.out_count++] = (struct iovec){in, cut};
    if (len > cut)
        chain.iov[chain.out_count++] = (struct iovec){in + cut, len - cut};
    chain.iov[chain.out_count + chain.in_count++] = (struct iovec){c->answer, first};
    if (room > first)
        chain.iov[chain.out_count + chain.in_count++] =
            (struct iovec){c->answer + first, room - first};
    /* A little more than the room: to see that nothing is written behind it. */
    memset(c->answer, 0xaa, room + 16 < sizeof(c->answer) ? room + 16 : sizeof(c->answer));
    c->len = p9_serve(c->s, &chain);
    return c->len;
}

int p9_client_do(struct p9_client *c)
{
    size_t len = (size_t)(c->w.at - c->w.start);
    uint8_t type = c->request[4], got;

    ck_assert(!c->w.bad);
    for (unsigned i = 0; i < 4; i++)
        c->request[i] = (uint8_t)(len >> 8 * i);
    p9_client_raw(c, c->request, len, sizeof(c->answer));
    c->r = (struct p9_reader){c->answer, c->answer + c->len, false};
    ck_assert_uint_eq(p9_get(&c->r, 4), c->len);
    got = (uint8_t)p9_get(&c->r, 1);
    ck_assert_uint_eq(p9_get(&c->r, 2), type == P9_VERSION ? 0xffff : TAG);
    if (got == P9_RLERROR)
        return -(int)p9_get(&c->r, 4);
    ck_assert_uint_eq(got, type + 1u);
    return 0;
}

static void put_name(struct p9_client *c, const char *name)
{
    p9_put_text(&c->w, name, strlen(name));
}

void p9_client_start(struct p9_client *c, bool writable)
{
    char dir[] = "/tmp/hv-p9.XXXXXX";

    ck_assert(mkdtemp(dir) != NULL);
    p9_client_serve(c, dir, writable);
    c->made = true;
}

void p9_client_serve(struct p9_client *c, const char *dir, bool writable)
{
    memset(c, 0, offsetof(struct p9_client, request));
    snprintf(c->dir, sizeof(c->dir), "%s", dir);
    ck_assert_int_eq(p9_create(c->dir, writable, &c->s), 0);
    p9_client_begin(c, P9_VERSION);
    p9_put(&c->w, 4, P9_MSIZE_MAX);
    put_name(c, "9P2000.L");
    ck_assert_int_eq(p9_client_do(c), 0);
    p9_client_begin(c, P9_ATTACH);
    p9_put(&c->w, 4, P9_CLIENT_ROOT);
    p9_put(&c->w, 4, P9_NO_FID);
    put_name(c, "root");
    put_name(c, "");
    p9_put(&c->w, 4, 0);
    ck_assert_int_eq(p9_client_do(c), 0);
}

void p9_client_end(struct p9_client *c)
{
    char command[128];

    p9_destroy(c->s);
    if (!c->made)
        return;
    snprintf(command, sizeof(command), "rm -rf %s", c->dir);
    ck_assert_int_eq(system(command), 0);
}

int p9_client_walk(struct p9_client *c, uint32_t fid, uint32_t to, const char *path)
{
    unsigned names = 0;
    uint8_t *count;
    int err;

    p9_client_begin(c, P9_WALK);
    p9_put(&c->w, 4, fid);
    p9_put(&c->w, 4, to);
    count = c->w.at;
    p9_put(&c->w, 2, 0);
    while (*path) {
        size_t len = strcspn(path, "/");

        p9_put_text(&c->w, path, len);
        names++;
        path += len + (path[len] == '/');
    }
    count[0] = (uint8_t)names;
    err = p9_client_do(c);
    /* Less than all the way is a failure, too, though it has no number. */
    return !err && p9_get(&c->r, 2) != names ? -ENOENT : err;
}

int p9_client_open(struct p9_client *c, uint32_t fid, uint32_t flags)
{
    p9_client_begin(c, P9_LOPEN);
    p9_put(&c->w, 4, fid);
    p9_put(&c->w, 4, flags);
    return p9_client_do(c);
}

int p9_client_create(struct p9_client *c, uint32_t fid, const char *name, uint32_t flags,
                     uint32_t mode)
{
    p9_client_begin(c, P9_LCREATE);
    p9_put(&c->w, 4, fid);
    put_name(c, name);
    p9_put(&c->w, 4, flags);
    p9_put(&c->w, 4, mode);
    p9_put(&c->w, 4, getgid());
    return p9_client_do(c);
}

int p9_client_read(struct p9_client *c, uint32_t fid, uint64_t offset, uint32_t count)
{
    p9_client_begin(c, P9_READ);
    p9_put(&c->w, 4, fid);
    p9_put(&c->w, 8, offset);
    p9_put(&c->w, 4, count);
    return p9_client_do(c);
}

int p9_client_write(struct p9_client *c, uint32_t fid, uint64_t offset, const void *data,
                    uint32_t len)
{
    p9_client_begin(c, P9_WRITE);
    p9_put(&c->w, 4, fid);
    p9_put(&c->w, 8, offset);
    p9_put(&c->w, 4, len);
    p9_put_bytes(&c->w, data, len);
    return p9_client_do(c);
}

int p9_client_clunk(struct p9_client *c, uint32_t fid)
{
    p9_client_begin(c, P9_CLUNK);
    p9_put(&c->w, 4, fid);
    return p9_client_do(c);
}

int p9_client_name(struct p9_client *c, uint8_t type, uint32_t fid, const char *name)
{
    p9_client_begin(c, type);
    p9_put(&c->w, 4, fid);
    put_name(c, name);
    for (unsigned i = 0; i < 4; i++) /* mode, group and the like: what the type asks for, or more */
        p9_put(&c->w, 4, i == 0 && type == P9_MKDIR ? 0755 : 0);
    return p9_client_do(c);
}

const char *p9_client_path(const struct p9_client *c, const char *name)
{
    static char path[512];

    snprintf(path, sizeof(path), "%s/%s", c->dir, name);
    return path;
}

void p9_client_put_file(const struct p9_client *c, const char *name, const char *content)
{
    FILE *f = fopen(p9_client_path(c, name), "w");

    ck_assert(f && fputs(content, f) >= 0 && fclose(f) == 0);
}
