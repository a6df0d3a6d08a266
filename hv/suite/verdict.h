/*
 * From all that is known of a boot to one verdict and one line that says why. Pure. A verdict is
 * VERDICT_PASS only when every expectation was seen to hold: what is not known is not passed.
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
    char deadline[24];   /* which clock passed: "whole", "first-byte", "init", "silence"; "" */
    char detail[200];    /* the result's "detail", for people */
};

/*
 * Sets record->verdict and record->reason from the record's other fields, the facts, and the rule
 * about lines that was broken (NULL: none).
 */
void verdict_reach(struct boot_record *record, const struct boot_facts *facts,
                   const char *broken_rule);

#endif
