/* 32-bit guests start without an interrupt table. Called by guest_start. */
#include "guest-tests/lib/start.h"

void arch_init(void)
{
}
