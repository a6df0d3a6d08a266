/*
 * What Arm's PrimeCell peripherals have in common: registers of 32 bits in a page of their own, and
 * at its end the bytes by which drivers tell the cells apart.
 */
#ifndef HV_DEVICES_PRIMECELL_H
#define HV_DEVICES_PRIMECELL_H

#include <stdint.h>

struct dev;

#define PRIMECELL_BYTES 0x1000 /* size of the window */

/* One register; `offset` is a multiple of 4 below the identification's. Under dev.lock. */
typedef uint32_t primecell_read_fn(struct dev *dev, uint64_t offset);
typedef void primecell_write_fn(struct dev *dev, uint64_t offset, uint32_t value);

/*
 * An access of any size at any offset. A read takes the bytes asked for out of each register that
 * they lie in. A write sets the register whose first byte it covers, the missing upper bytes being
 * 0, as byte accesses of drivers want it; other bytes are dropped. `part` is the peripheral
 * identification: part number in bits 0 to 11, designer 12 to 19, revision 20 to 23.
 */
uint64_t primecell_read(struct dev *dev, uint64_t offset, unsigned size, uint32_t part,
                        primecell_read_fn *fn);
void primecell_write(struct dev *dev, uint64_t offset, unsigned size, uint64_t value,
                     primecell_write_fn *fn);

#endif
