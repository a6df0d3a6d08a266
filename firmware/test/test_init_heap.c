/* The allocator of the guest's first program, under names beside the C library's. */
#include <check.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void *init_malloc(size_t size);
void *init_calloc(size_t count, size_t size);
void *init_realloc(void *old, size_t size);
void init_free(void *old);

#define malloc  init_malloc
#define calloc  init_calloc
#define realloc init_realloc
#define free    init_free
#include "firmware/init/heap.c"
#undef malloc
#undef calloc
#undef realloc
#undef free

enum { PAGE = 4096 };

START_TEST(allocations_are_aligned_and_apart)
{
    char *bytes[5];

    for (size_t i = 0; i < 5; i++) {
        bytes[i] = init_malloc(i * PAGE);
        ck_assert_ptr_nonnull(bytes[i]);
        ck_assert_uint_eq((uintptr_t)bytes[i] % 16, 0);
        memset(bytes[i], (int)i, i * PAGE);
    }
    for (size_t i = 0; i < 5; i++) {
        for (size_t at = 0; at < i * PAGE; at++)
            ck_assert_int_eq(bytes[i][at], (int)i);
        init_free(bytes[i]);
    }
    init_free(NULL);
}
END_TEST

START_TEST(growing_and_shrinking_keep_the_bytes)
{
    char *bytes = init_realloc(NULL, 100);

    ck_assert_ptr_nonnull(bytes);
    memset(bytes, 'a', 100);
    bytes = init_realloc(bytes, 100 * PAGE);
    ck_assert_ptr_nonnull(bytes);
    bytes[100 * PAGE - 1] = 'b';
    bytes = init_realloc(bytes, 100);
    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < 100; i++)
        ck_assert_int_eq(bytes[i], 'a');
    init_free(bytes);
}
END_TEST

START_TEST(zeroed_memory_is_zero)
{
    const char *bytes = init_calloc(3, PAGE);

    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < (size_t)3 * PAGE; i++)
        ck_assert_int_eq(bytes[i], 0);
    init_free((void *)bytes);
}
END_TEST

START_TEST(sizes_that_cannot_be_are_refused)
{
    char *bytes = init_malloc(1);

    ck_assert_ptr_nonnull(bytes);
    ck_assert_ptr_null(init_malloc(SIZE_MAX));
    ck_assert_int_eq(errno, ENOMEM);
    ck_assert_ptr_null(init_calloc(SIZE_MAX / 2 + 2, 2));
    ck_assert_ptr_null(init_realloc(bytes, SIZE_MAX - 8));
    init_free(bytes);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("firmware/init-heap");
    TCase *t = tcase_create("heap");

    tcase_add_test(t, allocations_are_aligned_and_apart);
    tcase_add_test(t, growing_and_shrinking_keep_the_bytes);
    tcase_add_test(t, zeroed_memory_is_zero);
    tcase_add_test(t, sizes_that_cannot_be_are_refused);
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
