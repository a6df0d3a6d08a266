/*
 * Guests of a few bytes that find out how this KVM runs code: in real mode, in long mode ring 0 and
 * in ring 3. Each counts down in a loop, then writes to a port for ever, which gives the time of an
 * instruction and of an exit.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "firmware/boot_x86.h"
#include "hv/arch/arch.h"
#include "hv/arch/x86/x86.h"
#include "hv/kvm.h"

#define PROBE_RAM    0x20000
#define PROBE_CODE   0x1000
#define PROBE_TABLES 0x10000
#define PROBE_PORT   0x80
#define PROBE_EXITS  200
#define PROBE_TRIES  4 /* the first also pays for page faults and for KVM's own start */
#define PAGE_USER    4
#define RFLAGS_IOPL3 0x3000

/* Iterations: few at first, since an interpreting KVM needs microseconds for each. */
#define LOOPS_FEW  2000
#define LOOPS_MANY 4000000

struct probe_vm {
    int vm, vcpu;
    uint8_t *ram;
    struct kvm_run *run;
    size_t run_bytes;
};

/* mov ecx, N; 1: dec ecx; jnz 1b; 2: out 0x80, al; jmp 2b. Two instructions an iteration. */
static const uint8_t code16[] = {0x66, 0xb9, 0,    0,    0,          0,    0x66,
                                 0x49, 0x75, 0xfc, 0xe6, PROBE_PORT, 0xeb, 0xfc};
static const uint8_t code64[] = {0xb9, 0,    0,    0,          0,    0xff, 0xc9,
                                 0x75, 0xfc, 0xe6, PROBE_PORT, 0xeb, 0xfc};

static const struct {
    const char *name;
    bool long_mode;
    uint8_t ring;
} kinds[] = {
    {"real mode", false, 0},
    {"long mode, ring 0", true, 0},
    {"long mode, ring 3", true, 3},
};

const unsigned arch_probe_count = ARRAY_SIZE(kinds);
const char arch_probe_exit[] = "a port write";

const struct arch_capability arch_capabilities[] = {
    {KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY", true, "no guest memory"},
    {KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP", true, "no interrupt controller"},
    {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT", true, "vCPUs cannot be stopped reliably"},
    {KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID", true, "no CPUID for the guest"},
    {KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE", false, "no start of further vCPUs"},
    {KVM_CAP_TSC_DEADLINE_TIMER, "KVM_CAP_TSC_DEADLINE_TIMER", false,
     "guests calibrate their timer, which makes boots longer"},
    {KVM_CAP_COALESCED_PIO, "KVM_CAP_COALESCED_PIO", false, "twice the exits for serial output"},
    {KVM_CAP_SYNC_REGS, "KVM_CAP_SYNC_REGS", false, "exit reports lack the instruction pointer"},
    {KVM_CAP_ADJUST_CLOCK, "KVM_CAP_ADJUST_CLOCK", false, "no kvm-clock adjustment"},
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
    uint64_t identity_map = 0xfffbc000;
    void *map;
    int err;

    *p = (struct probe_vm){.vm = -1, .vcpu = -1, .run_bytes = kvm->run_bytes};
    map = mmap(NULL, PROBE_RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return -errno;
    p->ram = map;
    p->vm = kvm_create_vm(kvm, 0);
    if (p->vm < 0)
        return p->vm;
    kvm_ioctl(p->vm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map);
    kvm_ioctl(p->vm, KVM_SET_TSS_ADDR, (void *)(uintptr_t)0xfffbd000);
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
    return x86_set_cpuid(kvm->fd, p->vm, p->vcpu, 0, 1);
}

/* Ring 3 needs user pages all the way down, user segments, and IOPL 3 for the port. */
static void enter_ring_3(struct probe_vm *p, struct x86_entry *e)
{
    struct kvm_segment *data[] = {&e->sregs.ds, &e->sregs.es, &e->sregs.ss};

    for (unsigned i = 0; i < PAGE_TABLE_BYTES; i += 8)
        if (p->ram[PROBE_TABLES + i] & 1)
            p->ram[PROBE_TABLES + i] |= PAGE_USER;
    e->sregs.cs.dpl = 3;
    e->sregs.cs.selector |= 3;
    for (unsigned i = 0; i < ARRAY_SIZE(data); i++) {
        data[i]->dpl = 3;
        data[i]->selector |= 3;
    }
    e->regs.rflags |= RFLAGS_IOPL3;
}

/* Real mode is what KVM gives a fresh vCPU, but for CS; long mode is entered as Linux is. */
static int set_state(struct probe_vm *p, unsigned kind)
{
    struct kernel kernel = {.protocol = BOOT_LINUX64, .entry = PROBE_CODE};
    struct x86_entry e = {0};
    int err = kvm_ioctl(p->vcpu, KVM_GET_SREGS, &e.sregs);

    if (err)
        return err;
    if (kinds[kind].long_mode) {
        x86_entry_state(&kernel, 0, &e);
        e.sregs.cr3 = PROBE_TABLES;
        err = page_tables_build(PROBE_TABLES, p->ram + PROBE_TABLES, PAGE_TABLE_BYTES);
        if (err)
            return err;
        if (kinds[kind].ring == 3)
            enter_ring_3(p, &e);
    } else {
        e.sregs.cs.base = e.sregs.cs.selector = 0;
        e.regs.rflags = 2;
        e.regs.rip = PROBE_CODE;
    }
    err = kvm_ioctl(p->vcpu, KVM_SET_SREGS, &e.sregs);
    return err ? err : kvm_ioctl(p->vcpu, KVM_SET_REGS, &e.regs);
}

static void put_code(struct probe_vm *p, unsigned kind, uint32_t loops)
{
    bool long_mode = kinds[kind].long_mode;

    memcpy(p->ram + PROBE_CODE, long_mode ? code64 : code16,
           long_mode ? sizeof(code64) : sizeof(code16));
    store_le32(p->ram + PROBE_CODE + (long_mode ? 1 : 2), loops);
}

/* Runs to the next write to the port. */
static int run_to_port(struct probe_vm *p)
{
    int err;

    do {
        err = kvm_run(p->vcpu);
    } while (err == -EINTR || err == -EAGAIN);
    if (err)
        return err;
    return p->run->exit_reason == KVM_EXIT_IO && p->run->io.port == PROBE_PORT ? 0 : -EPROTO;
}

/* One run of the loop from the start: set-up costs are part of it, and cancel out in `measure`. */
static int time_loop(struct probe_vm *p, unsigned kind, uint32_t loops, double *ns)
{
    uint64_t start;
    int err;

    put_code(p, kind, loops);
    err = set_state(p, kind);
    start = loop_now_ns();
    if (!err)
        err = run_to_port(p);
    *ns = (double)(loop_now_ns() - start);
    return err;
}

/* The least of a few runs: the rest is what else the host had to do meanwhile. */
static int best_time(struct probe_vm *p, unsigned kind, uint32_t loops, double *ns)
{
    double one;
    int err = time_loop(p, kind, loops, ns);

    for (unsigned i = 1; !err && i < PROBE_TRIES; i++) {
        err = time_loop(p, kind, loops, &one);
        if (one < *ns)
            *ns = one;
    }
    return err;
}

/*
 * An instruction's time is the difference of a long and a short run. On a KVM that interprets, the
 * long one would take seconds: there the short one is good enough.
 */
static int measure(struct probe_vm *p, unsigned kind, struct arch_probe *out)
{
    double few, many;
    uint64_t start;
    int err;

    assert(p->ram && p->run);
    err = best_time(p, kind, LOOPS_FEW, &few);
    out->instruction_ns = few / (2.0 * LOOPS_FEW);
    if (!err && out->instruction_ns < ARCH_PROBE_EMULATED_NS) {
        err = best_time(p, kind, LOOPS_MANY, &many);
        out->instruction_ns = (many - few) / (2.0 * (LOOPS_MANY - LOOPS_FEW));
    }
    if (err)
        return err;
    start = loop_now_ns();
    for (unsigned i = 0; !err && i < PROBE_EXITS; i++)
        err = run_to_port(p);
    out->exit_ns = (double)(loop_now_ns() - start) / PROBE_EXITS;
    return err;
}

int arch_probe_run(const struct kvm *kvm, unsigned kind, struct arch_probe *out)
{
    struct probe_vm p;
    int err = open_vm(&p, kvm);

    *out = (struct arch_probe){.name = kinds[kind].name, .ring0 = kinds[kind].ring == 0};
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

/* CPUID leaf 1 says whether a hypervisor is below us, leaf 0x40000000 which one. */
bool arch_host_is_virtual(char *name, size_t len)
{
    uint32_t a, b, c, d;

    __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "0"(1), "2"(0));
    if (!(c >> 31))
        return false;
    __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "0"(0x40000000), "2"(0));
    snprintf(name, len, "%.4s%.4s%.4s", (char *)&b, (char *)&c, (char *)&d);
    return true;
}
