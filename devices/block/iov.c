/* Segment lists: cutting, copying, and moving all of one to or from a file. Any thread. */
#include <assert.h>
#include <errno.h>

#include "devices/block/internal.h"

void iov_advance(struct iovec **iov, unsigned *count, uint64_t len)
{
    while (len > 0) {
        struct iovec *v = *iov;
        size_t part = len < v->iov_len ? len : v->iov_len;

        assert(*count > 0);
        v->iov_base = (uint8_t *)v->iov_base + part;
        v->iov_len -= part;
        len -= part;
        if (v->iov_len > 0)
            break;
        (*iov)++;
        (*count)--;
    }
}

unsigned iov_front(const struct iovec *iov, unsigned count, uint64_t len, struct iovec *out)
{
    unsigned n = 0;

    for (; n < count && len > 0; n++) {
        out[n] = iov[n];
        if (out[n].iov_len > len)
            out[n].iov_len = len;
        len -= out[n].iov_len;
    }
    return n;
}

int iov_transfer(int fd, bool write, struct iovec *iov, unsigned count, uint64_t offset,
                 uint64_t len)
{
    while (len > 0) {
        ssize_t n = write ? block_host.pwritev(fd, iov, (int)count, (off_t)offset)
                          : block_host.preadv(fd, iov, (int)count, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        iov_advance(&iov, &count, (uint64_t)n);
        offset += (uint64_t)n;
        len -= (uint64_t)n;
    }
    return 0;
}
