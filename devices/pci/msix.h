/*
 * MSI-X of one PCI function (PCI Local Bus 3.0, 6.8.2): capability, table, pending bits. A device
 * model embeds struct msix and passes on the accesses to the BAR ranges and the configuration
 * writes. All of it under the function's lock.
 */
#ifndef HV_PCI_MSIX_H
#define HV_PCI_MSIX_H

#include <stdint.h>

#include "devices/core/irq.h"
#include "devices/pci/pci.h"

#define MSIX_MAX_VECTORS 64
#define MSIX_ENTRY_SIZE  16u

struct msix {
    struct pci_function *function;
    struct msi_port port;
    unsigned count, cap; /* vectors; offset of the capability */
    uint8_t table[MSIX_MAX_VECTORS * MSIX_ENTRY_SIZE];
    uint64_t pending; /* a bit a vector */
    uint64_t open;    /* vectors that the port knows to be on */
};

/* Where in a BAR the table and the pending bits lie. */
struct msix_place {
    unsigned bar;
    uint32_t table, pending; /* offsets, multiples of 8 */
};

/* Adds the capability. count: 1 to MSIX_MAX_VECTORS. */
void msix_init(struct msix *m, struct pci_function *f, unsigned count,
               const struct msix_place *place, const struct msi_port *port);

/* Accesses to the table and to the pending bits, by offset from their start. What lies behind
 * them reads as zero. */
uint64_t msix_table_read(const struct msix *m, uint64_t offset, unsigned size);
void msix_table_write(struct msix *m, uint64_t offset, unsigned size, uint64_t value);
uint64_t msix_pending_read(const struct msix *m, uint64_t offset, unsigned size);

bool msix_is_on(const struct msix *m);

/* The configuration space was written. */
void msix_config_written(struct msix *m);

/* Sends, or keeps pending while masked. A number that is no vector is ignored, as is any while
 * MSI-X is off: the function has no other interrupt. */
void msix_send(struct msix *m, unsigned vector);

/* After pci_function_reset, pci_function_load. */
void msix_reset(struct msix *m);
void msix_save(const struct msix *m, struct state_writer *w);
int msix_load(struct msix *m, struct state_reader *r);

#endif
