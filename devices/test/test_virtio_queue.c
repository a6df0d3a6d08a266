/* Virtqueues, what both layouts share: activation, copies between chain and buffer, saved state. */
#include "devices/virtio/queue.h"

#include <errno.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/state.h"
#include "devices/core/util.h"
#include "devices/test/driver.h"

#define PACKED (VIRTIO_F_VERSION_1 | VIRTIO_F_RING_PACKED)
#define SPLIT  VIRTIO_F_VERSION_1
#define END    (DRIVER_GPA + 0x10000)

static struct fake_ram ram;
static struct gmem mem;
static struct virtq q;

static void set_up(void)
{
    log_set_level(LOG_ERROR);
    fake_ram_create(&ram, 0x10000);
    memset(&mem, 0, sizeof(mem));
    ck_assert_int_eq(gmem_add(&mem, DRIVER_GPA, 0x10000, ram.host), 0);
    q = (struct virtq){.max = 256};
    virtq_reset(&q);
}

static void tear_down(void)
{
    fake_ram_destroy(&ram);
}

static int activate(uint16_t size, uint64_t desc, uint64_t driver, uint64_t device,
                    uint64_t features)
{
    virtq_reset(&q);
    q.size = size;
    q.desc = desc;
    q.driver = driver;
    q.device = device;
    return virtq_activate(&q, &mem, features);
}

static int activate_size(uint16_t size, uint64_t features)
{
    return activate(size, DRIVER_GPA, DRIVER_GPA + 0x4000, DRIVER_GPA + 0x8000, features);
}

START_TEST(queue_of_size_0_3_257_or_65535_is_refused)
{
    static const uint16_t bad[] = {0, 3, 255, 257, 512, 0x8000, 0xffff};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        ck_assert_int_eq(activate_size(bad[i], SPLIT), -EINVAL);
        ck_assert(!q.active);
    }
    for (uint16_t size = 1; size <= 256; size = (uint16_t)(size * 2))
        ck_assert_int_eq(activate_size(size, SPLIT), 0);
}
END_TEST

START_TEST(packed_queue_of_any_size_up_to_the_offered_one_is_taken)
{
    for (uint16_t size = 1; size <= 256; size++)
        ck_assert_int_eq(activate_size(size, PACKED), 0);
    ck_assert_int_eq(activate_size(0, PACKED), -EINVAL);
    ck_assert_int_eq(activate_size(257, PACKED), -EINVAL);
}
END_TEST

START_TEST(misaligned_area_is_refused)
{
    uint64_t a = DRIVER_GPA, b = DRIVER_GPA + 0x4000, c = DRIVER_GPA + 0x8000;

    for (unsigned off = 1; off < 16; off++)
        ck_assert_int_eq(activate(4, a + off, b, c, SPLIT), -EINVAL);
    ck_assert_int_eq(activate(4, a, b + 1, c, SPLIT), -EINVAL);
    ck_assert_int_eq(activate(4, a, b + 2, c, SPLIT), 0);
    ck_assert_int_eq(activate(4, a, b, c + 2, SPLIT), -EINVAL);
    ck_assert_int_eq(activate(4, a, b, c + 4, SPLIT), 0);
    ck_assert_int_eq(activate(4, a + 8, b, c, PACKED), -EINVAL);
    ck_assert_int_eq(activate(4, a, b + 2, c, PACKED), -EINVAL);
    ck_assert_int_eq(activate(4, a, b, c + 2, PACKED), -EINVAL);
    ck_assert_int_eq(activate(4, a, b + 4, c + 4, PACKED), 0);
}
END_TEST

START_TEST(area_outside_of_ram_is_refused)
{
    static const uint64_t bad[] = {0,
                                   DRIVER_GPA - 16,
                                   END,
                                   END + 16,
                                   UINT64_C(1) << 32,
                                   UINT64_MAX - 15,
                                   UINT64_C(0x8000000000000000)};
    uint64_t good = DRIVER_GPA + 0x1000;

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        for (unsigned packed = 0; packed < 2; packed++) {
            uint64_t f = packed ? PACKED : SPLIT;

            ck_assert_int_eq(activate(8, bad[i], good, good, f), -EINVAL);
            ck_assert_int_eq(activate(8, good, bad[i], good, f), -EINVAL);
            ck_assert_int_eq(activate(8, good, good, bad[i], f), -EINVAL);
        }
    }
}
END_TEST

/* The last byte of each area counts, and with EVENT_IDX there are two more of them. */
START_TEST(area_that_straddles_the_end_of_ram_is_refused)
{
    uint64_t good = DRIVER_GPA + 0x1000;

    ck_assert_int_eq(activate(8, END - 128, good, good, SPLIT), 0);
    ck_assert_int_eq(activate(8, END - 112, good, good, SPLIT), -EINVAL);
    ck_assert_int_eq(activate(8, good, END - 20, good, SPLIT), 0);
    ck_assert_int_eq(activate(8, good, END - 18, good, SPLIT), -EINVAL);
    ck_assert_int_eq(activate(8, good, END - 20, good, SPLIT | VIRTIO_F_EVENT_IDX), -EINVAL);
    ck_assert_int_eq(activate(8, good, END - 22, good, SPLIT | VIRTIO_F_EVENT_IDX), 0);
    ck_assert_int_eq(activate(8, good, good, END - 68, SPLIT), 0);
    ck_assert_int_eq(activate(8, good, good, END - 64, SPLIT), -EINVAL);
    ck_assert_int_eq(activate(8, good, good, END - 68, SPLIT | VIRTIO_F_EVENT_IDX), -EINVAL);
    ck_assert_int_eq(activate(8, END - 128, END - 4, END - 4, PACKED), 0);
    ck_assert_int_eq(activate(8, END - 112, good, good, PACKED), -EINVAL);
}
END_TEST

START_TEST(inactive_queue_has_nothing_and_says_nothing)
{
    struct virtq_chain chain;

    ck_assert_int_eq(virtq_pop(&q, &chain), 0);
    ck_assert(!virtq_must_notify(&q));
    ck_assert(!virtq_set_kicks(&q, true));
    chain = (struct virtq_chain){.slots = 1};
    virtq_push(&q, &chain, 0);
    virtq_unpop(&q, &chain);
    ck_assert_uint_eq(q.in_flight, 0);
    ck_assert_uint_eq(q.next_avail, 0);
}
END_TEST

/* Readable: 3 + 5 bytes. Writable: 4 + 1 + 6 bytes. */
static uint8_t bytes[32];

static struct virtq_chain sample_chain(void)
{
    static const uint8_t len[] = {3, 5, 4, 1, 6};
    struct virtq_chain c = {.out_count = 2, .in_count = 3, .out_len = 8, .in_len = 11};
    unsigned at = 0;

    for (unsigned i = 0; i < 5; i++) {
        c.iov[i] = (struct iovec){bytes + at, len[i]};
        at += len[i];
    }
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i + 1);
    return c;
}

START_TEST(copy_out_of_a_chain_at_every_offset_and_length)
{
    struct virtq_chain c = sample_chain();

    for (unsigned off = 0; off < 10; off++) {
        for (unsigned len = 0; len < 12; len++) {
            uint8_t buf[16] = {0};
            size_t want = off >= 8 ? 0 : len < 8 - off ? len : 8 - off;

            ck_assert_uint_eq(virtq_chain_read(&c, off, buf, len), want);
            ck_assert_mem_eq(buf, bytes + off, want);
            ck_assert_uint_eq(buf[want], 0);
        }
    }
    ck_assert_uint_eq(virtq_chain_read(&c, UINT64_MAX, bytes, 4), 0);
}
END_TEST

START_TEST(copy_into_a_chain_leaves_its_readable_part_alone)
{
    struct virtq_chain c = sample_chain();
    uint8_t buf[32], before[32];

    memset(buf, 0xaa, sizeof(buf));
    for (unsigned off = 0; off < 13; off++) {
        size_t n;

        c = sample_chain();
        memcpy(before, bytes, sizeof(before));
        n = virtq_chain_write(&c, off, buf, sizeof(buf));
        ck_assert_uint_eq(n, off < 11 ? 11 - off : 0);
        if (n > 0)
            memset(before + 8 + off, 0xaa, n);
        ck_assert_mem_eq(bytes, before, sizeof(before));
    }
}
END_TEST

START_TEST(slice_covers_exactly_the_range_asked_for)
{
    struct virtq_chain c = sample_chain();
    struct iovec iov[VIRTQ_MAX_SIZE];

    for (unsigned off = 0; off <= 11; off++) {
        for (unsigned len = 1; len <= 11 - off; len++) {
            unsigned n = virtq_chain_slice(&c, true, off, len, iov), at = 8 + off;

            ck_assert_uint_ge(n, 1);
            for (unsigned i = 0; i < n; i++) {
                ck_assert_uint_gt(iov[i].iov_len, 0);
                ck_assert_ptr_eq(iov[i].iov_base, bytes + at);
                at += (unsigned)iov[i].iov_len;
            }
            ck_assert_uint_eq(at, 8 + off + len);
        }
    }
}
END_TEST

START_TEST(slice_past_the_end_or_wrapping_is_empty)
{
    struct virtq_chain c = sample_chain();
    struct iovec iov[VIRTQ_MAX_SIZE];

    ck_assert_uint_eq(virtq_chain_slice(&c, true, 0, 12, iov), 0);
    ck_assert_uint_eq(virtq_chain_slice(&c, true, 11, 1, iov), 0);
    ck_assert_uint_eq(virtq_chain_slice(&c, false, 8, 1, iov), 0);
    ck_assert_uint_eq(virtq_chain_slice(&c, false, 1, 8, iov), 0);
    ck_assert_uint_eq(virtq_chain_slice(&c, true, UINT64_MAX, 2, iov), 0);
    ck_assert_uint_eq(virtq_chain_slice(&c, true, 2, UINT64_MAX, iov), 0);
    ck_assert_uint_eq(virtq_chain_slice(&c, true, 3, 0, iov), 0);
}
END_TEST

/* Loads the state of `from` with the byte at `at` replaced (none when negative). */
static int load_changed(const struct virtq *from, struct virtq *to, int at, uint8_t value,
                        uint64_t features)
{
    struct state_writer w = {0};
    struct state_reader r;
    uint16_t version;
    int err;

    state_begin(&w, "queue", 1);
    virtq_save(from, &w);
    state_end(&w);
    ck_assert_int_eq(w.error, 0);
    if (at >= 0)
        w.data[STATE_TAG_LEN + 6 + at] = value;
    state_reader_init(&r, w.data, w.len);
    ck_assert_int_eq(state_enter(&r, "queue", &version), 0);
    err = virtq_load(to, &r, &mem, features);
    if (!err)
        ck_assert_int_eq(state_leave(&r), 0);
    state_writer_free(&w);
    return err;
}

/* Offsets in the saved queue. */
enum {
    AT_SIZE = 0,
    AT_ENABLED = 2,
    AT_ACTIVE = 3,
    AT_DESC = 4,
    AT_AVAIL = 28,
    AT_USED = 30,
    AT_WRAPS = 32,
    AT_BROKEN = 33
};

static struct virtq running_queue(uint64_t features)
{
    ck_assert_int_eq(activate_size(8, features), 0);
    q.enabled = true;
    q.next_avail = q.next_used = 5;
    return q;
}

START_TEST(saved_queue_comes_back)
{
    struct virtq from = running_queue(PACKED), to = {.max = 256};

    from.avail_wrap = from.used_wrap = false;
    ck_assert_int_eq(load_changed(&from, &to, -1, 0, PACKED), 0);
    ck_assert(to.active && to.enabled && to.packed && !to.broken);
    ck_assert(!to.avail_wrap && !to.used_wrap);
    ck_assert_uint_eq(to.size, 8);
    ck_assert_uint_eq(to.next_avail, 5);
    ck_assert_uint_eq(to.next_used, 5);
    ck_assert_uint_eq(to.driver, from.driver);
    ck_assert_ptr_eq(to.device_area, from.device_area);
}
END_TEST

START_TEST(saved_queue_with_impossible_values_is_refused)
{
    static const struct {
        int at;
        uint8_t value;
    } bad[] = {
        {AT_SIZE, 3},   {AT_SIZE, 0},     {AT_SIZE + 1, 2},    {AT_ENABLED, 0},   {AT_ENABLED, 2},
        {AT_ACTIVE, 2}, {AT_DESC, 1},     {AT_DESC + 7, 0x80}, {AT_DESC + 15, 1}, {AT_DESC + 23, 1},
        {AT_AVAIL, 4},  {AT_USED + 1, 1}, {AT_WRAPS, 4},       {AT_BROKEN, 2},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        struct virtq from = running_queue(SPLIT), to = {.max = 256};

        ck_assert_int_eq(load_changed(&from, &to, bad[i].at, bad[i].value, SPLIT), -EINVAL);
        ck_assert(!to.active);
    }
}
END_TEST

START_TEST(saved_packed_queue_with_positions_outside_of_the_ring_is_refused)
{
    static const struct {
        int at;
        uint8_t value;
    } bad[] = {
        {AT_AVAIL, 8}, {AT_USED, 8}, {AT_AVAIL + 1, 0xff}, {AT_USED, 6}, {AT_WRAPS, 1},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        struct virtq from = running_queue(PACKED), to = {.max = 256};

        ck_assert_int_eq(load_changed(&from, &to, bad[i].at, bad[i].value, PACKED), -EINVAL);
        ck_assert(!to.active);
    }
    /* Broken or not: an index into the ring is checked. */
    struct virtq from = running_queue(PACKED), to = {.max = 256};

    from.broken = true;
    ck_assert_int_eq(load_changed(&from, &to, AT_AVAIL, 8, PACKED), -EINVAL);
}
END_TEST

/* A driver may have written any size before DRIVER_OK; the queue is not used. */
START_TEST(saved_queue_that_is_not_in_use_keeps_a_silly_size)
{
    struct virtq from = {.max = 256, .size = 0xffff}, to = {.max = 256};

    ck_assert_int_eq(load_changed(&from, &to, -1, 0, SPLIT), 0);
    ck_assert_uint_eq(to.size, 0xffff);
    ck_assert(!to.active);
}
END_TEST

/* A guest can bring this about: a good chain in flight, then a bad one. */
START_TEST(broken_queue_with_chains_in_flight_is_saved)
{
    struct virtq from = running_queue(SPLIT), to = {.max = 256};

    from.in_flight = 1;
    from.next_avail = 6;
    from.broken = true;
    ck_assert_int_eq(load_changed(&from, &to, -1, 0, SPLIT), 0);
    ck_assert(to.broken && to.active);
    ck_assert_uint_eq(to.next_avail, 6);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("queue");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, queue_of_size_0_3_257_or_65535_is_refused);
    tcase_add_test(tc, packed_queue_of_any_size_up_to_the_offered_one_is_taken);
    tcase_add_test(tc, misaligned_area_is_refused);
    tcase_add_test(tc, area_outside_of_ram_is_refused);
    tcase_add_test(tc, area_that_straddles_the_end_of_ram_is_refused);
    tcase_add_test(tc, inactive_queue_has_nothing_and_says_nothing);
    tcase_add_test(tc, copy_out_of_a_chain_at_every_offset_and_length);
    tcase_add_test(tc, copy_into_a_chain_leaves_its_readable_part_alone);
    tcase_add_test(tc, slice_covers_exactly_the_range_asked_for);
    tcase_add_test(tc, slice_past_the_end_or_wrapping_is_empty);
    tcase_add_test(tc, saved_queue_comes_back);
    tcase_add_test(tc, saved_queue_with_impossible_values_is_refused);
    tcase_add_test(tc, saved_packed_queue_with_positions_outside_of_the_ring_is_refused);
    tcase_add_test(tc, saved_queue_that_is_not_in_use_keeps_a_silly_size);
    tcase_add_test(tc, broken_queue_with_chains_in_flight_is_saved);
    return fake_run(tc);
}
