/*
 * The debug console: a port that needs no set-up, for a kernel that cannot drive a serial port yet.
 * Whoever reads it gets its own number, and so knows that it is there.
 */
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/test.h"

const char guest_name[] = "debugcon";

void guest_main(void)
{
    static const char bytes[] = "written to port 0xe9, a byte at a time\n";
    static const char string[] = "written to port 0xe9 by one instruction\n";
    const char *from = string;
    size_t count = sizeof(string) - 1;

    if (!check_equal(in8(PORT_DEBUG_CONSOLE), PORT_DEBUG_CONSOLE, "reads as its own number"))
        return;
    for (size_t i = 0; i < sizeof(bytes) - 1; i++)
        out8(PORT_DEBUG_CONSOLE, (uint8_t)bytes[i]);
    __asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(PORT_DEBUG_CONSOLE) : "memory");
}
