/* Token buckets: rates, bursts, and numbers at the edges of their types. */
#include "devices/core/bucket.h"
#include "devices/test/fake.h"

#define S UINT64_C(1000000000)

static struct bucket b;

START_TEST(rate_0_never_waits)
{
    bucket_init(&b, 0, 0, 0);
    for (unsigned i = 0; i < 1000; i++)
        ck_assert_uint_eq(bucket_take(&b, UINT64_MAX, 0), 0);
}
END_TEST

START_TEST(burst_passes_at_once_then_the_rate_holds)
{
    bucket_init(&b, 100, 10, 7 * S);
    for (unsigned i = 0; i < 10; i++)
        ck_assert_uint_eq(bucket_take(&b, 1, 7 * S), 0);
    ck_assert_uint_eq(bucket_take(&b, 1, 7 * S), S / 100);
    ck_assert_uint_eq(bucket_take(&b, 1, 7 * S + S / 100 - 1), 1);
    ck_assert_uint_eq(bucket_take(&b, 1, 7 * S + S / 100), 0);
    ck_assert_uint_eq(bucket_take(&b, 1, 7 * S + S / 100), S / 100);
}
END_TEST

START_TEST(burst_0_is_a_tenth_of_a_second)
{
    bucket_init(&b, 1000, 0, 0);
    ck_assert_uint_eq(bucket_take(&b, 100, 0), 0);
    ck_assert_uint_eq(bucket_take(&b, 1, 0), S / 1000);
    bucket_init(&b, 3, 0, 0);
    ck_assert_uint_eq(bucket_take(&b, 1, 0), 0);
    ck_assert_uint_eq(bucket_take(&b, 1, 0), (S + 2) / 3);
}
END_TEST

START_TEST(waiting_as_told_is_enough_at_odd_rates)
{
    static const uint64_t rates[] = {1, 3, 7, 999, 1000003, UINT64_C(10000000019)};

    for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        uint64_t now = 5, wait;

        bucket_init(&b, rates[i], 1, now);
        for (unsigned k = 0; k < 100; k++) {
            wait = bucket_take(&b, 1, now);
            if (wait)
                ck_assert_uint_eq(bucket_take(&b, 1, now + wait), 0);
            now += wait;
        }
    }
}
END_TEST

START_TEST(looks_a_nanosecond_apart_lose_no_token)
{
    unsigned taken = 0;

    bucket_init(&b, 1000000, 1, 0);
    for (uint64_t now = 0; now < 100000; now++)
        taken += bucket_take(&b, 1, now) == 0;
    ck_assert_uint_eq(taken, 100);
}
END_TEST

START_TEST(item_larger_than_burst_passes_when_full_and_is_paid_back)
{
    bucket_init(&b, 100, 10, 0);
    ck_assert_uint_eq(bucket_take(&b, 1, 0), 0);
    ck_assert_uint_eq(bucket_take(&b, 1000, 0), S / 100);
    ck_assert_uint_eq(bucket_take(&b, 1000, S / 100), 0);
    ck_assert_uint_eq(bucket_take(&b, 10, S / 100), 10 * S);
    ck_assert_uint_eq(bucket_take(&b, 10, S / 100 + 10 * S), 0);
}
END_TEST

START_TEST(asking_takes_nothing)
{
    bucket_init(&b, 1, 5, 0);
    for (unsigned i = 0; i < 10; i++)
        ck_assert_uint_eq(bucket_wait(&b, 5, 0), 0);
    ck_assert_uint_eq(bucket_take(&b, 5, 0), 0);
    ck_assert_uint_eq(bucket_wait(&b, 5, 0), 5 * S);
}
END_TEST

START_TEST(charge_makes_a_debt_that_is_paid_back)
{
    bucket_init(&b, 10, 10, 0);
    bucket_charge(&b, 30);
    ck_assert_uint_eq(bucket_wait(&b, 1, 0), 2 * S + S / 10);
    ck_assert_uint_eq(bucket_take(&b, 1, 2 * S + S / 10), 0);
    for (unsigned i = 0; i < 100; i++)
        bucket_charge(&b, UINT64_MAX);
    ck_assert_uint_gt(bucket_wait(&b, 1, 0), 100 * S);
}
END_TEST

START_TEST(idle_time_gives_no_more_than_the_burst)
{
    bucket_init(&b, 100, 10, 0);
    ck_assert_uint_eq(bucket_take(&b, 10, 1000 * S), 0);
    ck_assert_uint_ne(bucket_take(&b, 1, 1000 * S), 0);
}
END_TEST

START_TEST(clock_that_goes_back_gives_no_tokens)
{
    bucket_init(&b, 1, 1, 10 * S);
    ck_assert_uint_eq(bucket_take(&b, 1, 10 * S), 0);
    ck_assert_uint_eq(bucket_take(&b, 1, 0), S);
    ck_assert_uint_eq(bucket_take(&b, 1, 11 * S), 0);
}
END_TEST

START_TEST(largest_numbers_do_not_overflow)
{
    bucket_init(&b, UINT64_MAX, UINT64_MAX, 0);
    for (unsigned i = 0; i < 100; i++) {
        bucket_take(&b, UINT64_MAX, 0);
        bucket_take(&b, UINT64_MAX, UINT64_MAX);
    }
    bucket_init(&b, 1, 1, 0);
    ck_assert_uint_eq(bucket_take(&b, UINT64_MAX, 0), 0);
    ck_assert_uint_eq(bucket_take(&b, 1, 0), UINT64_MAX); /* clamped: it is 2^56 seconds */
    ck_assert_uint_gt(bucket_take(&b, 1, UINT64_MAX), 0);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("bucket");

    tcase_add_test(tc, rate_0_never_waits);
    tcase_add_test(tc, burst_passes_at_once_then_the_rate_holds);
    tcase_add_test(tc, burst_0_is_a_tenth_of_a_second);
    tcase_add_test(tc, waiting_as_told_is_enough_at_odd_rates);
    tcase_add_test(tc, looks_a_nanosecond_apart_lose_no_token);
    tcase_add_test(tc, item_larger_than_burst_passes_when_full_and_is_paid_back);
    tcase_add_test(tc, asking_takes_nothing);
    tcase_add_test(tc, charge_makes_a_debt_that_is_paid_back);
    tcase_add_test(tc, idle_time_gives_no_more_than_the_burst);
    tcase_add_test(tc, clock_that_goes_back_gives_no_tokens);
    tcase_add_test(tc, largest_numbers_do_not_overflow);
    return fake_run(tc);
}
