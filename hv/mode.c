/* The modes table: one row a kind of machine. Constant; read by config, help and the bring-up. */
#include "hv/mode.h"

#include <stddef.h>
#include <string.h>

#include "devices/core/util.h"
#include "devices/table.h"
#include "hv/arch/arch.h"

/*
 * The command line holds what a console needs and nothing that changes what is tested: Debian's
 * kernel, for one, boots in half the time with cryptomgr.notests=1, but its self-tests are the
 * user's to leave out.
 */
const struct mode modes[] = {
    {
        .name = "pv",
        .help = "a guest that knows it is virtual: direct kernel entry, ACPI without legacy "
                "hardware; no PIT, no PIC, PCI only if asked for",
        .devices = MODE_PV,
        .cmdline = arch_cmdline,
    },
};

const unsigned mode_count = ARRAY_SIZE(modes);

const struct mode *mode_find(const char *name)
{
    for (unsigned i = 0; i < mode_count; i++)
        if (strcmp(modes[i].name, name) == 0)
            return &modes[i];
    return NULL;
}
