/* How Linux begins a report about itself, for those who read its console. */
#ifndef HV_KERNEL_REPORTS_H
#define HV_KERNEL_REPORTS_H

#include <stdbool.h>
#include <stddef.h>

#define KERNEL_PANIC "Kernel panic - not syncing"

/* True when a message, without time stamp and caller, is the first line of a report. Any thread. */
bool kernel_report_begins(const char *message, size_t len);

#endif
