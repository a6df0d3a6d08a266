/*
 * Cuts the kernel's reports about itself out of a console: panic, oops, BUG, WARNING, lockups, RCU
 * stalls, hung tasks, KASAN, KCSAN, KFENCE, UBSAN, lockdep. Each whole, from its first line (with
 * "------------[ cut here ]------------" where there is one) to its end mark or to the first line
 * that cannot belong to it, and once for each title. Bounded: SPLAT_MAX reports of SPLAT_TEXT_MAX
 * bytes each, of which the last stands for all further ones. The text is the guest's, so a splat is
 * a hint: what makes a verdict of it is verdict.h.
 *
 * Once a line has begun with "[    0.000000] ", the console is one with time stamps, and a line
 * without one is a program's: it neither begins a report nor belongs to one. What a program printed
 * in front of a time stamp, in the same line, is left out.
 */
#ifndef HV_SUITE_SPLAT_H
#define HV_SUITE_SPLAT_H

#include "hv/suite/suite.h"

#define SPLAT_MAX      32
#define SPLAT_TEXT_MAX 32768

struct splats;

struct splats *splats_create(void);
void splats_destroy(struct splats *splats);

/* One line of the console, without its end; not NUL-ended. */
void splats_feed(struct splats *splats, const char *line, size_t len);

/* True once the console has said "Linux version". */
bool splats_saw_linux(const struct splats *splats);

/* Hands what was found over: an array that the caller frees with splats_free. */
struct splat *splats_finish(struct splats *splats, unsigned *count);
void splats_free(struct splat *splats, unsigned count);

#endif
