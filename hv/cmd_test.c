/* `hv test`: the program that does it lies beside hv, so that hv itself need not grow with it. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "hv/cmd.h"

#define PROGRAM "hv-test"

int cmd_test(int argc, char **argv)
{
    char path[PATH_MAX + sizeof(PROGRAM)];
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);

    (void)argc;
    while (n > 0 && path[n - 1] != '/')
        n--;
    memcpy(path + (n < 0 ? 0 : n), PROGRAM, sizeof(PROGRAM));
    execv(path, argv);
    log_error("test: %s: %s (it belongs beside hv; make builds both)", path, strerror(errno));
    return STATUS_HV_FAILED;
}

void test_print_help(FILE *out)
{
    char *argv[] = {(char *)"test", (char *)"--help", NULL};

    (void)out; /* standard output, which the other program inherits */
    cmd_test(2, argv);
}
