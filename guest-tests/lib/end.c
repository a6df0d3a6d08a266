/* How a guest ends its run with a status: by the debug-exit port. See test.h. */
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/test.h"

void guest_exit(unsigned status)
{
    out32(PORT_DEBUG_EXIT, status);
    for (;;) {
        interrupts_off();
        halt();
    }
}
