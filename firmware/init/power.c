/* The ways out of the guest. See power.h. */
#include "firmware/init/power.h"

#include <stdarg.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "firmware/init/format.h"
#include "firmware/init/say.h"

void power_off(void)
{
    /* Without ACPI a power-off would only halt the processors, and hv would wait for ever. */
    (void)reboot(access("/sys/firmware/acpi", F_OK) == 0 ? RB_POWER_OFF : RB_AUTOBOOT);
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
