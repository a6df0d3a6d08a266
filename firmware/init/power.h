/* The ways out of the guest. */
#ifndef FIRMWARE_INIT_POWER_H
#define FIRMWARE_INIT_POWER_H

/* Powers the machine off at once; resets it where the kernel has no ACPI to do so. */
void power_off(void) __attribute__((noreturn));

/* Says one line (say.h) and powers off. */
void give_up(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
