/*
 * Very many accesses that no device claims: the hypervisor answers each, and neither fills its log
 * nor slows down. Command line: count=N (100000).
 */
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/mmio.h"
#include "guest-tests/lib/test.h"

const char guest_name[] = "storm";

void guest_main(void)
{
    uint32_t count = (uint32_t)cmdline_number("count", 100000), wrong = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint16_t port = (uint16_t)(PORT_UNCLAIMED + i % 1024);

        if (i % 4 == 0)
            out16(port, (uint16_t)i);
        else if (i % 4 == 1)
            mmio_write32(MMIO_UNCLAIMED + i * 4 % 65536, i);
        else
            wrong += in8(port) != 0xff;
    }
    check_equal(wrong, 0, "%u accesses to nobody", count);
}
