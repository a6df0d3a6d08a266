/* Unit tests of the bounded output buffer that all builders write through. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "firmware/buf.h"
#include "firmware/test/guarded.h"

START_TEST(fields_are_little_endian)
{
    const uint8_t want[] = {1, 3, 2, 7, 6, 5, 4, 15, 14, 13, 12, 11, 10, 9, 8, 'h', 'v', 0, 0, 0};
    struct guarded g = guarded_new(sizeof(want));
    struct buf b = buf_over(g.bytes, g.cap);

    buf_u8(&b, 0x01);
    buf_le16(&b, 0x0203);
    buf_le32(&b, 0x04050607);
    buf_le64(&b, UINT64_C(0x08090a0b0c0d0e0f));
    buf_str(&b, "hv");
    buf_align(&b, 4);
    buf_align(&b, 4);
    ck_assert_int_eq(buf_status(&b), 0);
    ck_assert_uint_eq(b.len, sizeof(want));
    ck_assert_mem_eq(g.bytes, want, sizeof(want));
    ck_assert(guarded_intact(&g));
    guarded_free(&g);
}
END_TEST

START_TEST(write_that_does_not_fit_latches_and_changes_nothing)
{
    struct guarded g = guarded_new(7);
    struct buf b = buf_over(g.bytes, g.cap);

    buf_le32(&b, 1);
    buf_le32(&b, 2); /* one byte too many */
    ck_assert_int_eq(buf_status(&b), -ENOSPC);
    buf_u8(&b, 3); /* would fit, but a hole would be before it */
    buf_insert(&b, 0, "x", 1);
    buf_zero(&b, SIZE_MAX);
    ck_assert_uint_eq(b.len, 4);
    ck_assert(guarded_untouched(&g, 4));
    ck_assert(guarded_intact(&g));
    guarded_free(&g);
}
END_TEST

START_TEST(bytes_are_replaced_inside_what_was_written_only)
{
    struct guarded g = guarded_new(8);
    struct buf b = buf_over(g.bytes, g.cap);

    buf_zero(&b, 6);
    buf_set_le16(&b, 4, 0x1234); /* up to the end */
    ck_assert_mem_eq(g.bytes, "\0\0\0\0\x34\x12", 6);
    buf_set_le16(&b, 5, 0xffff); /* one byte beyond */
    buf_set_u8(&b, 6, 0xff);
    buf_set_le64(&b, SIZE_MAX - 3, UINT64_MAX);
    ck_assert_mem_eq(g.bytes, "\0\0\0\0\x34\x12", 6);
    ck_assert(guarded_untouched(&g, 6));
    ck_assert(guarded_intact(&g));
    guarded_free(&g);
}
END_TEST

START_TEST(insert_moves_what_follows)
{
    struct guarded g = guarded_new(6);
    struct buf b = buf_over(g.bytes, g.cap);

    buf_bytes(&b, "ad", 2);
    buf_insert(&b, 1, "bc", 2);
    buf_insert(&b, 4, "e", 1);
    buf_insert(&b, 6, "no", 2); /* beyond the end */
    ck_assert_uint_eq(b.len, 5);
    ck_assert_mem_eq(g.bytes, "abcde", 5);
    ck_assert_int_eq(buf_status(&b), 0);
    buf_insert(&b, 0, "xy", 2);
    ck_assert_int_eq(buf_status(&b), -ENOSPC);
    ck_assert_mem_eq(g.bytes, "abcde", 5);
    ck_assert(guarded_intact(&g));
    guarded_free(&g);
}
END_TEST

START_TEST(checksum_makes_the_range_sum_to_zero)
{
    uint8_t bytes[300];
    struct buf b = buf_over(bytes, sizeof(bytes));

    for (unsigned i = 0; i < sizeof(bytes); i++)
        buf_u8(&b, (uint8_t)(i * 3 + 1));
    for (size_t to = 0; to < sizeof(bytes); to++)
        ck_assert_uint_eq(
            (uint8_t)(byte_sum(bytes + to / 2, to - to / 2) + buf_checksum(&b, to / 2, to)), 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("firmware/buf");
    TCase *t = tcase_create("buf");

    tcase_add_test(t, fields_are_little_endian);
    tcase_add_test(t, write_that_does_not_fit_latches_and_changes_nothing);
    tcase_add_test(t, bytes_are_replaced_inside_what_was_written_only);
    tcase_add_test(t, insert_moves_what_follows);
    tcase_add_test(t, checksum_makes_the_range_sum_to_zero);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
