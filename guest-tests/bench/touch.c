/*
 * How fast memory comes to a guest that uses it for the first time, and how fast it is then:
 *
 *   touch-bench: first ns-per-page 120 pages 126976
 *
 * A byte is written to each page of 4 KiB of RAM above 16 MiB, in ring 3.
 */
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/kvmclock.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/user.h"

const char guest_name[] = "touch";

#define PAGE  UINT64_C(4096)
#define FIRST (UINT64_C(16) << 20) /* the guest itself and what the loader left lie below */
#define END   (UINT64_C(4) << 30)  /* of what is mapped */

static uint64_t pages, elapsed;

static void touch(void)
{
    uint64_t start = rdtsc();

    pages = 0;
    for (unsigned i = 0; i < boot_info.regions; i++) {
        const struct boot_region *r = &boot_info.region[i];
        uint64_t from = r->start < FIRST ? FIRST : r->start;
        uint64_t to = r->start + r->size > END ? END : r->start + r->size;

        if (r->type != REGION_RAM)
            continue;
        for (; from + PAGE <= to; from += PAGE, pages++)
            *(volatile uint8_t *)(uintptr_t)from = 1;
    }
    elapsed = rdtsc() - start;
}

static void measure(const char *which, uint64_t tsc_khz)
{
    user_run(touch);
    if (check(pages > 0, "there is RAM above 16 MiB"))
        printf("touch-bench: %s ns-per-page %u pages %u\n", which,
               (unsigned)(elapsed * 1000000 / tsc_khz / pages), (unsigned)pages);
}

void guest_main(void)
{
    if (!kvmclock_start(0))
        skip("no KVM clock, so the counter's frequency is not known");
    measure("first", kvmclock_tsc_khz(0));
    measure("again", kvmclock_tsc_khz(0));
}
