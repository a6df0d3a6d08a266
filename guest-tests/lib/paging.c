/* Adds identity-mapped 2 MiB pages (SDM volume 3, 4.5). Called by tests on the boot processor. */
#include "guest-tests/lib/paging.h"

#include <stddef.h>

#define ENTRIES    512
#define TABLE_BITS 0x27u /* present, writable, user, accessed */
#define LEAF_BITS  0xe7u /* and dirty, large */
#define SPARES     16

#define GIB        (UINT64_C(1) << 30)
#define LARGE_PAGE (UINT64_C(1) << 21)

/* The level-3 table of page_map.S: one entry for each GiB of the first 512. */
extern uint64_t page_directory_pointers[ENTRIES];

/* Level-2 tables that wait to be used: there is no allocator. */
static uint64_t spare[SPARES][ENTRIES] __attribute__((aligned(4096)));
static unsigned spares_used;

bool paging_map_identity(uint64_t address)
{
    uint64_t *directory, *pointer;

    if (address >= ENTRIES * GIB)
        return false;
    pointer = &page_directory_pointers[address / GIB];
    if (!*pointer) {
        if (spares_used == SPARES)
            return false;
        *pointer = (uintptr_t)spare[spares_used++] | TABLE_BITS;
    }
    directory = (uint64_t *)(uintptr_t)(*pointer & ~UINT64_C(0xfff));
    /* An entry that was absent is not cached by the CPU, so nothing must be invalidated. */
    if (!directory[address / LARGE_PAGE % ENTRIES])
        directory[address / LARGE_PAGE % ENTRIES] = (address & ~(LARGE_PAGE - 1)) | LEAF_BITS;
    return true;
}
