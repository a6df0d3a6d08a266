/*
 * Addresses that no device has: reads give all ones and writes go nowhere. Instructions of which
 * the processor does not tell what they move end in an external abort here, and hv goes on.
 */
#include "guest-tests/arm64/lib/board.h"
#include "guest-tests/arm64/lib/exception.h"
#include "guest-tests/lib/mmio.h"
#include "guest-tests/lib/test.h"

const char guest_name[] = "abort";

static void expect_abort(const char *what, uint32_t before)
{
    group_begin(what);
    check_equal(fault.count, before + 1, "faults");
    check_equal(ESR_CLASS(fault.esr), CLASS_DATA_ABORT, "class");
    check_equal(ESR_STATUS(fault.esr), STATUS_EXTERNAL, "status");
    group_end();
}

static void odd_instructions(uintptr_t at)
{
    uint64_t a = 1, b = 2, moving = at;
    uint32_t before = fault.count;

    __asm__ volatile("ldp %0, %1, [%2]" : "+r"(a), "+r"(b) : "r"(at) : "memory");
    expect_abort("ldp", before);
    before = fault.count;
    __asm__ volatile("stp %0, %1, [%2]" : : "r"(a), "r"(b), "r"(at) : "memory");
    expect_abort("stp", before);
    before = fault.count;
    __asm__ volatile("ldr %w0, [%1], #4" : "+r"(a), "+r"(moving) : : "memory");
    expect_abort("ldr with a write-back", before);
    before = fault.count;
    __asm__ volatile("str %w0, [%1, #8]!" : "+r"(a), "+r"(moving) : : "memory");
    expect_abort("str with a write-back", before);
}

void guest_main(void)
{
    check_equal(mmio_read8(MMIO_UNCLAIMED), 0xff, "8 bits");
    check_equal(mmio_read16(MMIO_UNCLAIMED), 0xffff, "16 bits");
    check_equal(mmio_read32(MMIO_UNCLAIMED), UINT32_MAX, "32 bits");
    check_equal(mmio_read64(MMIO_UNCLAIMED), UINT64_MAX, "64 bits");
    mmio_write64(MMIO_UNCLAIMED, 0);
    check_equal(mmio_read64(MMIO_UNCLAIMED), UINT64_MAX, "nothing was written");
    check_equal(fault.count, 0, "no fault so far");
    faults_expect(true);
    odd_instructions(MMIO_UNCLAIMED);
    odd_instructions(UART_BASE);
    faults_expect(false);
    check_equal(mmio_read32(MMIO_UNCLAIMED), UINT32_MAX, "all is as before");
}
