/*
 * The guest's side of a virtio device on PCI, for tests: a machine with a host bridge, guest memory
 * and a toy device with two queues that returns each buffer filled with 0xa5; the guest's accesses
 * go through the buses. Linked into every test program; one machine at a time.
 */
#ifndef HV_DEVICES_TEST_PCI_GUEST_H
#define HV_DEVICES_TEST_PCI_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/core/bus.h"
#include "devices/pci/pci.h"
#include "devices/test/driver.h"

#define PG_ECAM     0xe0000000u
#define PG_WINDOW   0xc0000000u
#define PG_SIZE     0x10000000u
#define PG_QUEUES   2
#define PG_VECTORS  (PG_QUEUES + 1)
#define PG_NO       0xffffu /* VIRTIO_MSI_NO_VECTOR */
#define PG_TOY_ID   2
#define PG_TOY_CFG  12
#define PG_MAX_BELL 16

/* Common configuration (4.1.4.3). */
enum {
    PG_DFSEL = 0,
    PG_DF = 4,
    PG_GFSEL = 8,
    PG_GF = 12,
    PG_CFGVEC = 16,
    PG_NQ = 18,
    PG_STATUS = 20,
    PG_GEN = 21,
    PG_QSEL = 22,
    PG_QSIZE = 24,
    PG_QVEC = 26,
    PG_QEN = 28,
    PG_QOFF = 30,
    PG_QDESC = 32,
    PG_QDRIVER = 40,
    PG_QDEVICE = 48,
    PG_QRESET = 58
};

struct pg_toy {
    struct virtio v;
    unsigned kicks, activated;
    bool hold; /* requests stay with the host: virtio_done ends them */
};

struct pg_bell {
    uint64_t addr;
    int fd;
};

struct pci_guest {
    struct bus port, mmio;
    struct pci_host *host;
    struct driver d; /* memory, loop and rings; not its registers */
    struct pg_toy *toy;
    struct dev *dev;
    struct pg_bell bell[PG_MAX_BELL];
    unsigned bells, adds, removes;
    bool on[PG_VECTORS];
    unsigned sent[PG_VECTORS];
    uint64_t bar; /* its address */
    int bell_error;
};

extern struct pci_guest pg;

/* A fixture: memory decoding is on, nothing is negotiated. */
void pg_setup(void);
void pg_teardown(void);

/* Another toy on the bus, whose creation returns `want`; pg.dev and pg.toy are then this one. */
void pg_attach(int want);

/* Accesses: to memory, to the function's configuration space, to the common configuration. */
uint64_t pg_peek(uint64_t addr, unsigned size);
void pg_poke(uint64_t addr, unsigned size, uint64_t value);
uint64_t pg_cfg(unsigned offset, unsigned size);
void pg_cfg_set(unsigned offset, unsigned size, uint64_t value);
uint64_t pg_cc(unsigned offset, unsigned size);
void pg_cc_set(unsigned offset, unsigned size, uint64_t value);

/* Offsets of capabilities, of a virtio type (4.1.4) or MSI-X; where a structure lies in memory. */
unsigned pg_find_cap(unsigned type);
unsigned pg_find_msix(void);
uint64_t pg_cap_address(unsigned type);
uint64_t pg_notify_address(unsigned queue);

/* MSI-X on, all vectors open: 0 for the configuration, then one a queue. A device reset unmaps
 * them. */
void pg_enable_messages(void);

/* From reset to FEATURES_OK; one queue; all of it up to DRIVER_OK with 16 entries a queue. */
void pg_negotiate(uint64_t wanted);
void pg_set_queue(unsigned queue, uint16_t size);
void pg_start(uint64_t wanted);

/* Adds a buffer and notifies by an exit; it must come back. */
void pg_echo(unsigned queue);

#endif
