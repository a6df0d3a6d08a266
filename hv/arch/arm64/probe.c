/*
 * Guests of a few instructions that find out how this KVM runs code, at EL1 and at EL0. Each counts
 * down in a loop, then writes to a device for ever, which gives the time of an instruction and of
 * an exit.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "hv/arch/arch.h"
#include "hv/arch/arm64/arm64.h"
#include "hv/kvm.h"

#define PROBE_RAM    0x10000 /* bytes from 0 up: a page, whatever the host's size of those is */
#define PROBE_DEVICE 0x100000
#define PROBE_LOOPS  1000000
#define PROBE_EXITS  200
#define PROBE_TRIES  3     /* the first also pays for page faults and for KVM's own start */
#define PSTATE_EL1   0x3c5 /* with its own stack, all interrupts masked */
#define PSTATE_EL0   0x3c0

struct probe_vm {
    int vm, vcpu;
    void *ram;
    struct kvm_run *run;
    size_t run_bytes;
};

/* 1: subs w0, w0, #1; b.ne 1b; 2: str w0, [x1]; b 2b. Two instructions an iteration. */
static const uint32_t code[] = {0x71000400, 0x54ffffe1, 0xb9000020, 0x17ffffff};

static const struct {
    const char *name;
    uint64_t pstate;
    bool kernel;
} kinds[] = {{"EL1", PSTATE_EL1, true}, {"EL0", PSTATE_EL0, false}};

const unsigned arch_probe_count = ARRAY_SIZE(kinds);
const char arch_probe_exit[] = "a device write";

const struct arch_capability arch_capabilities[] = {
    {KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY", true, "no guest memory"},
    {KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP", true, "no interrupt controller"},
    {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT", true, "vCPUs cannot be stopped reliably"},
    {KVM_CAP_ONE_REG, "KVM_CAP_ONE_REG", true, "no registers"},
    {KVM_CAP_DEVICE_CTRL, "KVM_CAP_DEVICE_CTRL", true, "no interrupt controller that hv can place"},
    {KVM_CAP_ARM_PSCI_0_2, "KVM_CAP_ARM_PSCI_0_2", true, "no start of further vCPUs, no power-off"},
    {KVM_CAP_ARM_VM_IPA_SIZE, "KVM_CAP_ARM_VM_IPA_SIZE", false, "at most 1023 GiB of RAM"},
    {KVM_CAP_ARM_NISV_TO_USER, "KVM_CAP_ARM_NISV_TO_USER", false,
     "an odd access to a missing device ends the run"},
    {KVM_CAP_IRQFD, "KVM_CAP_IRQFD", false, "an ioctl for each device interrupt"},
    {KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD", false, "an exit to hv for each device kick"},
};

const unsigned arch_capability_count = ARRAY_SIZE(arch_capabilities);
_Static_assert(ARRAY_SIZE(arch_capabilities) <= ARCH_CAPABILITIES_MAX, "no room for findings");

/* Accepts a half-open one. */
static void close_vm(struct probe_vm *p)
{
    if (p->run)
        munmap(p->run, p->run_bytes);
    if (p->vcpu >= 0)
        close(p->vcpu);
    if (p->vm >= 0)
        close(p->vm);
    if (p->ram)
        munmap(p->ram, PROBE_RAM);
}

/* As small as a VM gets: one slot, one vCPU, no interrupt controller. */
static int open_vm(struct probe_vm *p, const struct kvm *kvm)
{
    struct kvm_vcpu_init init;
    void *map;
    int err;

    *p = (struct probe_vm){.vm = -1, .vcpu = -1, .run_bytes = kvm->run_bytes};
    map = mmap(NULL, PROBE_RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return -errno;
    p->ram = map;
    memcpy(p->ram, code, sizeof(code));
    p->vm = kvm_create_vm(kvm, (unsigned long)arch_vm_type(kvm->fd, 0));
    if (p->vm < 0)
        return p->vm;
    err = kvm_set_memory(p->vm, 0, 0, PROBE_RAM, p->ram);
    if (err)
        return err;
    p->vcpu = kvm_create_vcpu(p->vm, 0);
    if (p->vcpu < 0)
        return p->vcpu;
    map = mmap(NULL, p->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, p->vcpu, 0);
    if (map == MAP_FAILED)
        return -errno;
    p->run = map;
    err = kvm_ioctl(p->vm, KVM_ARM_PREFERRED_TARGET, &init);
    return err ? err : kvm_ioctl(p->vcpu, KVM_ARM_VCPU_INIT, &init);
}

/* Runs to the next write to the device. */
static int run_to_write(struct probe_vm *p)
{
    int err;

    do {
        err = kvm_run(p->vcpu);
    } while (err == -EINTR || err == -EAGAIN);
    if (err)
        return err;
    return p->run->exit_reason == KVM_EXIT_MMIO && p->run->mmio.phys_addr == PROBE_DEVICE ? 0
                                                                                          : -EPROTO;
}

static int time_loop(struct probe_vm *p, unsigned kind, double *ns)
{
    int err = arm64_set_reg(p->vcpu, ARM64_CORE(regs.pstate), kinds[kind].pstate);
    uint64_t start;

    if (!err)
        err = arm64_set_reg(p->vcpu, ARM64_CORE(regs.pc), 0);
    if (!err)
        err = arm64_set_reg(p->vcpu, ARM64_CORE(regs.regs[0]), PROBE_LOOPS);
    if (!err)
        err = arm64_set_reg(p->vcpu, ARM64_CORE(regs.regs[1]), PROBE_DEVICE);
    start = loop_now_ns();
    if (!err)
        err = run_to_write(p);
    *ns = (double)(loop_now_ns() - start);
    return err;
}

/* The least of a few runs: the rest is what else the host had to do meanwhile. */
static int measure(struct probe_vm *p, unsigned kind, struct arch_probe *out)
{
    double least = 0, one;
    uint64_t start;
    int err = 0;

    assert(p->ram && p->run);
    for (unsigned i = 0; !err && i < PROBE_TRIES; i++) {
        err = time_loop(p, kind, &one);
        if (i == 0 || one < least)
            least = one;
    }
    if (err)
        return err;
    out->instruction_ns = least / (2.0 * PROBE_LOOPS);
    start = loop_now_ns();
    for (unsigned i = 0; !err && i < PROBE_EXITS; i++)
        err = run_to_write(p);
    out->exit_ns = (double)(loop_now_ns() - start) / PROBE_EXITS;
    return err;
}

int arch_probe_run(const struct kvm *kvm, unsigned kind, struct arch_probe *out)
{
    struct probe_vm p;
    int err = open_vm(&p, kvm);

    *out = (struct arch_probe){.name = kinds[kind].name, .ring0 = kinds[kind].kernel};
    if (!err)
        err = measure(&p, kind, out);
    if (err == -EPROTO && p.run)
        snprintf(out->failure, sizeof(out->failure), "stopped with exit reason %u",
                 p.run->exit_reason);
    else if (err)
        snprintf(out->failure, sizeof(out->failure), "%s", strerror(-err));
    out->ok = err == 0;
    close_vm(&p);
    return err;
}

/* Nothing on arm64 says so of every hypervisor; QEMU and hv name themselves in the device tree. */
bool arch_host_is_virtual(char *name, size_t len)
{
    char text[64] = "";
    FILE *f = fopen("/proc/device-tree/compatible", "re");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

    if (f)
        fclose(f);
    if (n == 0 || strcmp(text, "linux,dummy-virt") != 0)
        return false;
    snprintf(name, len, "%s", "dummy-virt");
    return true;
}
