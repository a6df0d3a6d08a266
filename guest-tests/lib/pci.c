/* Configuration space by ports; see pci.h. */
#include "guest-tests/lib/pci.h"

#include "guest-tests/lib/io.h"

#define PORT_ADDRESS 0xcf8
#define PORT_DATA    0xcfc
#define ENABLE       0x80000000u
#define BAR_IO       1u
#define BAR_TYPE     6u
#define BAR_64       4u

static uint16_t select(uint32_t function, unsigned offset)
{
    out32(PORT_ADDRESS, ENABLE | function << 8 | (offset & 0xfcu));
    return (uint16_t)(PORT_DATA + (offset & 3));
}

uint32_t pci_read32(uint32_t function, unsigned offset)
{
    return in32(select(function, offset));
}

uint16_t pci_read16(uint32_t function, unsigned offset)
{
    return in16(select(function, offset));
}

uint8_t pci_read8(uint32_t function, unsigned offset)
{
    return in8(select(function, offset));
}

void pci_write32(uint32_t function, unsigned offset, uint32_t value)
{
    out32(select(function, offset), value);
}

void pci_write16(uint32_t function, unsigned offset, uint16_t value)
{
    out16(select(function, offset), value);
}

bool pci_present(void)
{
    out32(PORT_ADDRESS, ENABLE);
    return in32(PORT_ADDRESS) == ENABLE;
}

uint64_t pci_bar(uint32_t function, unsigned bar)
{
    unsigned offset = PCI_BAR + 4 * bar;
    uint32_t low = pci_read32(function, offset);

    if (low & BAR_IO)
        return 0;
    if ((low & BAR_TYPE) != BAR_64)
        return low & ~0xfu;
    return (low & ~0xfu) | (uint64_t)pci_read32(function, offset + 4) << 32;
}

unsigned pci_capability(uint32_t function, uint8_t id, unsigned after)
{
    unsigned at = pci_read8(function, after ? after + 1 : PCI_CAPABILITIES);

    /* 48 capabilities fill the space: a list that is longer runs in circles. */
    for (unsigned i = 0; at && i < 48; i++) {
        at &= 0xfc;
        if (pci_read8(function, at) == id)
            return at;
        at = pci_read8(function, at + 1);
    }
    return 0;
}
