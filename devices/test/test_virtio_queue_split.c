/*
 * The split ring against hostile and legal drivers. Each hostile ring must break its queue at once,
 * before anything is done with the chain.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "devices/test/driver.h"
#include "devices/test/null_device.h"

#define N        1 /* descriptor flags */
#define W        2
#define I        4
#define RAM_END  (DRIVER_GPA + DRIVER_RAM)
#define SIZE     8
#define BIG_GPA  UINT64_C(0x200000000)
#define BIG_SIZE UINT64_C(0x140000000) /* 5 GiB of address space that nobody touches */

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

static void start(uint64_t features)
{
    driver_start(&d, features, SIZE);
    driver_run(&d); /* the bell that DRIVER_OK rings */
}

static void desc(unsigned i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
    driver_put_desc(&d, d.q[0].desc, i, addr, len, flags, next);
}

/* Makes descriptor 0 available; what the device sees. */
static int pop_head_0(void)
{
    driver_publish(&d, 0, 0);
    return virtq_pop(q, &chain);
}

/* Broken for good: good chains do not come through any more. */
static void expect_broken(void)
{
    ck_assert_int_eq(pop_head_0(), -EPROTO);
    ck_assert(q->broken);
    ck_assert_uint_eq(q->in_flight, 0);
    desc(0, buf, 16, 0, 0);
    ck_assert_int_eq(pop_head_0(), -EPROTO);
    ck_assert(!virtio_queue_ready(&n->v, 0));
}

START_TEST(chain_that_is_a_loop_of_itself_breaks_the_queue)
{
    start(0);
    desc(0, buf, 16, N, 0);
    expect_broken();
}
END_TEST

START_TEST(chain_that_is_a_loop_of_two_breaks_the_queue)
{
    start(0);
    desc(0, buf, 0, N, 1); /* of length 0: no buffer is counted */
    desc(1, buf, 0, N, 0);
    expect_broken();
}
END_TEST

START_TEST(chain_that_is_a_loop_of_all_breaks_the_queue)
{
    start(0);
    for (uint16_t i = 0; i < SIZE; i++)
        desc(i, buf, 16, N, (uint16_t)((i + 1) % SIZE));
    expect_broken();
}
END_TEST

START_TEST(chain_of_all_descriptors_is_served)
{
    start(0);
    for (uint16_t i = 0; i < SIZE; i++)
        desc(i, buf + i, 1, i + 1 < SIZE ? N : 0, (uint16_t)(i + 1));
    ck_assert_int_eq(pop_head_0(), 1);
    ck_assert_uint_eq(chain.out_count, SIZE);
    ck_assert_uint_eq(chain.out_len, SIZE);
}
END_TEST

START_TEST(next_outside_of_the_table_breaks_the_queue)
{
    static const uint16_t bad[] = {SIZE, SIZE + 1, 256, 0x8000, 0xffff};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        start(0);
        desc(0, buf, 16, N, bad[i]);
        expect_broken();
    }
}
END_TEST

START_TEST(next_without_the_flag_is_not_followed)
{
    start(0);
    desc(0, buf, 16, 0, 0xffff);
    ck_assert_int_eq(pop_head_0(), 1);
}
END_TEST

START_TEST(head_outside_of_the_table_breaks_the_queue)
{
    static const uint16_t bad[] = {SIZE, 256, 0x7fff, 0x8000, 0xffff};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        start(0);
        driver_publish(&d, 0, bad[i]);
        ck_assert_int_eq(virtq_pop(q, &chain), -EPROTO);
    }
}
END_TEST

START_TEST(available_index_ahead_by_more_than_the_size_breaks_the_queue)
{
    static const uint16_t jump[] = {SIZE + 1, 256, 0x7fff, 0x8000, 0xffff};

    for (unsigned i = 0; i < ARRAY_SIZE(jump); i++) {
        start(0);
        desc(0, buf, 16, 0, 0);
        store_le16((uint8_t *)driver_ptr(&d, d.q[0].avail) + 2, jump[i]);
        ck_assert_int_eq(virtq_pop(q, &chain), -EPROTO);
    }
}
END_TEST

START_TEST(available_index_that_goes_backwards_breaks_the_queue)
{
    start(0);
    desc(0, buf, 16, 0, 0);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(pop_head_0(), 1);
        virtq_push(q, &chain, 0);
    }
    store_le16((uint8_t *)driver_ptr(&d, d.q[0].avail) + 2, 2);
    ck_assert_int_eq(virtq_pop(q, &chain), -EPROTO);
}
END_TEST

START_TEST(same_head_twice_in_one_batch_breaks_the_queue)
{
    start(0);
    desc(0, buf, 16, 0, 0);
    driver_publish(&d, 0, 0);
    ck_assert_int_eq(pop_head_0(), 1);
    ck_assert_int_eq(virtq_pop(q, &chain), -EPROTO);
    ck_assert_uint_eq(q->in_flight, 1);
}
END_TEST

START_TEST(same_head_after_it_was_used_or_put_back_is_served)
{
    start(0);
    desc(0, buf, 16, 0, 0);
    ck_assert_int_eq(pop_head_0(), 1);
    virtq_unpop(q, &chain);
    ck_assert_int_eq(virtq_pop(q, &chain), 1);
    virtq_push(q, &chain, 0);
    ck_assert_int_eq(pop_head_0(), 1);
}
END_TEST

START_TEST(more_chains_in_flight_than_the_size_break_the_queue)
{
    start(0);
    for (uint16_t i = 0; i < SIZE; i++) {
        desc(i, buf, 16, 0, 0);
        driver_publish(&d, 0, i);
        ck_assert_int_eq(virtq_pop(q, &chain), 1);
    }
    ck_assert_int_eq(virtq_pop(q, &chain), 0);
    ck_assert_int_eq(pop_head_0(), -EPROTO);
    ck_assert_uint_eq(q->in_flight, SIZE);
}
END_TEST

START_TEST(buffer_outside_of_ram_breaks_the_queue)
{
    static const struct {
        uint64_t addr;
        uint32_t len;
    } bad[] = {
        {0, 16},                             /* the hole below RAM */
        {DRIVER_GPA - 1, 2},                 /* starts outside */
        {RAM_END - 15, 16},                  /* one byte too far */
        {RAM_END, 1},                        /* the first byte outside */
        {0xd0000000, 4},                     /* the device's own registers */
        {UINT64_MAX, 2},                     /* wraps */
        {UINT64_MAX - 15, 16},               /* ends at 2^64 */
        {DRIVER_GPA, UINT32_MAX},            /* starts inside */
        {UINT64_C(0x8000000000000000), 512}, /* negative, for the careless */
    };

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        for (uint16_t flags = 0; flags <= W; flags = (uint16_t)(flags + W)) {
            start(0);
            desc(0, bad[i].addr, bad[i].len, flags, 0);
            expect_broken();
        }
    }
}
END_TEST

START_TEST(buffer_that_ends_with_ram_is_served)
{
    start(0);
    desc(0, RAM_END - 16, 16, W, 0);
    ck_assert_int_eq(pop_head_0(), 1);
    ck_assert_uint_eq(chain.in_len, 16);
}
END_TEST

START_TEST(bad_descriptor_behind_good_ones_breaks_the_queue)
{
    start(0);
    desc(0, buf, 16, N, 1);
    desc(1, buf, 16, N | W, 2);
    desc(2, RAM_END, 16, W, 0);
    expect_broken();
}
END_TEST

START_TEST(descriptor_of_length_0_in_each_place_is_left_out)
{
    for (uint16_t empty = 0; empty < 4; empty++) {
        start(0);
        for (uint16_t i = 0; i < 4; i++)
            desc(i, i == empty ? UINT64_MAX : buf, i == empty ? 0 : 16,
                 (uint16_t)((i < 2 ? 0 : W) | (i < 3 ? N : 0)), (uint16_t)(i + 1));
        ck_assert_int_eq(pop_head_0(), 1);
        ck_assert_uint_eq(chain.out_count, empty < 2 ? 1 : 2);
        ck_assert_uint_eq(chain.in_count, empty < 2 ? 2 : 1);
    }
}
END_TEST

START_TEST(chain_of_nothing_but_length_0_comes_back_empty)
{
    start(0);
    desc(0, 0, 0, W, 0);
    ck_assert_int_eq(pop_head_0(), 1);
    ck_assert_uint_eq(chain.out_count + chain.in_count, 0);
    virtq_push(q, &chain, 0);
}
END_TEST

START_TEST(readable_after_writable_breaks_the_queue)
{
    for (uint32_t len = 0; len <= 16; len += 16) {
        start(0);
        desc(0, buf, 16, W | N, 1);
        desc(1, buf, len, 0, 0);
        expect_broken();
    }
}
END_TEST

START_TEST(chain_of_more_than_4_gib_breaks_the_queue)
{
    void *big = mmap(NULL, BIG_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    ck_assert(big != MAP_FAILED);
    ck_assert_int_eq(gmem_add(&d.mem, BIG_GPA, BIG_SIZE, big), 0);
    start(0);
    desc(0, BIG_GPA, UINT32_MAX, W, 0);
    ck_assert_int_eq(pop_head_0(), 1);
    ck_assert_uint_eq(chain.in_len, UINT32_MAX);
    start(0);
    desc(0, BIG_GPA, UINT32_MAX, N, 1);
    desc(1, BIG_GPA, 1, W, 0);
    expect_broken();
    start(0);
    for (uint16_t i = 0; i < SIZE; i++)
        desc(i, BIG_GPA, UINT32_MAX, i + 1 < SIZE ? N | W : W, (uint16_t)(i + 1));
    expect_broken();
    munmap(big, BIG_SIZE);
}
END_TEST

/* Two regions that touch: documented in gmem.h, one buffer does not span them. */
START_TEST(buffer_across_two_regions_breaks_the_queue)
{
    static uint8_t more[4096] __attribute__((aligned(4096)));

    ck_assert_int_eq(gmem_add(&d.mem, RAM_END, sizeof(more), more), 0);
    start(0);
    desc(0, RAM_END - 16, 16, N, 1);
    desc(1, RAM_END, 16, 0, 0);
    ck_assert_int_eq(pop_head_0(), 1);
    start(0);
    desc(0, RAM_END - 16, 32, 0, 0);
    expect_broken();
}
END_TEST

/* Indirect tables. */

static uint64_t table_of(unsigned count, uint16_t flags_of_last)
{
    uint64_t table = driver_alloc(&d, 16 * (size_t)count);

    for (unsigned i = 0; i < count; i++)
        driver_put_desc(&d, table, i, buf + i, 1, i + 1 < count ? N : flags_of_last,
                        (uint16_t)(i + 1));
    return table;
}

START_TEST(indirect_without_negotiation_breaks_the_queue)
{
    start(0);
    desc(0, table_of(2, 0), 32, I, 0);
    expect_broken();
}
END_TEST

START_TEST(indirect_within_a_table_breaks_the_queue)
{
    uint64_t outer, inner;

    start(VIRTIO_F_INDIRECT_DESC);
    outer = table_of(2, 0);
    inner = table_of(2, 0);
    driver_put_desc(&d, outer, 1, inner, 32, I, 0);
    desc(0, outer, 32, I, 0);
    expect_broken();
}
END_TEST

START_TEST(indirect_with_next_breaks_the_queue)
{
    start(VIRTIO_F_INDIRECT_DESC);
    desc(0, table_of(2, 0), 32, I | N, 1);
    desc(1, buf, 16, 0, 0);
    expect_broken();
}
END_TEST

START_TEST(indirect_table_of_bad_length_breaks_the_queue)
{
    static const uint32_t bad[] = {0, 1, 8, 15, 17, 33, 257 * 16, 0x70000, 0xfffffff0, UINT32_MAX};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        start(VIRTIO_F_INDIRECT_DESC);
        desc(0, table_of(2, 0), bad[i], I, 0);
        expect_broken();
    }
}
END_TEST

START_TEST(indirect_table_outside_of_ram_breaks_the_queue)
{
    static const uint64_t bad[] = {0, RAM_END - 16, RAM_END, UINT64_MAX - 15, UINT64_MAX - 31};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        start(VIRTIO_F_INDIRECT_DESC);
        desc(0, bad[i], 32, I, 0);
        expect_broken();
    }
}
END_TEST

START_TEST(indirect_table_with_next_outside_or_a_loop_breaks_the_queue)
{
    for (uint16_t next = 0; next < 4; next++) {
        uint64_t table;

        start(VIRTIO_F_INDIRECT_DESC);
        table = table_of(3, 0);
        driver_put_desc(&d, table, 1, buf, 16, N, next);
        desc(0, table, 48, I, 0);
        if (next == 2)
            ck_assert_int_eq(pop_head_0(), 1);
        else
            expect_broken();
    }
}
END_TEST

/* 2.7.5.3.2: the flag WRITE of the descriptor that refers to a table means nothing. */
START_TEST(indirect_table_behind_direct_descriptors_is_served)
{
    start(VIRTIO_F_INDIRECT_DESC);
    desc(0, buf, 16, N, 1);
    desc(1, buf, 16, N, 2);
    desc(2, table_of(20, W), 20 * 16, I | W, 0xffff); /* longer than the ring, shorter than 256 */
    ck_assert_int_eq(pop_head_0(), 1);
    ck_assert_uint_eq(chain.out_count, 2 + 19);
    ck_assert_uint_eq(chain.in_count, 1);
}
END_TEST

START_TEST(indirect_table_at_an_odd_address_is_served)
{
    uint64_t table;

    start(VIRTIO_F_INDIRECT_DESC);
    for (unsigned off = 1; off < 16; off++) {
        table = table_of(3, W);
        memmove((uint8_t *)driver_ptr(&d, table) + off, driver_ptr(&d, table), 48);
        driver_alloc(&d, 16);
        desc(0, table + off, 48, I, 0);
        ck_assert_int_eq(pop_head_0(), 1);
        ck_assert_uint_eq(chain.out_len, 2);
        ck_assert_uint_eq(chain.in_len, 1);
        virtq_push(q, &chain, 0);
    }
}
END_TEST

START_TEST(chain_of_257_segments_breaks_the_queue)
{
    start(VIRTIO_F_INDIRECT_DESC);
    desc(0, table_of(256, 0), 256 * 16, I, 0);
    ck_assert_int_eq(pop_head_0(), 1);
    ck_assert_uint_eq(chain.out_count, 256);
    virtq_push(q, &chain, 0);
    desc(0, buf, 16, N, 1);
    desc(1, table_of(256, 0), 256 * 16, I, 0);
    expect_broken();
}
END_TEST

/* Legal rings, for long. */

START_TEST(seventy_thousand_chains_pass_the_wrap_of_the_indexes)
{
    struct driver_buf bufs[3] = {{buf, 5, false}, {buf + 16, 3, false}, {buf + 64, 32, true}};
    uint16_t want, id;
    uint32_t len;

    start(VIRTIO_F_INDIRECT_DESC);
    for (unsigned i = 0; i < 70000; i++) {
        uint64_t brk = d.brk;

        want = i % 3 ? driver_add(&d, 0, bufs, 1 + i % 2 * 2) : driver_add_indirect(&d, 0, bufs, 3);
        DRIVER_CHECK(virtq_pop(q, &chain) == 1);
        virtq_push(q, &chain, (uint32_t)chain.in_len);
        DRIVER_CHECK(driver_used(&d, 0, 0, &id, &len));
        DRIVER_CHECK(id == want);
        DRIVER_CHECK(len == chain.in_len);
        driver_free(&d, brk);
    }
    ck_assert_uint_eq(d.q[0].used_idx, (uint16_t)70000);
}
END_TEST

START_TEST(chains_are_given_back_in_any_order)
{
    struct driver_buf one = {buf, 16, true};
    struct virtq_chain held[4];
    uint16_t want[4], id;
    uint32_t len;

    start(0);
    for (unsigned round = 0; round < 50; round++) {
        for (unsigned i = 0; i < 4; i++)
            want[i] = driver_add(&d, 0, &one, 1);
        for (unsigned i = 0; i < 4; i++)
            ck_assert_int_eq(virtq_pop(q, &held[i]), 1);
        for (unsigned i = 0; i < 4; i++)
            virtq_push(q, &held[(i + round) % 4 ^ 2], i);
        for (unsigned i = 0; i < 4; i++) {
            ck_assert(driver_used(&d, 0, 0, &id, &len));
            ck_assert_uint_eq(id, want[(i + round) % 4 ^ 2]);
            ck_assert_uint_eq(len, i);
        }
    }
}
END_TEST

START_TEST(chain_put_back_comes_again)
{
    struct driver_buf bufs[2] = {{buf, 16, false}, {buf + 16, 16, true}};
    uint16_t first, second;

    start(0);
    first = driver_add(&d, 0, bufs, 2);
    second = driver_add(&d, 0, bufs, 1);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(virtq_pop(q, &chain), 1);
        ck_assert_uint_eq(chain.id, first);
        virtq_unpop(q, &chain);
    }
    ck_assert_int_eq(virtq_pop(q, &chain), 1);
    ck_assert_int_eq(virtq_pop(q, &chain), 1);
    ck_assert_uint_eq(chain.id, second);
    ck_assert_int_eq(virtq_pop(q, &chain), 0);
}
END_TEST

START_TEST(chains_given_back_together_become_visible_together)
{
    struct driver_buf one = {buf, 16, true};
    struct virtq_chain held[3];
    const struct virtq_chain *all[3] = {&held[0], &held[1], &held[2]};
    const uint32_t written[3] = {16, 0, 5};
    uint16_t id;
    uint32_t len;

    start(0);
    for (unsigned round = 0; round < 100; round++) {
        for (unsigned i = 0; i < 3; i++) {
            driver_add(&d, 0, &one, 1);
            ck_assert_int_eq(virtq_pop(q, &held[i]), 1);
        }
        virtq_push_all(q, all, written, 3);
        for (unsigned i = 0; i < 3; i++) {
            ck_assert(driver_used(&d, 0, 0, &id, &len));
            ck_assert_uint_eq(id, held[i].id);
            ck_assert_uint_eq(len, written[i]);
        }
        ck_assert_uint_eq(q->in_flight, 0);
    }
}
END_TEST

START_TEST(scribbled_used_ring_is_not_read)
{
    struct driver_buf one = {buf, 16, true};
    uint8_t *used;

    start(0);
    used = driver_ptr(&d, d.q[0].used);
    for (unsigned i = 0; i < 20; i++) {
        driver_add(&d, 0, &one, 1);
        ck_assert_int_eq(virtq_pop(q, &chain), 1);
        memset(used, 0xff, 6 + 8 * SIZE);
        virtq_push(q, &chain, 7);
        ck_assert_uint_eq(load_le16(used + 2), i + 1);
        ck_assert_uint_eq(load_le32(used + 4 + 8 * (i % SIZE)), chain.id);
        ck_assert_uint_eq(load_le32(used + 8 + 8 * (i % SIZE)), 7);
    }
}
END_TEST

/* The device writes where it was asked to; that this is its own ring is the guest's damage. */
START_TEST(buffer_that_is_the_ring_itself_ends_without_harm)
{
    n->mode = NULL_ECHO;
    for (unsigned i = 0; i < 3; i++) {
        start(0);
        memset(driver_ptr(&d, buf), 0xff, 512);
        desc(0, buf, 512, N, 1);
        desc(1, i == 0 ? d.q[0].desc : i == 1 ? d.q[0].avail : d.q[0].used, 64, W, 0);
        driver_publish(&d, 0, 0);
        driver_kick(&d, 0);
        driver_read(&d, 0x70);
    }
}
END_TEST

static TCase *hostile_chains(void)
{
    TCase *tc = tcase_create("split");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, chain_that_is_a_loop_of_itself_breaks_the_queue);
    tcase_add_test(tc, chain_that_is_a_loop_of_two_breaks_the_queue);
    tcase_add_test(tc, chain_that_is_a_loop_of_all_breaks_the_queue);
    tcase_add_test(tc, chain_of_all_descriptors_is_served);
    tcase_add_test(tc, next_outside_of_the_table_breaks_the_queue);
    tcase_add_test(tc, next_without_the_flag_is_not_followed);
    tcase_add_test(tc, head_outside_of_the_table_breaks_the_queue);
    tcase_add_test(tc, available_index_ahead_by_more_than_the_size_breaks_the_queue);
    tcase_add_test(tc, available_index_that_goes_backwards_breaks_the_queue);
    tcase_add_test(tc, same_head_twice_in_one_batch_breaks_the_queue);
    tcase_add_test(tc, same_head_after_it_was_used_or_put_back_is_served);
    tcase_add_test(tc, more_chains_in_flight_than_the_size_break_the_queue);
    tcase_add_test(tc, buffer_outside_of_ram_breaks_the_queue);
    tcase_add_test(tc, buffer_that_ends_with_ram_is_served);
    tcase_add_test(tc, bad_descriptor_behind_good_ones_breaks_the_queue);
    tcase_add_test(tc, descriptor_of_length_0_in_each_place_is_left_out);
    tcase_add_test(tc, chain_of_nothing_but_length_0_comes_back_empty);
    tcase_add_test(tc, readable_after_writable_breaks_the_queue);
    tcase_add_test(tc, chain_of_more_than_4_gib_breaks_the_queue);
    tcase_add_test(tc, buffer_across_two_regions_breaks_the_queue);
    return tc;
}

int main(void)
{
    TCase *tc = hostile_chains();

    tcase_add_test(tc, indirect_without_negotiation_breaks_the_queue);
    tcase_add_test(tc, indirect_within_a_table_breaks_the_queue);
    tcase_add_test(tc, indirect_with_next_breaks_the_queue);
    tcase_add_test(tc, indirect_table_of_bad_length_breaks_the_queue);
    tcase_add_test(tc, indirect_table_outside_of_ram_breaks_the_queue);
    tcase_add_test(tc, indirect_table_with_next_outside_or_a_loop_breaks_the_queue);
    tcase_add_test(tc, indirect_table_behind_direct_descriptors_is_served);
    tcase_add_test(tc, indirect_table_at_an_odd_address_is_served);
    tcase_add_test(tc, chain_of_257_segments_breaks_the_queue);
    tcase_add_test(tc, seventy_thousand_chains_pass_the_wrap_of_the_indexes);
    tcase_add_test(tc, chains_are_given_back_in_any_order);
    tcase_add_test(tc, chain_put_back_comes_again);
    tcase_add_test(tc, chains_given_back_together_become_visible_together);
    tcase_add_test(tc, scribbled_used_ring_is_not_read);
    tcase_add_test(tc, buffer_that_is_the_ring_itself_ends_without_harm);
    return fake_run(tc);
}
