/*
 * Registers at the kernel's first instruction, for each boot protocol, and --set-reg, which changes
 * one of them by name.
 */
#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/util.h"
#include "firmware/boot_x86.h"
#include "hv/arch/arch.h"
#include "hv/arch/x86/layout.h"
#include "hv/arch/x86/x86.h"

#define SEGMENT_CODE 0xb /* execute, read, accessed */
#define SEGMENT_DATA 0x3 /* read, write, accessed */
#define SEGMENT_TSS  0xb /* 32/64-bit TSS, busy: what a processor in use has loaded */

/* Same contents as the descriptor table that gdt_build writes. */
static struct kvm_segment flat_segment(uint16_t selector, uint8_t type, bool long_code)
{
    return (struct kvm_segment){.limit = 0xffffffff,
                                .selector = selector,
                                .type = type,
                                .present = 1,
                                .db = !long_code,
                                .s = 1,
                                .l = long_code,
                                .g = 1};
}

/*
 * The TSS is busy and the LDT unusable since VMX wants them so (SDM volume 3, 27.3.1.2); AMD does
 * not mind.
 */
static void set_segments(struct kvm_sregs *s, bool long_mode)
{
    struct kvm_segment data = flat_segment(BOOT_DS, SEGMENT_DATA, false);

    s->cs = flat_segment(BOOT_CS, SEGMENT_CODE, long_mode);
    s->ds = s->es = s->fs = s->gs = s->ss = data;
    s->tr = (struct kvm_segment){
        .limit = 0x67, .selector = BOOT_TSS, .type = SEGMENT_TSS, .present = 1};
    s->ldt = (struct kvm_segment){.unusable = 1};
    s->gdt.base = LAYOUT_GDT;
    s->gdt.limit = GDT_BYTES - 1;
    s->idt.base = 0;
    s->idt.limit = 0; /* no exception before the kernel has set up its own */
}

void x86_entry_state(const struct kernel *kernel, uint64_t info_gpa, struct x86_entry *entry)
{
    bool long_mode = kernel->protocol == BOOT_LINUX64;
    struct kvm_sregs *s = &entry->sregs;

    entry->regs = (struct kvm_regs){.rip = kernel->entry, .rflags = 2};
    set_segments(s, long_mode);
    s->cr0 = CR0_PE | CR0_ET;
    s->cr4 = 0;
    s->efer = 0;
    switch (kernel->protocol) {
    case BOOT_LINUX64: /* boot.rst, 64-bit boot protocol: rsi = boot_params, identity paging */
        s->cr0 |= CR0_PG;
        s->cr3 = LAYOUT_PAGE_TABLES;
        s->cr4 = CR4_PAE;
        s->efer = EFER_LME | EFER_LMA;
        entry->regs.rsi = info_gpa;
        break;
    case BOOT_LINUX32: /* boot.rst, 32-bit boot protocol: esi = boot_params; ebp, edi, ebx 0 */
        entry->regs.rsi = info_gpa;
        break;
    case BOOT_PVH: /* Xen, x86/HVM direct boot ABI: ebx = start_info */
        entry->regs.rbx = info_gpa;
        break;
    case BOOT_MULTIBOOT: /* Multiboot 0.6.96, 3.2: eax = magic, ebx = information */
        entry->regs.rax = MULTIBOOT_BOOT_MAGIC;
        entry->regs.rbx = info_gpa;
        break;
    case BOOT_AUTO:
    case BOOT_ARM64: /* no loader of this architecture says so */
        break;
    }
}

/* How --set-reg finds a register in struct x86_entry. */
struct register_name {
    const char *name;
    uint16_t offset, size; /* bytes */
};

#define REG(field)                                                                                 \
    {                                                                                              \
#field, offsetof(struct x86_entry, regs.field), 8                                          \
    }
#define SREG(field)                                                                                \
    {                                                                                              \
#field, offsetof(struct x86_entry, sregs.field), 8                                         \
    }

static const struct register_name registers[] = {
    REG(rax), REG(rbx),    REG(rcx),  REG(rdx),  REG(rsi),  REG(rdi),  REG(rsp),   REG(rbp),
    REG(r8),  REG(r9),     REG(r10),  REG(r11),  REG(r12),  REG(r13),  REG(r14),   REG(r15),
    REG(rip), REG(rflags), SREG(cr0), SREG(cr2), SREG(cr3), SREG(cr4), SREG(efer),
};

static const struct register_name segments[] = {
    {"cs", offsetof(struct x86_entry, sregs.cs), 0},
    {"ds", offsetof(struct x86_entry, sregs.ds), 0},
    {"es", offsetof(struct x86_entry, sregs.es), 0},
    {"fs", offsetof(struct x86_entry, sregs.fs), 0},
    {"gs", offsetof(struct x86_entry, sregs.gs), 0},
    {"ss", offsetof(struct x86_entry, sregs.ss), 0},
    {"tr", offsetof(struct x86_entry, sregs.tr), 0},
    {"ldt", offsetof(struct x86_entry, sregs.ldt), 0},
};

#define FIELD(field)                                                                               \
    {                                                                                              \
#field, offsetof(struct kvm_segment, field), sizeof(((struct kvm_segment *)0)->field)      \
    }

static const struct register_name segment_fields[] = {
    FIELD(base), FIELD(limit), FIELD(selector), FIELD(type), FIELD(present),  FIELD(dpl),
    FIELD(db),   FIELD(s),     FIELD(l),        FIELD(g),    FIELD(unusable),
};

static const struct register_name *find_name(const struct register_name *table, unsigned count,
                                             const char *name, size_t len)
{
    for (unsigned i = 0; i < count; i++)
        if (strlen(table[i].name) == len && strncmp(table[i].name, name, len) == 0)
            return &table[i];
    return NULL;
}

/* Resolves "rip" or "cs.db"; false when there is no such register. */
static bool resolve(const char *name, size_t len, size_t *offset, size_t *size)
{
    const char *dot = memchr(name, '.', len);
    const struct register_name *r, *f;

    if (!dot) {
        r = find_name(registers, ARRAY_SIZE(registers), name, len);
        if (!r)
            return false;
        *offset = r->offset;
        *size = r->size;
        return true;
    }
    r = find_name(segments, ARRAY_SIZE(segments), name, (size_t)(dot - name));
    f = find_name(segment_fields, ARRAY_SIZE(segment_fields), dot + 1,
                  len - (size_t)(dot - name) - 1);
    if (!r || !f)
        return false;
    *offset = (size_t)r->offset + f->offset;
    *size = f->size;
    return true;
}

/* The field is found by name and written through its offset, whatever its size. */
int x86_set_reg(struct x86_entry *entry, const char *text)
{
    const char *equals = strchr(text, '=');
    size_t offset, size;
    uint64_t value;
    uint8_t bytes[8];
    char *end;

    if (!equals || !isdigit((unsigned char)equals[1]) ||
        !resolve(text, (size_t)(equals - text), &offset, &size))
        return -EINVAL;
    errno = 0;
    value = strtoull(equals + 1, &end, 0);
    if (errno || *end || value & ~size_mask((unsigned)size))
        return -EINVAL;
    store_le64(bytes, value); /* x86 is little-endian, as is the host that runs it */
    memcpy((uint8_t *)entry + offset, bytes, size);
    return 0;
}

bool arch_set_reg_known(const char *text)
{
    struct x86_entry scratch;

    return x86_set_reg(&scratch, text) == 0;
}
