/* Saved state: what is written is read back, and nothing hostile is believed. */
#include "devices/core/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/util.h"
#include "devices/test/fake.h"

#define LENGTH_AT (STATE_TAG_LEN + 2)

static struct state_writer w;
static struct state_reader r;

static void set_up(void)
{
    memset(&w, 0, sizeof(w));
    state_begin(&w, "first", 3);
    state_put_u8(&w, 0x12);
    state_put_u16(&w, 0x3456);
    state_put_u32(&w, 0x789abcde);
    state_put_u64(&w, UINT64_C(0xf0123456789abcde));
    state_put_bytes(&w, "tail", 4);
    state_end(&w);
    state_begin(&w, "fifteen-letters", 1);
    state_end(&w);
    ck_assert_int_eq(w.error, 0);
    state_reader_init(&r, w.data, w.len);
}

static void tear_down(void)
{
    state_writer_free(&w);
}

START_TEST(sections_come_back_as_written)
{
    uint16_t version;
    char tail[4];

    ck_assert_int_eq(state_enter(&r, "first", &version), 0);
    ck_assert_uint_eq(version, 3);
    ck_assert_uint_eq(state_get_u8(&r), 0x12);
    ck_assert_uint_eq(state_get_u16(&r), 0x3456);
    ck_assert_uint_eq(state_get_u32(&r), 0x789abcde);
    ck_assert_uint_eq(state_get_u64(&r), UINT64_C(0xf0123456789abcde));
    state_get_bytes(&r, tail, 4);
    ck_assert_mem_eq(tail, "tail", 4);
    ck_assert_int_eq(state_leave(&r), 0);
    ck_assert_int_eq(state_enter(&r, "fifteen-letters", &version), 0);
    ck_assert_int_eq(state_leave(&r), 0);
    ck_assert_int_eq(state_enter(&r, "more", &version), -ENOENT);
}
END_TEST

START_TEST(layout_is_little_endian_and_fixed)
{
    static const uint8_t start[] =
        "first\0\0\0\0\0\0\0\0\0\0\0\x03\0\x13\0\0\0\x12\x56\x34\xde\xbc";

    ck_assert_mem_eq(w.data, start, sizeof(start) - 1);
}
END_TEST

START_TEST(unread_bytes_are_an_error)
{
    uint16_t version;

    state_enter(&r, "first", &version);
    state_get_u8(&r);
    ck_assert_int_eq(state_leave(&r), -EINVAL);
}
END_TEST

START_TEST(reading_past_a_section_gives_zero_and_sticks)
{
    uint8_t bytes[64];
    uint16_t version;

    state_enter(&r, "first", &version);
    memset(bytes, 0xee, sizeof(bytes));
    state_get_bytes(&r, bytes, sizeof(bytes)); /* the buffer is longer than the section */
    for (unsigned i = 0; i < sizeof(bytes); i++)
        ck_assert_uint_eq(bytes[i], 0);
    ck_assert_uint_eq(state_get_u8(&r), 0);
    ck_assert_int_eq(state_leave(&r), -EINVAL);
    ck_assert_int_eq(state_enter(&r, "first", &version), -EINVAL);
}
END_TEST

START_TEST(reading_into_the_next_section_is_refused)
{
    uint16_t version;

    state_enter(&r, "first", &version);
    for (unsigned i = 0; i < 0x13; i++)
        state_get_u8(&r);
    ck_assert_int_eq(r.error, 0);
    ck_assert_uint_eq(state_get_u8(&r), 0); /* 'f' of the next tag */
    ck_assert_int_eq(state_leave(&r), -EINVAL);
}
END_TEST

START_TEST(other_tag_is_refused)
{
    static const char *const tags[] = {"firs", "first1", "", "First"};
    uint16_t version;

    for (unsigned i = 0; i < ARRAY_SIZE(tags); i++) {
        state_reader_init(&r, w.data, w.len);
        ck_assert_int_eq(state_enter(&r, tags[i], &version), -EINVAL);
    }
}
END_TEST

START_TEST(length_beyond_the_data_is_refused)
{
    static const uint32_t lengths[] = {0x7fffffff, 0xffffffff, 1000, 0x13 + 23};
    uint16_t version;

    for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
        store_le32(w.data + LENGTH_AT, lengths[i]);
        state_reader_init(&r, w.data, w.len);
        ck_assert_int_eq(state_enter(&r, "first", &version), -EINVAL);
    }
}
END_TEST

START_TEST(every_truncation_is_refused)
{
    uint16_t version;

    for (size_t len = 1; len < LENGTH_AT + 4 + 0x13; len++) {
        uint8_t *copy = malloc(len);

        memcpy(copy, w.data, len);
        state_reader_init(&r, copy, len);
        ck_assert_int_eq(state_enter(&r, "first", &version), -EINVAL);
        free(copy);
    }
}
END_TEST

START_TEST(writer_stops_at_its_bound)
{
    size_t half = STATE_MAX_BUFFER / 2;
    void *zeroes = calloc(1, half);

    state_begin(&w, "big", 1);
    state_put_bytes(&w, zeroes, half);
    ck_assert_int_eq(w.error, 0);
    state_put_bytes(&w, zeroes, half);
    ck_assert_int_eq(w.error, -ENOSPC);
    state_put_u8(&w, 1); /* sticky, and harmless */
    state_end(&w);
    ck_assert_int_eq(w.error, -ENOSPC);
    free(zeroes);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("state");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, sections_come_back_as_written);
    tcase_add_test(tc, layout_is_little_endian_and_fixed);
    tcase_add_test(tc, unread_bytes_are_an_error);
    tcase_add_test(tc, reading_past_a_section_gives_zero_and_sticks);
    tcase_add_test(tc, reading_into_the_next_section_is_refused);
    tcase_add_test(tc, other_tag_is_refused);
    tcase_add_test(tc, length_beyond_the_data_is_refused);
    tcase_add_test(tc, every_truncation_is_refused);
    tcase_add_test(tc, writer_stops_at_its_bound);
    return fake_run(tc);
}
