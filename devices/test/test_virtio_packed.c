/* The packed ring against hostile and legal drivers, over many rounds of its wrap counters. */
#include <errno.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "devices/test/driver.h"
#include "devices/test/null_device.h"

#define N         1 /* descriptor flags */
#define W         2
#define I         4
#define AVAIL     0x80
#define USED      0x8000
#define RAM_END   (DRIVER_GPA + DRIVER_RAM)
#define SIZE      7 /* no power of two */
#define PACKED    VIRTIO_F_RING_PACKED
#define PACKED_IN (PACKED | VIRTIO_F_INDIRECT_DESC)

static struct driver d;
static struct null_device *n;
static struct virtq *q;
static struct virtq_chain chain;
static uint64_t buf; /* 64 KiB of RAM */

static void set_up(void)
{
    log_set_level(LOG_ERROR);
    driver_loop(&d);
    n = null_device_create(1, 256, 0);
    driver_create(&d, &n->v);
    buf = driver_alloc(&d, 65536);
    q = &n->v.queue[0];
}

static void tear_down(void)
{
    driver_destroy(&d);
}

static void start(uint64_t features, uint16_t size)
{
    driver_start(&d, features, size);
    driver_run(&d);
    ck_assert(q->packed);
}

/* A descriptor of the first round. */
static void desc(unsigned i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t id)
{
    driver_put_desc(&d, d.q[0].desc, i, addr, len, flags | AVAIL, id);
}

static uint16_t flags_of(unsigned i)
{
    return load_le16((uint8_t *)driver_ptr(&d, d.q[0].desc) + 16 * (size_t)i + 14);
}

/* Broken for good, and nothing taken. */
static void expect_broken(void)
{
    ck_assert_int_eq(virtq_pop(q, &chain), -EPROTO);
    ck_assert(q->broken);
    ck_assert_uint_eq(q->in_flight, 0);
    ck_assert_uint_eq(q->next_avail, 0);
    desc(0, buf, 16, 0, 0);
    ck_assert_int_eq(virtq_pop(q, &chain), -EPROTO);
}

START_TEST(descriptor_without_the_right_marks_is_not_available)
{
    static const uint16_t marks[] = {0, USED, AVAIL | USED};

    start(PACKED, SIZE);
    for (unsigned i = 0; i < ARRAY_SIZE(marks); i++) {
        driver_put_desc(&d, d.q[0].desc, 0, buf, 16, marks[i], 0);
        ck_assert_int_eq(virtq_pop(q, &chain), 0);
    }
    desc(0, buf, 16, 0, 0);
    ck_assert_int_eq(virtq_pop(q, &chain), 1);
    ck_assert_int_eq(virtq_pop(q, &chain), 0);
}
END_TEST

START_TEST(chain_of_the_whole_ring_is_served_once)
{
    start(PACKED, SIZE);
    for (unsigned i = 0; i < SIZE; i++)
        desc(i, buf, 16, i + 1 < SIZE ? N : 0, (uint16_t)(100 + i));
    ck_assert_int_eq(virtq_pop(q, &chain), 1);
    ck_assert_uint_eq(chain.slots, SIZE);
    ck_assert_uint_eq(chain.id, 100 + SIZE - 1); /* of the last one (2.8.6) */
    ck_assert_int_eq(virtq_pop(q, &chain), 0);
}
END_TEST

START_TEST(chain_without_an_end_breaks_the_queue)
{
    for (uint32_t len = 0; len <= 16; len += 16) {
        start(PACKED, SIZE);
        for (unsigned i = 0; i < SIZE; i++)
            desc(i, buf, len, N, 0);
        expect_broken();
    }
}
END_TEST

START_TEST(ring_of_one_descriptor_with_next_breaks_the_queue)
{
    start(PACKED, 1);
    desc(0, buf, 0, N, 0);
    expect_broken();
}
END_TEST

/* All is in flight, and the driver marks a descriptor available in the next round all the same. */
START_TEST(more_in_flight_than_the_ring_has_breaks_the_queue)
{
    start(PACKED, SIZE);
    for (unsigned i = 0; i < SIZE; i++) {
        desc(i, buf, 16, 0, 0);
        ck_assert_int_eq(virtq_pop(q, &chain), 1);
    }
    driver_put_desc(&d, d.q[0].desc, 0, buf, 16, USED, 0);
    ck_assert_int_eq(virtq_pop(q, &chain), -EPROTO);
    ck_assert_uint_eq(q->in_flight, SIZE);
}
END_TEST

START_TEST(chain_that_runs_into_those_in_flight_breaks_the_queue)
{
    start(PACKED, SIZE);
    for (unsigned i = 0; i < SIZE - 1; i++) {
        desc(i, buf, 16, 0, 0);
        ck_assert_int_eq(virtq_pop(q, &chain), 1);
    }
    desc(SIZE - 1, buf, 16, N, 0);
    ck_assert_int_eq(virtq_pop(q, &chain), -EPROTO);
}
END_TEST

START_TEST(buffer_outside_of_ram_breaks_the_queue)
{
    static const struct {
        uint64_t addr;
        uint32_t len;
    } bad[] = {
        {0, 16},         {DRIVER_GPA - 1, 2},   {RAM_END - 15, 16},       {RAM_END, 1},
        {UINT64_MAX, 2}, {UINT64_MAX - 15, 16}, {DRIVER_GPA, UINT32_MAX}, {0xd0000000, 4},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        start(PACKED, SIZE);
        desc(0, bad[i].addr, bad[i].len, W, 0);
        expect_broken();
    }
}
END_TEST

START_TEST(readable_after_writable_breaks_the_queue)
{
    start(PACKED, SIZE);
    desc(0, buf, 16, W | N, 0);
    desc(1, buf, 16, 0, 0);
    expect_broken();
}
END_TEST

static uint64_t table_of(unsigned count, uint16_t flags, uint16_t flags_of_last)
{
    uint64_t table = driver_alloc(&d, 16 * (size_t)count);

    for (unsigned i = 0; i < count; i++)
        driver_put_desc(&d, table, i, buf + i, 1, i + 1 < count ? flags : flags_of_last, 0xffff);
    return table;
}

START_TEST(indirect_without_negotiation_breaks_the_queue)
{
    start(PACKED, SIZE);
    desc(0, table_of(2, 0, 0), 32, I, 0);
    expect_broken();
}
END_TEST

START_TEST(indirect_within_a_chain_breaks_the_queue)
{
    for (unsigned second = 0; second < 2; second++) {
        start(PACKED_IN, SIZE);
        desc(0, second ? buf : table_of(2, 0, 0), 32, (uint16_t)(N | (second ? 0 : I)), 0);
        desc(1, second ? table_of(2, 0, 0) : buf, 32, second ? I : 0, 0);
        expect_broken();
    }
}
END_TEST

START_TEST(indirect_table_of_bad_length_or_place_breaks_the_queue)
{
    static const uint32_t len[] = {0, 8, 17, 257 * 16, UINT32_MAX};
    static const uint64_t place[] = {0, RAM_END - 16, RAM_END, UINT64_MAX - 15};

    for (unsigned i = 0; i < ARRAY_SIZE(len); i++) {
        start(PACKED_IN, SIZE);
        desc(0, table_of(2, 0, 0), len[i], I, 0);
        expect_broken();
    }
    for (unsigned i = 0; i < ARRAY_SIZE(place); i++) {
        start(PACKED_IN, SIZE);
        desc(0, place[i], 32, I, 0);
        expect_broken();
    }
}
END_TEST

/* 2.8.7: all entries of the table count, and all flags but WRITE are reserved in it. */
START_TEST(indirect_table_with_reserved_flags_is_served)
{
    start(PACKED_IN, SIZE);
    desc(0, table_of(3, I | N | AVAIL, W | I | USED), 48, I | W, 9);
    ck_assert_int_eq(virtq_pop(q, &chain), 1);
    ck_assert_uint_eq(chain.slots, 1);
    ck_assert_uint_eq(chain.id, 9);
    ck_assert_uint_eq(chain.out_count, 2);
    ck_assert_uint_eq(chain.in_count, 1);
}
END_TEST

START_TEST(indirect_table_of_256_entries_is_served)
{
    start(PACKED_IN, SIZE);
    desc(0, table_of(256, 0, W), 256 * 16, I, 0);
    ck_assert_int_eq(virtq_pop(q, &chain), 1);
    ck_assert_uint_eq(chain.out_count, 255);
    ck_assert_uint_eq(chain.in_count, 1);
}
END_TEST

/* 2.8.3: WRITE in a used descriptor says whether anything was written. */
START_TEST(used_descriptor_carries_id_length_and_the_write_flag)
{
    uint8_t *at;

    start(PACKED, SIZE);
    at = driver_ptr(&d, d.q[0].desc);
    desc(0, buf, 16, W, 0xbeef);
    desc(1, buf, 16, 0, 2);
    ck_assert_int_eq(virtq_pop(q, &chain), 1);
    virtq_push(q, &chain, 11);
    ck_assert_uint_eq(load_le32(at + 8), 11);
    ck_assert_uint_eq(load_le16(at + 12), 0xbeef);
    ck_assert_uint_eq(flags_of(0), AVAIL | USED | W);
    ck_assert_int_eq(virtq_pop(q, &chain), 1);
    virtq_push(q, &chain, 0);
    ck_assert_uint_eq(flags_of(1), AVAIL | USED);
}
END_TEST

/* In the second round both marks are clear when used. */
START_TEST(used_marks_follow_the_wrap_counter)
{
    struct driver_buf one = {buf, 16, true};

    start(PACKED, SIZE);
    for (unsigned i = 0; i < 4 * SIZE; i++) {
        uint16_t id;
        uint32_t len;

        driver_add(&d, 0, &one, 1);
        ck_assert_int_eq(virtq_pop(q, &chain), 1);
        virtq_push(q, &chain, 1);
        ck_assert_uint_eq(flags_of(i % SIZE), (i / SIZE % 2 ? 0 : AVAIL | USED) | W);
        ck_assert(driver_used(&d, 0, 0, &id, &len));
    }
}
END_TEST

static void run_rounds(uint16_t size, unsigned rounds)
{
    struct driver_buf bufs[3] = {{buf, 5, false}, {buf + 16, 3, false}, {buf + 64, 32, true}};
    uint16_t want, id;
    uint32_t len;

    start(PACKED_IN, size);
    for (unsigned i = 0; i < rounds; i++) {
        uint64_t brk = d.brk;

        want =
            i % 4 == 3 ? driver_add_indirect(&d, 0, bufs, 3) : driver_add(&d, 0, bufs, 1 + i % 3);
        DRIVER_CHECK(virtq_pop(q, &chain) == 1);
        DRIVER_CHECK(chain.out_len == (i % 4 == 3 || i % 3 ? 8 : 5));
        virtq_push(q, &chain, (uint32_t)chain.in_len);
        DRIVER_CHECK(driver_used(&d, 0, 0, &id, &len));
        DRIVER_CHECK(id == want);
        if (chain.in_len)
            DRIVER_CHECK(len == chain.in_len);
        driver_free(&d, brk);
    }
}

START_TEST(seventy_thousand_chains_of_changing_length_pass_the_wraps)
{
    run_rounds(SIZE, 70000);
}
END_TEST

START_TEST(smallest_and_largest_rings_pass_the_wraps)
{
    run_rounds(3, 1000);
    run_rounds(256, 3000);
}
END_TEST

START_TEST(ring_of_one_descriptor_works)
{
    struct driver_buf one = {buf, 16, true};
    struct virtq_chain none;
    uint16_t id;
    uint32_t len;

    start(PACKED, 1);
    for (unsigned i = 0; i < 100; i++) {
        driver_add(&d, 0, &one, 1);
        ck_assert_int_eq(virtq_pop(q, &chain), 1);
        ck_assert(q->avail_wrap == (i % 2 != 0));
        ck_assert_int_eq(virtq_pop(q, &none), 0);
        virtq_push(q, &chain, 1);
        ck_assert(driver_used(&d, 0, 0, &id, &len));
    }
}
END_TEST

/* The whole ring goes round between two looks: positions are the same, wrap counters are not. */
START_TEST(whole_ring_used_between_two_looks)
{
    struct driver_buf one = {buf, 16, true};
    struct virtq_chain held[SIZE];
    uint16_t id;
    uint32_t len;

    start(PACKED, SIZE);
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < SIZE; i++)
            driver_add(&d, 0, &one, 1);
        for (unsigned i = 0; i < SIZE; i++)
            ck_assert_int_eq(virtq_pop(q, &held[i]), 1);
        ck_assert_int_eq(virtq_pop(q, &chain), 0);
        ck_assert_uint_eq(q->in_flight, SIZE);
        for (unsigned i = 0; i < SIZE; i++)
            virtq_push(q, &held[i], i);
        ck_assert_int_eq(virtq_pop(q, &chain), 0);
        for (unsigned i = 0; i < SIZE; i++) {
            ck_assert(driver_used(&d, 0, 0, &id, &len));
            ck_assert_uint_eq(id, held[i].id);
        }
        ck_assert(!driver_used(&d, 0, 0, &id, &len));
    }
}
END_TEST

START_TEST(chains_of_different_lengths_are_given_back_out_of_order)
{
    struct driver_buf bufs[3] = {{buf, 5, false}, {buf + 16, 3, false}, {buf + 64, 32, true}};
    struct virtq_chain held[3];
    uint16_t want[3], id;
    uint32_t len;

    start(PACKED, SIZE);
    for (unsigned round = 0; round < 200; round++) {
        for (unsigned i = 0; i < 3; i++)
            want[i] = driver_add(&d, 0, bufs, 1 + (i + round) % 3);
        for (unsigned i = 0; i < 3; i++)
            ck_assert_int_eq(virtq_pop(q, &held[i]), 1);
        for (unsigned i = 0; i < 3; i++)
            virtq_push(q, &held[(i + round) % 3], 0);
        for (unsigned i = 0; i < 3; i++) {
            ck_assert(driver_used(&d, 0, 0, &id, &len));
            ck_assert_uint_eq(id, want[(i + round) % 3]);
        }
    }
}
END_TEST

START_TEST(chain_put_back_over_the_end_of_the_ring_comes_again)
{
    struct driver_buf bufs[3] = {{buf, 5, false}, {buf + 16, 3, false}, {buf + 64, 32, true}};
    uint16_t want, id;
    uint32_t len;

    start(PACKED, SIZE);
    for (unsigned i = 0; i < 50; i++) {
        uint16_t at = q->next_avail;
        bool wrap = q->avail_wrap;

        want = driver_add(&d, 0, bufs, 3);
        for (unsigned again = 0; again < 2; again++) {
            ck_assert_int_eq(virtq_pop(q, &chain), 1);
            ck_assert_uint_eq(chain.id, want);
            virtq_unpop(q, &chain);
            ck_assert_uint_eq(q->next_avail, at);
            ck_assert(q->avail_wrap == wrap);
            ck_assert_uint_eq(q->in_flight, 0);
        }
        ck_assert_int_eq(virtq_pop(q, &chain), 1);
        virtq_push(q, &chain, 0);
        ck_assert(driver_used(&d, 0, 0, &id, &len));
    }
}
END_TEST

/* One frame in several buffers (2.8.9): the driver sees all or none. Here it is what is written. */
START_TEST(chains_given_back_together_lie_behind_one_another)
{
    struct driver_buf bufs[2] = {{buf, 16, true}, {buf + 16, 16, true}};
    struct virtq_chain held[3];
    const struct virtq_chain *all[3] = {&held[0], &held[1], &held[2]};
    const uint32_t written[3] = {16, 0, 32};
    uint16_t want[3], id;
    uint32_t len;

    start(PACKED, SIZE);
    for (unsigned round = 0; round < 100; round++) {
        for (unsigned i = 0; i < 3; i++) {
            want[i] = driver_add(&d, 0, bufs, 1 + i / 2);
            ck_assert_int_eq(virtq_pop(q, &held[i]), 1);
        }
        virtq_push_all(q, all, written, 3);
        ck_assert_uint_eq(q->in_flight, 0);
        for (unsigned i = 0; i < 3; i++) {
            ck_assert(driver_used(&d, 0, 0, &id, &len));
            ck_assert_uint_eq(id, want[i]);
        }
    }
    virtq_push_all(q, all, written, 0);
    ck_assert_uint_eq(q->in_flight, 0);
}
END_TEST

START_TEST(random_ring_contents_do_no_harm)
{
    uint64_t seed = 1;
    uint8_t *ring;

    n->mode = NULL_ECHO;
    for (unsigned i = 0; i < 300; i++) {
        start(PACKED_IN, SIZE);
        ring = driver_ptr(&d, d.q[0].desc);
        for (unsigned at = 0; at < 16 * SIZE; at++)
            ring[at] = (uint8_t)fake_random(&seed);
        for (unsigned s = 0; s < SIZE; s++) {
            /* Near enough to the truth to get further than the first check. */
            store_le64(ring + 16 * s, DRIVER_GPA + fake_random(&seed) % 70000);
            store_le32(ring + 16 * s + 8, (uint32_t)(fake_random(&seed) % 512));
            store_le16(ring + 16 * s + 14, (uint16_t)((fake_random(&seed) & (N | W | I)) | AVAIL));
        }
        driver_kick(&d, 0);
        driver_free(&d, buf + 65536);
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("packed");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, descriptor_without_the_right_marks_is_not_available);
    tcase_add_test(tc, chain_of_the_whole_ring_is_served_once);
    tcase_add_test(tc, chain_without_an_end_breaks_the_queue);
    tcase_add_test(tc, ring_of_one_descriptor_with_next_breaks_the_queue);
    tcase_add_test(tc, more_in_flight_than_the_ring_has_breaks_the_queue);
    tcase_add_test(tc, chain_that_runs_into_those_in_flight_breaks_the_queue);
    tcase_add_test(tc, buffer_outside_of_ram_breaks_the_queue);
    tcase_add_test(tc, readable_after_writable_breaks_the_queue);
    tcase_add_test(tc, indirect_without_negotiation_breaks_the_queue);
    tcase_add_test(tc, indirect_within_a_chain_breaks_the_queue);
    tcase_add_test(tc, indirect_table_of_bad_length_or_place_breaks_the_queue);
    tcase_add_test(tc, indirect_table_with_reserved_flags_is_served);
    tcase_add_test(tc, indirect_table_of_256_entries_is_served);
    tcase_add_test(tc, used_descriptor_carries_id_length_and_the_write_flag);
    tcase_add_test(tc, used_marks_follow_the_wrap_counter);
    tcase_add_test(tc, seventy_thousand_chains_of_changing_length_pass_the_wraps);
    tcase_add_test(tc, smallest_and_largest_rings_pass_the_wraps);
    tcase_add_test(tc, ring_of_one_descriptor_works);
    tcase_add_test(tc, whole_ring_used_between_two_looks);
    tcase_add_test(tc, chains_of_different_lengths_are_given_back_out_of_order);
    tcase_add_test(tc, chain_put_back_over_the_end_of_the_ring_comes_again);
    tcase_add_test(tc, chains_given_back_together_lie_behind_one_another);
    tcase_add_test(tc, random_ring_contents_do_no_harm);
    return fake_run(tc);
}
