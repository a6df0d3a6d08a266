/*
 * The debug-exit port: the value that is written ends the run with that status.
 * Command line: value=N (42), width=8|16|32 (8).
 */
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/test.h"

const char guest_name[] = "debugexit";

void guest_main(void)
{
    uint32_t value = (uint32_t)cmdline_number("value", 42);
    unsigned width = (unsigned)cmdline_number("width", 8);

    printf("writing %u with %u bits\n", value, width);
    test_print_marker();
    if (width == 8)
        out8(PORT_DEBUG_EXIT, (uint8_t)value);
    else if (width == 16)
        out16(PORT_DEBUG_EXIT, (uint16_t)value);
    else
        out32(PORT_DEBUG_EXIT, value);
    for (;;) { /* the machine may take a moment to end; if it never does, the runner sees */
        interrupts_off();
        halt();
    }
}
