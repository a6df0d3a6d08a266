/*
 * Guest memory: the only way from a guest-physical address (GPA) to host memory. Every access
 * carries a length, and the whole range must lie in RAM. A range may span two regions that touch in
 * guest-physical space; gmem_read, gmem_write and gmem_load_fd handle that, gmem_ptr refuses it.
 *
 * The region list is frozen before vCPUs start, so reads of it need no lock. Contents are shared
 * with running vCPUs: read a value once into host memory, check that copy, use that copy.
 */
#ifndef HV_CORE_GMEM_H
#define HV_CORE_GMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GMEM_MAX_REGIONS 8

struct gmem_region {
    uint64_t gpa;    /* bytes, page aligned */
    uint64_t size;   /* bytes, page aligned, not 0 */
    uint8_t *host;   /* not owned */
    uint64_t offset; /* bytes, in struct gmem's file */
};

struct gmem {
    struct gmem_region region[GMEM_MAX_REGIONS]; /* ascending, not overlapping */
    unsigned count;
    bool has_file; /* another process can map the same RAM, from `fd`: */
    int fd;        /* not owned */
};

/* Adds RAM; keeps the list sorted. -EINVAL: empty, wraps, overlaps. -ENOSPC: list full. */
int gmem_add(struct gmem *mem, uint64_t gpa, uint64_t size, void *host);

/*
 * The RAM is a shared mapping of the file `fd`, which stays the caller's, and whose byte 0 lies at
 * `start`, `size` bytes in all. After the last gmem_add. -EINVAL: some region lies elsewhere.
 */
int gmem_set_file(struct gmem *mem, int fd, const void *start, uint64_t size);

/* True when all of [gpa, gpa + len) is RAM; len 0 is true for any gpa. */
bool gmem_contains(const struct gmem *mem, uint64_t gpa, uint64_t len);

/*
 * Host pointer to [gpa, gpa + len) or NULL when any byte is not RAM, when the range spans regions
 * or when len is 0. Borrowed: valid as long as the VM, but must not outlive one request.
 */
void *gmem_ptr(const struct gmem *mem, uint64_t gpa, uint64_t len);

/* Copies; all or nothing. -EFAULT: some byte is not RAM. len 0 succeeds. */
int gmem_read(const struct gmem *mem, uint64_t gpa, void *dst, uint64_t len);
int gmem_write(const struct gmem *mem, uint64_t gpa, const void *src, uint64_t len);
int gmem_zero(const struct gmem *mem, uint64_t gpa, uint64_t len);

/*
 * Fills [gpa, gpa + len) from `fd` at byte `offset`, straight into guest memory (one copy).
 * -EFAULT: not RAM (nothing read). -ENODATA: the file ended early. Else -errno of pread.
 */
int gmem_load_fd(const struct gmem *mem, uint64_t gpa, int fd, uint64_t offset, uint64_t len);

/* Bytes of RAM in all. */
uint64_t gmem_total(const struct gmem *mem);

#endif
