/*
 * What people see while a suite runs, on standard error: on a terminal what each machine is doing,
 * elsewhere one line for each boot that has ended. Guest text is shown as plain characters only.
 *
 * Thread: main.
 */
#ifndef HV_SUITE_PROGRESS_H
#define HV_SUITE_PROGRESS_H

#include <stdio.h>

#include "hv/suite/suite.h"

struct job;

struct progress {
    FILE *out;
    bool live;            /* it is a terminal that can move its cursor */
    bool quiet;           /* boots that have ended are told elsewhere */
    unsigned total, done; /* boots */
    unsigned count[VERDICT_COUNT];
    unsigned drawn; /* lines that are to be drawn over */
};

void progress_init(struct progress *progress, FILE *out, unsigned total);

/* One boot has ended. */
void progress_ended(struct progress *progress, const struct boot_record *record);

/* Draws what runs (NULL slots are left out); nothing where that is not shown. */
void progress_draw(struct progress *progress, struct job *const *jobs, unsigned slots);

/* Takes back what is drawn, for other words or for good. */
void progress_finish(struct progress *progress);

/*
 * `text` as valid UTF-8 that fits `columns` and `cap` bytes with its NUL: without control
 * characters, "?" for what is not UTF-8, and two columns for whatever may be wide.
 */
void progress_clean(const char *text, unsigned columns, char *out, size_t cap);

#endif
