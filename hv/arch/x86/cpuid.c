/*
 * CPUID of a vCPU (SDM volume 2, CPUID; APM volume 3, appendix E). KVM's answer describes the host
 * processor that the caller runs on; what depends on the number of this vCPU, or on the number of
 * vCPUs, is put right here. The topology is flat: every vCPU is a core of one package.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "hv/arch/x86/x86.h"
#include "hv/kvm.h"

#define MAX_ENTRIES      256

#define ECX_X2APIC       (1u << 21)
#define ECX_TSC_DEADLINE (1u << 24)
#define ECX_HYPERVISOR   (1u << 31)
#define EDX_HTT          (1u << 28)

/* Bits that hold numbers 0 .. count-1. */
static uint32_t id_bits(unsigned count)
{
    uint32_t bits = 0;

    while (1u << bits < count)
        bits++;
    return bits;
}

/*
 * Leaf 1: initial APIC id (EBX 31:24), logical processors in the package (EBX 23:16, a power of
 * two), and the bits that tell Linux to look for KVM's clock and to use the deadline timer.
 */
static void fix_leaf_1(struct kvm_cpuid_entry2 *e, unsigned id, unsigned count, bool tsc_deadline)
{
    uint32_t logical = 1u << id_bits(count);

    if (logical > 255)
        logical = 255;
    e->ebx = (e->ebx & 0xffff) | logical << 16 | id << 24;
    e->ecx |= ECX_HYPERVISOR | ECX_X2APIC;
    e->ecx = tsc_deadline ? e->ecx | ECX_TSC_DEADLINE : e->ecx & ~ECX_TSC_DEADLINE;
    e->edx = count > 1 ? e->edx | EDX_HTT : e->edx & ~EDX_HTT;
}

/* Intel cache parameters: bits 31:26 cores in the package - 1, bits 25:14 threads sharing - 1. */
static void fix_leaf_4(struct kvm_cpuid_entry2 *e, unsigned count)
{
    uint32_t level = e->eax >> 5 & 7;
    uint32_t ids = (1u << id_bits(count)) - 1;

    if (!(e->eax & 0x1f))
        return;
    e->eax &= 0x3fff;
    e->eax |= (level < 3 ? 0 : ids) << 14 | (ids > 63 ? 63 : ids) << 26;
}

/* Extended topology: sub-leaf 0 is the thread level (one a core), 1 the core level. */
static void fix_topology(struct kvm_cpuid_entry2 *e, unsigned id, unsigned count)
{
    enum { LEVEL_INVALID, LEVEL_THREAD, LEVEL_CORE };

    e->edx = id;
    e->ecx = e->index & 0xff;
    e->eax = e->ebx = 0;
    if (e->index == 0) {
        e->ebx = 1;
        e->ecx |= LEVEL_THREAD << 8;
    } else if (e->index == 1) {
        e->eax = id_bits(count);
        e->ebx = count;
        e->ecx |= LEVEL_CORE << 8;
    }
}

/* AMD: number of cores - 1 and the width of the APIC id's core part. */
static void fix_leaf_80000008(struct kvm_cpuid_entry2 *e, unsigned count)
{
    e->ecx = (e->ecx & ~0xf0ffu) | id_bits(count) << 12 | (count - 1 > 255 ? 255 : count - 1);
}

/* AMD cache topology: bits 25:14 threads sharing - 1. The last level is shared by all. */
static void fix_leaf_8000001d(struct kvm_cpuid_entry2 *e, unsigned count)
{
    uint32_t level = e->eax >> 5 & 7;

    if (!(e->eax & 0x1f))
        return;
    e->eax = (e->eax & ~(0xfffu << 14)) | (level < 3 ? 0 : count - 1) << 14;
}

/* AMD: extended APIC id, compute unit (core) id with one thread, node 0 of 1. */
static void fix_leaf_8000001e(struct kvm_cpuid_entry2 *e, unsigned id)
{
    e->eax = id;
    e->ebx = id & 0xff;
    e->ecx = 0;
}

/* Leaves that are not named here are the same on every vCPU, and KVM's answer is right as it is. */
void x86_fix_cpuid(struct kvm_cpuid2 *cpuid, unsigned id, unsigned count, bool tsc_deadline)
{
    for (uint32_t i = 0; i < cpuid->nent; i++) {
        struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

        switch (e->function) {
        case 0x1:
            fix_leaf_1(e, id, count, tsc_deadline);
            break;
        case 0x4:
            fix_leaf_4(e, count);
            break;
        case 0xb:
        case 0x1f:
            fix_topology(e, id, count);
            break;
        case 0x80000008:
            fix_leaf_80000008(e, count);
            break;
        case 0x8000001d:
            fix_leaf_8000001d(e, count);
            break;
        case 0x8000001e:
            fix_leaf_8000001e(e, id);
            break;
        default:
            break;
        }
    }
}

/* KVM may report only sub-leaf 0 of leaf 0xb; the guest needs the core level too. */
static void complete_topology(struct kvm_cpuid2 *cpuid)
{
    bool zero = false, one = false;

    for (uint32_t i = 0; i < cpuid->nent; i++)
        if (cpuid->entries[i].function == 0xb) {
            zero |= cpuid->entries[i].index == 0;
            one |= cpuid->entries[i].index == 1;
        }
    if (zero && !one && cpuid->nent < MAX_ENTRIES)
        cpuid->entries[cpuid->nent++] = (struct kvm_cpuid_entry2){
            .function = 0xb, .index = 1, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX};
}

/* Before any MSR is set: since Linux 6.13 KVM hides feature MSRs of a vCPU without CPUID. */
int x86_set_cpuid(int kvm_fd, int vm_fd, int vcpu_fd, unsigned id, unsigned count)
{
    struct kvm_cpuid2 *cpuid =
        calloc(1, sizeof(*cpuid) + MAX_ENTRIES * sizeof(struct kvm_cpuid_entry2));
    int err;

    if (!cpuid)
        return -ENOMEM;
    cpuid->nent = MAX_ENTRIES;
    err = kvm_ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid);
    if (!err) {
        complete_topology(cpuid);
        x86_fix_cpuid(cpuid, id, count, kvm_check_extension(vm_fd, KVM_CAP_TSC_DEADLINE_TIMER) > 0);
        err = kvm_ioctl(vcpu_fd, KVM_SET_CPUID2, cpuid);
    }
    if (err)
        log_error("vCPU %u: CPUID: %s", id, strerror(-err));
    free(cpuid);
    return err;
}
