/* The test harness; see test.h. One CPU reports, so nothing here is locked. */
#include "guest-tests/lib/test.h"

#include <stdarg.h>

#include "guest-tests/lib/console.h"

static const char *group[GROUP_DEPTH];
static unsigned groups;
static unsigned checks, failures;

/* "ok: pio: string: insb of 7": verdict, guest, groups, text. */
static void print_line(const char *verdict, const char *what, va_list args)
{
    printf("%s: %s: ", verdict, guest_name);
    for (unsigned i = 0; i < groups && i < GROUP_DEPTH; i++)
        printf("%s: ", group[i]);
    vprintf(what, args);
}

/* The exit status of the guest is made of these two numbers when it ends. */
static void count(bool holds)
{
    checks++;
    if (!holds)
        failures++;
}

bool check(bool holds, const char *what, ...)
{
    va_list args;

    count(holds);
    va_start(args, what);
    print_line(holds ? "ok" : "FAIL", what, args);
    va_end(args);
    printf("\n");
    return holds;
}

bool check_equal(uint64_t got, uint64_t want, const char *what, ...)
{
    va_list args;

    count(got == want);
    va_start(args, what);
    print_line(got == want ? "ok" : "FAIL", what, args);
    va_end(args);
    if (got == want)
        printf("\n");
    else
        printf(": 0x%llx instead of 0x%llx\n", (unsigned long long)got, (unsigned long long)want);
    return got == want;
}

void check_xfail(bool holds, const char *reason, const char *what, ...)
{
    va_list args;

    va_start(args, what);
    print_line(holds ? "XPASS" : "XFAIL", what, args);
    va_end(args);
    printf(": %s\n", reason);
}

/* Deeper groups are counted, so that begin and end still match, but not printed. */
void group_begin(const char *name)
{
    if (groups < GROUP_DEPTH)
        group[groups] = name;
    groups++;
}

void group_end(void)
{
    groups--;
}

void test_print_marker(void)
{
    if (failures)
        printf("FAIL: %s (%u of %u checks)\n", guest_name, failures, checks);
    else
        printf("PASS: %s\n", guest_name);
}

void test_finish(void)
{
    test_print_marker();
    guest_exit(failures ? EXIT_FAIL : EXIT_PASS);
}

void skip(const char *reason, ...)
{
    va_list args;

    va_start(args, reason);
    printf("SKIP: ");
    vprintf(reason, args);
    printf("\n");
    va_end(args);
    guest_exit(EXIT_SKIP);
}
