/*
 * Guest memory by guest-physical address. Called by devices, loaders and the exit path, on any
 * thread; the region list does not change while they run.
 */
#include "devices/core/gmem.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "devices/core/util.h"

#define PAGE_BYTES UINT64_C(4096)

int gmem_add(struct gmem *mem, uint64_t gpa, uint64_t size, void *host)
{
    unsigned at = 0;

    /* range_fits with the top as limit: only a wrap fails. */
    if (!host || size == 0 || !range_fits(gpa, size, UINT64_MAX))
        return -EINVAL;
    if (gpa % PAGE_BYTES || size % PAGE_BYTES)
        return -EINVAL;
    if (mem->count == GMEM_MAX_REGIONS)
        return -ENOSPC;
    while (at < mem->count && mem->region[at].gpa < gpa)
        at++;
    if (at > 0 && mem->region[at - 1].gpa + mem->region[at - 1].size > gpa)
        return -EINVAL;
    if (at < mem->count && gpa + size > mem->region[at].gpa)
        return -EINVAL;

    memmove(&mem->region[at + 1], &mem->region[at], (mem->count - at) * sizeof(mem->region[0]));
    mem->region[at] = (struct gmem_region){.gpa = gpa, .size = size, .host = host};
    mem->count++;
    return 0;
}

int gmem_set_file(struct gmem *mem, int fd, const void *start, uint64_t size)
{
    uint64_t offset[GMEM_MAX_REGIONS];

    for (unsigned i = 0; i < mem->count; i++) {
        offset[i] = (uintptr_t)mem->region[i].host - (uintptr_t)start;
        if (!range_fits(offset[i], mem->region[i].size, size))
            return -EINVAL;
    }
    for (unsigned i = 0; i < mem->count; i++)
        mem->region[i].offset = offset[i];
    mem->fd = fd;
    mem->has_file = true;
    return 0;
}

/* Host pointer to the byte at `gpa` and how many bytes follow it in its region; NULL: not RAM. */
static uint8_t *span_at(const struct gmem *mem, uint64_t gpa, uint64_t *avail)
{
    for (unsigned i = 0; i < mem->count; i++) {
        const struct gmem_region *r = &mem->region[i];

        if (gpa >= r->gpa && gpa - r->gpa < r->size) {
            *avail = r->size - (gpa - r->gpa);
            return r->host + (gpa - r->gpa);
        }
    }
    return NULL;
}

/* The next piece of [*gpa, *gpa + *len) that lies in one region; advances both. NULL: not RAM. */
static uint8_t *next_span(const struct gmem *mem, uint64_t *gpa, uint64_t *len, uint64_t *n)
{
    uint8_t *p = span_at(mem, *gpa, n);

    if (!p)
        return NULL;
    if (*n > *len)
        *n = *len;
    *gpa += *n;
    *len -= *n;
    return p;
}

bool gmem_contains(const struct gmem *mem, uint64_t gpa, uint64_t len)
{
    uint64_t n;

    /* Regions do not wrap, so a range that does runs out of them: at most count + 1 rounds. */
    while (len > 0) {
        if (!next_span(mem, &gpa, &len, &n))
            return false;
    }
    return true;
}

void *gmem_ptr(const struct gmem *mem, uint64_t gpa, uint64_t len)
{
    uint64_t avail;
    uint8_t *p = span_at(mem, gpa, &avail);

    return p && len > 0 && len <= avail ? p : NULL;
}

/*
 * The copies below ask first and copy then, so that they are all or nothing. Nothing can change in
 * between: the list is frozen. The guest may write meanwhile to what is read; it then gets what it
 * deserves, and the caller a copy that stays as it is.
 */
int gmem_read(const struct gmem *mem, uint64_t gpa, void *dst, uint64_t len)
{
    uint8_t *to = dst;
    uint64_t n;

    if (!gmem_contains(mem, gpa, len))
        return -EFAULT;
    while (len > 0) {
        const uint8_t *p = next_span(mem, &gpa, &len, &n);

        memcpy(to, p, n);
        to += n;
    }
    return 0;
}

int gmem_write(const struct gmem *mem, uint64_t gpa, const void *src, uint64_t len)
{
    const uint8_t *from = src;
    uint64_t n;

    if (!gmem_contains(mem, gpa, len))
        return -EFAULT;
    while (len > 0) {
        uint8_t *p = next_span(mem, &gpa, &len, &n);

        memcpy(p, from, n);
        from += n;
    }
    return 0;
}

int gmem_zero(const struct gmem *mem, uint64_t gpa, uint64_t len)
{
    uint64_t n;

    if (!gmem_contains(mem, gpa, len))
        return -EFAULT;
    while (len > 0) {
        uint8_t *p = next_span(mem, &gpa, &len, &n);

        memset(p, 0, n);
    }
    return 0;
}

/* Fills `n` bytes at `p`, however many pieces the kernel makes of it. */
static int pread_all(int fd, uint8_t *p, uint64_t n, uint64_t offset)
{
    while (n > 0) {
        size_t want = n < SSIZE_MAX ? (size_t)n : SSIZE_MAX;
        /* Straight into guest memory: a kernel image is copied once. */
        ssize_t got = pread(fd, p, want, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return -ENODATA;
        p += got;
        n -= (uint64_t)got;
        offset += (uint64_t)got;
    }
    return 0;
}

int gmem_load_fd(const struct gmem *mem, uint64_t gpa, int fd, uint64_t offset, uint64_t len)
{
    uint64_t n;

    if (!gmem_contains(mem, gpa, len))
        return -EFAULT;
    /* No file reaches beyond what off_t can say. */
    if (!range_fits(offset, len, INT64_MAX))
        return -ENODATA;
    while (len > 0) {
        uint8_t *p = next_span(mem, &gpa, &len, &n);
        int err = pread_all(fd, p, n, offset);

        if (err)
            return err;
        offset += n;
    }
    return 0;
}

uint64_t gmem_total(const struct gmem *mem)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < mem->count; i++)
        total += mem->region[i].size;
    return total;
}
