/*
 * A guest that means harm, and a host that fails: nothing outside the request changes, the device
 * answers or asks for a reset, and the next honest request is served.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/test/fake_disk.h"
#include "devices/virtio/models.h"

#define ALL (UINT64_MAX & ~VIRTIO_F_RING_PACKED & ~VIRTIO_F_EVENT_IDX)

static struct fake_disk f;

static void expect_alive(void)
{
    ck_assert(!driver_broken(&f.d));
    memset(fake_disk_data(&f), 0x77, 4096);
    ck_assert_uint_eq(fake_disk_do(&f, BLK_T_IN, 8, 4096), BLK_S_OK);
    ck_assert_int_eq(memcmp(fake_disk_data(&f), f.image + 4096, 4096), 0);
}

/* The ring is broken; a reset mends it. */
static void expect_broken_then_mended(void)
{
    ck_assert(driver_broken(&f.d));
    driver_start(&f.d, ALL, 256);
    expect_alive();
}

static uint32_t busy(void)
{
    uint32_t n;

    pthread_mutex_lock(&f.d.dev->lock);
    n = f.d.v->busy;
    pthread_mutex_unlock(&f.d.dev->lock);
    return n;
}

static uint8_t status_at(uint64_t gpa)
{
    return *(volatile uint8_t *)driver_ptr(&f.d, gpa);
}

START_TEST(qcow2_header_written_by_the_guest_stays_data_after_reboot)
{
    static const uint8_t magic[] = "QFI\xfb\0\0\0\3\0\0\0\0\0\0\2\0\0\0\0\x0b/etc/passwd";
    struct loop *loop;
    struct virtio *v = NULL;
    char text[128];

    fake_disk_open(&f, "", ALL);
    memset(fake_disk_data(&f), 0, 1024);
    memcpy(fake_disk_data(&f), magic, sizeof(magic));
    ck_assert_uint_eq(fake_disk_do(&f, BLK_T_OUT, 0, 1024), BLK_S_OK);
    driver_destroy(&f.d);
    snprintf(text, sizeof(text), "file=%s", f.path);
    memset(&f.d, 0, sizeof(f.d));
    loop = driver_loop(&f.d);
    ck_assert_int_eq(virtio_blk_create(text, loop, &v), 0);
    driver_create(&f.d, v);
    driver_start(&f.d, ALL, 256);
    f.header = driver_alloc(&f.d, 16);
    f.data = driver_alloc(&f.d, 4096);
    f.status = driver_alloc(&f.d, 1);
    ck_assert_uint_eq(driver_config(&f.d, BLK_C_CAPACITY, 4), FAKE_DISK_SECTORS);
    ck_assert_uint_eq(fake_disk_do(&f, BLK_T_IN, 0, 512), BLK_S_OK);
    ck_assert_int_eq(memcmp(fake_disk_data(&f), magic, sizeof(magic)), 0);
    fake_disk_close(&f);
}
END_TEST

START_TEST(same_head_twice_in_flight_is_refused)
{
    uint16_t head, id;
    uint32_t len;

    fake_host_install();
    fake_disk_open(&f, "", ALL);
    fake_host_hold(true);
    fake_disk_queue(&f, 0, BLK_T_OUT, 0, f.data, 512);
    head = 0;
    driver_publish(&f.d, 0, head);
    driver_kick(&f.d, 0);
    ck_assert(driver_broken(&f.d));
    fake_host_hold(false);
    ck_assert(!driver_used(&f.d, 0, 50, &id, &len)); /* not completed even once */
    memset(f.image, 0, 512);
    expect_broken_then_mended();
    fake_disk_expect_file(&f);
    fake_disk_close(&f);
}
END_TEST

START_TEST(last_sector_and_more_descriptors_writes_nothing_behind_the_end)
{
    struct driver_buf buf[10];

    fake_disk_open(&f, "", ALL);
    buf[0] = (struct driver_buf){f.header, 16, false};
    for (unsigned i = 1; i < 9; i++)
        buf[i] = (struct driver_buf){f.data, 512, false};
    buf[9] = (struct driver_buf){f.status, 1, true};
    memset(fake_disk_data(&f), 0, 512);
    fake_disk_header(&f, BLK_T_OUT, FAKE_DISK_SECTORS - 1);
    driver_do(&f.d, 0, buf, 10);
    ck_assert_uint_eq(status_at(f.status), BLK_S_IOERR);
    fake_disk_expect_file(&f);
    expect_alive();
    fake_disk_close(&f);
}
END_TEST

START_TEST(sectors_whose_byte_offset_wraps_are_io_errors)
{
    static const uint64_t sector[] = {UINT64_C(1) << 55, UINT64_MAX, FAKE_DISK_SECTORS,
                                      FAKE_DISK_SECTORS - 1};

    fake_disk_open(&f, "", ALL);
    for (unsigned i = 0; i < ARRAY_SIZE(sector); i++) {
        ck_assert_uint_eq(fake_disk_do(&f, BLK_T_IN, sector[i], 1024), BLK_S_IOERR);
        ck_assert_uint_eq(fake_disk_do(&f, BLK_T_OUT, sector[i], 1024), BLK_S_IOERR);
        ck_assert_uint_eq(fake_disk_range(&f, BLK_T_DISCARD, sector[i], 2, 0), BLK_S_IOERR);
        ck_assert_uint_eq(fake_disk_range(&f, BLK_T_WRITE_ZEROES, sector[i], 2, 0), BLK_S_IOERR);
        ck_assert_uint_eq(fake_disk_range(&f, BLK_T_WRITE_ZEROES, sector[i], UINT32_MAX, 1),
                          BLK_S_IOERR);
    }
    fake_disk_expect_file(&f);
    expect_alive();
    fake_disk_close(&f);
}
END_TEST

/* A vCPU that writes 0 to the status register and waits. */
static void *reset_device(void *opaque)
{
    (void)opaque;
    driver_write(&f.d, 0x70, 0);
    return NULL;
}

START_TEST(reset_with_128_reads_in_flight_waits_for_the_host)
{
    uint64_t status[128];
    uint8_t *data;
    pthread_t vcpu;

    fake_host_install();
    fake_disk_open(&f, "", ALL);
    data = driver_ptr(&f.d, f.data);
    memset(data, 0x77, 4096);
    fake_host_hold(true);
    for (unsigned i = 0; i < 128; i++)
        status[i] = fake_disk_queue(&f, 0, BLK_T_IN, 0, f.data + i * 512, 512);
    driver_kick(&f.d, 0);
    ck_assert_uint_eq(busy(), 128);
    pthread_create(&vcpu, NULL, reset_device, NULL);
    usleep(20000);
    ck_assert_uint_eq(busy(), 128);
    fake_host_hold(false);
    for (unsigned i = 0; i < 2000 && busy() > 0; i++) {
        loop_step(f.d.loop);
        usleep(1000);
    }
    pthread_join(vcpu, NULL);
    ck_assert_uint_eq(driver_read(&f.d, 0x70), 0);
    /* From here on the host has let go: nothing is written any more. */
    memset(data, 0x33, 4096);
    driver_run(&f.d);
    usleep(5000);
    driver_run(&f.d);
    for (unsigned i = 0; i < 4096; i++)
        ck_assert_uint_eq(data[i], 0x33);
    for (unsigned i = 0; i < 128; i++)
        ck_assert_uint_eq(status_at(status[i]), 0xff); /* the device had stopped */
    driver_start(&f.d, ALL, 256);
    expect_alive();
    fake_disk_close(&f);
}
END_TEST

START_TEST(more_requests_than_slots_are_all_served)
{
    uint16_t id;
    uint32_t len;

    fake_host_install();
    fake_disk_open(&f, ",queues=3", ALL);
    fake_host_hold(true);
    for (unsigned q = 0; q < 3; q++) {
        for (unsigned i = 0; i < 80; i++)
            fake_disk_queue(&f, q, BLK_T_IN, 8, f.data + (q * 80 + i) * 512, 512);
        driver_kick(&f.d, q);
    }
    ck_assert_uint_eq(busy(), BLK_SLOTS);
    fake_host_hold(false);
    for (unsigned q = 0; q < 3; q++) {
        for (unsigned i = 0; i < 80; i++)
            ck_assert(driver_used(&f.d, q, 5000, &id, &len));
    }
    expect_alive();
    fake_disk_close(&f);
}
END_TEST

/* Rows 52 and 20: what a reset cut off must not come back as something else. */
START_TEST(reset_in_mid_write_changes_no_other_sector)
{
    pthread_t vcpu;

    fake_host_install();
    fake_disk_open(&f, "", ALL);
    memset(fake_disk_data(&f), 0x99, 4096);
    fake_host_hold(true);
    fake_disk_queue(&f, 0, BLK_T_OUT, 100, f.data, 4096);
    driver_kick(&f.d, 0);
    pthread_create(&vcpu, NULL, reset_device, NULL);
    usleep(5000);
    fake_host_hold(false);
    for (unsigned i = 0; i < 2000 && busy() > 0; i++) {
        loop_step(f.d.loop);
        usleep(1000);
    }
    pthread_join(vcpu, NULL);
    driver_start(&f.d, ALL, 256);
    expect_alive();
    memset(f.image + 100 * 512, 0x99, 4096);
    fake_disk_expect_file(&f);
    fake_disk_close(&f);
}
END_TEST

START_TEST(one_queue_reset_leaves_the_other_queues_requests_alone)
{
    uint64_t status;
    uint16_t id;
    uint32_t len;

    fake_host_install();
    fake_disk_open(&f, ",queues=2", ALL);
    fake_host_hold(true);
    status = fake_disk_queue(&f, 1, BLK_T_IN, 8, f.data, 512);
    driver_kick(&f.d, 1);
    pthread_mutex_lock(&f.d.dev->lock);
    virtio_queue_reset(f.d.v, 0);
    pthread_mutex_unlock(&f.d.dev->lock);
    fake_host_hold(false);
    ck_assert(driver_used(&f.d, 1, 5000, &id, &len));
    ck_assert_uint_eq(status_at(status), BLK_S_OK);
    fake_disk_close(&f);
}
END_TEST

START_TEST(device_destroyed_with_requests_in_flight_ends_them)
{
    fake_disk_open(&f, "", ALL);
    for (unsigned i = 0; i < 60; i++)
        fake_disk_queue(&f, 0, i % 3 ? BLK_T_IN : BLK_T_OUT, i * 8, f.data, 4096);
    driver_write(&f.d, 0x50, 0);
    loop_step(f.d.loop);
    fake_disk_close(&f);
}
END_TEST

START_TEST(write_only_header_is_answered_with_an_error)
{
    const struct driver_buf buf[2] = {{f.header, 16, true}, {f.status, 1, true}};
    struct driver_buf mine[2];

    fake_disk_open(&f, "", ALL);
    memcpy(mine, buf, sizeof(mine));
    mine[0].gpa = f.header;
    mine[1].gpa = f.status;
    fake_disk_header(&f, BLK_T_IN, 0);
    ck_assert_uint_eq(driver_do(&f.d, 0, mine, 2), 0);
    ck_assert_uint_eq(status_at(f.status), BLK_S_IOERR);
    expect_alive();
    fake_disk_close(&f);
}
END_TEST

START_TEST(read_only_status_is_never_written)
{
    struct driver_buf buf[2];

    fake_disk_open(&f, "", ALL);
    buf[0] = (struct driver_buf){f.header, 16, false};
    buf[1] = (struct driver_buf){f.status, 1, false};
    fake_disk_header(&f, BLK_T_FLUSH, 0);
    driver_add(&f.d, 0, buf, 2);
    driver_kick(&f.d, 0);
    ck_assert_uint_eq(status_at(f.status), 0xff);
    expect_broken_then_mended();
    fake_disk_close(&f);
}
END_TEST

START_TEST(readable_after_writable_is_refused)
{
    struct driver_buf buf[4];

    fake_disk_open(&f, "", ALL);
    buf[0] = (struct driver_buf){f.header, 16, false};
    buf[1] = (struct driver_buf){f.data, 512, true};
    buf[2] = (struct driver_buf){f.data + 512, 512, false};
    buf[3] = (struct driver_buf){f.status, 1, true};
    fake_disk_header(&f, BLK_T_OUT, 0);
    driver_add(&f.d, 0, buf, 4);
    driver_kick(&f.d, 0);
    expect_broken_then_mended();
    fake_disk_expect_file(&f);
    fake_disk_close(&f);
}
END_TEST

START_TEST(descriptor_of_length_0_in_each_position_is_harmless)
{
    fake_disk_open(&f, "", ALL);
    for (unsigned at = 0; at < 4; at++) {
        struct driver_buf buf[4];
        unsigned n = 0;

        for (unsigned i = 0; i < 4; i++) {
            if (i == at)
                buf[n++] = (struct driver_buf){f.data, 0, i > 0};
            if (i == 0)
                buf[n++] = (struct driver_buf){f.header, 16, false};
            else if (i == 1)
                buf[n++] = (struct driver_buf){f.data, 512, true};
            else if (i == 2)
                buf[n++] = (struct driver_buf){f.status, 1, true};
        }
        fake_disk_header(&f, BLK_T_IN, 0);
        driver_do(&f.d, 0, buf, n);
        ck_assert_uint_eq(status_at(f.status), BLK_S_OK);
        ck_assert_int_eq(memcmp(fake_disk_data(&f), f.image, 512), 0);
    }
    fake_disk_close(&f);
}
END_TEST

START_TEST(lengths_near_4_gib_are_refused)
{
    static const uint32_t lengths[] = {UINT32_MAX, 0x80000000, DRIVER_RAM};
    struct driver_buf buf[4];

    fake_disk_open(&f, "", ALL);
    for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
        buf[0] = (struct driver_buf){f.header, 16, false};
        buf[1] = (struct driver_buf){f.data, lengths[i], true};
        buf[2] = (struct driver_buf){f.data, lengths[i], true};
        buf[3] = (struct driver_buf){f.status, 1, true};
        fake_disk_header(&f, BLK_T_IN, 0);
        driver_add(&f.d, 0, buf, 4);
        driver_kick(&f.d, 0);
        expect_broken_then_mended();
    }
    fake_disk_close(&f);
}
END_TEST

START_TEST(request_longer_than_65536_bytes_is_whole)
{
    fake_disk_open(&f, "", ALL);
    ck_assert_uint_eq(fake_disk_do(&f, BLK_T_IN, 0, 256 * 1024), BLK_S_OK);
    ck_assert_uint_eq(f.used_len, 256 * 1024 + 1);
    ck_assert_int_eq(memcmp(fake_disk_data(&f), f.image, 256 * 1024), 0);
    fake_disk_close(&f);
}
END_TEST

START_TEST(scsi_and_zone_requests_are_unsupported)
{
    static const uint32_t types[] = {2, 3, 10, 14, 15, 16, 17, 18, 20, 22, 24, 26, 0x80000000};

    fake_disk_open(&f, "", ALL);
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++)
        ck_assert_uint_eq(fake_disk_do(&f, types[i], 0, 512), BLK_S_UNSUPP);
    fake_disk_expect_file(&f);
    expect_alive();
    fake_disk_close(&f);
}
END_TEST

START_TEST(twenty_thousand_bad_requests_cost_no_memory)
{
    struct rusage before, after;

    fake_disk_open(&f, "", ALL);
    fake_disk_do(&f, BLK_T_IN, UINT64_MAX, 512);
    getrusage(RUSAGE_SELF, &before);
    for (unsigned i = 0; i < 20000; i++) {
        ck_assert_uint_eq(fake_disk_do(&f, i % 2 ? BLK_T_IN : 99, UINT64_MAX, 512),
                          i % 2 ? BLK_S_IOERR : BLK_S_UNSUPP);
    }
    getrusage(RUSAGE_SELF, &after);
    /* Check itself allocates under AddressSanitizer; a slot that leaks shows after 128. */
    ck_assert_int_le(after.ru_maxrss, before.ru_maxrss + 32768);
    expect_alive();
    fake_disk_close(&f);
}
END_TEST

START_TEST(buffer_on_top_of_the_rings_is_no_danger)
{
    struct driver_buf buf[3];
    uint16_t id;
    uint32_t len;

    fake_disk_open(&f, "", ALL);
    buf[0] = (struct driver_buf){f.header, 16, false};
    buf[1] = (struct driver_buf){f.d.q[0].desc, 4096, true};
    buf[2] = (struct driver_buf){f.status, 1, true};
    fake_disk_header(&f, BLK_T_IN, 0);
    driver_add(&f.d, 0, buf, 3);
    driver_kick(&f.d, 0);
    (void)driver_used(&f.d, 0, 100, &id, &len);
    driver_start(&f.d, ALL, 256);
    expect_alive();
    fake_disk_close(&f);
}
END_TEST

/* Another vCPU that rewrites header and descriptor while requests are served. */
static bool racing;

static void *race(void *opaque)
{
    uint8_t *header = driver_ptr(&f.d, f.header);
    uint8_t *desc = driver_ptr(&f.d, f.d.q[0].desc);
    uint64_t seed = 5;

    (void)opaque;
    while (__atomic_load_n(&racing, __ATOMIC_RELAXED)) {
        uint64_t r = fake_random(&seed);

        __atomic_store_n((uint32_t *)(void *)header, (uint32_t)(r & 1), __ATOMIC_RELAXED);
        __atomic_store_n((uint64_t *)(void *)(header + 8), r >> 8 & 4095, __ATOMIC_RELAXED);
        for (unsigned i = 0; i < 8; i++)
            __atomic_store_n((uint32_t *)(void *)(desc + i * 16 + 8),
                             r & 2 ? 512u : (uint32_t)(r >> 32), __ATOMIC_RELAXED);
    }
    return NULL;
}

START_TEST(header_and_lengths_rewritten_while_served_stay_within_bounds)
{
    uint64_t end = loop_now_ns() + 300 * UINT64_C(1000000);
    pthread_t vcpu;
    struct stat st;
    uint16_t id;
    uint32_t len;

    fake_disk_open(&f, "", ALL);
    while (loop_now_ns() < end) {
        const struct driver_buf buf[3] = {
            {f.header, 16, false}, {f.data, 512, true}, {f.status, 1, true}};

        racing = true;
        pthread_create(&vcpu, NULL, race, NULL);
        for (unsigned i = 0; i < 20; i++) {
            driver_add(&f.d, 0, buf, 3);
            driver_kick(&f.d, 0);
            (void)driver_used(&f.d, 0, 1, &id, &len);
        }
        __atomic_store_n(&racing, false, __ATOMIC_RELAXED);
        pthread_join(vcpu, NULL);
        while (busy() > 0)
            driver_run(&f.d);
        driver_write(&f.d, 0x70, 0);
        driver_free(&f.d, DRIVER_GPA);
        f.header = driver_alloc(&f.d, 16);
        f.data = driver_alloc(&f.d, 1 << 18);
        f.status = driver_alloc(&f.d, 1);
        driver_start(&f.d, ALL, 256);
    }
    ck_assert_int_eq(stat(f.path, &st), 0);
    ck_assert_int_eq(st.st_size, FAKE_DISK_BYTES);
    fake_disk_close(&f);
}
END_TEST

START_TEST(file_truncated_underneath_gives_io_errors)
{
    fake_disk_open(&f, "", ALL);
    ck_assert_int_eq(truncate(f.path, 4096), 0);
    ck_assert_uint_eq(fake_disk_do(&f, BLK_T_IN, 64, 512), BLK_S_IOERR);
    ck_assert_uint_eq(f.used_len, 0);
    ck_assert_uint_eq(fake_disk_do(&f, BLK_T_IN, 0, 4096), BLK_S_OK);
    ck_assert_uint_eq(fake_disk_do(&f, BLK_T_FLUSH, 0, 0), BLK_S_IOERR);
    ck_assert(!driver_broken(&f.d));
    fake_disk_close(&f);
}
END_TEST

START_TEST(full_host_disk_is_an_io_error_and_later_writes_work)
{
    fake_host_install();
    fake_disk_open(&f, "", ALL);
    memset(fake_disk_data(&f), 0x12, 512);
    fake_host_fail(1, ENOSPC);
    ck_assert_uint_eq(fake_disk_do(&f, BLK_T_OUT, 0, 512), BLK_S_IOERR);
    ck_assert_uint_eq(fake_disk_do(&f, BLK_T_OUT, 0, 512), BLK_S_OK);
    memset(f.image, 0x12, 512);
    fake_disk_expect_file(&f);
    fake_disk_close(&f);
}
END_TEST

START_TEST(host_that_fails_on_the_nth_call_fails_one_request)
{
    fake_host_install();
    fake_disk_open(&f, "", ALL);
    for (unsigned n = 1; n <= 8; n++) {
        fake_host_fail(n, EIO);
        for (unsigned i = 1; i <= 8; i++)
            ck_assert_uint_eq(fake_disk_do(&f, BLK_T_IN, i, 512), i == n ? BLK_S_IOERR : BLK_S_OK);
    }
    fake_disk_close(&f);
}
END_TEST

START_TEST(flush_that_failed_once_fails_from_then_on)
{
    fake_host_install();
    fake_disk_open(&f, "", ALL);
    fake_host_fail(1, EIO);
    ck_assert_uint_eq(fake_disk_do(&f, BLK_T_FLUSH, 0, 0), BLK_S_IOERR);
    ck_assert_uint_eq(fake_disk_do(&f, BLK_T_FLUSH, 0, 0), BLK_S_IOERR);
    ck_assert_uint_eq(fake_disk_do(&f, BLK_T_OUT, 0, 512), BLK_S_OK);
    driver_start(&f.d, ALL, 256);
    ck_assert_uint_eq(fake_disk_do(&f, BLK_T_FLUSH, 0, 0), BLK_S_IOERR);
    fake_disk_close(&f);
}
END_TEST

START_TEST(read_only_configuration_cannot_be_changed)
{
    uint8_t before[BLK_C_BYTES], ones[8];

    fake_disk_open(&f, "", ALL);
    memcpy(before, f.d.v->config, sizeof(before));
    memset(ones, 0xff, sizeof(ones));
    for (unsigned offset = 0; offset < 128; offset++) {
        for (unsigned size = 1; size <= 8; size *= 2) {
            pthread_mutex_lock(&f.d.dev->lock);
            virtio_config_write(f.d.v, offset, size, ones);
            pthread_mutex_unlock(&f.d.dev->lock);
        }
    }
    ck_assert_int_eq(memcmp(before, f.d.v->config, sizeof(before)), 0);
    expect_alive();
    fake_disk_close(&f);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("virtio-blk hostile");

    tcase_add_test(tc, qcow2_header_written_by_the_guest_stays_data_after_reboot);
    tcase_add_test(tc, same_head_twice_in_flight_is_refused);
    tcase_add_test(tc, last_sector_and_more_descriptors_writes_nothing_behind_the_end);
    tcase_add_test(tc, sectors_whose_byte_offset_wraps_are_io_errors);
    tcase_add_test(tc, reset_with_128_reads_in_flight_waits_for_the_host);
    tcase_add_test(tc, more_requests_than_slots_are_all_served);
    tcase_add_test(tc, reset_in_mid_write_changes_no_other_sector);
    tcase_add_test(tc, one_queue_reset_leaves_the_other_queues_requests_alone);
    tcase_add_test(tc, device_destroyed_with_requests_in_flight_ends_them);
    tcase_add_test(tc, write_only_header_is_answered_with_an_error);
    tcase_add_test(tc, read_only_status_is_never_written);
    tcase_add_test(tc, readable_after_writable_is_refused);
    tcase_add_test(tc, descriptor_of_length_0_in_each_position_is_harmless);
    tcase_add_test(tc, lengths_near_4_gib_are_refused);
    tcase_add_test(tc, request_longer_than_65536_bytes_is_whole);
    tcase_add_test(tc, scsi_and_zone_requests_are_unsupported);
    tcase_add_test(tc, twenty_thousand_bad_requests_cost_no_memory);
    tcase_add_test(tc, buffer_on_top_of_the_rings_is_no_danger);
#ifndef __SANITIZE_THREAD__ /* it races on purpose */
    tcase_add_test(tc, header_and_lengths_rewritten_while_served_stay_within_bounds);
#else
    (void)header_and_lengths_rewritten_while_served_stay_within_bounds;
#endif
    tcase_add_test(tc, file_truncated_underneath_gives_io_errors);
    tcase_add_test(tc, full_host_disk_is_an_io_error_and_later_writes_work);
    tcase_add_test(tc, host_that_fails_on_the_nth_call_fails_one_request);
    tcase_add_test(tc, flush_that_failed_once_fails_from_then_on);
    tcase_add_test(tc, read_only_configuration_cannot_be_changed);
    return fake_run(tc);
}
