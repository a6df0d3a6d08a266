/* What the CPUID instruction tells a guest about who runs it (Linux:
 * Documentation/virt/kvm/x86/cpuid.rst). */
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/test.h"

const char guest_name[] = "hypervisor";

#define LEAF_FEATURES   1
#define LEAF_HYPERVISOR 0x40000000
#define LEAF_KVM        0x40000001
#define HYPERVISOR      (1u << 31) /* leaf 1, ECX */
#define CLOCK_NEW       (1u << 3)  /* leaf 0x40000001, EAX */
#define CLOCK_STABLE    (1u << 24)

void guest_main(void)
{
    bool emulated = cmdline_has("accel=tcg"); /* QEMU alone; guest-tests/run says so */
    const char *want = emulated ? "TCGTCGTCGTCG" : "KVMKVMKVM";
    struct cpuid leaf = cpuid(LEAF_HYPERVISOR, 0);
    char name[13] = "";

    check(cpuid(LEAF_FEATURES, 0).ecx & HYPERVISOR, "the bit that says: this is no bare machine");
    memcpy(name, &leaf.ebx, 4);
    memcpy(name + 4, &leaf.ecx, 4);
    memcpy(name + 8, &leaf.edx, 4);
    check(strcmp(name, want) == 0, "its name is %s", name);
    check(leaf.eax >= LEAF_KVM, "the last leaf is 0x%x", leaf.eax);
    if (emulated)
        return;
    group_begin("KVM's features");
    check(cpuid(LEAF_KVM, 0).eax & CLOCK_NEW, "a clock");
    check(cpuid(LEAF_KVM, 0).eax & CLOCK_STABLE, "the clock is the same on all CPUs");
    group_end();
}
