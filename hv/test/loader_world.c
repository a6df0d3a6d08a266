/* RAM, files and log lines for the loader tests. */
#include "hv/test/loader_world.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/util.h"

#define GUARD     (UINT64_C(1) << 20) /* no access, on both sides of each region */
#define MAX_FILES 64

struct world world;

static struct {
    uint8_t *base;
    uint64_t size;
} maps[2];

static int fds[MAX_FILES];
static char paths[MAX_FILES][32];
static unsigned fd_count;

static void keep_line(void *opaque, enum log_level level, const char *line)
{
    (void)opaque;
    if (level == LOG_ERROR)
        world.errors++;
    else
        world.warnings++;
    snprintf(world.line, sizeof(world.line), "%s", line);
}

static void add_ram(unsigned slot, uint64_t gpa, uint64_t size)
{
    uint8_t *base;

    if (size == 0)
        return;
    base =
        mmap(NULL, size + 2 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ck_assert_ptr_ne(base, MAP_FAILED);
    ck_assert_int_eq(mprotect(base + GUARD, size, PROT_READ | PROT_WRITE), 0);
    maps[slot].base = base;
    maps[slot].size = size + 2 * GUARD;
    ck_assert_int_eq(gmem_add(&world.mem, gpa, size, base + GUARD), 0);
}

static void drop_ram(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(maps); i++) {
        if (maps[i].base)
            munmap(maps[i].base, maps[i].size);
        maps[i].base = NULL;
    }
    memset(&world.mem, 0, sizeof(world.mem));
}

void world_ram_at(uint64_t start, uint64_t size)
{
    drop_ram();
    add_ram(0, start, size);
}

void world_ram(uint64_t low, uint64_t high)
{
    drop_ram();
    add_ram(0, 0, low);
    add_ram(1, HIGH_START, high);
}

void world_reset(void)
{
    while (fd_count > 0)
        close(fds[--fd_count]);
    world_ram(LOW_BYTES, 0);
    world.req =
        (struct kernel_request){.image = &world.image, .mem = &world.mem, .formats = &kernels_x86};
    world.errors = world.warnings = 0;
    world.line[0] = '\0';
    log_set_sink(keep_line, NULL);
}

uint8_t *ram(uint64_t gpa)
{
    uint8_t *p = gmem_ptr(&world.mem, gpa, 1);

    ck_assert_ptr_nonnull(p);
    return p;
}

static const char *new_file(void)
{
    ck_assert_uint_lt(fd_count, MAX_FILES);
    fds[fd_count] = memfd_create("hv-loader-test", MFD_CLOEXEC);
    ck_assert_int_ge(fds[fd_count], 0);
    snprintf(paths[fd_count], sizeof(paths[0]), "/proc/self/fd/%d", fds[fd_count]);
    return paths[fd_count++];
}

const char *file_of(const void *data, size_t len)
{
    const char *path = new_file();

    ck_assert_int_eq(write(fds[fd_count - 1], data, len), (ssize_t)len);
    return path;
}

const char *sparse_file(uint64_t size)
{
    const char *path = new_file();

    ck_assert_int_eq(ftruncate(fds[fd_count - 1], (off_t)size), 0);
    return path;
}

int load_path(const char *path, struct kernel *out)
{
    int err;

    memset(out, 0xa5, sizeof(*out));
    err = image_open(&world.image, path);
    if (err)
        return err;
    err = kernel_load(&world.req, out);
    image_close(&world.image);
    return err;
}

int load_bytes(const void *data, size_t len, struct kernel *out)
{
    const char *path = file_of(data, len);
    int err = load_path(path, out);

    close(fds[--fd_count]);
    return err;
}

void expect_line(const char *path, const char *text)
{
    ck_assert_msg(world.errors == 1, "%u error lines, last: %s", world.errors, world.line);
    if (path)
        ck_assert_msg(strncmp(world.line, path, strlen(path)) == 0, "%s is not in: %s", path,
                      world.line);
    ck_assert_msg(strstr(world.line, text) != NULL, "\"%s\" is not in: %s", text, world.line);
    world.errors = 0;
}
