/*
 * One line of KTAP or TAP: what kind it is, and its parts. The forms are those that kunit_parser.py
 * takes, which are wider than Documentation/dev-tools/ktap.rst: indentation says nothing, a hyphen
 * before the name and the space before it may be missing.
 */
#ifndef HV_SUITE_KTAP_LINE_H
#define HV_SUITE_KTAP_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ktap_kind {
    KTAP_LINE_OTHER, /* diagnostics, kernel messages, anything */
    KTAP_LINE_KTAP,  /* KTAP version N */
    KTAP_LINE_TAP,   /* TAP version N */
    KTAP_LINE_SUBTEST,
    KTAP_LINE_PLAN, /* 1..N */
    KTAP_LINE_RESULT,
};

/* Points into the line that it was made of. */
struct ktap_line {
    enum ktap_kind kind;
    uint64_t number; /* version, plan or result; UINT64_MAX when larger */
    bool ok, skip;
    const char *name; /* of a subtest or a result; a result's skip reason where it has no name */
    size_t name_len;
    const char *match; /* of a result: what a suite's name is compared with, "" for none */
    size_t match_len;
};

/* `len` bytes without end of line. Never fails: what it is not is KTAP_LINE_OTHER. */
struct ktap_line ktap_line_read(const char *line, size_t len);

/* Length without white space at the end. */
size_t ktap_line_trim(const char *line, size_t len);

/* True when the line ends with "WHAT version N"; *prefix is what stands before "WHAT version". */
bool ktap_line_starts_stream(const char *line, size_t len, const char *what, size_t *prefix);

/* True when the kernel says that it goes down: nothing behind is a result. */
bool ktap_line_ends_stream(const char *line, size_t len);

#endif
