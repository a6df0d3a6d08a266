/* The PCI bus of a machine: see pci_setup.h. */
#include "hv/pci_setup.h"

#include <errno.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/pci/pci.h"
#include "devices/virtio/pci.h"
#include "devices/virtio/virtio.h"
#include "hv/arch/arch.h"
#include "hv/vm.h"

/* The bridge is one device to the machine, reached in up to three places. */
static int place_host(struct vm *vm)
{
    int err = bus_add(&vm->mmio, arch_pci.window, arch_pci.window_size, pci_host_window(vm->pci));

    if (!err)
        err = bus_add(&vm->mmio, arch_pci.ecam, PCI_ECAM_SIZE, pci_host_ecam(vm->pci));
    if (!err && arch_pci.ports)
        err = bus_add(&vm->port, PCI_PORTS, PCI_PORTS_SIZE, pci_host_ports(vm->pci));
    return err;
}

int pci_setup(struct vm *vm)
{
    struct vm_device *d = &vm->device[vm->device_count];
    int err = -ENOSPC;

    if (vm->device_count < VM_MAX_DEVICES)
        err = pci_host_create(arch_pci.window, arch_pci.window_size, &vm->pci);
    if (!err) {
        /* Before all functions, so that it is destroyed after them. */
        *d = (struct vm_device){.name = "pci-host", .dev = pci_host_window(vm->pci)};
        vm->device_count++;
        err = place_host(vm);
    }
    if (err)
        log_error("PCI host bridge: %s", strerror(-err));
    return err;
}

int pci_setup_add(struct vm *vm, const char *name, struct virtio *v)
{
    struct dev *dev;
    struct dev_env env = {
        .mem = &vm->ram.guest, .loop = vm->loop, .doorbell = irqchip_doorbells(&vm->irqchip)};
    struct irq_msi *msi = NULL;
    int err;

    err = vm->device_count == VM_MAX_DEVICES
              ? -ENOSPC
              : irq_msi_create(&vm->irqchip, pci_host_next_id(vm->pci),
                               VIRTIO_PCI_VECTORS(v->queue_count), &msi);
    if (err) {
        virtio_destroy(v);
    } else {
        env.msi = irq_msi_port(msi);
        err = virtio_pci_create(vm->pci, &env, v, &dev);
    }
    if (err) {
        irq_msi_destroy(msi);
        log_error("%s: %s%s", name, strerror(-err),
                  err == -ENOSPC ? " (the PCI bus is full: 31 devices)" : "");
        return err;
    }
    vm->device[vm->device_count++] = (struct vm_device){.name = name, .dev = dev, .msi = msi};
    return 0;
}
