/*
 * Keeps virtual machines open for as long as the box runs. Started by init, killed with the box.
 *
 * KVM and the scheduler patch their own code (static keys) when the first VM, the first vCPU
 * without an APIC and the like appear, and back when the last one goes. QEMU 7.2's multi-threaded
 * emulation now and then misses such a patch on the other processor, which then takes the same
 * breakpoint for ever. With one of each kind held, nothing is patched while tests run.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define APIC_BASE_ENABLE (1u << 11)

static int create_vm(int kvm, int irqchip)
{
    int vm = ioctl(kvm, KVM_CREATE_VM, 0);

    if (vm >= 0 && irqchip && ioctl(vm, KVM_CREATE_IRQCHIP, 0) < 0)
        return -1;
    return vm;
}

/* A vCPU whose local APIC is switched off has a key of its own. */
static int disable_apic(int vcpu)
{
    struct kvm_sregs sregs;

    if (ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
        return -1;
    sregs.apic_base &= ~(__u64)APIC_BASE_ENABLE;
    return ioctl(vcpu, KVM_SET_SREGS, &sregs);
}

static int hold_all(void)
{
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    int with = create_vm(kvm, 1), without = create_vm(kvm, 0), off;

    if (with < 0 || without < 0 || ioctl(with, KVM_CREATE_VCPU, 0) < 0 ||
        ioctl(without, KVM_CREATE_VCPU, 0) < 0 || (off = ioctl(with, KVM_CREATE_VCPU, 1)) < 0)
        return -1;
    return disable_apic(off);
}

/* The child holds; the parent ends when it does, so that init goes on only then. */
int main(void)
{
    int ready[2];
    char byte = 0;

    if (pipe(ready) < 0)
        return 1;
    if (fork() != 0) {
        close(ready[1]);
        return read(ready[0], &byte, 1) == 1 ? 0 : 1;
    }
    if (hold_all() < 0) {
        fprintf(stderr, "testbed: hold: %s\n", strerror(errno));
        return 1;
    }
    if (write(ready[1], &byte, 1) == 1)
        for (;;)
            pause();
    return 1;
}
