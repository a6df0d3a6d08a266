/*
 * Names for the addresses in a kernel's reports, from the file of `symbols =`: for kernels that
 * print addresses because they do not know the names themselves (no CONFIG_KALLSYMS).
 */
#ifndef HV_SUITE_SPLAT_NAMES_H
#define HV_SUITE_SPLAT_NAMES_H

#include "hv/suite/suite.h"

struct symbols;

/*
 * Puts " func+0x12/0x40" behind addresses in the texts of the reports, once a line. `symbols` has
 * been loaded. Nothing is done when nobody knows where the kernel lies: it says so itself when it
 * panics ("Kernel Offset: "), and with `fixed` it lies where it was linked to (nokaslr). Splats
 * stay as they are when there is no memory for more.
 */
void splat_names_add(struct splat *splats, unsigned count, struct symbols *symbols, bool fixed);

#endif
