/*
 * The PVH entry note of an ELF kernel: Xen's docs/misc/pvh.pandoc and elfnote.h (XEN_ELFNOTE_
 * PHYS32_ENTRY), in the note format of the ELF specification. Called by the ELF loader, main
 * thread.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "hv/loader/elf.h"

#define PHYS32_ENTRY 18

/* Linux has some 500 bytes of notes. Files that claim megabytes of them are not read through. */
#define NOTES_MAX   8192

#define NOTE_HEADER 12 /* namesz, descsz, type */

static int damaged(const struct image *img, const char *why)
{
    log_error("%s: damaged ELF notes: %s; copy the file again, or try --entry linux64", img->path,
              why);
    return -ENOEXEC;
}

/* Lengths are 32-bit and the sums 64-bit, so that nothing here can wrap. */
static int walk(const struct image *img, const uint8_t *notes, uint64_t len, uint64_t align,
                uint64_t *entry)
{
    uint64_t at = 0;

    while (at + NOTE_HEADER <= len) {
        uint64_t namesz = load_le32(notes + at), descsz = load_le32(notes + at + 4);
        uint64_t name = at + NOTE_HEADER, desc = align_up(name + namesz, align);
        bool pvh = load_le32(notes + at + 8) == PHYS32_ENTRY;

        /* The last note's padding may be missing. */
        if (name + namesz > len || (descsz > 0 && desc + descsz > len))
            return damaged(img, "a note runs past the end of its segment");
        if (pvh && namesz == 4 && memcmp(notes + name, "Xen", 4) == 0) {
            if (descsz != 4 && descsz != 8)
                return damaged(img, "the PVH entry has neither 4 nor 8 bytes");
            *entry = descsz == 4 ? load_le32(notes + desc) : load_le64(notes + desc);
            return 1;
        }
        at = align_up(desc + descsz, align); /* grows by at least NOTE_HEADER */
    }
    return 0;
}

/* One read of the whole segment: notes are small, and there are many of them. */
static int walk_segment(const struct image *img, const Elf64_Phdr *ph, uint64_t *entry)
{
    uint8_t notes[NOTES_MAX];
    int err;

    if (ph->p_filesz > sizeof(notes))
        return damaged(img, "a PT_NOTE segment is larger than 8192 bytes");
    err = image_read(img, ph->p_offset, notes, (size_t)ph->p_filesz);
    if (err == -ENODATA)
        return damaged(img, "a PT_NOTE segment lies outside of the file");
    if (err)
        return err;
    /* The specification says 8 for ELF64, but only segments that say so themselves follow it. */
    return walk(img, notes, ph->p_filesz, ph->p_align == 8 ? 8 : 4, entry);
}

int elf_find_pvh(const struct image *img, const struct elf *elf, uint64_t *entry)
{
    for (unsigned i = 0; i < elf->header.e_phnum; i++) {
        int found;

        if (elf->phdr[i].p_type != PT_NOTE)
            continue;
        found = walk_segment(img, &elf->phdr[i], entry);
        if (found)
            return found;
    }
    return 0;
}
