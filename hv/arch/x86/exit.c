/* What an x86 exit says beyond the generic part, and the state of a stopped vCPU for people. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "devices/core/gmem.h"
#include "devices/core/util.h"
#include "hv/arch/arch.h"
#include "hv/arch/x86/x86.h"
#include "hv/kvm.h"
#include "hv/symbols.h"
#include "hv/vcpu.h"
#include "hv/vm.h"

#define CODE_BEFORE 16
#define CODE_AFTER  32

uint64_t arch_exit_rip(const struct kvm_run *run)
{
    /* Asked for at vcpu_create; KVM sets the bit when it fills the area. */
    return run->kvm_valid_regs & KVM_SYNC_X86_REGS ? run->s.regs.regs.rip : 0;
}

/* KVM's instruction emulator carries out every access. */
int arch_refuse_access(const struct vcpu *vcpu)
{
    (void)vcpu;
    return -ENOTSUP;
}

unsigned x86_read_linear(const struct vcpu *vcpu, uint64_t linear, void *buf, unsigned len)
{
    unsigned done = 0, n;

    for (; done < len; done += n) {
        struct kvm_translation t = {.linear_address = linear + done};

        n = 4096 - (unsigned)(t.linear_address % 4096);
        n = n < len - done ? n : len - done;
        if (kvm_ioctl(vcpu->fd, KVM_TRANSLATE, &t) || !t.valid ||
            gmem_read(&vcpu->vm->ram.guest, t.physical_address, (uint8_t *)buf + done, n))
            break;
    }
    return done;
}

/* The bytes at CS:RIP. In long mode CS has no base; elsewhere linear addresses wrap at 4 GiB. */
static unsigned code_bytes(const struct vcpu *vcpu, const struct kvm_sregs *sregs, uint64_t rip,
                           uint8_t *buf, unsigned len)
{
    bool long_code = (sregs->efer & EFER_LMA) && sregs->cs.l;

    return x86_read_linear(vcpu, long_code ? rip : (uint32_t)(sregs->cs.base + rip), buf, len);
}

/* The hidden part of a segment register as well: that is what the processor uses. */
static void dump_segment(FILE *out, const char *name, const struct kvm_segment *s)
{
    fprintf(out, "  %-4s %04x base %016" PRIx64 " limit %08x type %x%s dpl %u%s%s%s%s%s\n", name,
            s->selector, (uint64_t)s->base, s->limit, s->type, s->s ? "" : " system", s->dpl,
            s->present ? " present" : "", s->l ? " 64-bit" : "", s->db ? " 32-bit" : "",
            s->g ? " pages" : "", s->unusable ? " unusable" : "");
}

static void dump_sregs(FILE *out, const struct kvm_sregs *s)
{
    const struct {
        const char *name;
        const struct kvm_segment *segment;
    } segments[] = {{"cs", &s->cs}, {"ds", &s->ds}, {"es", &s->es}, {"fs", &s->fs},
                    {"gs", &s->gs}, {"ss", &s->ss}, {"tr", &s->tr}, {"ldt", &s->ldt}};

    for (unsigned i = 0; i < ARRAY_SIZE(segments); i++)
        dump_segment(out, segments[i].name, segments[i].segment);
    fprintf(out, "  gdt  base %016" PRIx64 " limit %04x    idt  base %016" PRIx64 " limit %04x\n",
            (uint64_t)s->gdt.base, s->gdt.limit, (uint64_t)s->idt.base, s->idt.limit);
    fprintf(out,
            "  cr0 %016" PRIx64 " cr2 %016" PRIx64 " cr3 %016" PRIx64 "\n"
            "  cr4 %016" PRIx64 " cr8 %016" PRIx64 " efer %016" PRIx64 "\n",
            (uint64_t)s->cr0, (uint64_t)s->cr2, (uint64_t)s->cr3, (uint64_t)s->cr4,
            (uint64_t)s->cr8, (uint64_t)s->efer);
}

/* Bytes in front of the instruction pointer show what led there; <xx> marks where it stands. */
static void dump_code(FILE *out, const struct vcpu *vcpu, const struct kvm_regs *regs,
                      const struct kvm_sregs *sregs)
{
    uint8_t code[CODE_BEFORE + CODE_AFTER];
    unsigned before = regs->rip >= CODE_BEFORE ? CODE_BEFORE : 0, got;

    got = code_bytes(vcpu, sregs, regs->rip - before, code, before + CODE_AFTER);
    if (got <= before) { /* the bytes in front may lie in an unmapped page */
        before = 0;
        got = code_bytes(vcpu, sregs, regs->rip, code, CODE_AFTER);
    }
    fprintf(out, "  code:");
    for (unsigned i = 0; i < got; i++)
        fprintf(out, i == before ? " <%02x>" : " %02x", code[i]);
    fprintf(out, got ? "\n" : " not readable: rip is not mapped to RAM\n");
}

void arch_dump(FILE *out, const struct vcpu *vcpu)
{
    static const char state[][14] = {"running", "uninitialized", "init received", "halted",
                                     "sipi received"};
    struct kvm_mp_state mp = {0};
    char where[SYMBOL_TEXT_MAX];
    struct kvm_sregs s;
    struct kvm_regs r;

    if (kvm_ioctl(vcpu->fd, KVM_GET_REGS, &r) || kvm_ioctl(vcpu->fd, KVM_GET_SREGS, &s)) {
        fprintf(out, "vCPU %u: registers are not readable\n", vcpu->id);
        return;
    }
    kvm_ioctl(vcpu->fd, KVM_GET_MP_STATE, &mp);
    fprintf(out, "vCPU %u (%s)\n", vcpu->id,
            mp.mp_state < ARRAY_SIZE(state) ? state[mp.mp_state] : "in another state");
    fprintf(out,
            "  rip %016" PRIx64 "%s rflags %016" PRIx64 "\n"
            "  rax %016" PRIx64 " rbx %016" PRIx64 " rcx %016" PRIx64 " rdx %016" PRIx64 "\n"
            "  rsi %016" PRIx64 " rdi %016" PRIx64 " rsp %016" PRIx64 " rbp %016" PRIx64 "\n"
            "  r8  %016" PRIx64 " r9  %016" PRIx64 " r10 %016" PRIx64 " r11 %016" PRIx64 "\n"
            "  r12 %016" PRIx64 " r13 %016" PRIx64 " r14 %016" PRIx64 " r15 %016" PRIx64 "\n",
            (uint64_t)r.rip, symbols_describe(&vcpu->vm->symbols, r.rip, false, where),
            (uint64_t)r.rflags, (uint64_t)r.rax, (uint64_t)r.rbx, (uint64_t)r.rcx, (uint64_t)r.rdx,
            (uint64_t)r.rsi, (uint64_t)r.rdi, (uint64_t)r.rsp, (uint64_t)r.rbp, (uint64_t)r.r8,
            (uint64_t)r.r9, (uint64_t)r.r10, (uint64_t)r.r11, (uint64_t)r.r12, (uint64_t)r.r13,
            (uint64_t)r.r14, (uint64_t)r.r15);
    dump_sregs(out, &s);
    dump_code(out, vcpu, &r, &s);
}

/* The reset state of a processor (APM volume 2, 14.1.3). */
static bool is_reset_state(const struct kvm_regs *r, const struct kvm_sregs *s)
{
    return s->cs.selector == 0xf000 && r->rip == 0xfff0 && !(s->cr0 & CR0_PE);
}

const char *arch_explain(const struct vcpu *vcpu)
{
    struct kvm_sregs s;
    struct kvm_regs r;

    if (kvm_ioctl(vcpu->fd, KVM_GET_REGS, &r) || kvm_ioctl(vcpu->fd, KVM_GET_SREGS, &s))
        return NULL;
    if (is_reset_state(&r, &s))
        return "KVM on AMD resets the vCPU at a triple fault, so its registers tell nothing; the "
               "last exits show where the guest was";
    return x86_state_rule(&r, &s);
}
