/*
 * PCI: functions with a configuration space (PCI Local Bus 3.0, chapter 6), and the host bridge
 * that makes one bus of them, reached by ports 0xcf8 to 0xcff and by ECAM (PCI Express Base 4.0,
 * 7.2.2). A device model embeds struct pci_function as its first member.
 *
 * There is one window for memory BARs. The bus (devices/core/bus.h) knows only the window; which
 * function answers in it is looked up at each access, so that a guest may move BARs, let them
 * overlap (the lowest device number answers, then the lowest BAR) or leave them outside (nobody
 * answers) and no other device of the machine is touched.
 *
 * Locks: the host bridge's, then one function's. Configuration space and the place of BARs change
 * under both, so that either is enough to read them. BAR accesses reach the function under its own
 * lock only. Reset and load: no access is under way.
 */
#ifndef HV_PCI_H
#define HV_PCI_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/core/dev.h"

#define PCI_CONFIG_SIZE 256 /* conventional; the rest of ECAM's 4 KiB reads as zero */
#define PCI_ECAM_SIZE   (UINT32_C(1) << 20)
#define PCI_PORTS       0xcf8u
#define PCI_PORTS_SIZE  8u
#define PCI_MAX_BARS    6
#define PCI_SLOTS       32

/* Offsets of the header (6.1), for functions and tests. */
#define PCI_VENDOR_ID        0x00
#define PCI_DEVICE_ID        0x02
#define PCI_COMMAND          0x04
#define PCI_STATUS           0x06
#define PCI_REVISION         0x08
#define PCI_CLASS            0x09 /* three bytes: interface, subclass, class */
#define PCI_BAR0             0x10
#define PCI_SUBSYSTEM        0x2c
#define PCI_CAPABILITIES     0x34
#define PCI_INTERRUPT_LINE   0x3c

#define PCI_COMMAND_MEMORY   0x0002
#define PCI_COMMAND_MASTER   0x0004
#define PCI_STATUS_INTERRUPT 0x0008
#define PCI_STATUS_CAPS      0x0010

struct pci_function;
struct pci_host;
struct state_reader;
struct state_writer;

struct pci_function_ops {
    /* An access within BAR `bar`, as dev_ops has it. Under the function's lock. */
    uint64_t (*bar_read)(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size);
    void (*bar_write)(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size,
                      uint64_t value);

    /* Bytes [offset, offset + size) of the configuration space are about to be read, or have been
     * written. Both locks. May be NULL. */
    void (*config_reading)(struct pci_function *f, unsigned offset, unsigned size);
    void (*config_written)(struct pci_function *f, unsigned offset, unsigned size);
};

struct pci_bar {
    uint32_t size; /* bytes, a power of two; 0: there is no such BAR */
    bool wide;     /* 64 bits: takes the next BAR's place, too */

    /* Where it answers now. */
    bool mapped;
    uint64_t base;
};

struct pci_function {
    struct dev dev; /* not on a bus: read and write are never called */
    const struct pci_function_ops *ops;
    struct pci_bar bar[PCI_MAX_BARS];
    uint64_t window, window_size; /* the host's; 0 before pci_host_add */
    unsigned caps_end;            /* first byte that no capability has taken */
    uint8_t config[PCI_CONFIG_SIZE];
    uint8_t initial[PCI_CONFIG_SIZE];  /* at power-on */
    uint8_t writable[PCI_CONFIG_SIZE]; /* bits that the guest may change */
};

struct pci_id {
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint32_t class_code; /* class, subclass, interface: 0x010000 is SCSI storage */
    uint8_t revision;
};

/* Building: main thread, before pci_host_add. Wrong arguments are our bug. */
void pci_function_init(struct pci_function *f, const struct dev_ops *dev_ops,
                       const struct pci_function_ops *ops, const struct pci_id *id);
void pci_function_fini(struct pci_function *f);

/* A memory BAR of `size` bytes, not prefetchable. */
void pci_add_bar(struct pci_function *f, unsigned bar, uint32_t size, bool wide);

/* Appends a capability of `size` bytes, header included; returns its offset. All of it is
 * read-only until the caller fills `writable`. */
unsigned pci_add_capability(struct pci_function *f, uint8_t id, unsigned size);

/*
 * Configuration accesses of the guest: size 1, 2, 4 or 8 at any offset with offset + size <=
 * PCI_CONFIG_SIZE. Both locks.
 */
uint64_t pci_config_read(struct pci_function *f, unsigned offset, unsigned size);
void pci_config_write(struct pci_function *f, unsigned offset, unsigned size, uint64_t value);

/* For the dev_ops of a function, which brings up to date what it derives from the configuration
 * itself: config_written is for the guest's writes. load: -EINVAL when a read-only bit differs. */
void pci_function_reset(struct pci_function *f);
void pci_function_save(const struct pci_function *f, struct state_writer *w);
int pci_function_load(struct pci_function *f, struct state_reader *r);

/*
 * The host bridge, device 0. window: where BARs may lie, both aligned to the size, a power of two.
 * 0 or -errno. dev_destroy of pci_host_window frees it; functions must be destroyed before.
 */
int pci_host_create(uint32_t window, uint32_t window_size, struct pci_host **out);

/* To be put on the memory bus (the window, PCI_ECAM_SIZE bytes of ECAM) and on the port bus (at
 * PCI_PORTS). Only the window's is to be saved, loaded, reset and destroyed. */
struct dev *pci_host_window(struct pci_host *host);
struct dev *pci_host_ecam(struct pci_host *host);
struct dev *pci_host_ports(struct pci_host *host);

/* The requester ID that the next function will have: bus, device and function number (PCI Express
 * Base 4.0, 2.2.4.2). */
uint16_t pci_host_next_id(const struct pci_host *host);

/* Gives `f` (not owned) the next free device number, and its BARs addresses. -ENOSPC: no more
 * numbers or window. */
int pci_host_add(struct pci_host *host, struct pci_function *f);

#endif
