/* See fake_disk.h. */
#include "devices/test/fake_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/block/internal.h"
#include "devices/core/log.h"
#include "devices/core/util.h"
#include "devices/virtio/models.h"

/* Protects what follows: pool threads on one side, the test on the other. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t let_go = PTHREAD_COND_INITIALIZER;
static bool host_held;
static unsigned host_calls, fail_at;
static int fail_errno;

/* True: this call is to fail, errno is set. */
static bool pass(void)
{
    bool fail;

    pthread_mutex_lock(&lock);
    while (host_held)
        pthread_cond_wait(&let_go, &lock);
    fail = ++host_calls == fail_at;
    if (fail)
        errno = fail_errno;
    pthread_mutex_unlock(&lock);
    return fail;
}

static ssize_t host_preadv(int fd, const struct iovec *iov, int count, off_t offset)
{
    return pass() ? -1 : preadv(fd, iov, count, offset);
}

static ssize_t host_pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    return pass() ? -1 : pwritev(fd, iov, count, offset);
}

static int host_fdatasync(int fd)
{
    (void)fd;
    return pass() ? -1 : 0;
}

static int host_fallocate(int fd, int mode, off_t offset, off_t len)
{
    return pass() ? -1 : fallocate(fd, mode, offset, len);
}

void fake_host_install(void)
{
    block_host = (struct block_syscalls){host_preadv, host_pwritev, host_fdatasync, host_fallocate};
    fake_host_fail(0, 0);
}

void fake_host_hold(bool held)
{
    pthread_mutex_lock(&lock);
    host_held = held;
    pthread_cond_broadcast(&let_go);
    pthread_mutex_unlock(&lock);
}

void fake_host_fail(unsigned n, int error)
{
    pthread_mutex_lock(&lock);
    host_calls = 0;
    fail_at = n;
    fail_errno = error;
    pthread_mutex_unlock(&lock);
}

unsigned fake_host_calls(void)
{
    unsigned n;

    pthread_mutex_lock(&lock);
    n = host_calls;
    pthread_mutex_unlock(&lock);
    return n;
}

static void drop_line(void *opaque, enum log_level level, const char *line)
{
    (void)opaque;
    (void)level;
    (void)line;
}

struct virtio *fake_disk_create(struct fake_disk *f, const char *options)
{
    struct virtio *v = NULL;
    uint64_t seed = 3;
    char text[256];
    int fd;

    strcpy(f->path, "/tmp/hv-disk-XXXXXX");
    fd = mkstemp(f->path);
    ck_assert_int_ge(fd, 0);
    for (unsigned i = 0; i < FAKE_DISK_BYTES; i += 8)
        store_le64(f->image + i, fake_random(&seed));
    ck_assert_int_eq(write(fd, f->image, FAKE_DISK_BYTES), FAKE_DISK_BYTES);
    close(fd);
    log_set_sink(drop_line, NULL);
    snprintf(text, sizeof(text), "file=%s%s", f->path, options);
    ck_assert_int_eq(virtio_blk_create(text, driver_loop(&f->d), &v), 0);
    return v;
}

void fake_disk_open(struct fake_disk *f, const char *options, uint64_t features)
{
    driver_create(&f->d, fake_disk_create(f, options));
    driver_start(&f->d, features, 256);
    f->header = driver_alloc(&f->d, BLK_HEADER_BYTES);
    f->data = driver_alloc(&f->d, 256 * 1024);
    f->status = driver_alloc(&f->d, 1);
}

void fake_disk_close(struct fake_disk *f)
{
    driver_destroy(&f->d);
    unlink(f->path);
    block_host = (struct block_syscalls){preadv, pwritev, fdatasync, fallocate};
}

void *fake_disk_data(struct fake_disk *f)
{
    return driver_ptr(&f->d, f->data);
}

static void put_header(void *at, uint32_t type, uint64_t sector)
{
    store_le32(at, type);
    store_le32((uint8_t *)at + 4, 0);
    store_le64((uint8_t *)at + 8, sector);
}

void fake_disk_header(struct fake_disk *f, uint32_t type, uint64_t sector)
{
    put_header(driver_ptr(&f->d, f->header), type, sector);
    *(uint8_t *)driver_ptr(&f->d, f->status) = 0xff;
}

uint8_t fake_disk_do(struct fake_disk *f, uint32_t type, uint64_t sector, uint32_t len)
{
    bool in = type == BLK_T_IN || type == BLK_T_GET_ID;
    const struct driver_buf buf[3] = {{f->header, BLK_HEADER_BYTES, false},
                                      {len ? f->data : f->status, len ? len : 1, len ? in : true},
                                      {f->status, 1, true}};

    fake_disk_header(f, type, sector);
    f->used_len = driver_do(&f->d, 0, buf, len ? 3 : 2);
    return *(uint8_t *)driver_ptr(&f->d, f->status);
}

uint8_t fake_disk_range(struct fake_disk *f, uint32_t type, uint64_t sector, uint32_t sectors,
                        uint32_t flags)
{
    uint8_t *raw = fake_disk_data(f);

    store_le64(raw, sector);
    store_le32(raw + 8, sectors);
    store_le32(raw + 12, flags);
    return fake_disk_do(f, type, 0, 16);
}

uint64_t fake_disk_queue(struct fake_disk *f, unsigned queue, uint32_t type, uint64_t sector,
                         uint64_t data, uint32_t len)
{
    uint64_t header = driver_alloc(&f->d, BLK_HEADER_BYTES), status = driver_alloc(&f->d, 1);
    const struct driver_buf buf[3] = {
        {header, BLK_HEADER_BYTES, false}, {data, len, type == BLK_T_IN}, {status, 1, true}};

    put_header(driver_ptr(&f->d, header), type, sector);
    *(uint8_t *)driver_ptr(&f->d, status) = 0xff;
    if (f->d.features & VIRTIO_F_INDIRECT_DESC)
        driver_add_indirect(&f->d, queue, buf, 3);
    else
        driver_add(&f->d, queue, buf, 3);
    return status;
}

void fake_disk_expect_file(struct fake_disk *f)
{
    static uint8_t have[FAKE_DISK_BYTES + 1];
    int fd = open(f->path, O_RDONLY | O_CLOEXEC);

    ck_assert_int_eq(read(fd, have, sizeof(have)), FAKE_DISK_BYTES);
    close(fd);
    ck_assert_int_eq(memcmp(have, f->image, FAKE_DISK_BYTES), 0);
}
