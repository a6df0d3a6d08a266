/*
 * Pages of a balloon: see balloon_pages.h. Page numbers are the guest's and believed only as far as
 * they are its own RAM. A page that is taken back too early, or twice, harms nobody but the guest.
 */
#include "devices/virtio/balloon_pages.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "devices/core/gmem.h"
#include "devices/core/log.h"
#include "devices/core/util.h"

#define PFNS_MAX 1024 /* of one chain; Linux sends 256 */

/* A hole in shared memory; private memory has none, and is dropped instead. */
int balloon_advise(void *opaque, void *host, size_t len)
{
    struct balloon_pages *p = opaque;

    if (!p->private_memory && madvise(host, len, MADV_REMOVE) == 0)
        return 0;
    if (madvise(host, len, MADV_DONTNEED) < 0)
        return -errno;
    p->private_memory = true;
    return 0;
}

static void discard(struct balloon_pages *p, const struct iovec *run)
{
    int err = run->iov_len ? p->discard(p->opaque, run->iov_base, run->iov_len) : 0;

    if (err && !p->told) {
        log_error("virtio-balloon: cannot give guest memory back to the host: %s (are huge pages "
                  "in use?)",
                  strerrordesc_np(-err));
        p->told = true;
    }
}

/* Pages next to each other, upward or downward, go in one piece. */
static bool join(struct iovec *run, void *page)
{
    uint8_t *base = run->iov_base;

    if (run->iov_len && page == base + run->iov_len) {
        run->iov_len += BALLOON_PAGE;
    } else if (run->iov_len && (uint8_t *)page + BALLOON_PAGE == base) {
        run->iov_base = page;
        run->iov_len += BALLOON_PAGE;
    } else {
        return false;
    }
    return true;
}

/* An array of page numbers, 32 bits each (5.5.6). Returns how many it worked on. */
unsigned balloon_inflate(struct balloon_pages *p, const struct gmem *mem,
                         const struct virtq_chain *chain)
{
    uint8_t pfns[PFNS_MAX * 4];
    size_t count = virtq_chain_read(chain, 0, pfns, sizeof(pfns)) / 4;
    struct iovec run = {0};
    bool strange = chain->out_len > sizeof(pfns) || chain->out_len % 4;

    for (size_t i = 0; i < count; i++) {
        void *page = gmem_ptr(mem, (uint64_t)load_le32(pfns + 4 * i) * BALLOON_PAGE, BALLOON_PAGE);

        if (!page) {
            strange = true;
        } else if (!join(&run, page)) {
            discard(p, &run);
            run = (struct iovec){page, BALLOON_PAGE};
        }
    }
    discard(p, &run);
    if (strange)
        log_guest("virtio-balloon: pages that are not RAM, or too many at once, are left alone");
    return (unsigned)count;
}

/* 5.5.6.7: the buffers are the free memory itself. Parts of pages stay. */
unsigned balloon_report(struct balloon_pages *p, const struct virtq_chain *chain)
{
    for (unsigned i = 0; i < chain->in_count; i++) {
        const struct iovec *buf = &chain->iov[chain->out_count + i];
        uintptr_t from = align_up((uintptr_t)buf->iov_base, BALLOON_PAGE);
        uintptr_t end = align_down((uintptr_t)buf->iov_base + buf->iov_len, BALLOON_PAGE);

        if (from < end)
            discard(p, &(struct iovec){(void *)from, end - from});
    }
    return chain->in_count;
}
