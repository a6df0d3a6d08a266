/*
 * ELF kernels, 32 and 64 bit: Linux' vmlinux, Multiboot kernels, kvm-unit-tests. Segments go to
 * their physical addresses; the entry is, in this order, the PVH note's, the one of a Multiboot
 * kernel, or e_entry by the Linux 64-bit protocol. Called by kernel_load, main thread.
 */
#include "hv/loader/elf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/util.h"

/* A kernel that is entered in 32-bit mode may need its initrd in memory it maps at once. */
#define INITRD_MAX_32 0x37ffffff

/* x86 Linux' COMMAND_LINE_SIZE, without the NUL; an ELF file does not tell. */
#define LINUX_CMDLINE_MAX 2047

/* Only for the message: a kernel of the wrong machine is a common mistake. */
static const char *machine_name(unsigned machine)
{
    static const struct {
        unsigned machine;
        const char *name;
    } names[] = {{EM_AARCH64, "an arm64"}, {EM_ARM, "an ARM"},      {EM_RISCV, "a RISC-V"},
                 {EM_PPC64, "a POWER"},    {EM_S390, "an s390"},    {EM_MIPS, "a MIPS"},
                 {EM_IA_64, "an Itanium"}, {EM_SPARCV9, "a SPARC"}, {258, "a LoongArch"}};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (names[i].machine == machine)
            return names[i].name;
    }
    return "another machine's";
}

static bool elf_match(const struct head *head)
{
    return head->len >= SELFMAG && memcmp(head->data, ELFMAG, SELFMAG) == 0;
}

/* Both classes become the 64-bit form, so that everything after has one case to get right. */
static void widen_header(const uint8_t *data, Elf64_Ehdr *out)
{
    Elf32_Ehdr h;

    memcpy(&h, data, sizeof(h));
    memcpy(out->e_ident, h.e_ident, sizeof(out->e_ident));
    out->e_type = h.e_type;
    out->e_machine = h.e_machine;
    out->e_entry = h.e_entry;
    out->e_phoff = h.e_phoff;
    out->e_phentsize = h.e_phentsize;
    out->e_phnum = h.e_phnum;
}

static void widen_phdr(const uint8_t *data, Elf64_Phdr *out)
{
    Elf32_Phdr h;

    memcpy(&h, data, sizeof(h));
    *out = (Elf64_Phdr){.p_type = h.p_type,
                        .p_offset = h.p_offset,
                        .p_vaddr = h.p_vaddr,
                        .p_paddr = h.p_paddr,
                        .p_filesz = h.p_filesz,
                        .p_memsz = h.p_memsz,
                        .p_align = h.p_align};
}

static bool is_64(const struct elf *elf)
{
    return elf->header.e_ident[EI_CLASS] == ELFCLASS64;
}

/* A 32-bit file may name either machine: x86-64 kernels are often wrapped in ELF32 for Multiboot.
 */
static int check_machine(const char *path, const Elf64_Ehdr *h)
{
    bool x86 =
        h->e_machine == EM_X86_64 || (h->e_machine == EM_386 && h->e_ident[EI_CLASS] == ELFCLASS32);

    if (!x86) {
        log_error("%s: is %s kernel (ELF machine %u); this hv runs x86-64 guests", path,
                  machine_name(h->e_machine), h->e_machine);
        return -ENOEXEC;
    }
    if (h->e_type != ET_EXEC && h->e_type != ET_DYN) {
        log_error("%s: is an ELF file but no executable (type %u); give the linked kernel", path,
                  h->e_type);
        return -ENOEXEC;
    }
    return 0;
}

static int read_header(const struct image *img, const struct head *head, struct elf *elf)
{
    unsigned char class = head->len >= EI_NIDENT ? head->data[EI_CLASS] : 0;
    size_t need = class == ELFCLASS64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);

    if (head->len < need) {
        log_error("%s: truncated: %zu bytes are no whole ELF header; copy it again", img->path,
                  head->len);
        return -ENOEXEC;
    }
    if (head->data[EI_DATA] == ELFDATA2MSB) {
        log_error("%s: is a big-endian ELF file; this hv runs x86-64 guests", img->path);
        return -ENOEXEC;
    }
    if ((class != ELFCLASS32 && class != ELFCLASS64) || head->data[EI_DATA] != ELFDATA2LSB) {
        log_error("%s: damaged ELF header (class %u, data %u)", img->path, class,
                  head->data[EI_DATA]);
        return -ENOEXEC;
    }
    if (class == ELFCLASS64)
        memcpy(&elf->header, head->data, sizeof(elf->header));
    else
        widen_header(head->data, &elf->header);
    return check_machine(img->path, &elf->header);
}

/*
 * The table is bounded before it is read: more headers than a plan holds are nothing a linker
 * makes, and entries of another size would be read at the wrong offsets.
 */
static int read_phdrs(const struct image *img, struct elf *elf)
{
    const Elf64_Ehdr *h = &elf->header;
    size_t each = is_64(elf) ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    uint8_t raw[PLAN_MAX_SEGMENTS * sizeof(Elf64_Phdr)];
    int err;

    if (h->e_phnum == 0 || h->e_phnum > PLAN_MAX_SEGMENTS || h->e_phentsize != each) {
        log_error("%s: damaged ELF header: %u program headers of %u bytes (hv wants 1 to %d of "
                  "%zu)",
                  img->path, h->e_phnum, h->e_phentsize, PLAN_MAX_SEGMENTS, each);
        return -ENOEXEC;
    }
    err = image_read(img, h->e_phoff, raw, h->e_phnum * each);
    if (err == -ENODATA) {
        log_error("%s: truncated: its program headers lie at byte %" PRIu64
                  ", the file has %" PRIu64 "; copy it again",
                  img->path, h->e_phoff, img->size);
        return -ENOEXEC;
    }
    for (unsigned i = 0; !err && i < h->e_phnum; i++) {
        if (is_64(elf))
            memcpy(&elf->phdr[i], raw + i * each, each);
        else
            widen_phdr(raw + i * each, &elf->phdr[i]);
    }
    return err;
}

/*
 * Physical addresses count, as every boot protocol here starts without paging or with an identity
 * map. Empty segments are legal and skipped: linker scripts leave them behind.
 */
static int add_segments(struct plan *plan, const struct elf *elf)
{
    for (unsigned i = 0; i < elf->header.e_phnum; i++) {
        const Elf64_Phdr *ph = &elf->phdr[i];
        struct segment seg = {ph->p_offset, ph->p_filesz, ph->p_paddr, ph->p_memsz};
        char what[32];
        int err;

        if (ph->p_type != PT_LOAD || (ph->p_memsz == 0 && ph->p_filesz == 0))
            continue;
        snprintf(what, sizeof(what), "segment %u", i);
        if (!is_64(elf) && !range_fits(seg.gpa, seg.mem_size, 4 * GIB)) {
            log_error("%s: damaged: %s wraps around the end of the 32-bit address space",
                      plan->req->image->path, what);
            return -ENOEXEC;
        }
        err = plan_add(plan, what, &seg);
        if (err)
            return err;
    }
    if (plan->count > 0)
        return 0;
    log_error("%s: has nothing to load (no PT_LOAD segment)", plan->req->image->path);
    return -ENOEXEC;
}

/*
 * e_entry is a physical address in Linux and by the Multiboot specification, but kernels that run
 * in the upper half often leave it virtual: then the segment that holds it tells the difference.
 */
static uint64_t physical_entry(const struct plan *plan, const struct elf *elf)
{
    uint64_t entry = elf->header.e_entry;

    if (plan_has_code(plan, entry))
        return entry;
    for (unsigned i = 0; i < elf->header.e_phnum; i++) {
        const Elf64_Phdr *ph = &elf->phdr[i];

        if (ph->p_type == PT_LOAD && entry >= ph->p_vaddr && entry - ph->p_vaddr < ph->p_filesz)
            return entry - ph->p_vaddr + ph->p_paddr;
    }
    return entry;
}

/* All entries run with at most the first 4 GiB mapped. */
static int set_entry(struct plan *plan, enum boot_protocol protocol, uint64_t entry)
{
    if (entry > UINT32_MAX || !plan_has_code(plan, entry)) {
        log_error("%s: damaged: its %s entry 0x%" PRIx64 " lies in no loaded segment below 4 GiB",
                  plan->req->image->path, boot_protocol_name(protocol), entry);
        return -ENOEXEC;
    }
    plan->kernel.protocol = protocol;
    plan->kernel.entry = entry;
    return 0;
}

/* A program for Linux' user space names its interpreter; no kernel does. */
static bool is_program(const struct elf *elf)
{
    for (unsigned i = 0; i < elf->header.e_phnum; i++) {
        if (elf->phdr[i].p_type == PT_INTERP)
            return true;
    }
    return false;
}

/* All ways in have been declined: says which one the user asked for, or why none was found. */
static int no_entry(const struct plan *plan, const struct elf *elf)
{
    const char *path = plan->req->image->path;
    enum boot_protocol wish = plan->req->wish;

    if (wish == BOOT_PVH)
        log_error("%s: has no PVH note (Linux: CONFIG_PVH=y); leave out --entry", path);
    else if (wish == BOOT_MULTIBOOT)
        log_error("%s: has no Multiboot header in its first 8192 bytes; leave out --entry", path);
    else if (wish != BOOT_AUTO)
        log_error("%s: this ELF file has no %s entry; leave out --entry", path,
                  boot_protocol_name(wish));
    else if (is_program(elf))
        log_error("%s: is a program for an operating system, not a kernel", path);
    else
        log_error("%s: is a 32-bit ELF file with neither a PVH note nor a Multiboot header, hv "
                  "cannot tell how to start it",
                  path);
    return -ENOEXEC;
}

static bool wants(const struct plan *plan, enum boot_protocol protocol)
{
    return plan->req->wish == BOOT_AUTO || plan->req->wish == protocol;
}

static int plan_pvh(struct plan *plan, const struct elf *elf, uint64_t entry)
{
    int err = add_segments(plan, elf);

    plan->kernel.initrd_max = is_64(elf) ? UINT32_MAX : INITRD_MAX_32;
    return err ? err : set_entry(plan, BOOT_PVH, entry);
}

static int plan_multiboot(struct plan *plan, const struct elf *elf,
                          const struct multiboot_header *header)
{
    int err;

    /* Section 3.1.3: where they are given, the addresses count and the ELF headers do not. */
    if (multiboot_has_addresses(header))
        return multiboot_plan(plan, header);
    err = multiboot_accept(plan, header);
    if (!err)
        err = add_segments(plan, elf);
    return err ? err : set_entry(plan, BOOT_MULTIBOOT, physical_entry(plan, elf));
}

static int plan_linux64(struct plan *plan, const struct elf *elf)
{
    int err = add_segments(plan, elf);

    plan->kernel.initrd_max = UINT32_MAX;
    return err ? err : set_entry(plan, BOOT_LINUX64, physical_entry(plan, elf));
}

static int elf_plan(struct plan *plan, const struct head *head)
{
    const struct image *img = plan->req->image;
    struct multiboot_header multiboot;
    struct elf elf = {0};
    uint64_t entry = 0;
    int err = read_header(img, head, &elf);

    if (!err)
        err = read_phdrs(img, &elf);
    if (err)
        return err;
    plan->kernel.format = "ELF";
    plan->kernel.cmdline_max = LINUX_CMDLINE_MAX;
    /* Damaged notes end it here, since falling back would start another entry than yesterday. */
    if (wants(plan, BOOT_PVH)) {
        int found = elf_find_pvh(img, &elf, &entry);

        if (found)
            return found < 0 ? found : plan_pvh(plan, &elf, entry);
    }
    if (wants(plan, BOOT_MULTIBOOT) && multiboot_find(head, &multiboot))
        return plan_multiboot(plan, &elf, &multiboot);
    if (wants(plan, BOOT_LINUX64) && is_64(&elf) && !is_program(&elf))
        return plan_linux64(plan, &elf);
    return no_entry(plan, &elf);
}

const struct kernel_format kernel_elf = {elf_match, elf_plan};
