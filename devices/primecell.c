/* Accesses to PrimeCell peripherals: see primecell.h. Called on vCPU threads. */
#include "devices/primecell.h"

#include "devices/core/util.h"

/* Eight bytes, one a register: the peripheral's, then the PrimeCell's. */
#define ID_FIRST 0xfe0

static uint32_t id_register(uint64_t offset, uint32_t part)
{
    static const uint8_t cell[] = {0x0d, 0xf0, 0x05, 0xb1};
    unsigned i = (unsigned)(offset - ID_FIRST) / 4;

    return i < 4 ? part >> 8 * i & 0xff : cell[i - 4];
}

uint64_t primecell_read(struct dev *dev, uint64_t offset, unsigned size, uint32_t part,
                        primecell_read_fn *fn)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size;) {
        uint64_t at = offset + i;
        unsigned skip = at & 3, take = 4 - skip < size - i ? 4 - skip : size - i;
        uint32_t reg = at >= ID_FIRST ? id_register(at, part) : fn(dev, at & ~UINT64_C(3));

        value |= (reg >> 8 * skip & size_mask(take)) << 8 * i;
        i += take;
    }
    return value;
}

void primecell_write(struct dev *dev, uint64_t offset, unsigned size, uint64_t value,
                     primecell_write_fn *fn)
{
    for (unsigned i = 0; i < size; i++) {
        uint64_t at = offset + i;

        if (at % 4 == 0 && at < ID_FIRST)
            fn(dev, at, (uint32_t)((value & size_mask(size)) >> 8 * i));
    }
}
