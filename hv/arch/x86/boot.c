/*
 * Fills guest memory for an x86 kernel: the kernel itself, initrds, command line, firmware tables
 * and the information block of its boot protocol. docs/memory-map.md shows the result.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/acpi_power.h"
#include "devices/core/gmem.h"
#include "devices/core/log.h"
#include "devices/core/util.h"
#include "firmware/acpi.h"
#include "firmware/boot_x86.h"
#include "firmware/smbios.h"
#include "hv/arch/arch.h"
#include "hv/arch/x86/layout.h"
#include "hv/arch/x86/x86.h"
#include "hv/cmdline.h"
#include "hv/loader/loader.h"
#include "hv/mode.h"
#include "hv/virtio_setup.h"
#include "hv/vm.h"

/* The registers that the guest reads about in the ACPI tables are those of devices/acpi_power.c. */
_Static_assert(ACPI_POWER_SLEEP_CONTROL == ACPI_POWER_REG_CONTROL &&
                   ACPI_POWER_SLEEP_STATUS == ACPI_POWER_REG_STATUS &&
                   ACPI_POWER_RESET == ACPI_POWER_REG_RESET &&
                   ACPI_POWER_EVENTS == ACPI_POWER_REG_EVENTS &&
                   ACPI_RESET_VALUE == ACPI_POWER_RESET_VALUE,
               "ACPI tables and device disagree");

static const struct reserved_range reserved[] = {
    {LAYOUT_BOOT_DATA, LAYOUT_BOOT_END - LAYOUT_BOOT_DATA, "hv's boot data"},
    {LAYOUT_EBDA, LAYOUT_HIGH_RAM - LAYOUT_EBDA, "the firmware tables"},
};

/* Everything that one boot needs while memory is being filled. */
struct boot {
    struct vm *vm;
    struct kernel_request request;
    char *cmdline;
    struct memmap_entry map[MEMMAP_MAX_ENTRIES];
    unsigned map_count;
    struct initrd initrd;
    struct boot_module module[CONFIG_MAX_INITRDS + 1];
    uint64_t rsdp_gpa;
};

/* Where all boot protocols of x86 can point at it. */
static int write_cmdline(struct boot *b, const struct kernel *kernel)
{
    size_t most = LAYOUT_CMDLINE_MAX - 1;
    int err = cmdline_make(b->vm->config, kernel->cmdline_max < most ? kernel->cmdline_max : most,
                           &b->cmdline);

    return err ? err
               : gmem_write(&b->vm->ram.guest, LAYOUT_CMDLINE, b->cmdline, strlen(b->cmdline) + 1);
}

/* Empty ranges are left out: small guests have no RAM behind the hole. */
static void add_map(struct boot *b, uint64_t start, uint64_t end, enum memmap_type type)
{
    if (end > start)
        b->map[b->map_count++] = (struct memmap_entry){start, end - start, type};
}

/* What is not listed, the hole above all, is nobody's: Linux takes it for devices. */
static void make_map(struct boot *b)
{
    const struct gmem *mem = &b->vm->ram.guest;

    add_map(b, 0, LAYOUT_EBDA, MEMMAP_RAM);
    add_map(b, LAYOUT_EBDA, LAYOUT_HIGH_RAM, MEMMAP_RESERVED);
    add_map(b, LAYOUT_HIGH_RAM, mem->region[0].size, MEMMAP_RAM);
    if (b->vm->config->bus == BUS_PCI) /* or Linux does not trust the MCFG */
        add_map(b, LAYOUT_PCI_ECAM, LAYOUT_PCI_ECAM + LAYOUT_PCI_ECAM_SIZE, MEMMAP_RESERVED);
    if (mem->count > 1)
        add_map(b, mem->region[1].gpa, mem->region[1].gpa + mem->region[1].size, MEMMAP_RAM);
}

/* Where the device table has put a device, as the ACPI tables want to know it. */
static struct acpi_port_device acpi_place(const struct vm *vm, const char *name)
{
    for (unsigned i = 0; i < devices_x86.count; i++) {
        const struct device_type *type = devices_x86.row[i].type;
        const struct device_place *place = &devices_x86.row[i].place;

        if (strcmp(type->name, name) == 0 && type->modes & vm->config->mode->devices)
            return (struct acpi_port_device){(uint16_t)place->base, (uint8_t)place->size,
                                             place->gsi};
    }
    return (struct acpi_port_device){.gsi = -1};
}

/* Announced here, or on the command line when asked for: never both. */
static void add_virtio(struct acpi_machine *m, const struct vm_config *config)
{
    struct device_place place;

    while (virtio_setup_in_acpi(config, m->virtio_count, &place) &&
           m->virtio_count < ACPI_MAX_VIRTIO)
        m->virtio[m->virtio_count++] =
            (struct acpi_virtio){(uint32_t)place.base, (uint32_t)place.size, (uint32_t)place.gsi};
}

/* Built in place: the tables' addresses are absolute, and they are read where they lie. */
static int write_acpi(struct boot *b)
{
    const struct vm *vm = b->vm;
    struct acpi_machine m = {.cpus = vm->config->cpus,
                             .lapic_gpa = LAYOUT_LAPIC,
                             .ioapic_gpa = LAYOUT_IOAPIC,
                             .uart = acpi_place(vm, "uart16550"),
                             .rtc = acpi_place(vm, "rtc"),
                             .pvpanic = acpi_place(vm, "pvpanic"),
                             .power = acpi_place(vm, "acpi-power")};
    uint8_t *host = gmem_ptr(&vm->ram.guest, LAYOUT_ACPI, LAYOUT_ACPI_MAX);
    size_t len;
    int err;

    add_virtio(&m, vm->config);
    if (vm->config->bus == BUS_PCI)
        m.pci = (struct acpi_pci){.ecam = LAYOUT_PCI_ECAM,
                                  .window = LAYOUT_PCI_WINDOW,
                                  .window_size = LAYOUT_PCI_WINDOW_SIZE};
    err = host ? acpi_build(&m, LAYOUT_ACPI, host, LAYOUT_ACPI_MAX, &len) : -EFAULT;

    if (err)
        log_error("ACPI tables: %s", strerror(-err));
    b->rsdp_gpa = LAYOUT_ACPI;
    return err;
}

/* What a guest finds that resets by jumping to the BIOS. */
static int write_reset_stub(const struct vm *vm)
{
    struct acpi_port_device power = acpi_place(vm, "acpi-power");
    uint8_t *host = gmem_ptr(&vm->ram.guest, RESET_VECTOR_GPA, RESET_VECTOR_BYTES);

    if (!power.size)
        return 0;
    return host ? reset_stub_build((uint16_t)(power.port + ACPI_POWER_RESET), ACPI_RESET_VALUE,
                                   host, RESET_VECTOR_BYTES)
                : -EFAULT;
}

/* The UUID is what systemd makes a machine id of on KVM, hence one per machine. */
static int write_smbios(const struct vm *vm)
{
    struct smbios_machine m = {.ram = vm->config->memory,
                               .low_ram = vm->ram.guest.region[0].size,
                               .cpus = vm->config->cpus,
                               .version = HV_VERSION,
                               .name = vm->config->name};
    uint8_t *host = gmem_ptr(&vm->ram.guest, LAYOUT_SMBIOS, LAYOUT_SMBIOS_MAX);
    size_t len;
    int err;

    memcpy(m.uuid, vm->config->uuid, sizeof(m.uuid));
    err = host ? smbios_build(&m, LAYOUT_SMBIOS, host, LAYOUT_SMBIOS_MAX, &len) : -EFAULT;
    if (err)
        log_error("SMBIOS tables: %s", strerror(-err));
    return err;
}

/* boot_params for both Linux entries; an ELF kernel has no setup header, so one is made up. */
static int build_linux(struct boot *b, const struct kernel *kernel, uint8_t *buf, size_t cap)
{
    struct boot_params_x86 in = {.setup_header =
                                     kernel->setup_header_len ? kernel->setup_header : NULL,
                                 .setup_header_len = kernel->setup_header_len,
                                 .map = b->map,
                                 .map_count = b->map_count,
                                 .initrd = {b->initrd.gpa, b->initrd.size},
                                 .cmdline_gpa = LAYOUT_CMDLINE,
                                 .cmdline_len = (uint32_t)strlen(b->cmdline),
                                 .rsdp_gpa = b->rsdp_gpa};

    return boot_params_build(&in, buf, cap);
}

/* hvm_start_info; the initrd is its one module. */
static int build_pvh(struct boot *b, uint8_t *buf, size_t cap)
{
    struct pvh_x86 in = {.map = b->map,
                         .map_count = b->map_count,
                         .initrd = {b->initrd.gpa, b->initrd.size},
                         .cmdline_gpa = LAYOUT_CMDLINE,
                         .rsdp_gpa = b->rsdp_gpa};

    return pvh_build(&in, LAYOUT_BOOT_INFO, buf, cap);
}

/* By custom the first word of a Multiboot command line is the kernel's own path. */
static char *multiboot_cmdline(const struct boot *b)
{
    const char *path = b->vm->config->kernel;
    char *line = NULL;

    return asprintf(&line, "%s%s%s", path, *b->cmdline ? " " : "", b->cmdline) < 0 ? NULL : line;
}

static int build_multiboot(struct boot *b, uint8_t *buf, size_t cap)
{
    struct multiboot_module module[CONFIG_MAX_INITRDS + 1];
    struct multiboot_x86 in = {.map = b->map,
                               .map_count = b->map_count,
                               .module = module,
                               .module_count = b->vm->config->initrd_count};
    char *cmdline = multiboot_cmdline(b);
    int err;

    if (!cmdline)
        return -ENOMEM; /* write_info says so */
    in.cmdline = cmdline;
    for (unsigned i = 0; i < in.module_count; i++)
        module[i] =
            (struct multiboot_module){{b->module[i].gpa, b->module[i].size}, b->module[i].cmdline};
    err = multiboot_build(&in, LAYOUT_BOOT_INFO, buf, cap);
    free(cmdline);
    return err;
}

/* The block that the entry registers point at, and what the CPU needs to run the first code. */
static int write_info(struct boot *b, const struct kernel *kernel)
{
    size_t cap = LAYOUT_CMDLINE - LAYOUT_BOOT_INFO;
    const struct gmem *mem = &b->vm->ram.guest;
    uint8_t *info = gmem_ptr(mem, LAYOUT_BOOT_INFO, cap);
    uint8_t *gdt = gmem_ptr(mem, LAYOUT_GDT, GDT_BYTES);
    uint8_t *tables = gmem_ptr(mem, LAYOUT_PAGE_TABLES, PAGE_TABLE_BYTES);
    int err;

    if (!info || !gdt || !tables)
        return -EFAULT;
    if (kernel->protocol == BOOT_PVH)
        err = build_pvh(b, info, cap);
    else if (kernel->protocol == BOOT_MULTIBOOT)
        err = build_multiboot(b, info, cap);
    else
        err = build_linux(b, kernel, info, cap);
    if (!err)
        err = gdt_build(kernel->protocol == BOOT_LINUX64, gdt, GDT_BYTES);
    if (!err && kernel->protocol == BOOT_LINUX64)
        err = page_tables_build(LAYOUT_PAGE_TABLES, tables, PAGE_TABLE_BYTES);
    if (err)
        log_error("boot information: %s%s", strerror(-err),
                  err == -ENOSPC ? " (the command line and the module names are too long)" : "");
    return err;
}

/* Kernel first: where its footprint ends decides where the other files may lie. */
static int load_files(struct boot *b, struct kernel *kernel)
{
    const struct vm_config *config = b->vm->config;
    const char *const *initrd = (const char *const *)config->initrd;
    int err = kernel_load(&b->request, kernel);

    if (err)
        return err;
    if (kernel->protocol == BOOT_MULTIBOOT)
        return modules_load(&b->request, kernel, initrd, config->initrd_count, b->module);
    if (config->initrd_count)
        return initrd_load(&b->request, kernel, initrd, config->initrd_count, &b->initrd);
    return 0;
}

/* Guests here find ACPI tables. */
const bool arch_has_device_tree = false;

const void *arch_device_tree(const struct vm *vm, size_t *len)
{
    (void)vm;
    *len = 0;
    return NULL;
}

int arch_load(struct vm *vm)
{
    struct image image;
    struct boot b = {.vm = vm,
                     .request = {.image = &image,
                                 .mem = &vm->ram.guest,
                                 .formats = &kernels_x86,
                                 .wish = vm->config->entry,
                                 .reserved = reserved,
                                 .reserved_count = ARRAY_SIZE(reserved)}};
    struct kernel *kernel;
    int err;

    vm->arch = calloc(1, sizeof(*vm->arch));
    if (!vm->arch) {
        log_error("%s: %s", vm->config->kernel, strerror(ENOMEM));
        return -ENOMEM;
    }
    kernel = &vm->arch->kernel;
    vm->arch->info_gpa = LAYOUT_BOOT_INFO;
    err = image_open(&image, vm->config->kernel);
    if (err)
        return err;
    make_map(&b);
    if (!(err = load_files(&b, kernel)) && !(err = write_cmdline(&b, kernel)) &&
        !(err = write_acpi(&b)) && !(err = write_smbios(vm)) && !(err = write_reset_stub(vm)))
        err = write_info(&b, kernel);
    if (!err)
        log_debug("%s: %s, entry %s at 0x%" PRIx64, vm->config->kernel, kernel->format,
                  boot_protocol_name(kernel->protocol), kernel->entry);
    free(b.cmdline);
    image_close(&image);
    return err;
}
