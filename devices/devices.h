/*
 * The create functions that table.c names. Each sets *out to a new device in its power-on state,
 * which dev_destroy frees. 0 or -ENOMEM. Main thread, before vCPUs run.
 */
#ifndef HV_DEVICES_DEVICES_H
#define HV_DEVICES_DEVICES_H

#include "devices/core/dev.h"

int uart16550_create(const struct dev_env *env, struct dev **out);
int pl011_create(const struct dev_env *env, struct dev **out);
int rtc_create(const struct dev_env *env, struct dev **out);
int pl031_create(const struct dev_env *env, struct dev **out);
int i8042_create(const struct dev_env *env, struct dev **out);
int debugexit_create(const struct dev_env *env, struct dev **out);
int debugcon_create(const struct dev_env *env, struct dev **out);
int pvpanic_create(const struct dev_env *env, struct dev **out);
int acpi_power_create(const struct dev_env *env, struct dev **out);

#endif
