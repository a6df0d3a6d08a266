/* The block device with its driver and a real file: each kind of request, options, configuration.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "devices/test/fake_disk.h"
#include "devices/virtio/models.h"

#define ALL (UINT64_MAX & ~VIRTIO_F_RING_PACKED & ~VIRTIO_F_EVENT_IDX)

static struct fake_disk f;

static void expect_read(uint64_t sector, uint32_t len)
{
    memset(fake_disk_data(&f), 0x77, len);
    ck_assert_uint_eq(fake_disk_do(&f, BLK_T_IN, sector, len), BLK_S_OK);
    ck_assert_uint_eq(f.used_len, len + 1);
    ck_assert_int_eq(memcmp(fake_disk_data(&f), f.image + sector * 512, len), 0);
}

static void change(uint64_t sector, uint32_t len, int byte)
{
    memset(fake_disk_data(&f), byte, len);
    memset(f.image + sector * 512, byte, len);
    ck_assert_uint_eq(fake_disk_do(&f, BLK_T_OUT, sector, len), BLK_S_OK);
    ck_assert_uint_eq(f.used_len, 1);
}

START_TEST(reads_and_writes_move_the_files_bytes_on_every_kind_of_ring)
{
    static const uint64_t rings[] = {0, VIRTIO_F_EVENT_IDX, VIRTIO_F_RING_PACKED,
                                     VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX};

    fake_disk_open(&f, "", ALL | rings[_i]);
    expect_read(0, 512);
    expect_read(FAKE_DISK_SECTORS - 8, 4096);
    change(7, 8192, 0xa5);
    expect_read(0, 65536);
    ck_assert_uint_eq(fake_disk_do(&f, BLK_T_FLUSH, 0, 0), BLK_S_OK);
    fake_disk_expect_file(&f);
    fake_disk_close(&f);
}
END_TEST

START_TEST(header_data_and_status_may_be_cut_in_any_way)
{
    uint64_t base;

    fake_disk_open(&f, "", ALL);
    base = driver_alloc(&f.d, 4096);
    for (uint32_t split = 1; split < 16; split++) {
        /* header | header and data | data | data and status */
        const struct driver_buf w[4] = {{f.header, split, false},
                                        {f.header + split, 16 - split, false},
                                        {f.data, 512, false},
                                        {f.status, 1, true}};
        const struct driver_buf r[3] = {{f.header, 16, false},
                                        {base, 100 + split, true},
                                        {base + 100 + split, 413 - split, true}};

        memset(fake_disk_data(&f), (int)split, 512);
        memset(f.image + 1024, (int)split, 512);
        fake_disk_header(&f, BLK_T_OUT, 2);
        ck_assert_uint_eq(driver_do(&f.d, 0, w, 4), 1);
        fake_disk_header(&f, BLK_T_IN, 2);
        memset(driver_ptr(&f.d, base), 0xee, 1024);
        ck_assert_uint_eq(driver_do(&f.d, 0, r, 3), 513);
        ck_assert_int_eq(memcmp(driver_ptr(&f.d, base), f.image + 1024, 512), 0);
        ck_assert_uint_eq(((uint8_t *)driver_ptr(&f.d, base))[512], BLK_S_OK);
        ck_assert_uint_eq(((uint8_t *)driver_ptr(&f.d, base))[513], 0xee);
    }
    fake_disk_expect_file(&f);
    fake_disk_close(&f);
}
END_TEST

START_TEST(header_and_data_in_one_descriptor_are_written)
{
    uint64_t base;

    fake_disk_open(&f, "", ALL);
    base = driver_alloc(&f.d, 16 + 512);
    const struct driver_buf w[2] = {{base, 16 + 512, false}, {f.status, 1, true}};

    memset(driver_ptr(&f.d, base), 0, 16);
    store_le32(driver_ptr(&f.d, base), BLK_T_OUT);
    memset((uint8_t *)driver_ptr(&f.d, base) + 16, 0x3c, 512);
    memset(f.image, 0x3c, 512);
    driver_do(&f.d, 0, w, 2);
    ck_assert_uint_eq(*(uint8_t *)driver_ptr(&f.d, f.status), BLK_S_OK);
    fake_disk_expect_file(&f);
    fake_disk_close(&f);
}
END_TEST

START_TEST(request_of_254_segments_in_an_indirect_table_is_served)
{
    struct driver_buf buf[256];
    uint16_t id;
    uint32_t len;

    fake_disk_open(&f, "", ALL);
    buf[0] = (struct driver_buf){f.header, 16, false};
    for (unsigned i = 0; i < 254; i++)
        buf[1 + i] = (struct driver_buf){f.data + i * 1024, 512, true};
    buf[255] = (struct driver_buf){f.status, 1, true};
    fake_disk_header(&f, BLK_T_IN, 1);
    driver_add_indirect(&f.d, 0, buf, 256);
    driver_kick(&f.d, 0);
    ck_assert(driver_used(&f.d, 0, 5000, &id, &len));
    ck_assert_uint_eq(len, 254 * 512 + 1);
    for (unsigned i = 0; i < 254; i++)
        ck_assert_int_eq(memcmp(driver_ptr(&f.d, f.data + i * 1024), f.image + 512 + i * 512, 512),
                         0);
    fake_disk_close(&f);
}
END_TEST

START_TEST(get_id_gives_20_bytes_of_serial_and_no_more)
{
    static const uint8_t full[20] = "ABCDEFGHIJKLMNOPQRST";
    uint8_t *data;

    fake_disk_open(&f, ",serial=ABCDEFGHIJKLMNOPQRST", ALL);
    data = fake_disk_data(&f);
    memset(data, 0xee, 64);
    ck_assert_uint_eq(fake_disk_do(&f, BLK_T_GET_ID, 0, 64), BLK_S_OK);
    ck_assert_int_eq(memcmp(data, full, 20), 0);
    for (unsigned i = 20; i < 64; i++)
        ck_assert_uint_eq(data[i], 0xee);
    ck_assert_uint_eq(f.used_len, 20);
    memset(data, 0xee, 64);
    ck_assert_uint_eq(fake_disk_do(&f, BLK_T_GET_ID, 0, 5), BLK_S_OK);
    ck_assert_int_eq(memcmp(data, full, 5), 0);
    ck_assert_uint_eq(data[5], 0xee);
    ck_assert_uint_eq(f.used_len, 6);
    fake_disk_close(&f);
}
END_TEST

START_TEST(short_serial_is_filled_up_with_zeroes)
{
    fake_disk_open(&f, ",serial=disk-7", ALL);
    memset(fake_disk_data(&f), 0xee, 20);
    ck_assert_uint_eq(fake_disk_do(&f, BLK_T_GET_ID, 0, 20), BLK_S_OK);
    ck_assert_int_eq(memcmp(fake_disk_data(&f), "disk-7\0\0\0\0\0\0\0\0\0\0\0\0\0", 20), 0);
    ck_assert_uint_eq(f.used_len, 21);
    fake_disk_close(&f);
}
END_TEST

START_TEST(discard_and_zeroes_make_ranges_read_as_zero)
{
    uint8_t *raw;

    fake_disk_open(&f, "", ALL);
    ck_assert_uint_eq(fake_disk_range(&f, BLK_T_WRITE_ZEROES, 3, 5, 0), BLK_S_OK);
    memset(f.image + 3 * 512, 0, 5 * 512);
    ck_assert_uint_eq(fake_disk_range(&f, BLK_T_WRITE_ZEROES, 64, 64, 1), BLK_S_OK);
    memset(f.image + 64 * 512, 0, 64 * 512);
    ck_assert_uint_eq(fake_disk_range(&f, BLK_T_DISCARD, 256, 8, 0), BLK_S_OK);
    memset(f.image + 256 * 512, 0, 8 * 512);
    /* Three ranges at once. */
    raw = fake_disk_data(&f);
    for (unsigned i = 0; i < 3; i++) {
        store_le64(raw + i * 16, 512 + i * 32);
        store_le32(raw + i * 16 + 8, 8);
        store_le32(raw + i * 16 + 12, 0);
        memset(f.image + (512 + i * 32) * 512, 0, 4096);
    }
    ck_assert_uint_eq(fake_disk_do(&f, BLK_T_WRITE_ZEROES, 0, 48), BLK_S_OK);
    fake_disk_expect_file(&f);
    expect_read(0, 131072);
    fake_disk_close(&f);
}
END_TEST

START_TEST(batch_of_32_reads_needs_few_interrupts)
{
    uint16_t id;
    uint32_t len;

    fake_disk_open(&f, "", ALL);
    for (unsigned i = 0; i < 32; i++)
        fake_disk_queue(&f, 0, BLK_T_IN, i * 8, f.data + i * 4096, 4096);
    driver_kick(&f.d, 0);
    for (unsigned i = 0; i < 32; i++)
        ck_assert(driver_used(&f.d, 0, 5000, &id, &len));
    ck_assert_int_eq(memcmp(fake_disk_data(&f), f.image, 32 * 4096), 0);
    ck_assert_uint_le(f.d.irq.rises, 6);
    fake_disk_close(&f);
}
END_TEST

START_TEST(four_queues_work_side_by_side)
{
    uint64_t status[4];
    uint16_t id;
    uint32_t len;

    fake_disk_open(&f, ",queues=4", ALL);
    ck_assert_uint_eq(driver_config(&f.d, BLK_C_NUM_QUEUES, 2), 4);
    for (unsigned q = 0; q < 4; q++)
        status[q] = fake_disk_queue(&f, q, BLK_T_IN, q, f.data + q * 512, 512);
    for (unsigned q = 0; q < 4; q++)
        driver_kick(&f.d, q);
    for (unsigned q = 0; q < 4; q++) {
        ck_assert(driver_used(&f.d, q, 5000, &id, &len));
        ck_assert_uint_eq(*(uint8_t *)driver_ptr(&f.d, status[q]), BLK_S_OK);
    }
    ck_assert_int_eq(memcmp(fake_disk_data(&f), f.image, 2048), 0);
    fake_disk_close(&f);
}
END_TEST

START_TEST(configuration_describes_the_disk)
{
    fake_disk_open(&f, "", ALL);
    ck_assert_uint_eq(driver_read(&f.d, 0x08), 2);
    ck_assert_uint_eq(driver_config(&f.d, BLK_C_CAPACITY, 4), FAKE_DISK_SECTORS);
    ck_assert_uint_eq(driver_config(&f.d, BLK_C_CAPACITY + 4, 4), 0);
    ck_assert_uint_eq(driver_config(&f.d, BLK_C_SEG_MAX, 4), 254);
    ck_assert_uint_eq(driver_config(&f.d, BLK_C_BLK_SIZE, 4), 512);
    ck_assert_uint_eq(driver_config(&f.d, BLK_C_PHYSICAL_EXP, 1), 0);
    ck_assert_uint_eq(driver_config(&f.d, BLK_C_WRITEBACK, 1), 1);
    ck_assert_uint_eq(driver_config(&f.d, 33, 1), 0);
    ck_assert_uint_eq(driver_config(&f.d, BLK_C_MAX_ZEROES_SEG, 4), BLK_MAX_SEGMENTS);
    ck_assert_uint_eq(driver_config(&f.d, 57, 1), 0);
    ck_assert_uint_eq(driver_config(&f.d, 58, 2), 0);
    ck_assert(f.d.v->offered & BLK_F_FLUSH);
    ck_assert(!(f.d.v->offered & (BLK_F_RO | BLK_F_MQ)));
    fake_disk_close(&f);
}
END_TEST

START_TEST(read_only_disk_says_so_and_stays_as_it_is)
{
    fake_disk_open(&f, ",readonly=on", ALL);
    ck_assert(f.d.v->offered & BLK_F_RO);
    ck_assert(!(f.d.v->offered & (BLK_F_DISCARD | BLK_F_WRITE_ZEROES | BLK_F_CONFIG_WCE)));
    expect_read(1, 512);
    memset(fake_disk_data(&f), 0, 512);
    ck_assert_uint_eq(fake_disk_do(&f, BLK_T_OUT, 0, 512), BLK_S_IOERR);
    ck_assert_uint_eq(fake_disk_range(&f, BLK_T_DISCARD, 0, 8, 0), BLK_S_IOERR);
    ck_assert_uint_eq(fake_disk_range(&f, BLK_T_WRITE_ZEROES, 0, 8, 0), BLK_S_IOERR);
    ck_assert_uint_eq(fake_disk_do(&f, BLK_T_FLUSH, 0, 0), BLK_S_OK);
    fake_disk_expect_file(&f);
    fake_disk_close(&f);
}
END_TEST

START_TEST(snapshot_is_written_and_the_file_is_not)
{
    static uint8_t base[FAKE_DISK_BYTES];

    fake_disk_open(&f, ",snapshot=on", ALL);
    memcpy(base, f.image, sizeof(base));
    change(9, 4096, 0x42);
    expect_read(0, 16384);
    memcpy(f.image, base, sizeof(base));
    fake_disk_expect_file(&f);
    fake_disk_close(&f);
}
END_TEST

START_TEST(direct_io_moves_bytes_at_any_guest_address)
{
    struct driver_buf buf[3];

    fake_disk_open(&f, ",cache=none", ALL);
    expect_read(16, 65536);
    buf[0] = (struct driver_buf){f.header, 16, false};
    buf[1] = (struct driver_buf){f.data + 3, 4096, true};
    buf[2] = (struct driver_buf){f.status, 1, true};
    fake_disk_header(&f, BLK_T_IN, 8);
    driver_do(&f.d, 0, buf, 3);
    ck_assert_int_eq(memcmp((uint8_t *)fake_disk_data(&f) + 3, f.image + 4096, 4096), 0);
    fake_disk_close(&f);
}
END_TEST

/* 5.2.6.2: without a write cache each write is safe when it completes. */
START_TEST(write_without_write_cache_is_flushed)
{
    fake_host_install();
    fake_disk_open(&f, "", ALL);
    fake_host_fail(0, 0);
    change(0, 512, 1);
    ck_assert_uint_eq(fake_host_calls(), 1);
    driver_write(&f.d, 0, 0); /* a register that is read-only: nothing */
    ck_assert_uint_eq(driver_config(&f.d, BLK_C_WRITEBACK, 1), 1);
    f.d.v->ops->config_write(f.d.v, BLK_C_WRITEBACK, 1, (const uint8_t[]){0});
    fake_host_fail(0, 0);
    change(0, 512, 2);
    ck_assert_uint_eq(fake_host_calls(), 2);
    /* The flush that fails is the write's failure. */
    fake_host_fail(2, EIO);
    ck_assert_uint_eq(fake_disk_do(&f, BLK_T_OUT, 0, 512), BLK_S_IOERR);
    fake_disk_close(&f);
}
END_TEST

START_TEST(driver_that_cannot_flush_gets_no_write_cache)
{
    fake_host_install();
    fake_disk_open(&f, "", ALL & ~BLK_F_FLUSH);
    ck_assert_uint_eq(driver_config(&f.d, BLK_C_WRITEBACK, 1), 0);
    fake_host_fail(0, 0);
    change(0, 512, 1);
    ck_assert_uint_eq(fake_host_calls(), 2);
    fake_disk_close(&f);
}
END_TEST

START_TEST(rate_limit_spreads_requests_over_time)
{
    uint64_t start;
    uint16_t id;
    uint32_t len;

    fake_disk_open(&f, ",iops=100", ALL);
    start = loop_now_ns();
    /* Ten are there at once, 20 more take 10 ms each. */
    for (unsigned i = 0; i < 30; i++)
        fake_disk_queue(&f, 0, BLK_T_IN, 0, f.data, 512);
    driver_kick(&f.d, 0);
    for (unsigned i = 0; i < 30; i++)
        ck_assert(driver_used(&f.d, 0, 5000, &id, &len));
    ck_assert_uint_ge(loop_now_ns() - start, 150 * UINT64_C(1000000));
    fake_disk_close(&f);
}
END_TEST

START_TEST(state_travels_to_another_device_of_the_same_disk)
{
    struct fake_disk other = {0};

    fake_disk_open(&f, "", ALL);
    driver_create(&other.d, fake_disk_create(&other, ""));
    f.d.v->ops->config_write(f.d.v, BLK_C_WRITEBACK, 1, (const uint8_t[]){0});
    ck_assert_int_eq(fake_transfer(f.d.dev, other.d.dev), 0);
    ck_assert_uint_eq(other.d.v->config[BLK_C_WRITEBACK], 0);
    fake_hostile_states(f.d.dev, 0x140);
    fake_disk_close(&other);
    fake_disk_close(&f);
}
END_TEST

static char logged[512];

static void keep_line(void *opaque, enum log_level level, const char *line)
{
    (void)opaque;
    (void)level;
    strncat(logged, line, sizeof(logged) - strlen(logged) - 1);
}

START_TEST(bad_options_are_refused_with_the_key_named)
{
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"", "file"},
        {"/x,colour=blue", "colour"},
        {"/x,cache=fast", "writeback"},
        {"/x,format=qcow2", "raw"},
        {"/x,queues=0", "queues"},
        {"/x,queues=17", "queues"},
        {"/x,readonly=maybe", "readonly"},
        {"/x,serial=123456789012345678901", "20 bytes"},
        {"/nowhere/disk", "/nowhere/disk"},
    };
    struct loop *loop = loop_create();
    struct virtio *v = NULL;

    log_set_sink(keep_line, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        logged[0] = '\0';
        ck_assert_int_lt(virtio_blk_create(bad[i].text, loop, &v), 0);
        ck_assert_ptr_null(v);
        ck_assert_msg(strstr(logged, bad[i].words) != NULL, "%s: %s", bad[i].text, logged);
    }
    loop_destroy(loop);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("virtio-blk");

    tcase_add_loop_test(tc, reads_and_writes_move_the_files_bytes_on_every_kind_of_ring, 0, 4);
    tcase_add_test(tc, header_data_and_status_may_be_cut_in_any_way);
    tcase_add_test(tc, header_and_data_in_one_descriptor_are_written);
    tcase_add_test(tc, request_of_254_segments_in_an_indirect_table_is_served);
    tcase_add_test(tc, get_id_gives_20_bytes_of_serial_and_no_more);
    tcase_add_test(tc, short_serial_is_filled_up_with_zeroes);
    tcase_add_test(tc, discard_and_zeroes_make_ranges_read_as_zero);
    tcase_add_test(tc, batch_of_32_reads_needs_few_interrupts);
    tcase_add_test(tc, four_queues_work_side_by_side);
    tcase_add_test(tc, configuration_describes_the_disk);
    tcase_add_test(tc, read_only_disk_says_so_and_stays_as_it_is);
    tcase_add_test(tc, snapshot_is_written_and_the_file_is_not);
    tcase_add_test(tc, direct_io_moves_bytes_at_any_guest_address);
    tcase_add_test(tc, write_without_write_cache_is_flushed);
    tcase_add_test(tc, driver_that_cannot_flush_gets_no_write_cache);
    tcase_add_test(tc, rate_limit_spreads_requests_over_time);
    tcase_add_test(tc, state_travels_to_another_device_of_the_same_disk);
    tcase_add_test(tc, bad_options_are_refused_with_the_key_named);
    return fake_run(tc);
}
