/*
 * Port I/O: every width, on a device and on nothing, and string instructions with a count, which
 * reach a hypervisor as one exit for many accesses.
 *
 * Command line: `straddle` tests accesses across the edge of a device's range instead.
 */
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/uart.h"
#include "guest-tests/x86/pio_string.h"

const char guest_name[] = "pio";

#define SCRATCH (PORT_UART + UART_SCRATCH)

/*
 * A device of byte registers: a wide access is one for each byte, low byte at the low port. The
 * scratch register does nothing but keep a byte, and its neighbour MSR ignores writes.
 */
static void test_device(void)
{
    uint32_t all;

    group_begin("device");
    out8(SCRATCH, 0x5a);
    check_equal(in8(SCRATCH), 0x5a, "8 bits");
    out16(SCRATCH - 1, 0xa500);
    check_equal(in8(SCRATCH), 0xa5, "16 bits written");
    check_equal(in16(SCRATCH - 1) >> 8, 0xa5, "16 bits read: the high byte is the higher port");
    all = in32(SCRATCH - 3);
    check_equal(all >> 24, 0xa5, "32 bits read");
    check_equal(all & 0xff, in8(PORT_UART + UART_MCR),
                "32 bits read: the low byte is the lower port");
    out32(SCRATCH - 3, (all & 0xffffff) | 0x3cu << 24);
    check_equal(in8(SCRATCH), 0x3c, "32 bits written");
    group_end();
}

/* An open bus floats high: a driver that looks for its device must see ones, not zeroes. */
static void test_unclaimed(void)
{
    group_begin("unclaimed");
    out8(PORT_UNCLAIMED, 0);
    out16(PORT_UNCLAIMED, 0);
    out32(PORT_UNCLAIMED, 0);
    check_equal(in8(PORT_UNCLAIMED), 0xff, "8 bits read as ones");
    check_equal(in16(PORT_UNCLAIMED), 0xffff, "16 bits read as ones");
    check_equal(in32(PORT_UNCLAIMED), 0xffffffff, "32 bits read as ones");
    check_equal(in8(0xffff), 0xff, "the last port");
    group_end();
}

/* Each byte goes its own way: to the device, or to nobody. */
static void test_straddle(void)
{
    group_begin("straddle");
    out8(SCRATCH, 0x77);
    check_equal(in16(SCRATCH), 0xff77, "16 bits from the device's last port");
    check_equal(in32(SCRATCH), 0xffffff77, "32 bits from the device's last port");
    check_equal(in32(SCRATCH - 1) >> 8, 0xffff77, "32 bits, half of them on the device");
    check_equal(in16(PORT_UART - 1) & 0xff, 0xff, "16 bits, the second byte on the device");
    out16(SCRATCH, 0x1188);
    check_equal(in8(SCRATCH), 0x88, "16 bits written at the device's last port");
    out32(SCRATCH - 1, 0x22339900);
    check_equal(in8(SCRATCH), 0x99, "32 bits written, half of them on the device");
    check_equal(in16(PORT_UNCLAIMED + 1), 0xffff, "16 bits at an odd port");
    check_equal(in32(PORT_UNCLAIMED + 3), 0xffffffff, "32 bits at an odd port");
    check_equal(in32(0xfffe), 0xffffffff, "32 bits across the last port");
    out32(PORT_UNCLAIMED - 2, 0xffffffff);
    group_end();
}

void guest_main(void)
{
    if (cmdline_has("straddle")) {
        test_straddle();
        return;
    }
    test_device();
    test_unclaimed();
    pio_string_test();
}
