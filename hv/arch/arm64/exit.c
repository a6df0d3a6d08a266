/* What an arm64 exit needs beyond the generic part, and the state of a stopped vCPU for people. */
#include <inttypes.h>
#include <string.h>

#include "devices/core/gmem.h"
#include "devices/core/util.h"
#include "hv/arch/arch.h"
#include "hv/arch/arm64/arm64.h"
#include "hv/kvm.h"
#include "hv/vcpu.h"
#include "hv/vm.h"

#define CODE_BEFORE 4 /* instructions */
#define CODE_AFTER  8
#define ESR_BITS    56

/* KVM shares no registers with an exit here. */
uint64_t arch_exit_rip(const struct kvm_run *run)
{
    (void)run;
    return 0;
}

/* As the bus of a real machine answers: an external abort, which Linux reports as such. */
int arch_refuse_access(const struct vcpu *vcpu)
{
    struct kvm_vcpu_events events = {.exception.ext_dabt_pending = 1};

    return kvm_ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &events);
}

/* Exception classes (Arm ARM, ESR_EL1, EC). */
static const char *exception_class(uint64_t esr)
{
    switch (esr >> 26 & 0x3f) {
    case 0x00:
        return "unknown reason: an undefined instruction, mostly";
    case 0x07:
        return "vector or floating-point instruction while they are switched off";
    case 0x0e:
        return "illegal execution state";
    case 0x15:
        return "system call";
    case 0x16:
        return "hypercall";
    case 0x18:
        return "access to a system register";
    case 0x20:
        return "instruction abort, from EL0";
    case 0x21:
        return "instruction abort";
    case 0x22:
        return "misaligned pc";
    case 0x24:
        return "data abort, from EL0";
    case 0x25:
        return "data abort";
    case 0x26:
        return "misaligned sp";
    case 0x2f:
        return "SError interrupt";
    case 0x3c:
        return "breakpoint instruction";
    default:
        return "another class";
    }
}

/* Registers that the dump cannot do without; false when KVM does not give them. */
static bool dump_core(FILE *out, int fd, uint64_t *pc)
{
    uint64_t sp, pstate, x[31];

    if (arm64_get_reg(fd, ARM64_CORE(regs.pc), pc) ||
        arm64_get_reg(fd, ARM64_CORE(regs.pstate), &pstate) ||
        arm64_get_reg(fd, pstate & 1 ? ARM64_CORE(sp_el1) : ARM64_CORE(regs.sp), &sp))
        return false;
    for (unsigned i = 0; i < ARRAY_SIZE(x); i++)
        if (arm64_get_reg(fd, ARM64_CORE(regs.regs[0]) + 2 * (uint64_t)i, &x[i]))
            return false;
    fprintf(
        out, "  pc  %016" PRIx64 " sp  %016" PRIx64 " pstate %08" PRIx64 " (EL%u, SP_EL%u%s%s)\n",
        *pc, sp, pstate, (unsigned)(pstate >> 2 & 3), (unsigned)(pstate & 1),
        pstate & PSR_I_BIT ? ", interrupts masked" : "", pstate & PSR_MODE32_BIT ? ", 32-bit" : "");
    for (unsigned i = 0; i < ARRAY_SIZE(x); i++)
        fprintf(out, "%s%s%u%s %016" PRIx64 "%s", i % 4 ? " " : "  ", "x", i, i < 10 ? " " : "",
                x[i], i % 4 == 3 || i == 30 ? "\n" : "");
    return true;
}

static void dump_system(FILE *out, int fd, const struct arm64_mmu *mmu)
{
    uint64_t esr = 0, far = 0, vbar = 0, elr = 0;

    arm64_get_reg(fd, ARM64_ESR_EL1, &esr);
    arm64_get_reg(fd, ARM64_FAR_EL1, &far);
    arm64_get_reg(fd, ARM64_VBAR_EL1, &vbar);
    arm64_get_reg(fd, ARM64_CORE(elr_el1), &elr);
    fprintf(out,
            "  sctlr %016" PRIx64 " tcr %016" PRIx64 " vbar %016" PRIx64 "\n"
            "  ttbr0 %016" PRIx64 " ttbr1 %016" PRIx64 "\n",
            mmu->sctlr, mmu->tcr, vbar, mmu->ttbr0, mmu->ttbr1);
    /* Bits that no exception sets: there has been none yet. */
    if (esr >> ESR_BITS)
        return;
    fprintf(out, "  last exception: esr %08" PRIx64 " (%s) far %016" PRIx64 " elr %016" PRIx64 "\n",
            esr, exception_class(esr), far, elr);
}

/* Instructions in front of the pc show what led there; <...> marks where it stands. */
static void dump_code(FILE *out, const struct vm *vm, const struct arm64_mmu *mmu, uint64_t pc)
{
    uint8_t word[4];
    uint64_t gpa;
    bool any = false;

    fprintf(out, "  code:");
    for (int i = -CODE_BEFORE; i < CODE_AFTER; i++) {
        if (!arm64_translate(&vm->ram.guest, mmu, pc + (uint64_t)(i * 4), &gpa) ||
            gmem_read(&vm->ram.guest, gpa, word, sizeof(word)))
            continue;
        fprintf(out, i == 0 ? " <%08x>" : " %08x", load_le32(word));
        any = true;
    }
    fprintf(out, any ? "\n" : " not readable: pc is not mapped to RAM\n");
}

void arch_dump(FILE *out, const struct vcpu *vcpu)
{
    struct kvm_mp_state mp = {0};
    struct arm64_mmu mmu;
    uint64_t pc;

    kvm_ioctl(vcpu->fd, KVM_GET_MP_STATE, &mp);
    fprintf(out, "vCPU %u (%s)\n", vcpu->id,
            mp.mp_state == KVM_MP_STATE_STOPPED ? "powered off" : "running");
    if (!dump_core(out, vcpu->fd, &pc) || arm64_get_mmu(vcpu->fd, &mmu)) {
        fprintf(out, "  registers are not readable\n");
        return;
    }
    dump_system(out, vcpu->fd, &mmu);
    dump_code(out, vcpu->vm, &mmu, pc);
}

/* Every state can be entered, and no fault ends a vCPU: there is nothing to explain. */
const char *arch_explain(const struct vcpu *vcpu)
{
    (void)vcpu;
    return NULL;
}
