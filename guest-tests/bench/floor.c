/*
 * The floor of `make bench`: the fewest system calls that bring a guest with an in-kernel interrupt
 * controller to its first byte on COM1. No monitor with one can start faster on the same KVM.
 *
 * Prints the byte. It does everything in hv's order (memory before the interrupt controller, which
 * is cheaper on some hosts) and checks every step, but loads no file: the guest is six bytes of
 * real mode code.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define COM1       0x3f8
#define RAM_SIZE   (1u << 20)
#define LOAD_AT    0x1000
#define STATUS_BAD 125

static const uint8_t code[] = {
    0xba, COM1 & 0xff, COM1 >> 8, /* mov $0x3f8, %dx */
    0xb0, '!',                    /* mov $'!', %al */
    0xee,                         /* out %al, %dx */
};

static void fail(const char *what)
{
    perror(what);
    exit(STATUS_BAD);
}

/* An ioctl that has to succeed; returns what it returned. */
static int call(int fd, unsigned long request, uintptr_t argument, const char *what)
{
    int result = ioctl(fd, request, argument);

    if (result < 0)
        fail(what);
    return result;
}

static void *map(size_t size, int flags, int fd, const char *what)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

    if (at == MAP_FAILED)
        fail(what);
    return at;
}

static int make_vm(int kvm)
{
    int vm = call(kvm, KVM_CREATE_VM, 0, "KVM_CREATE_VM");
    uint8_t *ram = map(RAM_SIZE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, "RAM");
    struct kvm_userspace_memory_region slot = {
        .memory_size = RAM_SIZE,
        .userspace_addr = (uintptr_t)ram,
    };

    memcpy(ram + LOAD_AT, code, sizeof(code));
    call(vm, KVM_SET_USER_MEMORY_REGION, (uintptr_t)&slot, "KVM_SET_USER_MEMORY_REGION");
    call(vm, KVM_CREATE_IRQCHIP, 0, "KVM_CREATE_IRQCHIP");
    return vm;
}

/* Real mode at LOAD_AT; all else is as the processor comes out of reset. */
static void set_entry(int vcpu)
{
    struct kvm_sregs sregs;
    struct kvm_regs regs = {.rip = LOAD_AT, .rflags = 2};

    call(vcpu, KVM_GET_SREGS, (uintptr_t)&sregs, "KVM_GET_SREGS");
    sregs.cs.base = 0;
    sregs.cs.selector = 0;
    call(vcpu, KVM_SET_SREGS, (uintptr_t)&sregs, "KVM_SET_SREGS");
    call(vcpu, KVM_SET_REGS, (uintptr_t)&regs, "KVM_SET_REGS");
}

int main(void)
{
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    int vm;
    int vcpu;
    struct kvm_run *run;

    if (kvm < 0)
        fail("/dev/kvm");
    vm = make_vm(kvm);
    vcpu = call(vm, KVM_CREATE_VCPU, 0, "KVM_CREATE_VCPU");
    run = map((size_t)call(kvm, KVM_GET_VCPU_MMAP_SIZE, 0, "KVM_GET_VCPU_MMAP_SIZE"), MAP_SHARED,
              vcpu, "struct kvm_run");
    set_entry(vcpu);
    call(vcpu, KVM_RUN, 0, "KVM_RUN");
    if (run->exit_reason != KVM_EXIT_IO || run->io.port != COM1) {
        fprintf(stderr, "floor: unexpected exit %u\n", run->exit_reason);
        return STATUS_BAD;
    }
    if (write(STDOUT_FILENO, (uint8_t *)run + run->io.data_offset, 1) != 1)
        fail("stdout");
    return 0;
}
