/* Unit tests of the AML encoder against bytes worked out by hand from ACPI 6.5, chapter 20. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "firmware/aml.h"
#include "firmware/test/guarded.h"

static uint8_t bytes[1 << 21];
static struct buf out;
static struct aml a;

static void setup(void)
{
    out = buf_over(bytes, sizeof(bytes));
    a = aml_over(&out);
}

#define assert_bytes(...)                                                                          \
    do {                                                                                           \
        const uint8_t want[] = {__VA_ARGS__};                                                      \
        ck_assert_int_eq(buf_status(&out), 0);                                                     \
        ck_assert_uint_eq(out.len, sizeof(want));                                                  \
        ck_assert_mem_eq(out.data, want, sizeof(want));                                            \
        setup();                                                                                   \
    } while (0)

START_TEST(integers_take_the_shortest_form)
{
    aml_int(&a, 0);
    assert_bytes(0x00);
    aml_int(&a, 1);
    assert_bytes(0x01);
    aml_int(&a, 2);
    assert_bytes(0x0a, 2);
    aml_int(&a, 0xff);
    assert_bytes(0x0a, 0xff);
    aml_int(&a, 0x100);
    assert_bytes(0x0b, 0x00, 0x01);
    aml_int(&a, 0xffff);
    assert_bytes(0x0b, 0xff, 0xff);
    aml_int(&a, 0x10000);
    assert_bytes(0x0c, 0, 0, 1, 0);
    aml_int(&a, 0x123456789a);
    assert_bytes(0x0e, 0x9a, 0x78, 0x56, 0x34, 0x12, 0, 0, 0);
}
END_TEST

START_TEST(names_are_padded_and_prefixed)
{
    aml_path(&a, "A");
    assert_bytes('A', '_', '_', '_');
    aml_path(&a, "\\_S5");
    assert_bytes('\\', '_', 'S', '5', '_');
    aml_path(&a, "\\_SB.PWRB");
    assert_bytes('\\', 0x2e, '_', 'S', 'B', '_', 'P', 'W', 'R', 'B');
    aml_path(&a, "A.BC.DEF");
    assert_bytes(0x2f, 3, 'A', '_', '_', '_', 'B', 'C', '_', '_', 'D', 'E', 'F', '_');
}
END_TEST

START_TEST(eisa_id_packs_letters_and_digits)
{
    aml_eisaid(&a, "PNP0501");
    assert_bytes(0x0c, 0x41, 0xd0, 0x05, 0x01);
    aml_eisaid(&a, "PNP0C0C");
    assert_bytes(0x0c, 0x41, 0xd0, 0x0c, 0x0c);
}
END_TEST

START_TEST(device_with_names_nests)
{
    aml_device(&a, "DEV");
    aml_name_int(&a, "_UID", 7);
    aml_name_string(&a, "_HID", "AB");
    aml_end(&a);
    assert_bytes(0x5b, 0x82, 21, 'D', 'E', 'V', '_', 0x08, '_', 'U', 'I', 'D', 0x0a, 7, 0x08, '_',
                 'H', 'I', 'D', 0x0d, 'A', 'B', 0);
}
END_TEST

START_TEST(package_counts_its_elements)
{
    aml_package(&a, 2);
    aml_int(&a, 5);
    aml_int(&a, 0);
    aml_end(&a);
    assert_bytes(0x12, 5, 2, 0x0a, 5, 0x00);
}
END_TEST

START_TEST(resources_get_size_and_end_tag)
{
    aml_resources(&a);
    aml_io(&a, 0x3f8, 8);
    aml_interrupt(&a, 4, AML_EDGE);
    aml_end(&a);
    assert_bytes(0x11, 22, 0x0a, 19, 0x47, 1, 0xf8, 0x03, 0xf8, 0x03, 1, 8, 0x89, 6, 0, 0x03, 1, 4,
                 0, 0, 0, 0x79, 0);
    aml_resources(&a);
    aml_memory32(&a, 0xd0000000, 0x200);
    aml_interrupt(&a, 0x105, AML_LEVEL);
    aml_end(&a);
    assert_bytes(0x11, 26, 0x0a, 23, 0x86, 9, 0, 1, 0, 0, 0, 0xd0, 0, 2, 0, 0, 0x89, 6, 0, 0x01, 1,
                 5, 1, 0, 0, 0x79, 0);
    aml_resources(&a);
    aml_end(&a);
    assert_bytes(0x11, 5, 0x0a, 2, 0x79, 0);
}
END_TEST

START_TEST(method_reads_a_field_and_notifies)
{
    aml_port_region(&a, "RG", 0x604, 1);
    assert_bytes(0x5b, 0x80, 'R', 'G', '_', '_', 1, 0x0b, 0x04, 0x06, 0x01);
    aml_field(&a, "RG");
    aml_field_unit(&a, "FLD", 8);
    aml_end(&a);
    assert_bytes(0x5b, 0x81, 11, 'R', 'G', '_', '_', 1, 'F', 'L', 'D', '_', 8);
    aml_method(&a, "_EVT", 1);
    aml_store_path_to_local(&a, "FLD", 0);
    aml_if_local_bits(&a, 0, 2);
    aml_notify(&a, "DEV", 0x80);
    aml_end(&a);
    aml_end(&a);
    assert_bytes(0x14, 26, '_', 'E', 'V', 'T', 1, 0x70, 'F', 'L', 'D', '_', 0x60, 0xa0, 13, 0x7b,
                 0x60, 0x0a, 2, 0x00, 0x86, 'D', 'E', 'V', '_', 0x0a, 0x80);
}
END_TEST

START_TEST(wide_field_units_use_more_length_bytes)
{
    aml_field_unit(&a, "A", 63);
    assert_bytes('A', '_', '_', '_', 63);
    aml_field_unit(&a, "A", 64);
    assert_bytes('A', '_', '_', '_', 0x40, 4);
}
END_TEST

/* Contents around each step of PkgLength (20.2.4), and the bytes that its length takes there. */
static const struct {
    size_t content;
    size_t length_bytes;
} steps[] = {
    {4, 1},    {61, 1},   {62, 1},      {63, 2},      {64, 2},      {4092, 2},    {4093, 2},
    {4094, 3}, {4095, 3}, {0xffffb, 3}, {0xffffc, 3}, {0xffffd, 4}, {0xfffff, 4}, {0x100005, 4},
};

START_TEST(package_length_steps_at_its_boundaries)
{
    size_t content = steps[_i].content, size = steps[_i].length_bytes, got, moved = 0;
    const uint8_t *p = bytes + 1;

    aml_scope(&a, "AAAA");
    for (size_t i = 4; i < content; i++)
        buf_u8(&out, (uint8_t)(i * 7));
    aml_end(&a);
    ck_assert_int_eq(buf_status(&out), 0);
    ck_assert_uint_eq(out.len, 1 + size + content);
    ck_assert_uint_eq(p[0] >> 6, size - 1);
    got = size == 1 ? p[0] & 0x3f : p[0] & 0xf;
    ck_assert(size == 1 || (p[0] & 0x30) == 0);
    for (size_t i = 1; i < size; i++)
        got |= (size_t)p[i] << (8 * i - 4);
    ck_assert_uint_eq(got, size + content);
    ck_assert_mem_eq(p + size, "AAAA", 4);
    for (size_t i = 4; i < content; i++)
        moved += p[size + i] != (uint8_t)(i * 7);
    ck_assert_uint_eq(moved, 0);
}
END_TEST

START_TEST(overflow_anywhere_is_latched)
{
    for (size_t cap = 0;; cap++) {
        struct guarded g = guarded_new(cap);
        int err;

        out = buf_over(g.bytes, cap);
        a = aml_over(&out);
        aml_scope(&a, "\\_SB");
        aml_device(&a, "VIO0");
        aml_name_string(&a, "_HID", "LNRO0005");
        aml_name(&a, "_CRS");
        aml_resources(&a);
        aml_memory32(&a, 0xd0000000, 0x200);
        aml_interrupt(&a, 16, AML_LEVEL);
        aml_end(&a);
        aml_end(&a);
        aml_end(&a);
        err = buf_status(&out);
        ck_assert(guarded_intact(&g));
        guarded_free(&g);
        if (err == 0) {
            ck_assert_uint_eq(out.len, cap);
            break;
        }
        ck_assert_int_eq(err, -ENOSPC);
        ck_assert_uint_lt(cap, 200);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("firmware/aml");
    TCase *t = tcase_create("aml");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, integers_take_the_shortest_form);
    tcase_add_test(t, names_are_padded_and_prefixed);
    tcase_add_test(t, eisa_id_packs_letters_and_digits);
    tcase_add_test(t, device_with_names_nests);
    tcase_add_test(t, package_counts_its_elements);
    tcase_add_test(t, resources_get_size_and_end_tag);
    tcase_add_test(t, method_reads_a_field_and_notifies);
    tcase_add_test(t, wide_field_units_use_more_length_bytes);
    tcase_add_loop_test(t, package_length_steps_at_its_boundaries, 0,
                        (int)(sizeof(steps) / sizeof(steps[0])));
    tcase_add_test(t, overflow_anywhere_is_latched);
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
