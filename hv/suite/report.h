/*
 * Reports of a whole suite: JUnit XML, JSON, TAP 14, and the summary for people. Each goes to a
 * temporary file beside its place and is renamed at the end, so that a reader never sees half of
 * one; a FIFO or a device is written directly. 0, or -errno after one message. Guest text is made
 * valid for each format: XML 1.0 characters, UTF-8, one line for TAP.
 */
#ifndef HV_SUITE_REPORT_H
#define HV_SUITE_REPORT_H

#include <stdio.h>

#include "hv/suite/suite.h"

int junit_write(const struct suite *suite, const char *path);
int json_write(const struct suite *suite, const char *path);

/* To stdout, as the records are done: the version and plan first, then one record each with its
 * KTAP cases as subtests. */
void tap_begin(FILE *out, unsigned count);
void tap_record(FILE *out, unsigned number, const struct boot_record *record);

/* What failed and how to run it again, then one line of counts. */
void summary_print(FILE *out, const struct suite *suite);

/* Of hv test: 0 all passed; 1 a guest's fault; 125 only hv's or the host's, or nothing ran; see
 * `hv help test` for --bisect. `bisect`: a bit for each verdict that means "bad"; 0: no bisection.
 */
int suite_status(const struct suite *suite, unsigned bisect);

#endif
