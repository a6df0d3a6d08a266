/*
 * Fills guest memory for an arm64 kernel: the kernel itself and initrds first, the device tree when
 * the machine is known (Linux Documentation/arch/arm64/booting.rst).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "devices/core/gmem.h"
#include "devices/core/log.h"
#include "firmware/fdt.h"
#include "hv/arch/arch.h"
#include "hv/arch/arm64/arm64.h"
#include "hv/arch/arm64/layout.h"
#include "hv/cmdline.h"
#include "hv/mode.h"
#include "hv/virtio_setup.h"
#include "hv/vm.h"

static int load_files(struct vm *vm, const struct kernel_request *request)
{
    const struct vm_config *config = vm->config;
    struct arch_vm *arch = vm->arch;
    int err = kernel_load(request, &arch->kernel);

    if (!err && config->initrd_count)
        err = initrd_load(request, &arch->kernel, (const char *const *)config->initrd,
                          config->initrd_count, &arch->initrd);
    return err ? err
               : dtb_place(request, &arch->kernel, &arch->initrd, LAYOUT_FDT_MAX, &arch->fdt_gpa);
}

int arch_load(struct vm *vm)
{
    struct image image;
    struct kernel_request request = {.image = &image,
                                     .mem = &vm->ram.guest,
                                     .formats = &kernels_arm64,
                                     .wish = vm->config->entry};
    int err;

    vm->arch = calloc(1, sizeof(*vm->arch));
    if (!vm->arch) {
        log_error("%s: %s", vm->config->kernel, strerror(ENOMEM));
        return -ENOMEM;
    }
    err = image_open(&image, vm->config->kernel);
    if (err)
        return err;
    err = load_files(vm, &request);
    if (!err)
        log_debug("%s: %s, entry at 0x%" PRIx64 ", device tree at 0x%" PRIx64, vm->config->kernel,
                  vm->arch->kernel.format, vm->arch->kernel.entry, vm->arch->fdt_gpa);
    image_close(&image);
    return err;
}

/* Where the device table has put a device; size 0: the mode has none. */
static struct fdt_device place_of(const struct vm *vm, const char *name)
{
    for (unsigned i = 0; i < arch_devices->count; i++) {
        const struct device_row *row = &arch_devices->row[i];

        if (strcmp(row->type->name, name) == 0 && row->type->modes & vm->config->mode->devices)
            return (struct fdt_device){row->place.base, row->place.size, (uint32_t)row->place.gsi,
                                       false};
    }
    return (struct fdt_device){.size = 0};
}

static struct fdt_gic describe_gic(const struct vm *vm)
{
    struct fdt_gic gic = {.version = FDT_GIC_V2,
                          .distributor = {LAYOUT_GIC_DIST, LAYOUT_GIC_DIST_SIZE}};

    if (vm->arch->gic == GIC_V2) {
        gic.cpu_interface = (struct fdt_range){LAYOUT_GIC_CPU, LAYOUT_GIC_CPU_SIZE};
        return gic;
    }
    gic.version = FDT_GIC_V3;
    gic.redistributor[0] =
        (struct fdt_range){LAYOUT_GIC_REDIST, (uint64_t)vm->config->cpus * LAYOUT_GIC_REDIST_SIZE};
    if (vm->arch->its)
        gic.its = (struct fdt_range){LAYOUT_GIC_ITS, LAYOUT_GIC_ITS_SIZE};
    return gic;
}

/* Told here, or on the command line when asked for: never both. Its lines are edges (irqfd). */
static void add_virtio(struct fdt_machine *m, const struct vm_config *config)
{
    struct device_place place;

    while (m->virtio_count < FDT_MAX_VIRTIO &&
           virtio_setup_in_acpi(config, m->virtio_count, &place))
        m->virtio[m->virtio_count++] =
            (struct fdt_device){place.base, place.size, (uint32_t)place.gsi, true};
}

static void describe(const struct vm *vm, struct fdt_machine *m)
{
    const struct gmem *mem = &vm->ram.guest;

    for (unsigned i = 0; i < mem->count && i < FDT_MAX_MEMORY; i++)
        m->memory[i] = (struct fdt_range){mem->region[i].gpa, mem->region[i].size};
    m->gic = describe_gic(vm);
    /* As KVM wires them (api.rst, KVM_ARM_VCPU_TIMER_CTRL); the first two are those of the Arm ARM.
     */
    m->timer = (struct fdt_timer){
        .secure_ppi = 13, .physical_ppi = 14, .virtual_ppi = 11, .hypervisor_ppi = 10};
    m->serial_kind = FDT_SERIAL_PL011;
    m->serial = place_of(vm, "pl011");
    m->rtc = place_of(vm, "pl031");
    add_virtio(m, vm->config);
    if (vm->config->bus == BUS_PCI)
        m->pci = (struct fdt_pci){.ecam = {LAYOUT_PCI_ECAM, LAYOUT_PCI_ECAM_SIZE},
                                  .window = {LAYOUT_PCI_WINDOW, LAYOUT_PCI_WINDOW_SIZE}};
    m->initrd = (struct fdt_range){vm->arch->initrd.gpa, vm->arch->initrd.size};
}

const bool arch_has_device_tree = true;

const void *arch_device_tree(const struct vm *vm, size_t *len)
{
    *len = vm->arch->fdt_size;
    return gmem_ptr(&vm->ram.guest, vm->arch->fdt_gpa, LAYOUT_FDT_MAX);
}

int arm64_write_fdt(struct vm *vm)
{
    uint8_t *host = gmem_ptr(&vm->ram.guest, vm->arch->fdt_gpa, LAYOUT_FDT_MAX);
    struct fdt_machine m = {.cpus = vm->config->cpus};
    uint64_t mpidr[CONFIG_MAX_CPUS];
    uint8_t seed[FDT_SEED_BYTES];
    char *cmdline;
    int err = cmdline_make(vm->config, vm->arch->kernel.cmdline_max, &cmdline);

    for (unsigned i = 0; i < m.cpus; i++)
        mpidr[i] = arm64_mpidr(i);
    m.mpidr = mpidr;
    m.bootargs = cmdline;
    if (getrandom(seed, sizeof(seed), 0) == sizeof(seed))
        m.seed = seed;
    describe(vm, &m);
    if (!err) {
        err = host ? fdt_build(&m, host, LAYOUT_FDT_MAX, &vm->arch->fdt_size) : -EFAULT;
        if (err)
            log_error("device tree: %s", strerror(-err));
    }
    free(cmdline);
    return err;
}
