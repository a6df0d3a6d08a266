/* The queue of frames that a hub keeps for its own guest. */
#include <string.h>

#include "devices/net/net.h"
#include "devices/net/ring.h"
#include "devices/test/fake.h"

static struct ring ring;
static uint8_t frame[NET_FRAME_MAX];

static void set_up(void)
{
    ck_assert_int_eq(ring_init(&ring), 0);
}

static void tear_down(void)
{
    ring_free(&ring);
}

/* A frame whose bytes are all its number. */
static bool put(size_t len, uint8_t number)
{
    memset(frame, number, len);
    return ring_put(&ring, frame, len);
}

static void expect(size_t len, uint8_t number)
{
    const uint8_t *got = NULL;

    ck_assert_uint_eq(ring_peek(&ring, &got), len);
    memset(frame, number, len);
    ck_assert_mem_eq(got, frame, len);
    ring_next(&ring);
}

START_TEST(frames_come_out_in_order_and_then_none)
{
    const uint8_t *got;

    ck_assert_uint_eq(ring_peek(&ring, &got), 0);
    ck_assert(put(14, 1) && put(NET_FRAME_MAX, 2) && put(1, 3));
    expect(14, 1);
    expect(NET_FRAME_MAX, 2);
    expect(1, 3);
    ck_assert_uint_eq(ring_peek(&ring, &got), 0);
}
END_TEST

START_TEST(full_ring_refuses_and_has_room_again_after_reading)
{
    unsigned count = 0;

    while (put(60000, (uint8_t)count))
        count++;
    ck_assert_uint_eq(count, RING_BYTES / 60004);
    expect(60000, 0);
    ck_assert(put(60000, 100));
    ck_assert(!put(60000, 101));
    for (unsigned i = 1; i < count; i++)
        expect(60000, (uint8_t)i);
    expect(60000, 100);
}
END_TEST

START_TEST(random_sizes_go_round_and_round_without_a_wrong_byte)
{
    struct {
        size_t len;
        uint8_t number;
    } model[1000];
    unsigned head = 0, tail = 0, refused = 0;
    uint64_t seed = 7;

    while (tail < 1000) {
        size_t len = 1 + fake_random(&seed) % (tail % 3 ? 60000 : 100);

        model[tail].len = len;
        model[tail].number = (uint8_t)tail;
        if (put(len, (uint8_t)tail)) {
            tail++;
        } else {
            refused++;
            expect(model[head].len, model[head].number);
            head++;
        }
    }
    ck_assert_uint_gt(refused, 50);
    for (; head < tail; head++)
        expect(model[head].len, model[head].number);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("ring");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, frames_come_out_in_order_and_then_none);
    tcase_add_test(tc, full_ring_refuses_and_has_room_again_after_reading);
    tcase_add_test(tc, random_sizes_go_round_and_round_without_a_wrong_byte);
    return fake_run(tc);
}
