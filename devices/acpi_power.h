/*
 * The power registers of a hardware-reduced ACPI machine (ACPI 6.5, 4.8.3.7 and 4.8.3.6): sleep
 * control and status, the reset register, and the events that the generic event device reads.
 */
#ifndef HV_DEVICES_ACPI_POWER_H
#define HV_DEVICES_ACPI_POWER_H

struct dev;

/* Byte registers, offsets in the device's window. */
#define ACPI_POWER_REG_CONTROL  0
#define ACPI_POWER_REG_STATUS   1
#define ACPI_POWER_REG_RESET    2
#define ACPI_POWER_REG_EVENTS   4 /* read clears, and lowers the line */
#define ACPI_POWER_REG_BYTES    8

#define ACPI_POWER_RESET_VALUE  0x01 /* the value that resets */
#define ACPI_POWER_S5           5    /* the sleep type that powers off */
#define ACPI_POWER_EVENT_BUTTON 0x01 /* in the events register */

/* Presses the power button of a device made by acpi_power_create. Any thread. */
void acpi_power_button(struct dev *dev);

#endif
