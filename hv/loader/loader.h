/*
 * Kernel and initrd loaders. A file is hostile input: every field is read once, bounded, and the
 * whole layout is checked before a byte reaches guest memory. All of it runs before any vCPU.
 *
 * Errors: each function logs one line ("hv: FILE: what is wrong; how to mend it") and returns
 * -errno. Thread: main, at start-up.
 */
#ifndef HV_LOADER_H
#define HV_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gmem;

/* A file that is being loaded. Files are read with pread straight into guest memory: one copy, and
 * a file that shrinks meanwhile is a short read, where a mapped one would be a SIGBUS. */
struct image {
    const char *path; /* borrowed; for messages */
    int fd;           /* owned; -1: closed */
    uint64_t size;    /* bytes when it was opened; not 0 */
};

/* Opens a regular file read-only, never blocking (a FIFO, directory or device is refused). */
int image_open(struct image *img, const char *path);
void image_close(struct image *img);

/* Reads exactly [offset, offset + len). -ENODATA (nothing logged) when the file is shorter; other
 * errors are logged. */
int image_read(const struct image *img, uint64_t offset, void *buf, size_t len);

enum boot_protocol {
    BOOT_AUTO,      /* as a wish only: the loader chooses */
    BOOT_LINUX64,   /* Linux boot protocol, 64-bit entry (boot.rst, "64-bit BOOT PROTOCOL") */
    BOOT_LINUX32,   /* the same, 32-bit entry */
    BOOT_PVH,       /* Xen PVH start_info, 32-bit entry */
    BOOT_MULTIBOOT, /* Multiboot 0.6.96, 32-bit entry */
    BOOT_ARM64      /* Linux on arm64 (booting.rst); never a wish, for there is no other */
};

/* "linux64", "linux32", "pvh", "multiboot", "arm64", "auto". */
const char *boot_protocol_name(enum boot_protocol protocol);

/* Guest-physical ranges that hv itself fills; a kernel or initrd must not touch them. */
struct reserved_range {
    uint64_t gpa, size; /* bytes */
    const char *what;   /* for messages: "hv's boot data", "the ACPI tables" */
};

#define SETUP_HEADER_MAX 0x100 /* the setup header ends at most at file offset 0x200 + 0x69 */

struct kernel {
    enum boot_protocol protocol; /* never BOOT_AUTO */
    const char *format;          /* "bzImage", "ELF", "flat", "Image"; static */
    uint64_t entry;              /* GPA of the first instruction */
    uint64_t low, high;          /* footprint [low, high) in GPA, bss and init_size included */
    uint64_t initrd_min;         /* the initrd lies at this GPA or above; 0: anywhere */
    uint64_t initrd_max;         /* the initrd's last byte may lie at this GPA, no higher */
    uint32_t cmdline_max;        /* bytes without the NUL */
    uint32_t page_size;          /* Image only: of the kernel's pages, in bytes; 0: not known */

    /* bzImage only: file bytes 0x1f1.. as they must be copied into boot_params (boot.rst). */
    uint8_t setup_header[SETUP_HEADER_MAX];
    size_t setup_header_len; /* 0: no setup header in the file */
};

/* What an architecture boots (formats.c). hv/arch/<arch>/ names one; the linker drops the other's
 * loaders. */
struct kernel_formats;
extern const struct kernel_formats kernels_x86, kernels_arm64;

struct kernel_request {
    const struct image *image;
    const struct gmem *mem;
    const struct kernel_formats *formats;
    enum boot_protocol wish; /* BOOT_AUTO, or the one entry that the user insists on */
    const struct reserved_range *reserved;
    unsigned reserved_count;
};

/*
 * Recognises the format by its magic, picks the entry (PVH note, then a Multiboot header, then the
 * Linux 64-bit entry for ELF; 64-bit before 32-bit for bzImage) and loads it. Guest memory must be
 * fresh: bss is taken to be zero already, which spares touching its pages. On failure of a check
 * nothing has been written, but for a compressed file that turns out to be damaged.
 * -ENOEXEC: not a kernel we know, or damaged. -ENOMEM: does not fit in guest memory.
 */
int kernel_load(const struct kernel_request *req, struct kernel *out);

struct initrd {
    uint64_t gpa, size; /* size 0: none */
};

/*
 * Loads `count` files one after the other (each padded to 4 bytes, as the kernel's unpacker wants
 * between cpio archives) as high as kernel->initrd_max and RAM allow, page aligned, clear of the
 * kernel and of the reserved ranges. On arm64 that is within 32 GiB from the GiB the kernel lies in
 * (booting.rst, 2).
 */
int initrd_load(const struct kernel_request *req, const struct kernel *kernel,
                const char *const *paths, unsigned count, struct initrd *out);

/*
 * A place for the device tree of `size` bytes that keeps booting.rst's rules (2): above the kernel,
 * within 512 MiB of where its memory starts, which kernels before Linux 4.2 want, and not across a
 * multiple of 2 MiB; clear of the initrd and of the reserved ranges. -ENOMEM, logged: there is
 * none, or more than 2 MiB are asked for. Writes nothing.
 */
#define DTB_MAX_BYTES (UINT64_C(2) << 20)
int dtb_place(const struct kernel_request *req, const struct kernel *kernel,
              const struct initrd *initrd, uint64_t size, uint64_t *gpa);

struct boot_module {
    uint64_t gpa, size;  /* bytes */
    const char *cmdline; /* borrowed; the path as the user gave it */
};

/* Multiboot: each file is a module of its own, page aligned, above the kernel. */
int modules_load(const struct kernel_request *req, const struct kernel *kernel,
                 const char *const *paths, unsigned count, struct boot_module *out);

#endif
