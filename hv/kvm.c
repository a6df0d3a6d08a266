/*
 * The ioctl wrappers. Messages are made by callers, who know what the call was for; the exception
 * is kvm_open, the failure that every user meets first.
 */
#include "hv/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "hv/arch/arch.h"

int kvm_ioctl(int fd, unsigned long request, void *arg)
{
    int ret;

    do {
        ret = ioctl(fd, request, arg);
    } while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : ret;
}

/* The same for requests whose argument is a plain number. */
static int kvm_ioctl_number(int fd, unsigned long request, unsigned long arg)
{
    int ret;

    do {
        ret = ioctl(fd, request, arg);
    } while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : ret;
}

/* The errors that users meet, each with the one thing to try. */
const char *kvm_advice(int error)
{
    switch (-error) {
    case ENOENT:
    case ENXIO:
    case ENODEV:
        return arch_no_kvm;
    case EACCES:
    case EPERM:
        return "you are not in group kvm; try: sudo usermod -aG kvm $USER, then log in again";
    case EBUSY:
        return "another hypervisor holds the virtualization hardware; stop it first";
    case EMFILE:
    case ENFILE:
        return "too many open files; raise the limit with: ulimit -n 1024";
    case ENOMEM:
        return "the host is out of memory";
    default:
        return "`hv doctor` tells more";
    }
}

/* /dev/kvm may be something else altogether, in a container for instance: ask before use. */
int kvm_open_quietly(struct kvm *kvm, const char *path)
{
    int version, bytes;

    kvm->fd = open(path, O_RDWR | O_CLOEXEC);
    if (kvm->fd < 0)
        return -errno;
    version = kvm_ioctl_number(kvm->fd, KVM_GET_API_VERSION, 0);
    bytes = kvm_ioctl_number(kvm->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (version != KVM_API_VERSION || bytes < (int)sizeof(struct kvm_run)) {
        kvm_close(kvm);
        return -ENODEV;
    }
    kvm->run_bytes = (size_t)bytes;
    return 0;
}

int kvm_open(struct kvm *kvm, const char *path)
{
    int err = kvm_open_quietly(kvm, path);

    if (err)
        log_error("%s: %s (%s)", path, strerror(-err), kvm_advice(err));
    return err;
}

void kvm_close(struct kvm *kvm)
{
    if (kvm->fd >= 0)
        close(kvm->fd);
    kvm->fd = -1;
}

int kvm_check_extension(int fd, unsigned capability)
{
    int ret = kvm_ioctl_number(fd, KVM_CHECK_EXTENSION, capability);

    return ret < 0 ? 0 : ret;
}

int kvm_enable_cap(int fd, uint32_t capability, uint64_t arg0)
{
    struct kvm_enable_cap cap = {.cap = capability, .args = {arg0}};

    return kvm_ioctl(fd, KVM_ENABLE_CAP, &cap);
}

int kvm_create_vm(const struct kvm *kvm, unsigned long type)
{
    return kvm_ioctl_number(kvm->fd, KVM_CREATE_VM, type);
}

int kvm_create_vcpu(int vm, unsigned id)
{
    return kvm_ioctl_number(vm, KVM_CREATE_VCPU, id);
}

int kvm_set_memory(int vm, uint32_t slot, uint64_t gpa, uint64_t size, const void *host)
{
    struct kvm_userspace_memory_region region = {
        .slot = slot,
        .guest_phys_addr = gpa,
        .memory_size = size,
        .userspace_addr = (uintptr_t)host,
    };

    return kvm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region);
}

int kvm_irq_line(int vm, unsigned irq, unsigned level)
{
    struct kvm_irq_level line = {.irq = irq, .level = level};

    return kvm_ioctl(vm, KVM_IRQ_LINE, &line);
}

int kvm_coalesce(int vm, uint64_t addr, uint32_t size, bool pio, bool enable)
{
    struct kvm_coalesced_mmio_zone zone = {.addr = addr, .size = size, .pio = pio};

    return kvm_ioctl(vm, enable ? KVM_REGISTER_COALESCED_MMIO : KVM_UNREGISTER_COALESCED_MMIO,
                     &zone);
}

int kvm_irqfd(int vm, int fd, unsigned gsi, bool enable)
{
    struct kvm_irqfd irqfd = {
        .fd = (uint32_t)fd, .gsi = gsi, .flags = enable ? 0 : KVM_IRQFD_FLAG_DEASSIGN};

    return kvm_ioctl(vm, KVM_IRQFD, &irqfd);
}

int kvm_ioeventfd(int vm, int fd, uint64_t gpa, unsigned size, uint32_t match, bool enable)
{
    struct kvm_ioeventfd event = {.addr = gpa, .len = size, .fd = fd, .datamatch = match};

    if (size)
        event.flags |= KVM_IOEVENTFD_FLAG_DATAMATCH;
    if (!enable)
        event.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
    return kvm_ioctl(vm, KVM_IOEVENTFD, &event);
}

int kvm_set_gsi_routing(int vm, const struct kvm_irq_routing *routing)
{
    return kvm_ioctl(vm, KVM_SET_GSI_ROUTING, (void *)(uintptr_t)routing);
}

int kvm_signal_msi(int vm, const struct kvm_msi *message)
{
    return kvm_ioctl(vm, KVM_SIGNAL_MSI, (void *)(uintptr_t)message);
}

int kvm_run(int vcpu)
{
    return ioctl(vcpu, KVM_RUN, 0) < 0 ? -errno : 0;
}
