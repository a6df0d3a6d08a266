/* The command line of `hv test`. Main thread. */
#ifndef HV_SUITE_OPTIONS_H
#define HV_SUITE_OPTIONS_H

#include <stdio.h>

#include "hv/suite/plan.h"

#define OPTIONS_MAX_FILTERS 64

struct test_options {
    const char *plan;
    unsigned jobs;            /* 0: as many as processors */
    const char *junit, *json; /* NULL: not wanted */
    bool tap, list, fail_fast;
    const char *filters[OPTIONS_MAX_FILTERS];
    struct plan_selection selection; /* its filters are the ones above */
    const char *logs;
    uint64_t log_limit;
    uint64_t grace_ms;
    unsigned bisect; /* a bit for each verdict that is bad; 0: no bisection */
    const char *hv;  /* NULL: the one beside this program */
    unsigned scale;
};

/* argv[0] is the verb. 0; -EINVAL after one message; 1 when --help was printed. Strings are argv's.
 * *options must stay where it is. */
int options_parse(struct test_options *options, int argc, char **argv);

void options_print_help(FILE *out);

#endif
