/*
 * Memory-mapped I/O where no device is: every width, aligned or not, across pages and across the
 * end of RAM. Reads give ones, writes are dropped, and the guest goes on.
 */
#include "guest-tests/lib/mmio.h"
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/paging.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/test.h"

const char guest_name[] = "mmio";

#define PAGE 4096

static uint64_t ones;

/* Writes first: what they leave behind would show in the reads. */
static void test_widths(uintptr_t at, const char *where)
{
    group_begin(where);
    mmio_write8(at, 0x12);
    mmio_write16(at, 0x1234);
    mmio_write32(at, 0x12345678);
    mmio_write64(at, 0x123456789abcdef0);
    check_equal(mmio_read8(at), ones & 0xff, "8 bits");
    check_equal(mmio_read16(at), ones & 0xffff, "16 bits");
    check_equal(mmio_read32(at), ones & 0xffffffff, "32 bits");
    check_equal(mmio_read64(at), ones, "64 bits");
    group_end();
}

/* Other instructions than MOV that touch memory: the hypervisor decodes each of them. */
static void test_instructions(uintptr_t at)
{
    uint64_t value = 0;
    uint8_t copy[24];
    void *to = copy, *from = (void *)at;
    size_t count = sizeof(copy);
    bool same = true;

    group_begin("instructions");
    __asm__ volatile("movzbl (%1), %k0" : "=r"(value) : "r"(at) : "memory");
    check_equal(value, ones & 0xff, "MOVZX");
    __asm__ volatile("movsbq (%1), %0" : "=r"(value) : "r"(at) : "memory");
    check_equal(value, ones, "MOVSX");
    value = 0x5a;
    __asm__ volatile("and (%1), %0" : "+r"(value) : "r"(at) : "memory", "cc");
    check_equal(value, ones & 0x5a, "AND from memory");
    __asm__ volatile("orl $1, (%0)" : : "r"(at) : "memory", "cc");
    check_equal(mmio_read32(at), ones & 0xffffffff, "OR to memory");
    value = 7;
    __asm__ volatile("xchg %k0, (%1)" : "+r"(value) : "r"(at) : "memory");
    check_equal(value, ones & 0xffffffff, "XCHG");

    memset(copy, 0x33, sizeof(copy));
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    for (unsigned i = 0; i < sizeof(copy); i++)
        same = same && copy[i] == (uint8_t)ones;
    check(same, "REP MOVSB to RAM");
    to = (void *)at;
    count = 6;
    __asm__ volatile("rep stosl" : "+D"(to), "+c"(count) : "a"(0) : "memory");
    check(to == (char *)at + 24, "REP STOSL");
    group_end();
}

/* Of the part below the device hole. */
static uintptr_t end_of_ram(void)
{
    uintptr_t end = 0;

    for (unsigned i = 0; i < boot_info.regions; i++) {
        const struct boot_region *r = &boot_info.region[i];

        /* Of any type: reserved and ACPI memory are RAM, too. */
        if (r->start + r->size <= MMIO_UNCLAIMED && r->start + r->size > end)
            end = (uintptr_t)(r->start + r->size);
    }
    return end;
}

/* The low bytes come from RAM, the high ones from nowhere. */
static void test_end_of_ram(void)
{
    uintptr_t end = end_of_ram();

    group_begin("end of RAM");
    mmio_write16(end - 2, 0x2211);
    check_equal(mmio_read32(end - 2), (ones & 0xffff) << 16 | 0x2211, "32 bits read across it");
    mmio_write32(end - 2, 0x66554433);
    check_equal(mmio_read16(end - 2), 0x4433, "32 bits written across it");
    mmio_write64(end - 1, 0x99);
    check_equal(mmio_read8(end - 1), 0x99, "64 bits written across it");
    check_equal(mmio_read64(end - 1), ones << 8 | 0x99, "64 bits read across it");
    group_end();
}

void guest_main(void)
{
    ones = on_qemu() ? 0 : UINT64_MAX; /* what QEMU answers for nobody */
    test_widths(MMIO_UNCLAIMED, "aligned");
    test_widths(MMIO_UNCLAIMED + 3, "unaligned");
    test_widths(MMIO_UNCLAIMED + PAGE - 1, "across a page");
    test_widths(MMIO_UNCLAIMED + PAGE - 5, "across a page in 5 and 3");
    test_instructions(MMIO_UNCLAIMED + 0x100);
    test_end_of_ram();
}
