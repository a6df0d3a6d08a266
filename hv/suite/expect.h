/*
 * The rules of a boot that are about lines: which of them have been met, which broken. Compiled
 * once a boot; a regular expression that does not compile is an error of the plan (plan.h finds
 * it).
 */
#ifndef HV_SUITE_EXPECT_H
#define HV_SUITE_EXPECT_H

#include "hv/suite/suite.h"

struct expect;

/* NULL when there is no memory for it, or a regular expression is bad. `expectation` must outlive
 * it. */
struct expect *expect_create(const struct expectation *expectation);
void expect_destroy(struct expect *expect);

/* One line of a stream, without its end; not NUL-ended. Only its first 4096 bytes are matched. */
void expect_feed(struct expect *expect, enum suite_stream stream, const char *line, size_t len);

/* The first rule that is broken in `why`, with the line that broke it, or
 * false. After the last line. */
bool expect_broken(const struct expect *expect, char why[SUITE_REASON_MAX]);

/*
 * What is wrong with a regular expression, or false when it compiles: POSIX extended, at most 500
 * bytes, no back-references, repetitions that come to at most 1000 parts, none of what may match
 * nothing ("(a*)+").
 */
bool expect_bad_regex(const char *regex, char *why, size_t cap);

#endif
