/*
 * Inside the ELF loader only: the parts of the file that elf.c (segments, entry) and elf_note.c
 * (PVH note) share. Both classes are widened to the 64-bit structures when they are read.
 */
#ifndef HV_LOADER_ELF_H
#define HV_LOADER_ELF_H

#include <elf.h>

#include "hv/loader/plan.h"

struct elf {
    Elf64_Ehdr header;
    Elf64_Phdr phdr[PLAN_MAX_SEGMENTS]; /* header.e_phnum of them */
};

/*
 * Looks for the Xen note "PHYS32_ENTRY" (type 18), the kernel's PVH entry. Returns 1 and *entry
 * when found, 0 when there is none, -errno (logged) when the notes are damaged.
 */
int elf_find_pvh(const struct image *img, const struct elf *elf, uint64_t *entry);

#endif
