/*
 * The PCI configuration space of bus 0, through the two ports that every PC has (PCI Local Bus
 * Specification 3.0, 3.2.2.3.2). A function is named by device << 3 | function.
 */
#ifndef GUEST_PCI_H
#define GUEST_PCI_H

#include <stdbool.h>
#include <stdint.h>

#define PCI_ID              0x00 /* vendor in the low half, device in the high one */
#define PCI_COMMAND         0x04
#define PCI_CLASS           0x08 /* revision in the lowest byte */
#define PCI_BAR             0x10
#define PCI_CAPABILITIES    0x34

#define PCI_COMMAND_IO      1
#define PCI_COMMAND_MEMORY  2
#define PCI_COMMAND_MASTER  4
#define PCI_COMMAND_NO_INTX 0x400

#define PCI_CAP_VENDOR      0x09
#define PCI_CAP_MSIX        0x11

uint32_t pci_read32(uint32_t function, unsigned offset);
uint16_t pci_read16(uint32_t function, unsigned offset);
uint8_t pci_read8(uint32_t function, unsigned offset);
void pci_write32(uint32_t function, unsigned offset, uint32_t value);
void pci_write16(uint32_t function, unsigned offset, uint16_t value);

/* Whether there is a PCI bus at all. Without one its ports read as ones or zeros. */
bool pci_present(void);

/* Where a memory BAR lies; 0: it has no address or is none. */
uint64_t pci_bar(uint32_t function, unsigned bar);

/* The next capability with that number behind offset `after` (0: the first). 0: no more. */
unsigned pci_capability(uint32_t function, uint8_t id, unsigned after);

#endif
