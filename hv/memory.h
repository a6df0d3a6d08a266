/*
 * Guest RAM: one mapping, cut into the regions that the architecture wants (below and
 * above the hole under 4 GiB) and given to KVM as memory slots.
 */
#ifndef HV_MEMORY_H
#define HV_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/core/gmem.h"
#include "hv/config.h"

struct memory {
    uint8_t *host;     /* start of RAM, aligned to a huge page */
    uint64_t size;     /* bytes of RAM */
    int fd;            /* the memfd; -1: anonymous memory. Owned. */
    uint8_t *reserved; /* the mapping that `host` lies in; NULL: none. Owned. */
    uint64_t reserved_size;
    struct gmem guest; /* the same RAM by guest-physical address */
};

/*
 * Maps `size` bytes (page multiple) and places them around the hole [hole, hole_end): what does
 * not fit below continues at hole_end. `shared`: another process is to map it, too, so that it
 * must be a memfd. Logs one line and returns -errno on failure.
 */
int memory_create(struct memory *mem, uint64_t size, enum memory_backing backing, bool shared,
                  uint64_t hole, uint64_t hole_end);
void memory_destroy(struct memory *mem);

/* One slot a region, numbered from 0. Before KVM_CREATE_IRQCHIP, after which each is dear. */
int memory_register(const struct memory *mem, int vm);

/* Bytes of RAM in the host. */
uint64_t memory_host_total(void);

#endif
