/* A reader of flattened device trees (Devicetree Specification 0.4, section 5), for tests. */
#ifndef GUEST_ARM64_DTB_H
#define GUEST_ARM64_DTB_H

#include <stdint.h>

/* Called by guest_start. */
void dtb_open(uintptr_t at);

uint32_t dtb_size(void); /* bytes; 0: there is no tree */

/*
 * The property `name` of the first node whose own name begins with `node` ("" is the root): its
 * bytes, and their number in *len. NULL: there is none.
 */
const void *dtb_property(const char *node, const char *name, uint32_t *len);

/* The nth cell of 32 bits of a property; 0 if there is none. */
uint32_t dtb_cell(const char *node, const char *name, unsigned nth);

/* How many nodes have names that begin with `node`. */
unsigned dtb_count(const char *node);

#endif
