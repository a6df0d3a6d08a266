/* Machines that the ACPI tests build tables for: the usual one, and one for each thing absent. */
#include "firmware/test/acpi_machines.h"

#define BASE    .lapic_gpa = 0xfee00000, .ioapic_gpa = 0xfec00000
#define UART    .uart = {.port = 0x3f8, .size = 8, .gsi = 4}
#define RTC     .rtc = {.port = 0x70, .size = 8, .gsi = 8}
#define PVPANIC .pvpanic = {.port = 0x505, .size = 1, .gsi = -1}
#define POWER   .power = {.port = 0x600, .size = ACPI_POWER_SIZE, .gsi = 9}

const struct named_machine acpi_machines[ACPI_MACHINES] = {
    {"usual", {.cpus = 1, BASE, UART, RTC, PVPANIC, POWER}},
    {"four-cpus", {.cpus = 4, .ioapic_id = 4, BASE, UART, RTC, PVPANIC, POWER}},
    {"most-cpus", {.cpus = 254, .ioapic_id = 254, BASE, UART, RTC, PVPANIC, POWER}},
    {"no-rtc", {.cpus = 2, BASE, UART, PVPANIC, POWER}},
    {"no-pvpanic", {.cpus = 2, BASE, UART, RTC, POWER}},
    {"rtc-without-interrupt",
     {.cpus = 1, BASE, UART, .rtc = {.port = 0x70, .size = 2, .gsi = -1}, POWER}},
    {"no-button", {.cpus = 1, BASE, UART, RTC, .power = {.port = 0xfff8, .gsi = -1}}},
    {"nothing", {.cpus = 1, BASE}},
    {"virtio",
     {.cpus = 1,
      BASE,
      UART,
      POWER,
      .virtio = {{0xd0000000, 0x200, 10}, {0xd0001000, 0x200, 11}, [11] = {0xd000b000, 0x200, 21}},
      .virtio_count = 12}},
    {"pci",
     {.cpus = 2,
      BASE,
      UART,
      POWER,
      .pci = {.ecam = 0xe0000000, .window = 0xc0000000, .window_size = 0x10000000}}},
};
