/*
 * Notifications, both ways and in both layouts: when the driver is interrupted (2.7.7, 2.8.10) and
 * when it is asked to kick (2.7.10, 2.8.10). The expected answers come from a model that counts
 * entries from the start, without wraps.
 */
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "devices/test/driver.h"
#include "devices/test/null_device.h"

#define PACKED  VIRTIO_F_RING_PACKED
#define EVENT   VIRTIO_F_EVENT_IDX
#define ENABLE  0 /* of the packed ring's event suppression structure (2.8.14) */
#define DISABLE 1
#define DESC    2

static struct driver d;
static struct null_device *n;
static struct virtq *q;
static struct virtq_chain chain;
static struct driver_buf one;
static unsigned done; /* chains of one slot that were given back since the start */

static void set_up(void)
{
    log_set_level(LOG_ERROR);
    driver_loop(&d);
    n = null_device_create(1, 256, 0);
    driver_create(&d, &n->v);
    one = (struct driver_buf){driver_alloc(&d, 16), 16, true};
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
    done = 0;
}

/* Uses `count` chains, which the driver takes back at once. */
static void use(unsigned count)
{
    uint16_t id;
    uint32_t len;

    for (; count > 0; count--, done++) {
        driver_add(&d, 0, &one, 1);
        DRIVER_CHECK(virtq_pop(q, &chain) == 1);
        virtq_push(q, &chain, 0);
        DRIVER_CHECK(driver_used(&d, 0, 0, &id, &len));
    }
}

static uint8_t *driver_area(void)
{
    return driver_ptr(&d, d.q[0].avail);
}

static uint8_t *device_area(void)
{
    return driver_ptr(&d, d.q[0].used);
}

/* The driver wants to hear when entry `event`, counted from the start, is used. */
static void want_event(unsigned event)
{
    unsigned size = q->size;

    if (q->packed) {
        store_le16(driver_area() + 2, DESC);
        store_le16(driver_area(), (uint16_t)(event % size | (event / size % 2 ? 0 : 0x8000)));
    } else {
        store_le16(driver_area() + 4 + 2 * size, (uint16_t)event);
    }
}

START_TEST(nothing_used_is_no_interrupt)
{
    for (unsigned layout = 0; layout < 2; layout++) {
        start(layout ? PACKED : 0, 8);
        ck_assert(!virtq_must_notify(q));
        use(1);
        ck_assert(virtq_must_notify(q));
        ck_assert(!virtq_must_notify(q));
    }
}
END_TEST

START_TEST(split_flag_no_interrupt_is_obeyed)
{
    start(0, 8);
    store_le16(driver_area(), 1);
    use(3);
    ck_assert(!virtq_must_notify(q));
    store_le16(driver_area(), 0);
    ck_assert(!virtq_must_notify(q)); /* what was used before is not told later */
    use(1);
    ck_assert(virtq_must_notify(q));
}
END_TEST

/* 2.7.7.2: with EVENT_IDX the flag means nothing. */
START_TEST(split_flag_no_interrupt_is_ignored_with_event_idx)
{
    start(EVENT, 8);
    store_le16(driver_area(), 1);
    use(1); /* used_event is 0 at first: the first entry */
    ck_assert(virtq_must_notify(q));
}
END_TEST

START_TEST(split_flags_beyond_the_first_bit_are_ignored)
{
    start(0, 8);
    store_le16(driver_area(), 0xfffe);
    use(1);
    ck_assert(virtq_must_notify(q));
}
END_TEST

START_TEST(packed_event_flags_are_obeyed)
{
    static const struct {
        uint16_t flags;
        bool want;
    } row[] = {
        {ENABLE, true}, {DISABLE, false}, {DESC, true}, {3, true}, {0xfffc, true}, {0xfffd, false},
    };

    start(PACKED, 8); /* without EVENT_IDX a position means nothing */
    store_le16(driver_area(), 0x7fff);
    for (unsigned i = 0; i < ARRAY_SIZE(row); i++) {
        store_le16(driver_area() + 2, row[i].flags);
        use(1);
        ck_assert_msg(virtq_must_notify(q) == row[i].want, "flags %x", row[i].flags);
    }
}
END_TEST

/* Each event around each batch, over the wraps: interrupted exactly when the batch holds it. */
static void try_all_events(uint64_t features, uint16_t size, unsigned skip)
{
    start(features, size);
    use(skip);
    virtq_must_notify(q);
    for (unsigned batch = 1; batch <= size; batch++) {
        for (unsigned back = 0; back < size; back++) {
            unsigned first = done, event;

            use(batch);
            /* The last `size` entries: a driver waits for none further back. */
            event = done - 1 - back;
            want_event(event);
            ck_assert_msg(virtq_must_notify(q) == (event >= first), "size %u: event %u in [%u, %u)",
                          size, event, first, done);
        }
    }
}

START_TEST(split_event_is_told_exactly_when_passed)
{
    try_all_events(EVENT, 8, 8);
    try_all_events(EVENT, 1, 8);
    try_all_events(EVENT, 8, 65500); /* over the wrap of the index */
}
END_TEST

START_TEST(packed_event_is_told_exactly_when_passed)
{
    try_all_events(PACKED | EVENT, 8, 8);
    try_all_events(PACKED | EVENT, 7, 70000);
    try_all_events(PACKED | EVENT, 1, 9);
}
END_TEST

/* An event that lies ahead is not told before its time. */
START_TEST(event_ahead_waits_for_its_entry)
{
    for (unsigned layout = 0; layout < 2; layout++) {
        start(layout ? PACKED | EVENT : EVENT, 8);
        for (unsigned i = 0; i < 100; i++) {
            want_event(done + 3);
            for (unsigned k = 0; k < 4; k++) {
                use(1);
                ck_assert(virtq_must_notify(q) == (k == 3));
            }
        }
    }
}
END_TEST

/* A driver that adds while it takes keeps a device in one batch for more than a round. */
START_TEST(event_in_a_batch_of_many_rounds_is_not_lost)
{
    for (unsigned layout = 0; layout < 2; layout++) {
        for (unsigned batch = 8; batch < 40; batch++) {
            for (unsigned back = 0; back < 8; back++) {
                start(layout ? PACKED | EVENT : EVENT, 8);
                use(batch);
                want_event(done - 1 - back);
                ck_assert(virtq_must_notify(q));
                driver_free(&d, one.gpa + 16);
            }
        }
    }
}
END_TEST

START_TEST(random_events_do_no_harm)
{
    uint64_t seed = 7;

    for (unsigned layout = 0; layout < 2; layout++) {
        start(layout ? PACKED | EVENT : EVENT, 8);
        for (unsigned i = 0; i < 500; i++) {
            uint64_t r = fake_random(&seed);

            if (layout)
                store_le32(driver_area(), (uint32_t)r);
            else
                store_le16(driver_area() + 20, (uint16_t)r);
            use((unsigned)(r >> 60));
            virtq_must_notify(q);
        }
    }
}
END_TEST

/* The other way: kicks. What the device wrote for the driver to read. */

START_TEST(split_kicks_are_switched_by_the_flag)
{
    start(0, 8);
    ck_assert(!virtq_set_kicks(q, false));
    ck_assert_uint_eq(load_le16(device_area()), 1);
    ck_assert(!virtq_set_kicks(q, true));
    ck_assert_uint_eq(load_le16(device_area()), 0);
}
END_TEST

START_TEST(split_kicks_are_asked_for_the_next_entry_with_event_idx)
{
    start(EVENT, 8);
    use(5);
    ck_assert(!virtq_set_kicks(q, false));
    ck_assert_uint_eq(load_le16(device_area()), 0); /* 2.7.10.2: flags stay 0 */
    ck_assert(!virtq_set_kicks(q, true));
    ck_assert_uint_eq(load_le16(device_area() + 4 + 8 * 8), 5);
    ck_assert_uint_eq(load_le16(device_area()), 0);
}
END_TEST

START_TEST(packed_kicks_are_switched_by_the_flags)
{
    start(PACKED, 8);
    virtq_set_kicks(q, false);
    ck_assert_uint_eq(load_le16(device_area() + 2), DISABLE);
    virtq_set_kicks(q, true);
    ck_assert_uint_eq(load_le16(device_area() + 2), ENABLE);
}
END_TEST

START_TEST(packed_kicks_are_asked_for_the_next_position_with_event_idx)
{
    start(PACKED | EVENT, 8);
    use(5);
    virtq_set_kicks(q, true);
    ck_assert_uint_eq(load_le16(device_area() + 2), DESC);
    ck_assert_uint_eq(load_le16(device_area()), 0x8005);
    use(6);
    virtq_set_kicks(q, true);
    ck_assert_uint_eq(load_le16(device_area()), 3); /* the second round: wrap counter 0 */
}
END_TEST

START_TEST(turning_kicks_on_tells_of_buffers_that_wait)
{
    static const uint64_t features[] = {0, EVENT, PACKED, PACKED | EVENT};

    for (unsigned i = 0; i < ARRAY_SIZE(features); i++) {
        start(features[i], 8);
        for (unsigned round = 0; round < 20; round++) {
            virtq_set_kicks(q, false);
            driver_add(&d, 0, &one, 1);
            ck_assert(!virtq_set_kicks(q, false));
            ck_assert(virtq_set_kicks(q, true));
            ck_assert_int_eq(virtq_pop(q, &chain), 1);
            ck_assert(!virtq_set_kicks(q, true));
            virtq_push(q, &chain, 0);
        }
    }
}
END_TEST

START_TEST(broken_queue_asks_for_nothing)
{
    start(0, 8);
    use(1);
    driver_publish(&d, 0, 0xffff);
    ck_assert_int_lt(virtq_pop(q, &chain), 0);
    ck_assert(!virtq_must_notify(q));
    ck_assert(!virtq_set_kicks(q, true));
}
END_TEST

/* A batch is one edge. */
START_TEST(device_interrupts_once_for_a_batch)
{
    static const uint64_t features[] = {0, EVENT, PACKED, PACKED | EVENT};

    n->mode = NULL_ECHO;
    for (unsigned i = 0; i < ARRAY_SIZE(features); i++) {
        unsigned before;

        start(features[i], 8);
        before = d.irq.rises;
        for (unsigned k = 0; k < 5; k++)
            driver_add(&d, 0, &one, 1);
        driver_kick(&d, 0);
        ck_assert_uint_eq(d.irq.rises - before, 1);
        ck_assert_uint_eq(d.irq.falls, d.irq.rises);
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("event");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, nothing_used_is_no_interrupt);
    tcase_add_test(tc, split_flag_no_interrupt_is_obeyed);
    tcase_add_test(tc, split_flag_no_interrupt_is_ignored_with_event_idx);
    tcase_add_test(tc, split_flags_beyond_the_first_bit_are_ignored);
    tcase_add_test(tc, packed_event_flags_are_obeyed);
    tcase_add_test(tc, split_event_is_told_exactly_when_passed);
    tcase_add_test(tc, packed_event_is_told_exactly_when_passed);
    tcase_add_test(tc, event_ahead_waits_for_its_entry);
    tcase_add_test(tc, event_in_a_batch_of_many_rounds_is_not_lost);
    tcase_add_test(tc, random_events_do_no_harm);
    tcase_add_test(tc, split_kicks_are_switched_by_the_flag);
    tcase_add_test(tc, split_kicks_are_asked_for_the_next_entry_with_event_idx);
    tcase_add_test(tc, packed_kicks_are_switched_by_the_flags);
    tcase_add_test(tc, packed_kicks_are_asked_for_the_next_position_with_event_idx);
    tcase_add_test(tc, turning_kicks_on_tells_of_buffers_that_wait);
    tcase_add_test(tc, broken_queue_asks_for_nothing);
    tcase_add_test(tc, device_interrupts_once_for_a_batch);
    return fake_run(tc);
}
