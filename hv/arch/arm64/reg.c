/* Registers of a vCPU, one at a time, and --set-reg, which changes one by its name. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/util.h"
#include "hv/arch/arch.h"
#include "hv/arch/arm64/arm64.h"
#include "hv/kvm.h"

int arm64_get_reg(int vcpu_fd, uint64_t id, uint64_t *value)
{
    struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)value};

    return kvm_ioctl(vcpu_fd, KVM_GET_ONE_REG, &reg);
}

int arm64_set_reg(int vcpu_fd, uint64_t id, uint64_t value)
{
    struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)&value};

    return kvm_ioctl(vcpu_fd, KVM_SET_ONE_REG, &reg);
}

int arm64_get_mmu(int vcpu_fd, struct arm64_mmu *mmu)
{
    int err = arm64_get_reg(vcpu_fd, ARM64_TTBR0_EL1, &mmu->ttbr0);

    if (!err)
        err = arm64_get_reg(vcpu_fd, ARM64_TTBR1_EL1, &mmu->ttbr1);
    if (!err)
        err = arm64_get_reg(vcpu_fd, ARM64_TCR_EL1, &mmu->tcr);
    if (!err)
        err = arm64_get_reg(vcpu_fd, ARM64_SCTLR_EL1, &mmu->sctlr);
    return err;
}

static bool is_name(const char *name, size_t len, const char *wanted)
{
    return strlen(wanted) == len && memcmp(name, wanted, len) == 0;
}

uint64_t arm64_reg_by_name(const char *name, size_t len)
{
    unsigned n = 0;

    if (is_name(name, len, "pc"))
        return ARM64_CORE(regs.pc);
    if (is_name(name, len, "sp")) /* hv enters at EL1, which has one of its own */
        return ARM64_CORE(sp_el1);
    if (is_name(name, len, "pstate"))
        return ARM64_CORE(regs.pstate);
    if (len < 2 || len > 3 || name[0] != 'x' || (len == 3 && name[1] == '0'))
        return 0;
    for (size_t i = 1; i < len; i++) {
        if (!isdigit((unsigned char)name[i]))
            return 0;
        n = n * 10 + (unsigned)(name[i] - '0');
    }
    /* The numbers of core registers count words of 32 bits. */
    return n <= 30 ? ARM64_CORE(regs.regs[0]) + 2 * (uint64_t)n : 0;
}

int arm64_parse_reg(const char *text, uint64_t *id, uint64_t *value)
{
    const char *equals = strchr(text, '=');
    char *end;

    if (!equals || !isdigit((unsigned char)equals[1]))
        return -EINVAL;
    *id = arm64_reg_by_name(text, (size_t)(equals - text));
    errno = 0;
    *value = strtoull(equals + 1, &end, 0);
    return !*id || errno || *end ? -EINVAL : 0;
}

bool arch_set_reg_known(const char *text)
{
    uint64_t id, value;

    return arm64_parse_reg(text, &id, &value) == 0;
}
