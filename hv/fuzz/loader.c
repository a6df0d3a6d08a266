/*
 * libFuzzer target for kernel_load: the input is the kernel file, its last byte the wished entry
 * or, from 0x80 up, that an arm64 machine is to boot it. `make fuzz T=60` builds and runs it. Good
 * seeds are real kernels cut short, and small Multiboot images, in build/fuzz/corpus/loader.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/core/gmem.h"
#include "devices/core/log.h"
#include "devices/core/util.h"
#include "hv/loader/loader.h"

#define RAM_BYTES (32 * MIB)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct gmem mem;
static int fd = -1;
static unsigned lines;

static void count_line(void *opaque, enum log_level level, const char *line)
{
    (void)opaque;
    (void)line;
    lines += level == LOG_ERROR;
}

/* Once: RAM with pages behind and before it that must not be touched. */
static void prepare(void)
{
    uint8_t *p = mmap(NULL, RAM_BYTES + 2 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED || mprotect(p + MIB, RAM_BYTES, PROT_READ | PROT_WRITE) ||
        gmem_add(&mem, 0, RAM_BYTES, p + MIB))
        abort();
    fd = memfd_create("kernel", MFD_CLOEXEC);
    log_set_sink(count_line, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct reserved_range reserved = {0x90000, 0x70000, "hv's boot data"};
    struct image img = {.path = "fuzz", .size = size};
    struct kernel_request req = {
        .image = &img, .mem = &mem, .reserved = &reserved, .reserved_count = 1};
    struct kernel kernel;
    int err;

    if (size == 0)
        return 0;
    if (fd < 0)
        prepare();
    if (ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    img.fd = fd;
    if (data[size - 1] < 0x80)
        req.wish = (enum boot_protocol)(data[size - 1] % (BOOT_MULTIBOOT + 1));
    req.formats = data[size - 1] < 0x80 ? &kernels_x86 : &kernels_arm64;
    lines = 0;
    err = kernel_load(&req, &kernel);
    /* One line for each refusal, none for success; and what is promised of a good kernel. */
    if (err > 0 || lines != (err ? 1 : 0))
        abort();
    if (!err &&
        (kernel.low >= kernel.high || kernel.high > RAM_BYTES || kernel.entry < kernel.low ||
         kernel.entry >= kernel.high || kernel.setup_header_len > SETUP_HEADER_MAX))
        abort();
    return 0;
}
