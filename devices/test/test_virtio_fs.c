/* The virtio-fs device and the front end of vhost-user below it, with a back end that behaves, and
 * with one that does not. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/test/driver.h"
#include "devices/test/fake_net.h"
#include "devices/test/fake_vhost.h"
#include "devices/virtio/fs.h"
#include "devices/virtio/share.h"

/* Of vhost-user. */
enum {
    GET_FEATURES = 1,
    SET_FEATURES = 2,
    SET_OWNER = 3,
    SET_MEM_TABLE = 5,
    SET_VRING_ADDR = 9,
    GET_VRING_BASE = 11,
    SET_VRING_KICK = 12,
    GET_PROTOCOL_FEATURES = 15,
    GET_QUEUE_NUM = 17,
    SET_VRING_ENABLE = 18,
};
#define REPLY_ACK (1u << 3)

#define LONG      20000 /* ms; on a busy machine, too, an answer comes earlier */

static struct driver d;
static struct fake_vhost f;
static int memory; /* memfd */

static int open_fs(unsigned start_ms, unsigned answer_ms)
{
    const struct share_dir dir = {.host = "/the/dir", .tag = "/mnt/src"};
    struct fs_backend backend = {
        .server = VIRTIOFSD_NONE, .start_ms = start_ms, .answer_ms = answer_ms};
    struct virtio *v = NULL;
    int err;

    fake_log_start();
    fake_vhost_start(&f);
    backend.link = f.theirs;
    err = virtio_fs_open(&dir, &backend, driver_loop(&d), &v);
    if (err) {
        ck_assert_ptr_null(v);
        fake_vhost_join(&f);
        loop_destroy(d.loop);
        return err;
    }
    ck_assert(v->shares_memory);
    driver_create(&d, v);
    memory = memfd_create("ram", MFD_CLOEXEC);
    ck_assert_int_eq(ftruncate(memory, DRIVER_RAM), 0);
    ck_assert(mmap(d.ram.host, DRIVER_RAM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory,
                   0) == d.ram.host);
    ck_assert_int_eq(gmem_set_file(&d.mem, memory, d.ram.host, DRIVER_RAM), 0);
    return 0;
}

static void close_fs(void)
{
    driver_destroy(&d);
    fake_vhost_join(&f);
    close(memory);
}

/* A request of queue 1 that comes back. */
static void echo(const char *text)
{
    uint32_t len = (uint32_t)strlen(text);
    struct driver_buf buf[2] = {{driver_alloc(&d, len), len, false},
                                {driver_alloc(&d, len), len, true}};

    memcpy(driver_ptr(&d, buf[0].gpa), text, len);
    ck_assert_uint_eq(driver_do(&d, 1, buf, 2), len);
    ck_assert_int_eq(memcmp(driver_ptr(&d, buf[1].gpa), text, len), 0);
}

static void serves(uint64_t features, uint64_t protocol)
{
    unsigned rises;
    uint64_t agreed;

    fake_vhost_init(&f);
    f.protocol = protocol;
    ck_assert_int_eq(open_fs(LONG, LONG), 0);
    driver_start(&d, features, 64);
    rises = d.irq.rises;
    echo("hello");
    echo("and once more");
    ck_assert_uint_gt(d.irq.rises, rises);
    agreed = d.features;
    close_fs();
    ck_assert_uint_eq(f.acked & ~(UINT64_C(1) << 30), agreed);
    ck_assert_uint_eq(f.mem.region[0].gpa, DRIVER_GPA);
    ck_assert_uint_eq(fake_log_count, 0);
}

START_TEST(requests_are_answered)
{
    serves(0, 0);
    serves(0, REPLY_ACK);
    serves(VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC, UINT64_MAX);
}
END_TEST

START_TEST(offers_what_both_sides_know)
{
    fake_vhost_init(&f);
    f.features &= ~VIRTIO_F_INDIRECT_DESC;
    ck_assert_int_eq(open_fs(LONG, LONG), 0);
    ck_assert_uint_eq(d.v->offered, VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX);
    ck_assert_uint_eq(driver_read(&d, 0x08), 26);
    ck_assert_uint_eq(driver_config(&d, 0, 4), 0x746e6d2f); /* "/mnt" */
    ck_assert_uint_eq(driver_config(&d, 8, 1), 0);
    ck_assert_uint_eq(driver_config(&d, 36, 4), 1);
    ck_assert_uint_eq(driver_config(&d, 40, 4), 0);
    close_fs();
}
END_TEST

START_TEST(reset_stops_the_back_end)
{
    fake_vhost_init(&f);
    ck_assert_int_eq(open_fs(LONG, LONG), 0);
    for (unsigned round = 0; round < 20; round++) {
        driver_start(&d, 0, 64);
        echo("hello");
        ck_assert(atomic_load(&f.running));
        driver_write(&d, 0x70, 0);
        ck_assert(!atomic_load(&f.running));
        ck_assert_uint_eq(driver_read(&d, 0x70), 0);
        /* Nobody serves this. */
        driver_kick(&d, 1);
    }
    ck_assert_uint_eq(atomic_load(&f.served), 20);
    close_fs();
    ck_assert_uint_eq(fake_log_count, 0);
}
END_TEST

/* QueueReady becomes 0 (4.2.2): that queue alone. */
START_TEST(queue_that_is_disabled_is_stopped)
{
    fake_vhost_init(&f);
    ck_assert_int_eq(open_fs(LONG, LONG), 0);
    driver_start(&d, 0, 64);
    driver_write(&d, 0x30, 1);
    driver_write(&d, 0x44, 0);
    ck_assert(!atomic_load(&f.running));
    ck_assert(!driver_broken(&d));
    close_fs();
}
END_TEST

/* Runs the loop until the device is broken. */
static void wait_broken(void)
{
    for (unsigned i = 0; i < 2000 && !driver_broken(&d); i++) {
        loop_step(d.loop);
        usleep(1000);
    }
    ck_assert(driver_broken(&d));
}

static void expect_line(const char *part)
{
    ck_assert_uint_eq(fake_log_count, 1);
    ck_assert_msg(strstr(fake_log_line, part) != NULL, "%s", fake_log_line);
}

START_TEST(back_end_that_ends_breaks_the_device)
{
    fake_vhost_init(&f);
    ck_assert_int_eq(open_fs(LONG, LONG), 0);
    driver_start(&d, 0, 64);
    echo("hello");
    ck_assert_int_eq(shutdown(f.fd, SHUT_RDWR), 0);
    wait_broken();
    expect_line("/the/dir: virtiofsd ended; the guest can no longer use that directory");
    driver_kick(&d, 1);
    /* A driver that tries again does not get far, and the user does not read it again as an error.
     */
    driver_negotiate(&d, 0);
    driver_set_queue(&d, 0, 64);
    driver_write(&d, 0x70, 0x0f);
    ck_assert(driver_broken(&d));
    driver_write(&d, 0x70, 0);
    ck_assert_uint_eq(driver_read(&d, 0x70), 0);
    close_fs();
}
END_TEST

/* Starts the device, which fails. */
static void start_breaks(unsigned at, enum fake_vhost_deed deed, const char *part)
{
    fake_vhost_init(&f);
    f.at = at;
    f.deed = deed;
    ck_assert_int_eq(open_fs(LONG, deed == FAKE_HANG ? 50 : LONG), 0);
    driver_negotiate(&d, 0);
    driver_set_queue(&d, 0, 64);
    driver_set_queue(&d, 1, 64);
    driver_write(&d, 0x70, 0x0f);
    ck_assert(driver_broken(&d));
    expect_line(part);
    driver_run(&d);
    driver_write(&d, 0x70, 0);
    ck_assert_uint_eq(driver_read(&d, 0x70), 0);
    ck_assert_uint_eq(fake_log_count, 1);
    close_fs();
}

START_TEST(start_that_fails_is_told_once)
{
    start_breaks(SET_FEATURES, FAKE_DIE, "virtiofsd ended");
    start_breaks(SET_MEM_TABLE, FAKE_REFUSE, "virtiofsd refuses a request");
    start_breaks(SET_MEM_TABLE, FAKE_HANG, "virtiofsd does not answer");
    start_breaks(SET_VRING_ADDR, FAKE_WRONG_TYPE, "virtiofsd answers what");
    start_breaks(SET_VRING_KICK, FAKE_WRONG_SIZE, "virtiofsd answers what");
    start_breaks(SET_VRING_ENABLE, FAKE_WRONG_FLAGS, "virtiofsd answers what");
}
END_TEST

START_TEST(reset_does_not_wait_for_ever)
{
    static const enum fake_vhost_deed deeds[] = {FAKE_HANG, FAKE_DIE, FAKE_WRONG_SIZE};

    for (unsigned i = 0; i < ARRAY_SIZE(deeds); i++) {
        uint64_t before = loop_now_ns();

        fake_vhost_init(&f);
        f.at = GET_VRING_BASE;
        f.deed = deeds[i];
        ck_assert_int_eq(open_fs(LONG, deeds[i] == FAKE_HANG ? 400 : LONG), 0);
        driver_start(&d, 0, 64);
        echo("hello");
        driver_write(&d, 0x70, 0);
        ck_assert_uint_eq(driver_read(&d, 0x70), 0);
        ck_assert_uint_lt(loop_now_ns() - before, UINT64_C(5000000000));
        ck_assert_uint_eq(fake_log_count, 1);
        close_fs();
    }
}
END_TEST

static void open_fails(unsigned at, enum fake_vhost_deed deed, int err, const char *part)
{
    f.at = at;
    f.deed = deed;
    ck_assert_int_eq(open_fs(deed == FAKE_HANG ? 50 : LONG, LONG), err);
    expect_line(part);
}

START_TEST(bad_start_is_told_in_one_line)
{
    fake_vhost_init(&f);
    open_fails(GET_FEATURES, FAKE_DIE, -EPIPE, "virtiofsd ended");
    fake_vhost_init(&f);
    open_fails(GET_FEATURES, FAKE_HANG, -ETIMEDOUT, "virtiofsd does not answer");
    fake_vhost_init(&f);
    open_fails(GET_PROTOCOL_FEATURES, FAKE_WRONG_SIZE, -EPROTO, "virtiofsd answers what");
    fake_vhost_init(&f);
    open_fails(SET_OWNER, FAKE_REFUSE, -EREMOTEIO, "virtiofsd refuses a request");
    fake_vhost_init(&f);
    f.features &= ~VIRTIO_F_VERSION_1;
    open_fails(0, FAKE_OBEY, -ENOTSUP, "virtiofsd lacks what is needed");
    fake_vhost_init(&f);
    f.queue_num = 1;
    open_fails(0, FAKE_OBEY, -ENOTSUP, "virtiofsd lacks what is needed");
}
END_TEST

START_TEST(memory_without_a_file_is_not_shared)
{
    fake_vhost_init(&f);
    ck_assert_int_eq(open_fs(LONG, LONG), 0);
    d.mem.has_file = false;
    driver_negotiate(&d, 0);
    driver_write(&d, 0x70, 0x0f);
    ck_assert(driver_broken(&d));
    expect_line("lacks what is needed");
    close_fs();
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("virtio-fs");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, requests_are_answered);
    tcase_add_test(tc, offers_what_both_sides_know);
    tcase_add_test(tc, reset_stops_the_back_end);
    tcase_add_test(tc, queue_that_is_disabled_is_stopped);
    tcase_add_test(tc, back_end_that_ends_breaks_the_device);
    tcase_add_test(tc, start_that_fails_is_told_once);
    tcase_add_test(tc, reset_does_not_wait_for_ever);
    tcase_add_test(tc, bad_start_is_told_in_one_line);
    tcase_add_test(tc, memory_without_a_file_is_not_shared);
    return fake_run(tc);
}
