/*
 * The way by which an x86 vCPU came to where it is. Stock Linux kernels keep no frame pointers
 * (their unwinder has tables of its own, ORC), so what is on the stack has to be guessed: by the
 * call instruction in front of the address to which it returns.
 */
#include <string.h>

#include "devices/core/util.h"
#include "hv/arch/arch.h"
#include "hv/arch/x86/x86.h"
#include "hv/kvm.h"
#include "hv/vcpu.h"
#include "hv/vm.h"

#define STACK_BYTES 8192
#define MSR_LSTAR   0xc0000082
#define CALL_REACH  (INT64_C(1) << 31)

/* CALL rel32, or CALL r/m64 with its ModRM, SIB and displacement (SDM volume 2, 2.1 and "CALL"). */
bool x86_ends_in_call(const uint8_t code[X86_CALL_MAX])
{
    uint8_t padded[X86_CALL_MAX + 1] = {0};

    memcpy(padded, code, X86_CALL_MAX);
    if (code[X86_CALL_MAX - 5] == 0xe8)
        return true;
    for (unsigned n = 2; n <= X86_CALL_MAX; n++) {
        const uint8_t *p = padded + X86_CALL_MAX - n;
        unsigned mode = p[1] >> 6, base = p[1] & 7, size = 2;

        if (p[0] != 0xff || (p[1] >> 3 & 7) != 2)
            continue;
        if (mode != 3 && base == 4) {
            size++;
            base = p[2] & 7;
        }
        if (mode == 1)
            size++;
        else if (mode == 2 || (mode == 0 && base == 5))
            size += 4;
        if (size == n)
            return true;
    }
    return false;
}

static uint64_t slot_value(const struct x86_stack *s, size_t at)
{
    return s->width == 8 ? load_le64(s->bytes + at) : load_le32(s->bytes + at);
}

/* A direct call reaches 2 GiB, and so far apart is nothing in a kernel. */
static bool returns_to(const struct x86_stack *s, uint64_t address)
{
    int64_t distance = (int64_t)(address - s->rip);

    return distance > -CALL_REACH && distance < CALL_REACH && s->follows_call(s->opaque, address);
}

unsigned x86_walk_stack(const struct x86_stack *s, struct arch_frame *frame, unsigned max)
{
    uint64_t rbp = s->rbp, at = 0, slot;
    unsigned n = 0;

    for (; n < max; frame[n++].guessed = false, at = slot + 2 * s->width) {
        slot = rbp - s->rsp;
        if (slot < at || slot % s->width || !range_fits(slot, 2 * s->width, s->len) ||
            !returns_to(s, slot_value(s, slot + s->width)))
            break;
        frame[n].address = slot_value(s, slot + s->width);
        rbp = slot_value(s, slot);
    }
    if (n < 2)
        n = 0, at = 0; /* by chance, where rbp is a register like others */
    else if (!rbp)
        return n; /* the end of a chain */
    for (; n < max && at + s->width <= s->len; at += s->width)
        if (returns_to(s, slot_value(s, at)))
            frame[n++] = (struct arch_frame){.address = slot_value(s, at), .guessed = true};
    return n;
}

struct code {
    const struct vcpu *vcpu;
    uint64_t base;
};

static bool follows_call(void *opaque, uint64_t address)
{
    struct code *code = opaque;
    uint8_t bytes[X86_CALL_MAX];

    return x86_read_linear(code->vcpu, code->base + address - X86_CALL_MAX, bytes, sizeof(bytes)) ==
               sizeof(bytes) &&
           x86_ends_in_call(bytes);
}

unsigned arch_backtrace(const struct vcpu *vcpu, struct arch_frame *frame, unsigned max)
{
    uint8_t bytes[STACK_BYTES];
    struct code code = {vcpu, 0};
    struct x86_stack s = {.bytes = bytes, .follows_call = follows_call, .opaque = &code};
    struct kvm_sregs sregs;
    struct kvm_regs regs;

    if (!max || kvm_ioctl(vcpu->fd, KVM_GET_REGS, &regs) ||
        kvm_ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
        return 0;
    frame[0] = (struct arch_frame){.address = regs.rip};
    if ((sregs.efer & EFER_LMA) && sregs.cs.l)
        s.width = 8;
    else if ((sregs.cr0 & CR0_PE) && sregs.cs.db)
        s.width = 4;
    else
        return 1; /* 16-bit code has short calls of its own */
    if (s.width == 4)
        code.base = sregs.cs.base;
    s.rip = regs.rip;
    s.rbp = regs.rbp;
    s.rsp = align_down(regs.rsp, s.width);
    s.len = x86_read_linear(vcpu, s.rsp + (s.width == 4 ? sregs.ss.base : 0), bytes, sizeof(bytes));
    return 1 + x86_walk_stack(&s, frame + 1, max - 1);
}

/* The kernel tells the processor where system calls enter it. */
const char *arch_kernel_anchor(const struct vcpu *vcpu, uint64_t *address)
{
    union {
        struct kvm_msrs head;
        uint8_t bytes[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
    } one = {.head.nmsrs = 1};
    struct kvm_msr_entry entry = {.index = MSR_LSTAR};

    memcpy(one.bytes + sizeof(one.head), &entry, sizeof(entry));
    kvm_ioctl(vcpu->fd, KVM_GET_MSRS, &one);
    memcpy(&entry, one.bytes + sizeof(one.head), sizeof(entry));
    *address = entry.data;
    return "entry_SYSCALL_64";
}
