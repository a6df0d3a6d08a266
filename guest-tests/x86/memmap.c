/*
 * The memory map that the boot loader tells: its entries make sense, and there really is memory at
 * both ends of each one. Command line: ram=MIB, how much there must be in all.
 */
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/mmio.h"
#include "guest-tests/lib/paging.h"
#include "guest-tests/lib/test.h"

const char guest_name[] = "memmap";

#define MIB        (UINT64_C(1) << 20)
#define HOLE_START UINT64_C(0xc0000000)
#define HOLE_END   UINT64_C(0x100000000)

static void print_map(void)
{
    printf("memory map by %s:\n", boot_protocol());
    for (unsigned i = 0; i < boot_info.regions; i++) {
        const struct boot_region *r = &boot_info.region[i];

        printf("  %016llx-%016llx type %u\n", (unsigned long long)r->start,
               (unsigned long long)(r->start + r->size - 1), r->type);
    }
}

/* Devices are there, so memory cannot be; the way a map counts it is the loader's bug. */
static bool touches_hole(const struct boot_region *r)
{
    return r->start < HOLE_END && r->start + r->size > HOLE_START;
}

/* Linux sorts and repairs what it is told; small kernels take it as it is. */
static void test_entries(void)
{
    bool sized = true, sorted = true, hole_free = true;
    uint64_t end = 0;

    for (unsigned i = 0; i < boot_info.regions; i++) {
        const struct boot_region *r = &boot_info.region[i];

        sized = sized && r->size && r->start + r->size > r->start;
        sorted = sorted && r->start >= end;
        end = r->start + r->size;
        hole_free = hole_free && (r->type != REGION_RAM || !touches_hole(r));
    }
    check(boot_info.regions > 0, "there are entries");
    check(sized, "none is empty or wraps");
    check(sorted, "they are sorted and do not overlap");
    check(hole_free, "no RAM where devices live");
    check_equal(boot_info.region[0].start, 0, "the first starts at 0");
    check_equal(boot_info.region[0].type, REGION_RAM, "and is RAM");
}

/* Memory keeps what is written, and gets its old content back: it may be ours. */
static bool is_memory(uint64_t address)
{
    uintptr_t at = (uintptr_t)address;
    uint8_t old, inverse;
    bool good;

    if (!paging_map_identity(address))
        return false;
    old = mmio_read8(at);
    inverse = (uint8_t)~old;
    mmio_write8(at, inverse);
    good = mmio_read8(at) == inverse;
    mmio_write8(at, old);
    return good && mmio_read8(at) == old;
}

static void test_ends(void)
{
    uint64_t total = 0, want = cmdline_number("ram", 0) * MIB;

    for (unsigned i = 0; i < boot_info.regions; i++) {
        const struct boot_region *r = &boot_info.region[i];

        if (r->type != REGION_RAM)
            continue;
        total += r->size;
        check(is_memory(r->start) && is_memory(r->start + r->size - 1),
              "RAM at both ends of region %u", i);
    }
    check(total <= want && total + MIB >= want, "RAM in all: %llu KiB",
          (unsigned long long)(total >> 10));
}

void guest_main(void)
{
    print_map();
    test_entries();
    test_ends();
}
