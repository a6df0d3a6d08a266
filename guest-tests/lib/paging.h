/* Page tables beyond the 4 GiB that page_map.S maps; 64-bit guests. */
#ifndef GUEST_PAGING_H
#define GUEST_PAGING_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Maps the 2 MiB around `address` to itself. False when the tables set aside for that are used up,
 * or the address is not below 512 GiB.
 */
bool paging_map_identity(uint64_t address);

#endif
