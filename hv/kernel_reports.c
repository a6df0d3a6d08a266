/* First lines of the kernel's reports (lib/bug.c, kernel/panic.c, arch/x86/kernel/traps.c, ...). */
#include "hv/kernel_reports.h"

#include <string.h>

#include "devices/core/util.h"

static const char *const first_lines[] = {
    KERNEL_PANIC,
    "BUG:",
    "WARNING:",
    "Oops:",
    "kernel BUG at",
    "general protection fault",
    "invalid opcode:",
    "divide error:",
    "stack segment:",
    "double fault:",
    "Internal error:",
    "Unable to handle kernel",
    "unchecked MSR access error",
    "watchdog: BUG:",
    "rcu: INFO: rcu_",
    "INFO: rcu_",
    "INFO: task ",
    "UBSAN:",
    "KASAN:",
    "KFENCE:",
};

bool kernel_report_begins(const char *message, size_t len)
{
    for (unsigned i = 0; i < ARRAY_SIZE(first_lines); i++) {
        size_t n = strlen(first_lines[i]);

        if (len >= n && !memcmp(message, first_lines[i], n))
            return true;
    }
    return false;
}
