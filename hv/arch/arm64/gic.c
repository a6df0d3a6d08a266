/*
 * The interrupt controller in KVM: a GICv3 with an ITS, which carries messages; a GICv2 on hosts
 * that have no other (Linux Documentation/virt/kvm/devices/arm-vgic-v3.rst, arm-vgic.rst,
 * arm-vgic-its.rst). KVM keeps its devices when their file descriptors are closed.
 */
#include <errno.h>
#include <unistd.h>

#include "hv/arch/arm64/arm64.h"
#include "hv/arch/arm64/layout.h"
#include "hv/kvm.h"
#include "hv/vm.h"

/* What the controller has for itself: 16 software and 16 private interrupts. */
#define GIC_PRIVATE 32

/* File descriptor or -errno. */
static int create_device(const struct vm *vm, uint32_t type)
{
    struct kvm_create_device device = {.type = type};
    int err = kvm_ioctl(vm->fd, KVM_CREATE_DEVICE, &device);

    return err ? err : (int)device.fd;
}

static int set_attr(int device, uint32_t group, uint64_t attr, const void *value)
{
    struct kvm_device_attr a = {.group = group, .attr = attr, .addr = (uintptr_t)value};

    return kvm_ioctl(device, KVM_SET_DEVICE_ATTR, &a);
}

static int set_address(int device, uint64_t attr, uint64_t gpa)
{
    return set_attr(device, KVM_DEV_ARM_VGIC_GRP_ADDR, attr, &gpa);
}

static int init_device(int device)
{
    return set_attr(device, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
}

/* The redistributors: KVM puts one for each vCPU from the address on. */
static int place_gic(int gic, enum gic_kind kind)
{
    int err;

    if (kind == GIC_V2) {
        err = set_address(gic, KVM_VGIC_V2_ADDR_TYPE_DIST, LAYOUT_GIC_DIST);
        return err ? err : set_address(gic, KVM_VGIC_V2_ADDR_TYPE_CPU, LAYOUT_GIC_CPU);
    }
    err = set_address(gic, KVM_VGIC_V3_ADDR_TYPE_DIST, LAYOUT_GIC_DIST);
    return err ? err : set_address(gic, KVM_VGIC_V3_ADDR_TYPE_REDIST, LAYOUT_GIC_REDIST);
}

/* Without it there are no messages, and no PCI: that is for the user to notice, if he wants any. */
static int create_its(struct vm *vm)
{
    int its = create_device(vm, KVM_DEV_TYPE_ARM_VGIC_ITS), err;

    if (its < 0)
        return its;
    err = set_address(its, KVM_VGIC_ITS_ADDR_TYPE, LAYOUT_GIC_ITS);
    if (!err)
        err = init_device(its);
    close(its);
    return err;
}

int arm64_gic_create(struct vm *vm)
{
    uint32_t interrupts = GIC_PRIVATE + LAYOUT_SPI_COUNT;
    int gic = create_device(vm, KVM_DEV_TYPE_ARM_VGIC_V3), err;

    vm->arch->gic = GIC_V3;
    if (gic == -ENODEV) {
        vm->arch->gic = GIC_V2;
        gic = create_device(vm, KVM_DEV_TYPE_ARM_VGIC_V2);
    }
    err = gic < 0 ? gic : place_gic(gic, vm->arch->gic);
    if (!err)
        err = set_attr(gic, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &interrupts);
    if (!err)
        err = init_device(gic);
    if (gic >= 0)
        close(gic);
    if (!err)
        vm->arch->its = vm->arch->gic == GIC_V3 && create_its(vm) == 0;
    return arm64_gic_refused(err, vm->config->cpus);
}
