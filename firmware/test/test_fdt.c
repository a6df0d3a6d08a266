/*
 * Unit tests of fdt_build: the tree is read back as a guest would, by path and property. `test_fdt
 * --dump DIR` writes each machine's tree to DIR/MACHINE.dtb for dtc (firmware/test/fdt-trees).
 */
#include "firmware/fdt.h"

#include <check.h>
#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#include "firmware/test/dump.h"
#include "firmware/test/fdt_machines.h"
#include "firmware/test/guarded.h"

#define CAP  8192
#define UART "/serial@9000000"
#define GIC  "/interrupt-controller@8000000"
#define ITS  GIC "/msi-controller@8080000"
#define PCIE "/pcie@3f000000"

static struct guarded g;

static const struct fdt_machine *machine(const char *name)
{
    for (unsigned i = 0; i < FDT_MACHINES; i++)
        if (strcmp(fdt_machines[i].name, name) == 0)
            return &fdt_machines[i].machine;
    ck_abort_msg("no machine %s", name);
}

static void tear_down(void)
{
    if (g.bytes)
        guarded_free(&g);
    g = (struct guarded){0};
}

static size_t build(const struct fdt_machine *m)
{
    size_t len = 0;

    tear_down();
    g = guarded_new(CAP);
    ck_assert_int_eq(fdt_build(m, g.bytes, CAP, &len), 0);
    ck_assert(guarded_intact(&g));
    ck_assert_uint_eq(len, fdt_totalsize(g.bytes));
    ck_assert_uint_le(len, CAP);
    ck_assert_int_eq(fdt_check_header(g.bytes), 0);
    return len;
}

static bool has_node(const char *path)
{
    return fdt_path_offset(g.bytes, path) >= 0;
}

/* The property, NULL when it is not there; the node must be. */
static const void *find(const char *path, const char *name, int *len)
{
    int node = fdt_path_offset(g.bytes, path);

    ck_assert_msg(node >= 0, "no node %s", path);
    return fdt_getprop(g.bytes, node, name, len);
}

static bool has(const char *path, const char *name)
{
    int len;

    return find(path, name, &len) != NULL;
}

static void expect_bytes(const char *path, const char *name, const void *want, size_t want_len)
{
    int len;
    const void *got = find(path, name, &len);

    ck_assert_msg(got != NULL, "%s has no %s", path, name);
    ck_assert_msg((size_t)len == want_len, "%s %s has %d bytes, not %zu", path, name, len,
                  want_len);
    ck_assert_msg(memcmp(got, want, want_len) == 0, "%s %s differs", path, name);
}

#define EXPECT_TEXT(path, name, text) expect_bytes(path, name, text, sizeof(text))

/* A property of 32-bit cells. */
static void expect_cells(const char *path, const char *name, const uint32_t *want, unsigned count)
{
    int len;
    const uint8_t *got = find(path, name, &len);

    ck_assert_msg(got != NULL, "%s has no %s", path, name);
    ck_assert_msg((unsigned)len == 4 * count, "%s %s has %d bytes", path, name, len);
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *p = got + 4 * i;
        uint32_t v = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];

        ck_assert_msg(v == want[i], "%s %s cell %u is 0x%x, not 0x%x", path, name, i, v, want[i]);
    }
}

#define EXPECT_CELLS(path, name, ...)                                                              \
    do {                                                                                           \
        const uint32_t want[] = {__VA_ARGS__};                                                     \
        expect_cells(path, name, want, sizeof(want) / sizeof(want[0]));                            \
    } while (0)

START_TEST(root_says_what_machine_it_is)
{
    build(machine("usual"));
    EXPECT_TEXT("/", "compatible", "linux,dummy-virt");
    EXPECT_CELLS("/", "#address-cells", 2);
    EXPECT_CELLS("/", "#size-cells", 2);
    EXPECT_CELLS("/", "interrupt-parent", 1);
    EXPECT_CELLS(GIC, "phandle", 1);
    EXPECT_TEXT("/psci", "compatible", "arm,psci-1.0\0arm,psci-0.2");
    EXPECT_TEXT("/psci", "method", "hvc");
}
END_TEST

START_TEST(chosen_has_command_line_console_initrd_and_seeds)
{
    const struct fdt_machine *m = machine("usual");

    build(m);
    EXPECT_TEXT("/chosen", "bootargs", "console=ttyAMA0 quiet");
    EXPECT_TEXT("/chosen", "stdout-path", UART);
    EXPECT_TEXT("/aliases", "serial0", UART);
    EXPECT_CELLS("/chosen", "linux,initrd-start", 0, 0x4c000000);
    EXPECT_CELLS("/chosen", "linux,initrd-end", 0, 0x4c000000 + 12345);
    EXPECT_CELLS("/chosen", "kaslr-seed", 0x11223344, 0x55667788);
    expect_bytes("/chosen", "rng-seed", m->seed, FDT_SEED_BYTES);
}
END_TEST

START_TEST(what_is_absent_is_not_mentioned)
{
    build(machine("nothing"));
    ck_assert(!has("/chosen", "bootargs") && !has("/chosen", "stdout-path"));
    ck_assert(!has("/chosen", "linux,initrd-start") && !has("/chosen", "linux,initrd-end"));
    ck_assert(!has("/chosen", "rng-seed") && !has("/chosen", "kaslr-seed"));
    ck_assert(!has_node("/aliases") && !has_node("/apb-pclk") && !has_node(UART));
    ck_assert(!has_node("/rtc@9010000") && !has_node("/pcie") && !has_node(ITS));
}
END_TEST

START_TEST(memory_is_listed_bank_by_bank)
{
    build(machine("two-banks"));
    EXPECT_TEXT("/memory@40000000", "device_type", "memory");
    EXPECT_CELLS("/memory@40000000", "reg", 0, 0x40000000, 0, 0x40000000);
    EXPECT_CELLS("/memory@100000000", "reg", 1, 0, 0, 0x80000000);
}
END_TEST

START_TEST(every_cpu_has_its_mpidr_and_starts_by_psci)
{
    const struct fdt_machine *m = machine("most-cpus");
    int node, count = 0;

    build(m);
    EXPECT_CELLS("/cpus", "#address-cells", 2);
    EXPECT_CELLS("/cpus", "#size-cells", 0);
    fdt_for_each_subnode(node, g.bytes, fdt_path_offset(g.bytes, "/cpus")) count++;
    ck_assert_uint_eq((unsigned)count, m->cpus);
    EXPECT_CELLS("/cpus/cpu@0", "reg", 0, 0);
    EXPECT_TEXT("/cpus/cpu@0", "enable-method", "psci");
    EXPECT_TEXT("/cpus/cpu@101", "compatible", "arm,armv8");
    EXPECT_TEXT("/cpus/cpu@101", "device_type", "cpu");
    EXPECT_CELLS("/cpus/cpu@101", "reg", 0, 0x101);
    EXPECT_CELLS("/cpus/cpu@100000000", "reg", 1, 0);
}
END_TEST

START_TEST(timer_has_four_interrupts_for_all_cpus)
{
    build(machine("usual"));
    EXPECT_TEXT("/timer", "compatible", "arm,armv8-timer");
    EXPECT_CELLS("/timer", "interrupts", 1, 13, 8, 1, 14, 8, 1, 11, 8, 1, 10, 8);
    ck_assert(has("/timer", "always-on"));
    build(machine("gicv2")); /* there the specifier has a mask of CPUs */
    EXPECT_CELLS("/timer", "interrupts", 1, 13, 0xff08, 1, 14, 0xff08, 1, 11, 0xff08, 1, 10,
                 0xff08);
}
END_TEST

START_TEST(gic_has_the_registers_of_its_version)
{
    build(machine("gicv2"));
    EXPECT_TEXT(GIC, "compatible", "arm,cortex-a15-gic");
    EXPECT_CELLS(GIC, "reg", 0, 0x8000000, 0, 0x10000, 0, 0x8010000, 0, 0x10000);
    build(machine("usual"));
    EXPECT_TEXT(GIC, "compatible", "arm,gic-v3");
    EXPECT_CELLS(GIC, "#interrupt-cells", 3);
    EXPECT_CELLS(GIC, "reg", 0, 0x8000000, 0, 0x10000, 0, 0x80a0000, 0, 0xf60000);
    ck_assert(has(GIC, "interrupt-controller") && !has(GIC, "#redistributor-regions"));
    build(machine("two-banks"));
    EXPECT_CELLS(GIC, "#redistributor-regions", 2);
    EXPECT_CELLS(GIC, "reg", 0, 0x8000000, 0, 0x10000, 0, 0x80a0000, 0, 0xf60000, 0x40, 0, 0,
                 0x4000000);
}
END_TEST

START_TEST(serial_port_is_a_pl011_or_a_16550)
{
    build(machine("usual"));
    EXPECT_TEXT(UART, "compatible", "arm,pl011\0arm,primecell");
    EXPECT_CELLS(UART, "reg", 0, 0x9000000, 0, 0x1000);
    EXPECT_CELLS(UART, "interrupts", 0, 1, 4);
    EXPECT_CELLS(UART, "clocks", 3, 3);
    EXPECT_TEXT(UART, "clock-names", "uartclk\0apb_pclk");
    EXPECT_TEXT("/apb-pclk", "compatible", "fixed-clock");
    EXPECT_CELLS("/apb-pclk", "phandle", 3);
    build(machine("ns16550"));
    EXPECT_TEXT(UART, "compatible", "ns16550a");
    EXPECT_CELLS(UART, "clock-frequency", 1843200);
    ck_assert(!has(UART, "clocks"));
}
END_TEST

START_TEST(clock_is_a_pl031)
{
    build(machine("usual"));
    EXPECT_TEXT("/rtc@9010000", "compatible", "arm,pl031\0arm,primecell");
    EXPECT_CELLS("/rtc@9010000", "interrupts", 0, 2, 4);
    EXPECT_TEXT("/rtc@9010000", "clock-names", "apb_pclk");
}
END_TEST

START_TEST(virtio_devices_have_their_kind_of_interrupt)
{
    build(machine("virtio"));
    EXPECT_TEXT("/virtio@a000000", "compatible", "virtio,mmio");
    EXPECT_CELLS("/virtio@a000000", "reg", 0, 0xa000000, 0, 0x200);
    EXPECT_CELLS("/virtio@a000000", "interrupts", 0, 16, 1);
    EXPECT_CELLS("/virtio@a000200", "interrupts", 0, 17, 4);
    ck_assert(has("/virtio@a000200", "dma-coherent"));
}
END_TEST

START_TEST(pci_with_its_sends_messages)
{
    build(machine("its-and-pci"));
    EXPECT_TEXT(ITS, "compatible", "arm,gic-v3-its");
    ck_assert(has(ITS, "msi-controller"));
    EXPECT_CELLS(ITS, "reg", 0, 0x8080000, 0, 0x20000);
    EXPECT_CELLS(ITS, "phandle", 2);
    EXPECT_TEXT(PCIE, "compatible", "pci-host-ecam-generic");
    EXPECT_CELLS(PCIE, "bus-range", 0, 0);
    EXPECT_CELLS(PCIE, "reg", 0, 0x3f000000, 0, 0x100000);
    EXPECT_CELLS(PCIE, "msi-map", 0, 2, 0, 0x10000);
    EXPECT_CELLS(PCIE, "ranges", 0x01000000, 0, 0, 0, 0x3eff0000, 0, 0x10000, 0x02000000, 0,
                 0x10000000, 0, 0x10000000, 0, 0x2eff0000, 0x03000000, 0x80, 0, 0x80, 0, 0x80, 0);
    ck_assert(!has(PCIE, "interrupt-map"));
}
END_TEST

/* PCI Local Bus Specification, 2.2.6: the pins of device n are turned by n. */
START_TEST(pci_pins_are_spread_over_four_lines)
{
    const uint8_t *map;
    int len;

    build(machine("gicv2-pci-intx"));
    ck_assert(!has(PCIE, "msi-map"));
    EXPECT_CELLS(PCIE, "interrupt-map-mask", 0x1800, 0, 0, 7);
    map = find(PCIE, "interrupt-map", &len);
    ck_assert_int_eq(len, 16 * 40);
    for (unsigned i = 0; i < 16; i++) {
        const uint8_t *entry = map + (size_t)40 * i;

        ck_assert_uint_eq(entry[2], i / 4 << 3); /* device number, in bits 11 up */
        ck_assert_uint_eq(entry[15], i % 4 + 1);
        ck_assert_uint_eq(entry[19], 1); /* the GIC */
        ck_assert_uint_eq(entry[35], 3 + (i / 4 + i % 4) % 4);
        ck_assert_uint_eq(entry[39], 4);
    }
}
END_TEST

START_TEST(every_short_buffer_is_refused)
{
    const struct fdt_machine *m = &fdt_machines[_i].machine;
    size_t full = build(m), len;
    struct guarded exact = guarded_new(full);

    ck_assert_int_eq(fdt_build(m, exact.bytes, full, &len), 0);
    ck_assert_mem_eq(exact.bytes, g.bytes, full);
    guarded_free(&exact);
    for (size_t cap = 0; cap < full; cap += 1 + cap / 256) {
        struct guarded small = guarded_new(cap);

        ck_assert_int_eq(fdt_build(m, small.bytes, cap, &len), -ENOSPC);
        ck_assert(guarded_intact(&small));
        guarded_free(&small);
    }
}
END_TEST

static int build_bad(struct fdt_machine m)
{
    static uint8_t buf[CAP];
    size_t len;

    return fdt_build(&m, buf, sizeof(buf), &len);
}

#define REFUSED(base, change)                                                                      \
    do {                                                                                           \
        struct fdt_machine m = *machine(base);                                                     \
        ck_assert_int_eq(build_bad(m), 0);                                                         \
        m.change;                                                                                  \
        ck_assert_int_eq(build_bad(m), -EINVAL);                                                   \
    } while (0)

START_TEST(what_cannot_be_expressed_is_refused)
{
    REFUSED("usual", cpus = 0);
    REFUSED("usual", memory[0].size = 0);
    REFUSED("usual", gic.distributor.size = 0);
    REFUSED("usual", gic.redistributor[0].size = 0);
    REFUSED("usual", gic.version = (enum fdt_gic_version)4);
    REFUSED("usual", timer.virtual_ppi = 16);
    REFUSED("usual", serial.spi = 988);
    REFUSED("usual", rtc.spi = UINT32_MAX);
    REFUSED("gicv2", cpus = 9);
    REFUSED("gicv2", gic.cpu_interface.size = 0);
    REFUSED("virtio", virtio_count = FDT_MAX_VIRTIO + 1);
    REFUSED("virtio", virtio_count = 3);
    REFUSED("virtio", virtio[1].spi = 988);
    REFUSED("its-and-pci", pci.ecam.size = 0x180000);
    REFUSED("its-and-pci", pci.ecam.size = UINT64_C(257) << 20);
    REFUSED("its-and-pci", pci.window.size = 0);
    REFUSED("gicv2-pci-intx", pci.intx_spi = 985);
}
END_TEST

/* A test too, since the build asserts, which Check allows nowhere else. */
START_TEST(dump_machine)
{
    size_t len = build(&fdt_machines[_i].machine);

    dump_file(g.bytes, len, "%s.dtb", fdt_machines[_i].name);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("firmware/fdt");
    TCase *t = tcase_create("fdt");

    suite_add_tcase(s, t);
    tcase_add_checked_fixture(t, NULL, tear_down);
    if (dump_dir) {
        tcase_add_loop_test(t, dump_machine, 0, FDT_MACHINES);
        return s;
    }
    tcase_add_test(t, root_says_what_machine_it_is);
    tcase_add_test(t, chosen_has_command_line_console_initrd_and_seeds);
    tcase_add_test(t, what_is_absent_is_not_mentioned);
    tcase_add_test(t, memory_is_listed_bank_by_bank);
    tcase_add_test(t, every_cpu_has_its_mpidr_and_starts_by_psci);
    tcase_add_test(t, timer_has_four_interrupts_for_all_cpus);
    tcase_add_test(t, gic_has_the_registers_of_its_version);
    tcase_add_test(t, serial_port_is_a_pl011_or_a_16550);
    tcase_add_test(t, clock_is_a_pl031);
    tcase_add_test(t, virtio_devices_have_their_kind_of_interrupt);
    tcase_add_test(t, pci_with_its_sends_messages);
    tcase_add_test(t, pci_pins_are_spread_over_four_lines);
    tcase_add_loop_test(t, every_short_buffer_is_refused, 0, FDT_MACHINES);
    tcase_add_test(t, what_cannot_be_expressed_is_refused);
    return s;
}

int main(int argc, char **argv)
{
    return dump_main(argc, argv, suite);
}
