/*
 * Guest RAM: one memfd, mapped once, cut into the regions that the architecture wants (below and
 * above the hole under 4 GiB) and given to KVM as memory slots.
 */
#ifndef HV_MEMORY_H
#define HV_MEMORY_H

#include <stdint.h>

#include "devices/core/gmem.h"
#include "hv/config.h"

struct memory {
    uint8_t *host;     /* start of the mapping; NULL: none. Owned. */
    uint64_t size;     /* bytes */
    int fd;            /* the memfd; -1: none. Owned. */
    struct gmem guest; /* the same RAM by guest-physical address */
};

/*
 * Maps `size` bytes (page multiple) and places them around the hole [hole, hole_end): what does
 * not fit below continues at hole_end. Logs one line and returns -errno on failure.
 */
int memory_create(struct memory *mem, uint64_t size, enum memory_backing backing, uint64_t hole,
                  uint64_t hole_end);
void memory_destroy(struct memory *mem);

/* One slot a region, numbered from 0. Before KVM_CREATE_IRQCHIP, after which each is dear. */
int memory_register(const struct memory *mem, int vm);

/* Bytes of RAM in the host. */
uint64_t memory_host_total(void);

#endif
