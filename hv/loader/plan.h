/*
 * Inside the loaders only: the plan of a load. The format's parser fills it in, every piece is
 * checked as it is added, and nothing is written to guest memory before the plan is whole.
 *
 * Every function that returns -errno has logged its line, unless it says otherwise. Thread: main,
 * at start-up.
 */
#ifndef HV_LOADER_PLAN_H
#define HV_LOADER_PLAN_H

#include "hv/loader/loader.h"

/* The first bytes of the file, read once. Multiboot headers lie within these 8192 (section 3.1). */
#define HEAD_BYTES 8192

struct head {
    uint8_t data[HEAD_BYTES];
    size_t len; /* less than HEAD_BYTES when the file is shorter */
};

/* A piece of the file and where it goes. What mem_size has beyond file_size stays as it is. */
struct segment {
    uint64_t offset, file_size; /* in the file; file_size 0: nothing to read */
    uint64_t gpa, mem_size;     /* mem_size is not 0 */
};

#define PLAN_MAX_SEGMENTS 64

struct plan {
    const struct kernel_request *req;
    struct kernel kernel; /* low == high: no segment yet */
    struct segment segment[PLAN_MAX_SEGMENTS];
    unsigned count;
    uint64_t least; /* Image only: bytes that the kernel's own header says the file has */

    /* Fills the segments; NULL: they are read from the file as they are. */
    int (*load)(const struct plan *plan);
    uint64_t packed, packed_size; /* for `load`: the compressed bytes in the file */
};

struct kernel_format {
    bool (*match)(const struct head *head);
    int (*plan)(struct plan *plan, const struct head *head); /* all of it, entry included */
};

extern const struct kernel_format kernel_elf, kernel_bzimage, kernel_flat; /* x86 */
extern const struct kernel_format kernel_image, kernel_image_gzip;         /* arm64 */

struct kernel_formats {
    const char *guests;                        /* for messages: "x86-64" */
    const char *wanted;                        /* likewise: what to give instead */
    const struct kernel_format *const *format; /* NULL-ended; the first that matches decides */
};

/*
 * Adds a segment, called `what` in messages, and widens the footprint. Refuses one that leaves the
 * file, wraps, lies outside of RAM, or meets a reserved range or an earlier segment.
 */
int plan_add(struct plan *plan, const char *what, const struct segment *seg);

/* True when `gpa` is a byte that comes out of the file (in bss there is no code yet). */
bool plan_has_code(const struct plan *plan, uint64_t gpa);

/* Reads all segments into guest memory, or has them unpacked there. */
int plan_load(const struct plan *plan);

/* Reads file bytes into guest memory that has been checked to be RAM. */
int image_load(const struct image *img, const struct gmem *mem, uint64_t gpa, uint64_t offset,
               uint64_t len);

/* Logs that `what` of file `path` needs RAM up to `end` and how to get it; returns -ENOMEM. */
int report_no_room(const struct gmem *mem, const char *path, const char *what, uint64_t end);

/* The first reserved range that has a byte in [start, end), or NULL. */
const struct reserved_range *reserved_in(const struct kernel_request *req, uint64_t start,
                                         uint64_t end);

/* Looking for a free place. Nothing here is from a file but size, align and the two bounds. */
struct place {
    const struct kernel_request *req; /* its RAM and its reserved ranges */
    uint64_t avoid, avoid_end;        /* one more range to stay clear of; equal: none */
    uint64_t size;                    /* bytes, not 0 */
    uint64_t align;                   /* power of two */
    uint64_t min, limit;              /* the place lies in [min, limit) */
};

/* The lowest or highest such place; false (nothing logged) when there is none. */
bool place_low(const struct place *place, uint64_t *gpa);
bool place_high(const struct place *place, uint64_t *gpa);

/* Multiboot 0.6.96, section 3.1. Only parsed, nothing checked yet. */
struct multiboot_header {
    uint32_t offset; /* of the header in the file */
    uint32_t flags;
    uint32_t header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr; /* 0 if absent */
};

bool multiboot_find(const struct head *head, struct multiboot_header *out);

/* True when the header itself says what to load where, whatever the file's format is. */
bool multiboot_has_addresses(const struct multiboot_header *header);

/* Refuses what the header requires and hv cannot give; sets protocol and limits. */
int multiboot_accept(struct plan *plan, const struct multiboot_header *header);

/* Plans from the address fields. */
int multiboot_plan(struct plan *plan, const struct multiboot_header *header);

/* arm64's Image, whose first bytes may come out of a compressed file: `have` bytes can be read as
 * they are, UINT64_MAX: nobody knows before they are unpacked. */
bool image_match(const struct head *head);
int image_plan(struct plan *plan, const struct head *head, uint64_t have);

/* Logs that the file is cut short, and returns -ENOEXEC, when it has less than the Image needs. */
int image_check_least(const struct plan *plan, uint64_t have);

/* Logs what the file seems to be and what to do about it; returns -ENOEXEC. */
int report_unknown(const struct kernel_request *req, const struct head *head);

#endif
