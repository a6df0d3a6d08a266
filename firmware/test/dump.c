/* Tables as files: see dump.h. */
#include "firmware/test/dump.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *dump_dir;

void dump_file(const void *data, size_t size, const char *fmt, ...)
{
    char name[256], path[4096];
    va_list ap;
    FILE *f;

    va_start(ap, fmt);
    vsnprintf(name, sizeof(name), fmt, ap);
    va_end(ap);
    snprintf(path, sizeof(path), "%s/%s", dump_dir, name);
    f = fopen(path, "wb");
    ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
    ck_assert_uint_eq(fwrite(data, 1, size, f), size);
    ck_assert_int_eq(fclose(f), 0);
}

int dump_main(int argc, char **argv, Suite *(*suite)(void))
{
    SRunner *runner;
    int failed;

    if (argc == 3 && strcmp(argv[1], "--dump") == 0)
        dump_dir = argv[2];
    runner = srunner_create(suite());
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
