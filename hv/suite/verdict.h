/*
 * From all that is known of a boot to one verdict and one line that says why. Pure. A verdict is
 * VERDICT_PASS only when every expectation was seen to hold: what is not known is not passed.
 *
 * An end fits when it is the one that the plan names, or, where the plan names none, when it is no
 * panic and the command's status came if there was to be a command. A boot whose end and status are
 * as expected did boot, whatever it printed; any other one, with neither init nor command seen, is
 * VERDICT_BOOT after a deadline or a triple fault, or after any early end of a Linux kernel or of a
 * boot that was to run a command, and VERDICT_FAIL otherwise (a test kernel's wrong exit value).
 */
#ifndef HV_SUITE_VERDICT_H
#define HV_SUITE_VERDICT_H

#include "hv/suite/suite.h"

/* What the result file of hv run said (hv/result.h, docs/hv.1.in). */
struct boot_facts {
    bool complete;       /* it was there, whole, and its status is that of the process */
    char why_not[200];   /* otherwise */
    bool reached_init;   /* boot_ms is not null, or the command ran */
    bool command_status; /* a status of the command came */
    bool command_125;    /* the command itself exited with 125: "command": {"exit": 125} */
    bool said_linux;     /* the console had "Linux version": splats_saw_linux (splat.h) */
    uint64_t lost;       /* bytes of the console that came neither to the judges nor to a log */
    char deadline[24];   /* which clock passed: "whole", "first-byte", "init", "silence"; "" */
    char detail[200];    /* the result's "detail", for people */
};

/*
 * Sets record->verdict and record->reason from the record's other fields, the facts, and the rule
 * about lines that was broken (NULL: none). What cannot be judged makes VERDICT_HOST of a boot that
 * is good otherwise: a budget of instructions on a clock that counts time, and a console that lost
 * bytes and on which something must not be (a splat, unless those are allowed, a forbidden line, a
 * failed result).
 */
void verdict_reach(struct boot_record *record, const struct boot_facts *facts,
                   const char *broken_rule);

/*
 * The exit status of hv run that fits the plan's end: a panic and a triple fault have 255 and a
 * deadline has 124, though the plan says 0.
 */
int expected_status(const struct expectation *expect);

#endif
