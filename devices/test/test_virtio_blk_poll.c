/* A disk whose rings are looked at: no kick is needed, and none is asked for. */
#include <string.h>
#include <time.h>

#include "devices/core/util.h"
#include "devices/test/fake_disk.h"

#define SPLIT           (UINT64_MAX & ~VIRTIO_F_RING_PACKED & ~VIRTIO_F_EVENT_IDX)
#define PACKED          (UINT64_MAX & ~VIRTIO_F_EVENT_IDX)
#define NO_NOTIFY       1     /* of the split ring's used flags (virtio 1.2, 2.7.10) */
#define SHUT            1     /* of the packed ring's device event structure (2.8.10): DISABLE */
#define STATUS_REGISTER 0x070 /* 4.2.2 */
#define PATIENCE        5000
#define MS              1000000

static struct fake_disk f;
static const uint64_t rings[] = {SPLIT, PACKED};

static struct blk *disk(void)
{
    return container_of(f.d.v, struct blk, v);
}

static bool tell(enum loop_poll what)
{
    return blk_poll(disk(), what);
}

/* Looks, and runs the loop for hosts whose completions come by its descriptors only. */
static void look_until_done(uint64_t status)
{
    const volatile uint8_t *byte = driver_ptr(&f.d, status);
    uint16_t id;
    uint32_t len;

    for (unsigned ms = 0; *byte == 0xff && ms < PATIENCE; ms++) {
        tell(LOOP_POLL_LOOK);
        driver_run(&f.d);
        if (*byte == 0xff)
            nanosleep(&(struct timespec){.tv_nsec = MS}, NULL);
    }
    ck_assert_uint_eq(*byte, BLK_S_OK);
    ck_assert(driver_used(&f.d, 0, 0, &id, &len));
}

static uint64_t add_read(unsigned i)
{
    return fake_disk_queue(&f, 0, BLK_T_IN, i * 8, f.data + i * 4096, 4096);
}

/* Whether the device has asked for no notifications. */
static bool kicks_are_off(void)
{
    const uint8_t *area = driver_ptr(&f.d, f.d.q[0].used);

    if (f.d.features & VIRTIO_F_RING_PACKED)
        return load_le16(area + 2) == SHUT;
    return load_le16(area) == NO_NOTIFY;
}

START_TEST(requests_without_a_kick_are_found_and_kicks_are_off_meanwhile)
{
    fake_disk_open(&f, "", rings[_i]);
    ck_assert(!tell(LOOP_POLL_BEGIN));
    ck_assert(!tell(LOOP_POLL_LOOK));
    for (unsigned i = 0; i < 4; i++) {
        uint64_t status = add_read(i);

        ck_assert(tell(LOOP_POLL_LOOK));
        look_until_done(status);
        ck_assert(kicks_are_off());
    }
    ck_assert_int_eq(memcmp(fake_disk_data(&f), f.image, 4 * 4096), 0);
    ck_assert(!tell(LOOP_POLL_END));
    ck_assert(!kicks_are_off());
    fake_disk_close(&f);
}
END_TEST

START_TEST(what_came_just_before_the_end_is_served_by_it)
{
    uint64_t status;

    fake_disk_open(&f, "", rings[_i]);
    tell(LOOP_POLL_BEGIN);
    look_until_done(add_read(0));
    status = add_read(1);
    ck_assert(tell(LOOP_POLL_END));
    ck_assert(!kicks_are_off());
    look_until_done(status);
    fake_disk_close(&f);
}
END_TEST

START_TEST(kick_after_the_end_is_heard)
{
    fake_disk_open(&f, "", rings[_i]);
    tell(LOOP_POLL_BEGIN);
    look_until_done(add_read(0));
    tell(LOOP_POLL_END);
    ck_assert_uint_eq(fake_disk_do(&f, BLK_T_IN, 3, 512), BLK_S_OK);
    fake_disk_close(&f);
}
END_TEST

/* Else the loop would never sleep while a rate holds the guest's requests back. */
START_TEST(requests_that_must_wait_are_no_find)
{
    unsigned finds = 0;

    fake_disk_open(&f, ",iops=1", SPLIT);
    tell(LOOP_POLL_BEGIN);
    for (unsigned i = 0; i < 8; i++)
        add_read(i);
    while (tell(LOOP_POLL_LOOK))
        ck_assert_uint_lt(++finds, 100);
    ck_assert_uint_ne(disk()->hungry, 0);
    ck_assert(!tell(LOOP_POLL_END));
    fake_disk_close(&f);
}
END_TEST

START_TEST(reset_and_broken_rings_are_no_find)
{
    fake_disk_open(&f, "", SPLIT);
    tell(LOOP_POLL_BEGIN);
    /* An available index that is further than the ring is long (2.7.13.3.1). */
    f.d.q[0].avail_idx = 0x7fff;
    driver_publish(&f.d, 0, 0);
    ck_assert(tell(LOOP_POLL_LOOK));
    ck_assert(driver_broken(&f.d));
    ck_assert(!tell(LOOP_POLL_LOOK));
    driver_write(&f.d, STATUS_REGISTER, 0);
    ck_assert(!tell(LOOP_POLL_LOOK));
    ck_assert(!tell(LOOP_POLL_END));
    fake_disk_close(&f);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("virtio-blk-poll");

    tcase_add_loop_test(tc, requests_without_a_kick_are_found_and_kicks_are_off_meanwhile, 0, 2);
    tcase_add_loop_test(tc, what_came_just_before_the_end_is_served_by_it, 0, 2);
    tcase_add_loop_test(tc, kick_after_the_end_is_heard, 0, 2);
    tcase_add_test(tc, requests_that_must_wait_are_no_find);
    tcase_add_test(tc, reset_and_broken_rings_are_no_find);
    return fake_run(tc);
}
