/* The device tree's nodes, in the order in which they lie in the blob. See fdt.h. */
#include "firmware/fdt.h"

#include <errno.h>
#include <inttypes.h>
#include <libfdt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Who is pointed at. */
enum phandle { PHANDLE_GIC = 1, PHANDLE_ITS, PHANDLE_CLOCK };

/* Interrupt specifiers (bindings/interrupt-controller/arm,gic-v3.yaml): kind, number, trigger. */
enum { GIC_SPI = 0, GIC_PPI = 1 };
enum { IRQ_EDGE_RISING = 1, IRQ_LEVEL_HIGH = 4, IRQ_LEVEL_LOW = 8 };
#define SPI_MAX         987
#define PPI_MAX         15
#define GICV2_MAX_CPUS  8
#define GICV2_PPI_CPUS  8 /* bits 8 to 15 of the trigger: the CPUs that have the PPI */

#define PCI_BUS_BYTES   (UINT64_C(1) << 20)
#define PCI_SPACE_PORTS 0x01000000u /* bindings of PCI (IEEE 1275): phys.hi of an address */
#define PCI_SPACE_MEM32 0x02000000u
#define PCI_SPACE_MEM64 0x03000000u
#define PCI_PINS        4

#define APB_CLOCK_HZ    24000000
#define UART_CLOCK_HZ   1843200 /* a PC's; only the baud rate that nobody has depends on it */

#define MAX_CELLS       160 /* of the interrupt-map: 16 entries of 10 */

/* The blob under construction. The first error stays; from then on nothing is written. */
struct tree {
    void *blob;
    int err; /* libfdt's */
};

/* 32-bit cells of one property. */
struct cells {
    uint32_t v[MAX_CELLS];
    unsigned count;
};

static void put(struct cells *c, uint32_t v)
{
    c->v[c->count++] = cpu_to_fdt32(v);
}

static void put64(struct cells *c, uint64_t v)
{
    put(c, (uint32_t)(v >> 32));
    put(c, (uint32_t)v);
}

static void put_range(struct cells *c, uint64_t gpa, uint64_t size)
{
    put64(c, gpa);
    put64(c, size);
}

static void bytes(struct tree *t, const char *name, const void *p, size_t len)
{
    if (!t->err)
        t->err = fdt_property(t->blob, name, p, (int)len);
}

static void cells(struct tree *t, const char *name, const struct cells *c)
{
    bytes(t, name, c->v, c->count * sizeof(c->v[0]));
}

static void flag(struct tree *t, const char *name)
{
    bytes(t, name, NULL, 0);
}

static void u32(struct tree *t, const char *name, uint32_t v)
{
    struct cells c = {.count = 0};

    put(&c, v);
    cells(t, name, &c);
}

static void u64(struct tree *t, const char *name, uint64_t v)
{
    struct cells c = {.count = 0};

    put64(&c, v);
    cells(t, name, &c);
}

static void reg(struct tree *t, uint64_t gpa, uint64_t size)
{
    struct cells c = {.count = 0};

    put_range(&c, gpa, size);
    cells(t, "reg", &c);
}

static void str(struct tree *t, const char *name, const char *s)
{
    bytes(t, name, s, strlen(s) + 1);
}

/* A list of two strings. */
static void str2(struct tree *t, const char *name, const char *a, const char *b)
{
    char both[64];
    size_t len = strlen(a) + 1;

    memcpy(both, a, len);
    memcpy(both + len, b, strlen(b) + 1);
    bytes(t, name, both, len + strlen(b) + 1);
}

static void begin(struct tree *t, const char *name)
{
    if (!t->err)
        t->err = fdt_begin_node(t->blob, name);
}

/* A node that is called after its address. */
static void begin_at(struct tree *t, const char *name, uint64_t address)
{
    char full[48];

    snprintf(full, sizeof(full), "%s@%" PRIx64, name, address);
    begin(t, full);
}

static void end(struct tree *t)
{
    if (!t->err)
        t->err = fdt_end_node(t->blob);
}

/* How many cells addresses and sizes of child nodes have. */
static void address_cells(struct tree *t, unsigned address, unsigned size)
{
    u32(t, "#address-cells", address);
    u32(t, "#size-cells", size);
}

static void spi(struct tree *t, const struct fdt_device *d)
{
    struct cells c = {.count = 0};

    put(&c, GIC_SPI);
    put(&c, d->spi);
    put(&c, d->edge ? IRQ_EDGE_RISING : IRQ_LEVEL_HIGH);
    cells(t, "interrupts", &c);
}

static void serial_path(const struct fdt_machine *m, char *path, size_t len)
{
    snprintf(path, len, "/serial@%" PRIx64, m->serial.gpa);
}

static void add_chosen(struct tree *t, const struct fdt_machine *m)
{
    char path[48];

    begin(t, "chosen");
    if (m->bootargs)
        str(t, "bootargs", m->bootargs);
    if (m->serial.size) {
        serial_path(m, path, sizeof(path));
        str(t, "stdout-path", path);
    }
    if (m->initrd.size) {
        u64(t, "linux,initrd-start", m->initrd.gpa);
        u64(t, "linux,initrd-end", m->initrd.gpa + m->initrd.size);
    }
    if (m->seed)
        bytes(t, "rng-seed", m->seed, FDT_SEED_BYTES);
    if (m->kaslr_seed)
        u64(t, "kaslr-seed", m->kaslr_seed);
    end(t);
}

static void add_aliases(struct tree *t, const struct fdt_machine *m)
{
    char path[48];

    if (!m->serial.size)
        return;
    serial_path(m, path, sizeof(path));
    begin(t, "aliases");
    str(t, "serial0", path);
    end(t);
}

static void add_memory(struct tree *t, const struct fdt_machine *m)
{
    for (unsigned i = 0; i < FDT_MAX_MEMORY && m->memory[i].size; i++) {
        begin_at(t, "memory", m->memory[i].gpa);
        str(t, "device_type", "memory");
        reg(t, m->memory[i].gpa, m->memory[i].size);
        end(t);
    }
}

/* bindings/arm/cpus.yaml: reg has two cells, the first is Aff3. */
static void add_cpus(struct tree *t, const struct fdt_machine *m)
{
    begin(t, "cpus");
    address_cells(t, 2, 0);
    for (unsigned i = 0; i < m->cpus; i++) {
        begin_at(t, "cpu", m->mpidr[i]);
        str(t, "device_type", "cpu");
        str(t, "compatible", "arm,armv8");
        u64(t, "reg", m->mpidr[i]);
        str(t, "enable-method", "psci");
        end(t);
    }
    end(t);
}

/* bindings/arm/psci.yaml. KVM answers the calls; their numbers are fixed since 0.2. */
static void add_psci(struct tree *t)
{
    begin(t, "psci");
    str2(t, "compatible", "arm,psci-1.0", "arm,psci-0.2");
    str(t, "method", "hvc");
    end(t);
}

/* bindings/timer/arm,arch_timer.yaml: the order of the four is fixed. */
static void add_timer(struct tree *t, const struct fdt_machine *m)
{
    const uint32_t ppi[] = {m->timer.secure_ppi, m->timer.physical_ppi, m->timer.virtual_ppi,
                            m->timer.hypervisor_ppi};
    uint32_t trigger = IRQ_LEVEL_LOW;
    struct cells c = {.count = 0};

    if (m->gic.version == FDT_GIC_V2)
        trigger |= ((1u << m->cpus) - 1) << GICV2_PPI_CPUS;
    for (unsigned i = 0; i < 4; i++) {
        put(&c, GIC_PPI);
        put(&c, ppi[i]);
        put(&c, trigger);
    }
    begin(t, "timer");
    str(t, "compatible", "arm,armv8-timer");
    cells(t, "interrupts", &c);
    flag(t, "always-on");
    end(t);
}

static void add_its(struct tree *t, const struct fdt_range *its)
{
    if (!its->size)
        return;
    begin_at(t, "msi-controller", its->gpa);
    str(t, "compatible", "arm,gic-v3-its");
    flag(t, "msi-controller");
    u32(t, "#msi-cells", 1);
    reg(t, its->gpa, its->size);
    u32(t, "phandle", PHANDLE_ITS);
    end(t);
}

/* bindings/interrupt-controller/arm,gic.yaml and arm,gic-v3.yaml. */
static void add_gic(struct tree *t, const struct fdt_machine *m)
{
    const struct fdt_gic *gic = &m->gic;
    struct cells c = {.count = 0};
    unsigned regions = 0;

    begin_at(t, "interrupt-controller", gic->distributor.gpa);
    str(t, "compatible", gic->version == FDT_GIC_V2 ? "arm,cortex-a15-gic" : "arm,gic-v3");
    flag(t, "interrupt-controller");
    u32(t, "#interrupt-cells", 3);
    put_range(&c, gic->distributor.gpa, gic->distributor.size);
    if (gic->version == FDT_GIC_V2)
        put_range(&c, gic->cpu_interface.gpa, gic->cpu_interface.size);
    else
        for (; regions < FDT_MAX_REDISTRIBUTORS && gic->redistributor[regions].size; regions++)
            put_range(&c, gic->redistributor[regions].gpa, gic->redistributor[regions].size);
    cells(t, "reg", &c);
    if (regions > 1)
        u32(t, "#redistributor-regions", regions);
    /* Also without children: an interrupt-map that points here counts these address cells. */
    address_cells(t, 2, 2);
    flag(t, "ranges");
    u32(t, "phandle", PHANDLE_GIC);
    if (gic->version == FDT_GIC_V3)
        add_its(t, &gic->its);
    end(t);
}

/* What the PrimeCell devices are clocked by. It does not exist; their drivers insist. */
static void add_clock(struct tree *t, const struct fdt_machine *m)
{
    bool pl011 = m->serial.size && m->serial_kind == FDT_SERIAL_PL011;

    if (!pl011 && !m->rtc.size)
        return;
    begin(t, "apb-pclk");
    str(t, "compatible", "fixed-clock");
    u32(t, "#clock-cells", 0);
    u32(t, "clock-frequency", APB_CLOCK_HZ);
    str(t, "clock-output-names", "clk24mhz");
    u32(t, "phandle", PHANDLE_CLOCK);
    end(t);
}

static void add_serial(struct tree *t, const struct fdt_machine *m)
{
    struct cells clocks = {.count = 0};

    if (!m->serial.size)
        return;
    begin_at(t, "serial", m->serial.gpa);
    if (m->serial_kind == FDT_SERIAL_PL011) {
        put(&clocks, PHANDLE_CLOCK);
        put(&clocks, PHANDLE_CLOCK);
        str2(t, "compatible", "arm,pl011", "arm,primecell");
        cells(t, "clocks", &clocks);
        str2(t, "clock-names", "uartclk", "apb_pclk");
    } else {
        str(t, "compatible", "ns16550a");
        u32(t, "clock-frequency", UART_CLOCK_HZ);
    }
    reg(t, m->serial.gpa, m->serial.size);
    spi(t, &m->serial);
    end(t);
}

static void add_rtc(struct tree *t, const struct fdt_machine *m)
{
    if (!m->rtc.size)
        return;
    begin_at(t, "rtc", m->rtc.gpa);
    str2(t, "compatible", "arm,pl031", "arm,primecell");
    u32(t, "clocks", PHANDLE_CLOCK);
    str(t, "clock-names", "apb_pclk");
    reg(t, m->rtc.gpa, m->rtc.size);
    spi(t, &m->rtc);
    end(t);
}

/* bindings/virtio/mmio.yaml. Linux numbers the devices in the order of the nodes. */
static void add_virtio(struct tree *t, const struct fdt_device *d)
{
    begin_at(t, "virtio", d->gpa);
    str(t, "compatible", "virtio,mmio");
    reg(t, d->gpa, d->size);
    spi(t, d);
    flag(t, "dma-coherent");
    end(t);
}

/* One window of the bridge: address on the bus (three cells), address here, size. */
static void put_window(struct cells *c, uint32_t space, uint64_t bus, const struct fdt_range *r)
{
    if (!r->size)
        return;
    put(c, space);
    put64(c, bus);
    put_range(c, r->gpa, r->size);
}

/* Which line each pin of each device is on; devices repeat after four, as the mask says. */
static void add_intx(struct tree *t, const struct fdt_pci *pci)
{
    struct cells map = {.count = 0}, mask = {.count = 0};

    for (unsigned dev = 0; dev < PCI_PINS; dev++) {
        for (unsigned pin = 1; pin <= PCI_PINS; pin++) {
            put(&map, dev << 11);
            put64(&map, 0);
            put(&map, pin);
            put(&map, PHANDLE_GIC);
            put64(&map, 0);
            put(&map, GIC_SPI);
            put(&map, pci->intx_spi + (dev + pin - 1) % PCI_PINS);
            put(&map, IRQ_LEVEL_HIGH);
        }
    }
    put(&mask, (PCI_PINS - 1) << 11);
    put64(&mask, 0);
    put(&mask, 7);
    u32(t, "#interrupt-cells", 1);
    cells(t, "interrupt-map-mask", &mask);
    cells(t, "interrupt-map", &map);
}

/* bindings/pci/host-generic-pci.yaml. */
static void add_pci(struct tree *t, const struct fdt_machine *m)
{
    struct cells buses = {.count = 0}, ranges = {.count = 0}, msi = {.count = 0};
    const struct fdt_pci *pci = &m->pci;

    if (!pci->ecam.size)
        return;
    put64(&buses, pci->ecam.size / PCI_BUS_BYTES - 1); /* two cells: 0, the last */
    put_window(&ranges, PCI_SPACE_PORTS, 0, &pci->ports);
    put_window(&ranges, PCI_SPACE_MEM32, pci->window.gpa, &pci->window);
    put_window(&ranges, PCI_SPACE_MEM64, pci->high.gpa, &pci->high);
    begin_at(t, "pcie", pci->ecam.gpa);
    str(t, "compatible", "pci-host-ecam-generic");
    str(t, "device_type", "pci");
    address_cells(t, 3, 2);
    cells(t, "bus-range", &buses);
    reg(t, pci->ecam.gpa, pci->ecam.size);
    cells(t, "ranges", &ranges);
    flag(t, "dma-coherent");
    if (m->gic.version == FDT_GIC_V3 && m->gic.its.size) {
        put(&msi, 0);
        put(&msi, PHANDLE_ITS);
        put(&msi, 0);
        put(&msi, 0x10000); /* requester IDs */
        cells(t, "msi-map", &msi);
    }
    if (pci->intx)
        add_intx(t, pci);
    end(t);
}

static void add_root(struct tree *t, const struct fdt_machine *m)
{
    begin(t, "");
    str(t, "compatible", "linux,dummy-virt");
    str(t, "model", "hv,virt");
    address_cells(t, 2, 2);
    u32(t, "interrupt-parent", PHANDLE_GIC);
    add_chosen(t, m);
    add_aliases(t, m);
    add_memory(t, m);
    add_cpus(t, m);
    add_psci(t);
    add_timer(t, m);
    add_gic(t, m);
    add_clock(t, m);
    add_serial(t, m);
    add_rtc(t, m);
    for (unsigned i = 0; i < m->virtio_count; i++)
        add_virtio(t, &m->virtio[i]);
    add_pci(t, m);
    end(t);
}

static bool device_is_good(const struct fdt_device *d)
{
    return !d->size || d->spi <= SPI_MAX;
}

static bool gic_is_good(const struct fdt_machine *m)
{
    const struct fdt_timer *timer = &m->timer;

    if (!m->gic.distributor.size || timer->secure_ppi > PPI_MAX || timer->physical_ppi > PPI_MAX ||
        timer->virtual_ppi > PPI_MAX || timer->hypervisor_ppi > PPI_MAX)
        return false;
    if (m->gic.version == FDT_GIC_V2)
        return m->gic.cpu_interface.size && m->cpus <= GICV2_MAX_CPUS;
    return m->gic.version == FDT_GIC_V3 && m->gic.redistributor[0].size;
}

static bool is_good(const struct fdt_machine *m)
{
    if (m->cpus == 0 || !m->memory[0].size || !gic_is_good(m) || m->virtio_count > FDT_MAX_VIRTIO ||
        !device_is_good(&m->serial) || !device_is_good(&m->rtc))
        return false;
    for (unsigned i = 0; i < m->virtio_count; i++)
        if (!m->virtio[i].size || !device_is_good(&m->virtio[i]))
            return false;
    return !m->pci.ecam.size ||
           (m->pci.ecam.size % PCI_BUS_BYTES == 0 && m->pci.ecam.size <= 256 * PCI_BUS_BYTES &&
            m->pci.window.size && (!m->pci.intx || m->pci.intx_spi <= SPI_MAX - (PCI_PINS - 1)));
}

int fdt_build(const struct fdt_machine *m, void *buf, size_t cap, size_t *len)
{
    struct tree t = {.blob = buf};

    if (!is_good(m))
        return -EINVAL;
    t.err = fdt_create(buf, cap < INT_MAX ? (int)cap : INT_MAX);
    if (!t.err)
        t.err = fdt_finish_reservemap(buf);
    add_root(&t, m);
    if (!t.err)
        t.err = fdt_finish(buf);
    if (t.err)
        return t.err == -FDT_ERR_NOSPACE ? -ENOSPC : -EINVAL;
    *len = fdt_totalsize(buf);
    return 0;
}
