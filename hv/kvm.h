/*
 * The ioctls of /dev/kvm (Linux Documentation/virt/kvm/api.rst), one thin wrapper each, and the
 * only place that calls them. All return 0 or a useful value, or -errno; EINTR is retried except by
 * kvm_run. Thread: vCPU calls on that vCPU's thread, or on any thread while it is stopped.
 */
#ifndef HV_KVM_H
#define HV_KVM_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KVM_DEVICE "/dev/kvm"

struct kvm {
    int fd;           /* -1: closed; owned */
    size_t run_bytes; /* of the area shared with each vCPU */
};

/* Opens the device and checks the API version. Logs one line that says how to mend a failure. */
int kvm_open(struct kvm *kvm, const char *path);
void kvm_close(struct kvm *kvm);

/* The same without a message: -ENODEV when it is not a KVM device that hv can use. */
int kvm_open_quietly(struct kvm *kvm, const char *path);

/* One line of advice for what open or CREATE_VM returned (-errno); static text, never NULL. */
const char *kvm_advice(int error);

/* KVM_CHECK_EXTENSION; `fd` is the device's or, better, the VM's. Errors read as 0: absent. */
int kvm_check_extension(int fd, unsigned capability);
int kvm_enable_cap(int fd, uint32_t capability, uint64_t arg0);

/* File descriptors, close-on-exec. type: hv/arch/arch.h, arch_vm_type. */
int kvm_create_vm(const struct kvm *kvm, unsigned long type);
int kvm_create_vcpu(int vm, unsigned id);

/* size 0 removes the slot. `host` is page aligned and stays mapped as long as the VM. */
int kvm_set_memory(int vm, uint32_t slot, uint64_t gpa, uint64_t size, const void *host);
int kvm_irq_line(int vm, unsigned irq, unsigned level); /* irq: arch_irqs.line + GSI */
int kvm_coalesce(int vm, uint64_t addr, uint32_t size, bool pio, bool enable);

/* A write to eventfd `fd` raises `gsi`, or no longer does; an I/O APIC pin gets an edge. */
int kvm_irqfd(int vm, int fd, unsigned gsi, bool enable);

/* A guest's write to `gpa` signals `fd`: any write with size 0, else one of that size and value. */
int kvm_ioeventfd(int vm, int fd, uint64_t gpa, unsigned size, uint32_t match, bool enable);

/* Replaces all routes from GSIs to interrupt controllers and messages. */
int kvm_set_gsi_routing(int vm, const struct kvm_irq_routing *routing);

/* Sends one message. Positive: it was taken; 0: the guest blocked it. */
int kvm_signal_msi(int vm, const struct kvm_msi *message);

/* Enters the guest. -EINTR: a signal or immediate_exit. The one KVM_RUN of hv. */
int kvm_run(int vcpu);

/* Any other ioctl that carries a structure; used by hv/arch. */
int kvm_ioctl(int fd, unsigned long request, void *arg);

#endif
