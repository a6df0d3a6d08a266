/*
 * The names of a guest kernel's functions (--symbols), from an ELF file with a symbol table or from
 * text like System.map's and /proc/kallsyms' ("ffffffff81000000 T _stext"). Opened and recognised
 * when hv starts, read only when a report is made.
 *
 * The file may hold anything: every offset in it is checked, what is read of it is bounded, and a
 * line or entry that makes no sense is left out. Thread: main.
 */
#ifndef HV_SYMBOLS_H
#define HV_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hv/loader/loader.h"

#define SYMBOL_TEXT_MAX 128 /* a formatted address with its NUL; longer names are cut */

/* In ascending order of how much they say of an address that they share. */
enum symbol_kind { SYMBOL_DATA, SYMBOL_MODULE, SYMBOL_CODE };

struct symbol {
    uint64_t address; /* as linked */
    uint32_t name;    /* its offset in `names` */
    enum symbol_kind kind;
};

/* One with image.fd -1 and else zeroed is valid and empty. */
struct symbols {
    struct image image;
    struct symbol *symbol; /* ascending; owned; NULL: not loaded */
    size_t count;
    char *names;     /* owned; each ends in a NUL */
    uint64_t offset; /* from the addresses in the file to the guest's (KASLR) */
    bool located;    /* `offset` is known: names can be told */
};

/* 0, or -errno after one line when the file cannot be read or is of no known form. `path` must
 * stay. */
int symbols_open(struct symbols *s, const char *path);

/* Reads all of them. 0 or -errno after one line. */
int symbols_load(struct symbols *s);

void symbols_close(struct symbols *s);

/* The address that the file gives to `name`; false: it has none of that name. */
bool symbols_find(const struct symbols *s, const char *name, uint64_t *address);

/*
 * Learns the offset from one symbol, which the guest has at `address`. A file without that symbol
 * is of no kernel that moves itself. False: 0, which nobody knows, or nowhere that it can be.
 */
bool symbols_locate(struct symbols *s, const char *name, uint64_t address);

/*
 * " func+0x12/0x40", with the blank, for a guest's address, or "" when it lies in no known
 * function. With `returns` the address is the one behind a call, which may be the last instruction
 * of its function.
 */
const char *symbols_describe(const struct symbols *s, uint64_t address, bool returns,
                             char buf[SYMBOL_TEXT_MAX]);

#endif
