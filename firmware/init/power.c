/* The ways out of the guest. See power.h. */
#include "firmware/init/power.h"

#include <stdarg.h>
#include <stdbool.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "firmware/init/format.h"
#include "firmware/init/say.h"

/* By ACPI, or by PSCI, which a device tree tells of. */
static bool can_power_off(void)
{
    return access("/sys/firmware/acpi", F_OK) == 0 ||
           access("/sys/firmware/devicetree/base/psci", F_OK) == 0;
}

void power_off(void)
{
    /* Else a power-off would only halt the processors, and hv would wait for ever. */
    (void)reboot(can_power_off() ? RB_POWER_OFF : RB_AUTOBOOT);
    _exit(1); /* the end of process 1 is a panic, which hv sees too */
}

void give_up(const char *format, ...)
{
    char text[900];
    va_list args;

    va_start(args, format);
    (void)text_format(text, sizeof(text), format, args);
    va_end(args);
    say("%s", text);
    power_off();
}
