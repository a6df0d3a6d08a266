/*
 * Reads KTAP and TAP 13/14 (Documentation/dev-tools/ktap.rst; kunit, kselftest, and plain TAP) out
 * of a stream of lines in which anything else may lie between: time stamps, kernel messages, a
 * guest's lies. Counts as `kunit.py parse` does on the same text. Constant memory a line; at most
 * KTAP_MAX_CASES cases are listed, all are counted. The text is the guest's.
 *
 * Like kunit.py it reads as many results as the outermost plan promises and no more. A failure
 * that comes behind them is not counted, but makes the results bad all the same (`error`).
 */
#ifndef HV_SUITE_KTAP_H
#define HV_SUITE_KTAP_H

#include "hv/suite/suite.h"

#define KTAP_MAX_CASES 20000
#define KTAP_MAX_DEPTH 32

struct ktap;

struct ktap *ktap_create(void);
void ktap_destroy(struct ktap *ktap);

/* One line, without its end; not NUL-ended. */
void ktap_feed(struct ktap *ktap, const char *line, size_t len);

/* The end of the stream: open suites are closed as kunit.py closes them. Fills *result, which the
 * caller frees with ktap_result_free. */
void ktap_finish(struct ktap *ktap, struct ktap_result *result);
void ktap_result_free(struct ktap_result *result);

/* True when results were found, none failed or crashed, and their form was right. */
bool ktap_good(const struct ktap_result *result);

#endif
