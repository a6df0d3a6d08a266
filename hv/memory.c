/*
 * Guest RAM. A memfd, so that snapshots, vhost-user back ends and a second process can map the same
 * pages, unless this host gives huge pages to anonymous memory only (shmem_enabled is "never" by
 * default): a boot takes some 15,000 page faults less with them, which is a tenth of its time. Who
 * needs the memfd asks for it and pays that.
 */
#include "hv/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "hv/kvm.h"

static const struct {
    unsigned memfd_flags;
    uint64_t page; /* bytes */
    const char *pool;
} backings[] = {
    [BACKING_THP] = {MFD_CLOEXEC, 4 * KIB, NULL},
    [BACKING_HUGE_2M] = {MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB, 2 * MIB, "hugepages-2048kB"},
    [BACKING_HUGE_1G] = {MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_1GB, GIB, "hugepages-1048576kB"},
};

/*
 * Where RAM begins lie tables and the smallest guests. Clearing two huge pages for a few KiB takes
 * longer than all else in the start of such a guest.
 */
#define SMALL_PAGES (4 * MIB)

uint64_t memory_host_total(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);

    return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
}

/* Huge pages must be set aside by the administrator, plain ones only be there. */
static int report(const struct memory *mem, enum memory_backing backing, const char *what, int err)
{
    uint64_t page = backings[backing].page;

    if (backings[backing].pool)
        log_error("%s of %" PRIu64 " MiB of huge pages: %s (reserve them: echo %" PRIu64
                  " | sudo tee /sys/kernel/mm/hugepages/%s/nr_hugepages)",
                  what, mem->size / MIB, strerror(-err), mem->size / page, backings[backing].pool);
    else
        log_error("%s of %" PRIu64 " MiB of guest memory: %s (try a smaller -m)", what,
                  mem->size / MIB, strerror(-err));
    return err;
}

/* The host's policy for huge pages in memfds: the word in brackets. */
static bool memfd_has_huge_pages(void)
{
    char text[128] = "";
    int fd = open("/sys/kernel/mm/transparent_hugepage/shmem_enabled", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        close(fd);
    return n > 0 && !strstr(text, "[never]") && !strstr(text, "[deny]");
}

static int open_memfd(struct memory *mem, enum memory_backing backing, bool shared)
{
    if (backing == BACKING_THP && !shared && !memfd_has_huge_pages())
        return 0;
    mem->fd = memfd_create("hv-guest-ram", backings[backing].memfd_flags);
    if (mem->fd < 0)
        return report(mem, backing, "creation", -errno);
    if (ftruncate(mem->fd, (off_t)mem->size) < 0)
        return report(mem, backing, "allocation", -errno);
    return 0;
}

/* Reserves more than is needed, then maps RAM at a huge page's boundary within it. */
static int map_ram(struct memory *mem, enum memory_backing backing)
{
    uint64_t align = backings[backing].page < 2 * MIB ? 2 * MIB : backings[backing].page;
    int flags = mem->fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *host;

    mem->reserved_size = mem->size + align;
    host = mmap(NULL, mem->reserved_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                -1, 0);
    if (host == MAP_FAILED)
        return report(mem, backing, "mapping", -errno);
    mem->reserved = host;
    mem->host = mem->reserved + (align_up((uintptr_t)host, align) - (uintptr_t)host);
    host = mmap(mem->host, mem->size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, mem->fd, 0);
    if (host == MAP_FAILED)
        return report(mem, backing, "mapping", -errno);
    /* Advice only: without it the guest works the same, slower. A core dump leaves RAM out. */
    if (backing == BACKING_THP) {
        madvise(host, mem->size, MADV_HUGEPAGE);
        madvise(host, mem->size < SMALL_PAGES ? mem->size : SMALL_PAGES, MADV_NOHUGEPAGE);
    }
    madvise(host, mem->size, MADV_DONTDUMP);
    return 0;
}

int memory_create(struct memory *mem, uint64_t size, enum memory_backing backing, bool shared,
                  uint64_t hole, uint64_t hole_end)
{
    uint64_t total = memory_host_total(), low = size < hole ? size : hole;
    int err;

    *mem = (struct memory){.size = size, .fd = -1};
    if (size > total) {
        log_error("--memory: %" PRIu64 " MiB is more than this host has (%" PRIu64 " MiB)",
                  size / MIB, total / MIB);
        return -ENOMEM;
    }
    if (size % backings[backing].page) {
        log_error("--memory: must be a multiple of the huge page size, %" PRIu64 " MiB",
                  backings[backing].page / MIB);
        return -EINVAL;
    }
    err = open_memfd(mem, backing, shared);
    if (!err)
        err = map_ram(mem, backing);
    if (!err)
        err = low ? gmem_add(&mem->guest, 0, low, mem->host) : 0;
    if (!err && size > low)
        err = gmem_add(&mem->guest, hole_end, size - low, mem->host + low);
    if (!err && mem->fd >= 0)
        err = gmem_set_file(&mem->guest, mem->fd, mem->host, mem->size);
    if (err)
        memory_destroy(mem);
    return err;
}

void memory_destroy(struct memory *mem)
{
    if (mem->reserved)
        munmap(mem->reserved, mem->reserved_size);
    if (mem->fd >= 0)
        close(mem->fd);
    *mem = (struct memory){.fd = -1};
}

int memory_register(const struct memory *mem, int vm)
{
    for (unsigned i = 0; i < mem->guest.count; i++) {
        const struct gmem_region *r = &mem->guest.region[i];
        int err = kvm_set_memory(vm, i, r->gpa, r->size, r->host);

        if (err) {
            log_error("guest memory at 0x%" PRIx64 ": KVM refuses the slot: %s", r->gpa,
                      strerror(-err));
            return err;
        }
    }
    return 0;
}
