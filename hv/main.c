/* The entry: finds the verb and hands the rest of the command line to it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "devices/core/log.h"
#include "hv/cmd.h"

/* What the customs of other programs make users try. */
static const char *verb_name(const char *word)
{
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return "help";
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
        return "version";
    return word;
}

/* Output that was lost (a full disk, a closed descriptor) must not look like success. */
static int finish_stdout(int status)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    if (status == STATUS_OK) {
        log_error("standard output: %s", errno ? strerror(errno) : "write error");
        return STATUS_HV_FAILED;
    }
    return status;
}

int main(int argc, char **argv)
{
    const struct verb *verb;

    if (argc < 2) {
        help_print_usage(stderr);
        return STATUS_HV_FAILED;
    }
    verb = verb_find(verb_name(argv[1]));
    if (!verb)
        return verb_unknown(argv[1]);
    return finish_stdout(verb->run(argc - 1, argv + 1));
}
