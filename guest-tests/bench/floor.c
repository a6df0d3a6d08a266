/*
 * The floor of `make bench`: the fewest system calls that bring a guest with an in-kernel interrupt
 * controller to its first byte on COM1. No monitor with one can start faster on the same KVM.
 *
 * Prints the byte. With `floor exits N` the guest writes to a port for ever, and what is printed is
 * how long each of N exits takes, by the median of nine batches: nothing is done about an exit but
 * to go in again, so no monitor handles one faster.
 *
 * It does everything in hv's order (memory before the interrupt controller, which
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
#include <time.h>
#include <unistd.h>

#define COM1       0x3f8
#define RAM_SIZE   (1u << 20)
#define LOAD_AT    0x1000
#define STATUS_BAD 125
#define BATCHES    9

static const uint8_t byte_code[] = {
    0xba, COM1 & 0xff, COM1 >> 8, /* mov $0x3f8, %dx */
    0xb0, '!',                    /* mov $'!', %al */
    0xee,                         /* out %al, %dx */
};

static const uint8_t exits_code[] = {
    0xe6, 0x80, /* again: out %al, $0x80 */
    0xeb, 0xfc, /* jmp again */
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

static int make_vm(int kvm, const uint8_t *code, size_t code_len)
{
    int vm = call(kvm, KVM_CREATE_VM, 0, "KVM_CREATE_VM");
    uint8_t *ram = map(RAM_SIZE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, "RAM");
    struct kvm_userspace_memory_region slot = {
        .memory_size = RAM_SIZE,
        .userspace_addr = (uintptr_t)ram,
    };

    memcpy(ram + LOAD_AT, code, code_len);
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

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* One exit, which has to be a write to that port. */
static void run_to_port(int vcpu, const struct kvm_run *run, unsigned port)
{
    call(vcpu, KVM_RUN, 0, "KVM_RUN");
    if (run->exit_reason != KVM_EXIT_IO || run->io.port != port) {
        fprintf(stderr, "floor: unexpected exit %u\n", run->exit_reason);
        exit(STATUS_BAD);
    }
}

static int compare(const void *a, const void *b)
{
    const int64_t *x = a;
    const int64_t *y = b;

    return (*x > *y) - (*x < *y);
}

static void time_exits(int vcpu, const struct kvm_run *run, long count)
{
    int64_t ns[BATCHES];

    for (int i = 0; i < BATCHES; i++) {
        int64_t start = now_ns();

        for (long k = 0; k < count; k++)
            run_to_port(vcpu, run, 0x80);
        ns[i] = (now_ns() - start) / count;
    }
    qsort(ns, BATCHES, sizeof(ns[0]), compare);
    printf("exit-bench: port ns %lld min %lld max %lld\n", (long long)ns[BATCHES / 2],
           (long long)ns[0], (long long)ns[BATCHES - 1]);
}

int main(int argc, char **argv)
{
    long exits = argc == 3 && strcmp(argv[1], "exits") == 0 ? atol(argv[2]) : 0;
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    int vm;
    int vcpu;
    struct kvm_run *run;

    if (kvm < 0)
        fail("/dev/kvm");
    vm = exits > 0 ? make_vm(kvm, exits_code, sizeof(exits_code))
                   : make_vm(kvm, byte_code, sizeof(byte_code));
    vcpu = call(vm, KVM_CREATE_VCPU, 0, "KVM_CREATE_VCPU");
    run = map((size_t)call(kvm, KVM_GET_VCPU_MMAP_SIZE, 0, "KVM_GET_VCPU_MMAP_SIZE"), MAP_SHARED,
              vcpu, "struct kvm_run");
    set_entry(vcpu);
    if (exits > 0) {
        time_exits(vcpu, run, exits);
        return 0;
    }
    run_to_port(vcpu, run, COM1);
    if (write(STDOUT_FILENO, (uint8_t *)run + run->io.data_offset, 1) != 1)
        fail("stdout");
    return 0;
}
