/* The formatter of the guest's first program gives what printf would. */
#include <check.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "firmware/init/format.h"
#include "firmware/test/guarded.h"

START_TEST(conversions_are_those_of_printf)
{
    char text[100];

    ck_assert_uint_eq(text_print(text, sizeof(text), "%s, %s%d%%", "a b", "", 7), 7);
    ck_assert_str_eq(text, "a b, 7%");
    (void)text_print(text, sizeof(text), "%d %d %d", 0, INT_MAX, INT_MIN);
    ck_assert_str_eq(text, "0 2147483647 -2147483648");
    (void)text_print(text, sizeof(text), "%u.%u", 0U, UINT_MAX);
    ck_assert_str_eq(text, "0.4294967295");
    ck_assert_uint_eq(text_print(text, sizeof(text), "plain"), 5);
    ck_assert_str_eq(text, "plain");
}
END_TEST

/* Whatever there is room for is a beginning of the whole, ended by a NUL; nothing behind it. */
START_TEST(text_that_does_not_fit_is_cut)
{
    static const char whole[] = "nameserver 10 -20 %";

    for (size_t size = 1; size <= sizeof(whole); size++) {
        struct guarded g = guarded_new(size);
        char *text = (char *)g.bytes;

        ck_assert_uint_eq(text_print(text, size, "name%s %u %d %%", "server", 10U, -20), size - 1);
        ck_assert_mem_eq(text, whole, size - 1);
        ck_assert_int_eq(text[size - 1], '\0');
        ck_assert(guarded_intact(&g));
        guarded_free(&g);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("firmware/init-format");
    TCase *t = tcase_create("format");

    tcase_add_test(t, conversions_are_those_of_printf);
    tcase_add_test(t, text_that_does_not_fit_is_cut);
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
