/*
 * The result file of one boot, as facts. It is hv's own word, but hv may have crashed while it
 * wrote it: everything is checked, and what does not fit is not believed.
 *
 * Thread: main.
 */
#ifndef HV_SUITE_FACTS_H
#define HV_SUITE_FACTS_H

#include "hv/suite/suite.h"
#include "hv/suite/verdict.h"

/*
 * Reads DIR/NAME into *facts and the fields of *record that it tells: end, guest_status and times;
 * record->status must be set, and record->dropped is added to. Nothing is logged: what is wrong
 * stands in facts->why_not.
 */
void facts_read(const char *dir, const char *name, struct boot_record *record,
                struct boot_facts *facts);

#endif
