/* Machines that the device tree tests build trees for. */
#ifndef FIRMWARE_TEST_FDT_MACHINES_H
#define FIRMWARE_TEST_FDT_MACHINES_H

#include "firmware/fdt.h"

struct named_tree {
    const char *name;
    struct fdt_machine machine;
};

#define FDT_MACHINES 9
extern const struct named_tree fdt_machines[FDT_MACHINES];

#endif
