/*
 * The test harness. A guest defines guest_name and guest_main; what it checks is printed on the
 * console, a line each, and when guest_main returns the run ends through the debug-exit port:
 *
 *   ok: pio: 8 bits: scratch register        a check that holds
 *   FAIL: pio: 8 bits: scratch register      one that does not; the guest goes on
 *   XFAIL: pio: ...: TEXT                    one that is known not to hold, and why
 *   PASS: pio                                the last line when no check failed: the marker
 *
 * guest-tests/run looks for the marker, the exit status and the way the run ended.
 */
#ifndef GUEST_TEST_H
#define GUEST_TEST_H

#include <stdbool.h>
#include <stdint.h>

enum { EXIT_PASS = 0, EXIT_FAIL = 1, EXIT_SKIP = 77 };

/* What each guest has to define. */
extern const char guest_name[];
void guest_main(void);

/* Prints one line about the check and returns `holds`. */
__attribute__((format(printf, 2, 3))) bool check(bool holds, const char *what, ...);

/* check(got == want), with both values in the message when they differ. */
__attribute__((format(printf, 3, 4))) bool check_equal(uint64_t got, uint64_t want,
                                                       const char *what, ...);

/* A check that is expected to fail, for a reason. Reported, but neither way a failure. */
__attribute__((format(printf, 3, 4))) void check_xfail(bool holds, const char *reason,
                                                       const char *what, ...);

/* Names what follows; groups nest, at most GROUP_DEPTH deep. The text is borrowed. */
void group_begin(const char *name);
void group_end(void);
#define GROUP_DEPTH 6

/* Ends the run: the guest cannot test this here. */
__attribute__((noreturn, format(printf, 1, 2))) void skip(const char *reason, ...);

/* Ends the run with the marker (or FAIL when a check failed). Called when guest_main returns. */
__attribute__((noreturn)) void test_finish(void);

/* Prints the marker in advance, for guests that end by other means than the debug-exit port. */
void test_print_marker(void);

/* Writes to the debug-exit port; whoever is not stopped by that halts for ever. */
__attribute__((noreturn)) void guest_exit(unsigned status);

#endif
