/* The main function of a Check program: runs one suite, prints by CK_VERBOSITY, fails loudly. */
#ifndef HV_TEST_RUN_SUITE_H
#define HV_TEST_RUN_SUITE_H

#include <check.h>

#include "devices/core/util.h"

/* A case: its function, made by START_TEST. */
struct suite_case {
    const char *name;
    const TTest *test;
};

static inline int run_suite(const char *name, const struct suite_case *cases, unsigned count)
{
    Suite *suite = suite_create(name);
    SRunner *runner = srunner_create(suite);
    int failed;

    for (unsigned i = 0; i < count; i++) {
        TCase *tcase = tcase_create(cases[i].name);

        tcase_add_test(tcase, cases[i].test);
        suite_add_tcase(suite, tcase);
    }
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}

#define CASE(fn)                                                                                   \
    {                                                                                              \
#fn, fn                                                                                    \
    }

#endif
