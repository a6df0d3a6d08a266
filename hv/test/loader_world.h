/*
 * What the loader tests share: guest RAM between guard pages, files that live in memory, the lines
 * that were logged, and builders of small kernels. One world a process; world_reset begins a test.
 */
#ifndef HV_TEST_LOADER_WORLD_H
#define HV_TEST_LOADER_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/core/gmem.h"
#include "hv/loader/loader.h"

#define LOW_BYTES  (UINT64_C(64) << 20) /* RAM from 0 on, unless world_ram says otherwise */
#define HIGH_START (UINT64_C(4) << 30)

struct world {
    struct gmem mem;
    struct kernel_request req; /* image, mem and x86 formats set, the rest zero */
    struct image image;
    unsigned errors, warnings;
    char line[1024]; /* the last one logged */
};

extern struct world world;

/* Fresh zeroed RAM of LOW_BYTES, no reserved ranges, no log lines. */
void world_reset(void);

/* Other sizes (page multiples): RAM at 0 and at 4 GiB (0: none). Accesses beyond are fatal. */
void world_ram(uint64_t low, uint64_t high);

/* RAM in one piece from `start` on, as arm64 machines have it. */
void world_ram_at(uint64_t start, uint64_t size);

/* Host address of guest RAM. */
uint8_t *ram(uint64_t gpa);

/* A path that opens these bytes as a regular file; valid until world_reset. */
const char *file_of(const void *data, size_t len);

/* A file of `size` bytes that all read as zeroes and take no space. */
const char *sparse_file(uint64_t size);

/* Loads a file made of these bytes, or one at a path, and closes it. */
int load_bytes(const void *data, size_t len, struct kernel *out);
int load_path(const char *path, struct kernel *out);

/* Asserts that exactly one error line was logged, that it names the file and contains `text`. */
void expect_line(const char *path, const char *text);

/* A file under construction. Grows by itself; gaps are zeroes. */
struct blob {
    uint8_t data[128 * 1024];
    size_t len;
};

void blob_put(struct blob *b, size_t at, uint64_t value, size_t size); /* little-endian */
void blob_bytes(struct blob *b, size_t at, const void *data, size_t size);

/* Fills [at, at + size) with bytes that depend on the position: `seed`, seed + 1, ... mod 251. */
void blob_pattern(struct blob *b, size_t at, size_t size, unsigned seed);

/* Asserts that guest memory holds blob bytes [offset, offset + size) at `gpa`. */
void expect_loaded(const struct blob *b, size_t offset, uint64_t gpa, size_t size);

/* A good 64-bit bzImage, protocol 2.15: setup of 2 sectors and BZ_IMAGE bytes at offset 1536. */
#define BZ_OFFSET 1536
#define BZ_IMAGE  (64 * 1024)
#define BZ_PREF   (UINT64_C(16) << 20)
#define BZ_INIT   (UINT64_C(8) << 20)
void build_bzimage(struct blob *b);

/*
 * A good ELF with two PT_LOAD at 1 MiB (8 KiB of file) and 2 MiB (4 KiB of file, 64 KiB in memory).
 * Header 2 is PT_NULL, for tests to use; e_entry is 0x100010. Text at file offset 4096.
 */
#define ELF_TEXT      4096
#define ELF_TEXT_SIZE 8192
#define ELF_DATA      12288
#define ELF_DATA_SIZE 4096
#define ELF_NOTES     1024 /* file offset of what build_note makes */
#define ELF_PVH_NOTE  1044 /* of its second note, when the alignment is 4 */
#define ELF_TEXT_GPA  UINT64_C(0x100000)
#define ELF_DATA_GPA  UINT64_C(0x200000)
#define ELF_ENTRY     UINT64_C(0x100010)
void build_elf64(struct blob *b);
void build_elf32(struct blob *b);

/* Sets a field of program header `i`; works for both classes. */
enum phdr_field { PH_TYPE, PH_OFFSET, PH_VADDR, PH_PADDR, PH_FILESZ, PH_MEMSZ, PH_ALIGN };
void phdr_set(struct blob *b, unsigned i, enum phdr_field field, uint64_t value);

/* Adds PT_NOTE (header 2) with a Linux-like note before the PVH one. descsz is 4 or 8. */
void build_note(struct blob *b, uint64_t entry, unsigned descsz, unsigned align);

/*
 * A good arm64 Image: a header for 4 KiB pages, PE sections that say where the file ends, and
 * IMAGE_FILE bytes that take IMAGE_MEMORY.
 */
#define IMAGE_FILE   (48 * 1024)
#define IMAGE_MEMORY (128 * 1024)
#define IMAGE_PE     64
void build_image(struct blob *b);

/* A Multiboot header at `at`; `addresses` are the five address fields or NULL. */
void build_multiboot(struct blob *b, size_t at, uint32_t flags, const uint32_t addresses[5]);

#endif
