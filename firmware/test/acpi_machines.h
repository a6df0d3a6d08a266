/* Machines that the ACPI tests build tables for. */
#ifndef FIRMWARE_TEST_ACPI_MACHINES_H
#define FIRMWARE_TEST_ACPI_MACHINES_H

#include "firmware/acpi.h"

struct named_machine {
    const char *name;
    struct acpi_machine machine;
};

#define ACPI_MACHINES 10
extern const struct named_machine acpi_machines[ACPI_MACHINES];

#endif
