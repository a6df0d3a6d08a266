/*
 * The way by which an arm64 vCPU came to where it is. Code keeps frame records there (AAPCS64,
 * 6.4.6), Linux always: x29 points at the caller's x29 and the address to which it returns.
 */
#include "hv/arch/arch.h"
#include "hv/arch/arm64/arm64.h"
#include "hv/kvm.h"
#include "hv/vcpu.h"
#include "hv/vm.h"

#define FRAME_ALIGN 8
#define HALF_BIT    (UINT64_C(1) << 55)
#define KERNEL_BITS                                                                                \
    UINT64_C(0xfff0000000000000) /* of every kernel address, 52 bits wide at most                  \
                                  */

/*
 * x30 may be where the innermost function returns to, if that has called nobody and so has no
 * record, or be left over from a call that it made.
 */
unsigned arch_backtrace(const struct vcpu *vcpu, struct arch_frame *frame, unsigned max)
{
    const struct gmem *mem = &vcpu->vm->ram.guest;
    uint64_t pc, x29, x30, gpa;
    struct arm64_mmu mmu;
    unsigned n = 1, first;

    if (!max || arm64_get_reg(vcpu->fd, ARM64_CORE(regs.pc), &pc) ||
        arm64_get_reg(vcpu->fd, arm64_reg_by_name("x29", 3), &x29) ||
        arm64_get_reg(vcpu->fd, arm64_reg_by_name("x30", 3), &x30) || arm64_get_mmu(vcpu->fd, &mmu))
        return 0;
    frame[0] = (struct arch_frame){.address = pc};
    x30 = arm64_unsigned_address(x30);
    first = x30 && arm64_translate(mem, &mmu, x30, &gpa) ? 2 : 1;
    if (first > max)
        return n;
    n = first + arm64_walk_frames(mem, &mmu, x29, frame + first, max - first);
    if (first == 2)
        frame[1] = (struct arch_frame){.address = x30, .guessed = true};
    return n;
}

/* Linux' own name for its exception vectors. KVM resets the register to something else. */
const char *arch_kernel_anchor(const struct vcpu *vcpu, uint64_t *address)
{
    if (arm64_get_reg(vcpu->fd, ARM64_VBAR_EL1, address) || (*address & KERNEL_BITS) != KERNEL_BITS)
        *address = 0;
    return "vectors";
}
