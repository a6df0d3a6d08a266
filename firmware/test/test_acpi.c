/*
 * Unit tests of acpi_build: the blob is walked from the RSDP as a guest would, by address, and
 * every table checked on the way. `test_acpi --dump DIR` writes each machine's tables to
 * DIR/MACHINE/TABLE.dat instead, for iasl (firmware/test/acpi-tables).
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "firmware/acpi.h"
#include "firmware/test/acpi_machines.h"
#include "firmware/test/dump.h"
#include "firmware/test/guarded.h"

#define GPA UINT64_C(0xe0000)
#define CAP 16384

/* Offsets of FADT fields. */
#define FADT_FLAGS   112
#define FADT_ARCH    109
#define FADT_RESET   116
#define FADT_X_DSDT  140
#define FADT_CONTROL 244
#define FADT_STATUS  256

struct tables {
    struct guarded g;
    size_t len;
    uint64_t gpa;
    const uint8_t *xsdt, *fadt, *madt, *dsdt, *mcfg; /* mcfg: NULL without PCI */
};

/* Finds the table at a guest address, and checks all that is true of every table. */
static const uint8_t *table_at(const struct tables *t, uint64_t gpa, const char *signature)
{
    const uint8_t *p;

    ck_assert_uint_ge(gpa, t->gpa + 36);
    ck_assert_uint_le(gpa - t->gpa + 36, t->len);
    ck_assert_uint_eq(gpa % 16, 0);
    p = t->g.bytes + (gpa - t->gpa);
    ck_assert_mem_eq(p, signature, 4);
    ck_assert_uint_ge(rd32(p + 4), 36);
    ck_assert_uint_le(gpa - t->gpa + rd32(p + 4), t->len);
    ck_assert_uint_eq(byte_sum(p, rd32(p + 4)), 0);
    ck_assert_mem_eq(p + 10, "HV    HVTABLE ", 14);
    return p;
}

static struct tables build(const struct acpi_machine *m, uint64_t gpa)
{
    struct tables t = {.g = guarded_new(CAP), .gpa = gpa};
    const uint8_t *rsdp = t.g.bytes;

    ck_assert_int_eq(acpi_build(m, gpa, t.g.bytes, CAP, &t.len), 0);
    ck_assert(guarded_intact(&t.g));
    ck_assert_uint_le(t.len, CAP);
    ck_assert(guarded_untouched(&t.g, t.len)); /* nothing beyond what it says */

    ck_assert_mem_eq(rsdp, "RSD PTR ", 8);
    ck_assert_uint_eq(byte_sum(rsdp, 20), 0);
    ck_assert_uint_eq(byte_sum(rsdp, 36), 0);
    ck_assert_uint_eq(rsdp[15], 2);
    ck_assert_uint_eq(rd32(rsdp + 16), 0);
    ck_assert_uint_eq(rd32(rsdp + 20), 36);
    ck_assert(all_zero(rsdp + 33, 3));
    t.xsdt = table_at(&t, rd64(rsdp + 24), "XSDT");
    ck_assert_uint_eq(rd32(t.xsdt + 4), 36 + (m->pci.ecam ? 3 : 2) * 8);
    t.fadt = table_at(&t, rd64(t.xsdt + 36), "FACP");
    t.madt = table_at(&t, rd64(t.xsdt + 44), "APIC");
    t.mcfg = m->pci.ecam ? table_at(&t, rd64(t.xsdt + 52), "MCFG") : NULL;
    t.dsdt = table_at(&t, rd64(t.fadt + FADT_X_DSDT), "DSDT");
    return t;
}

static void check_port_register(const uint8_t *gas, uint64_t port)
{
    ck_assert_uint_eq(gas[0], 1); /* system I/O */
    ck_assert_uint_eq(gas[1], 8);
    ck_assert_uint_eq(gas[2], 0);
    ck_assert_uint_eq(gas[3], 1);
    ck_assert_uint_eq(rd64(gas + 4), port);
}

START_TEST(fadt_says_hardware_reduced_and_where_power_is)
{
    const struct acpi_machine *m = &acpi_machines[_i].machine;
    struct tables t = build(m, GPA);
    uint32_t flags = rd32(t.fadt + FADT_FLAGS);
    unsigned arch = rd16(t.fadt + FADT_ARCH);

    ck_assert_uint_eq(rd32(t.fadt + 4), 276);
    ck_assert_uint_eq(t.fadt[8], 6);
    ck_assert_uint_eq(rd32(t.fadt + 40), rd64(t.fadt + FADT_X_DSDT));
    ck_assert(all_zero(t.fadt + 44, 65)); /* no fixed hardware */
    ck_assert(all_zero(t.fadt + 148, 96));
    ck_assert_uint_eq(arch & 0x7, 1u << 2);
    ck_assert_uint_eq(arch >> 5 & 1, m->rtc.port == 0);
    ck_assert(flags & 1u << 20);
    ck_assert(flags & 1u << 4); /* no fixed power button */
    ck_assert(flags & 1u << 5);
    ck_assert_uint_eq(flags >> 10 & 1, m->power.port != 0);
    if (m->power.port) {
        check_port_register(t.fadt + FADT_RESET, m->power.port + 2u);
        ck_assert_uint_eq(t.fadt[128], ACPI_RESET_VALUE);
        check_port_register(t.fadt + FADT_CONTROL, m->power.port);
        check_port_register(t.fadt + FADT_STATUS, m->power.port + 1u);
    } else {
        ck_assert(all_zero(t.fadt + FADT_CONTROL, 24));
    }
    guarded_free(&t.g);
}
END_TEST

START_TEST(madt_lists_each_cpu_once_for_every_count)
{
    struct acpi_machine m = acpi_machines[0].machine;
    unsigned cpus = 0, ioapics = 0, nmis = 0;
    const uint8_t *p, *end;
    struct tables t;

    m.cpus = (unsigned)_i;
    m.ioapic_id = (uint8_t)_i;
    t = build(&m, GPA);
    ck_assert_uint_eq(rd32(t.madt + 36), 0xfee00000);
    ck_assert_uint_eq(rd32(t.madt + 40), 0); /* no 8259 */
    end = t.madt + rd32(t.madt + 4);
    for (p = t.madt + 44; p < end; p += p[1]) {
        ck_assert_uint_ge(p[1], 2);
        ck_assert_int_ge(end - p, p[1]);
        if (p[0] == 0) {
            ck_assert_uint_eq(p[1], 8);
            ck_assert_uint_eq(p[2], cpus);
            ck_assert_uint_eq(p[3], cpus);
            ck_assert_uint_eq(rd32(p + 4), 1);
            cpus++;
        } else if (p[0] == 1) {
            ck_assert_uint_eq(p[1], 12);
            ck_assert_uint_eq(p[2], m.ioapic_id);
            ck_assert_uint_eq(rd32(p + 4), 0xfec00000);
            ck_assert_uint_eq(rd32(p + 8), 0);
            ioapics++;
        } else {
            ck_assert_uint_eq(p[0], 4);
            ck_assert_uint_eq(p[1], 6);
            ck_assert_uint_eq(p[2], 0xff);
            ck_assert_uint_eq(p[5], 1);
            nmis++;
        }
    }
    ck_assert_ptr_eq(p, end);
    ck_assert_uint_eq(cpus, m.cpus);
    ck_assert_uint_eq(ioapics, 1);
    ck_assert_uint_eq(nmis, 1);
    guarded_free(&t.g);
}
END_TEST

/* iasl judges the language itself (firmware/test/acpi-tables); here: what is there for whom. */
static bool dsdt_has(const struct tables *t, const void *what, size_t len)
{
    return memmem(t->dsdt + 36, rd32(t->dsdt + 4) - 36, what, len);
}

START_TEST(dsdt_has_what_the_machine_has)
{
    const struct acpi_machine *m = &acpi_machines[_i].machine;
    struct tables t = build(m, GPA);
    bool button = m->power.port && m->power.gsi >= 0;

    ck_assert_uint_eq(t.dsdt[8], 2);
    ck_assert_uint_eq(dsdt_has(&t, "COM1\b_HID\x0c\x41\xd0\x05\x01", 14), m->uart.port != 0);
    ck_assert_uint_eq(dsdt_has(&t, "RTC0\b_HID\x0c\x41\xd0\x0b\0", 14), m->rtc.port != 0);
    ck_assert_uint_eq(dsdt_has(&t, "QEMU0001", 9), m->pvpanic.port != 0);
    ck_assert_uint_eq(dsdt_has(&t, "ACPI0013", 9), button);
    ck_assert_uint_eq(dsdt_has(&t, "PWRB\b_HID\x0c\x41\xd0\x0c\x0c", 14), button);
    ck_assert_uint_eq(dsdt_has(&t, "_S5_\x12\x07\x04\x0a\x05\0\0\0", 12), m->power.port != 0);
    guarded_free(&t.g);
}
END_TEST

START_TEST(port_devices_carry_port_and_interrupt)
{
    const uint8_t com1[] = {0x47, 1, 0xf8, 3, 0xf8, 3, 1, 8, 0x89, 6, 0, 3, 1, 4, 0, 0, 0, 0x79};
    const uint8_t rtc[] = {0x47, 1, 0x70, 0, 0x70, 0, 1, 8, 0x89, 6, 0, 3, 1, 8, 0, 0, 0, 0x79};
    const uint8_t quiet_rtc[] = {0x47, 1, 0x70, 0, 0x70, 0, 1, 2, 0x79};
    const uint8_t ged[] = {0x89, 6, 0, 3, 1, 9, 0, 0, 0, 0x79};
    const uint8_t region[] = {0x5b, 0x80, 'E', 'V', 'R', 'G', 1, 0x0b, 0x04, 0x06, 0x01};
    const uint8_t pvpanic[] = {0x47, 1, 5, 5, 5, 5, 1, 1, 0x79};
    struct tables t = build(&acpi_machines[0].machine, GPA);

    ck_assert(dsdt_has(&t, com1, sizeof(com1)));
    ck_assert(dsdt_has(&t, pvpanic, sizeof(pvpanic)));
    ck_assert(dsdt_has(&t, rtc, sizeof(rtc)));
    ck_assert(dsdt_has(&t, ged, sizeof(ged)));
    ck_assert(dsdt_has(&t, region, sizeof(region)));
    guarded_free(&t.g);
    t = build(&acpi_machines[5].machine, GPA);
    ck_assert(dsdt_has(&t, quiet_rtc, sizeof(quiet_rtc)));
    guarded_free(&t.g);
}
END_TEST

/* MCFG: PCI Firmware Specification 3.0, 4.1.2. */
START_TEST(pci_has_a_bridge_a_window_and_reserved_configuration_space)
{
    const uint8_t crs[] = {0x88, 13,   0,    2,    0x0c, 0,    0, 0, 0, 0, 0, 0,    0,   0,
                           1,    0,                                  /* bus 0 alone */
                           0x47, 1,    0xf8, 0x0c, 0xf8, 0x0c, 1, 8, /* 0xcf8 to 0xcff */
                           0x87, 23,   0,    0,    0x0c, 1,    0, 0, 0, 0, 0, 0,    0,   0xc0,
                           0xff, 0xff, 0xff, 0xcf, 0,    0,    0, 0, 0, 0, 0, 0x10, 0x79};
    const uint8_t ecam[] = {0x86, 9, 0, 1, 0, 0, 0, 0xe0, 0, 0, 0x10, 0, 0x79};
    struct acpi_machine m = acpi_machines[0].machine;
    struct tables t = build(&m, GPA);

    ck_assert(!dsdt_has(&t, "PCI0", 4));
    guarded_free(&t.g);
    m.pci = (struct acpi_pci){.ecam = 0xe0000000, .window = 0xc0000000, .window_size = 0x10000000};
    t = build(&m, GPA);
    ck_assert(dsdt_has(&t, "PCI0\b_HID\x0c\x41\xd0\x0a\x08\b_CID\x0c\x41\xd0\x0a\x03", 24));
    ck_assert(dsdt_has(&t, crs, sizeof(crs)));
    ck_assert(dsdt_has(&t, "ECAM\b_HID\x0c\x41\xd0\x0c\x02", 14));
    ck_assert(dsdt_has(&t, ecam, sizeof(ecam)));
    ck_assert_uint_eq(rd32(t.mcfg + 4), 36 + 8 + 16);
    ck_assert_uint_eq(rd64(t.mcfg + 44), 0xe0000000);
    ck_assert(all_zero(t.mcfg + 52, 8)); /* segment 0, buses 0 to 0 */
    guarded_free(&t.g);
}
END_TEST

/* The field is read once: reading clears it. */
START_TEST(event_method_reads_once_and_notifies_the_button)
{
    const uint8_t field[] = {0x5b, 0x81, 0x0b, 'E', 'V', 'R', 'G', 1, 'E', 'V', 'T', 'S', 8};
    const uint8_t method[] = {0x14, 0x1f, '_',  'E',  'V',  'T',  1, /* one argument */
                              0x70, 'E',  'V',  'T',  'S',  0x60,    /* Local0 = EVTS */
                              0xa0, 0x12, 0x7b, 0x60, 1,    0,       /* If (Local0 & 1) */
                              0x86, '\\', 0x2e, '_',  'S',  'B',  '_',
                              'P',  'W',  'R',  'B',  0x0a, 0x80};
    struct tables t = build(&acpi_machines[0].machine, GPA);

    ck_assert(dsdt_has(&t, field, sizeof(field)));
    ck_assert(dsdt_has(&t, method, sizeof(method)));
    guarded_free(&t.g);
}
END_TEST

START_TEST(tables_above_4_gib_point_with_64_bits)
{
    struct tables t = build(&acpi_machines[0].machine, UINT64_C(0x100000000));

    ck_assert_uint_eq(rd32(t.fadt + 40), 0); /* cannot hold it */
    guarded_free(&t.g);
}
END_TEST

START_TEST(every_short_buffer_is_refused)
{
    const struct acpi_machine *m = &acpi_machines[_i].machine;
    struct tables t = build(m, GPA);
    struct guarded exact = guarded_new(t.len);
    size_t len;

    ck_assert_int_eq(acpi_build(m, GPA, exact.bytes, t.len, &len), 0);
    ck_assert_mem_eq(exact.bytes, t.g.bytes, t.len);
    guarded_free(&exact);
    for (size_t cap = 0; cap < t.len; cap++) {
        struct guarded g = guarded_new(cap);

        ck_assert_int_eq(acpi_build(m, GPA, g.bytes, cap, &len), -ENOSPC);
        ck_assert(guarded_intact(&g));
        guarded_free(&g);
    }
    guarded_free(&t.g);
}
END_TEST

static int build_bad(struct acpi_machine m, uint64_t gpa)
{
    static uint8_t buf[CAP];
    size_t len;

    return acpi_build(&m, gpa, buf, sizeof(buf), &len);
}

START_TEST(what_cannot_be_expressed_is_refused)
{
    struct acpi_machine good = acpi_machines[0].machine, m = good;

    ck_assert_int_eq(build_bad(good, GPA), 0);
    ck_assert_int_eq(build_bad(good, GPA + 8), -EINVAL);
    ck_assert_int_eq(build_bad(good, UINT64_MAX - 15), -EINVAL);
    m.cpus = 0;
    ck_assert_int_eq(build_bad(m, GPA), -EINVAL);
    m.cpus = 255;
    ck_assert_int_eq(build_bad(m, GPA), -EINVAL);
    m.cpus = UINT32_MAX;
    ck_assert_int_eq(build_bad(m, GPA), -EINVAL);
    m = good;
    m.uart.size = 0;
    ck_assert_int_eq(build_bad(m, GPA), -EINVAL);
    m = good;
    m.rtc.port = 0xfffc;
    ck_assert_int_eq(build_bad(m, GPA), -EINVAL);
    m = good;
    m.pvpanic = (struct acpi_port_device){0xffff, 2, -1};
    ck_assert_int_eq(build_bad(m, GPA), -EINVAL);
    m = good;
    m.power.port = 0xfff9;
    ck_assert_int_eq(build_bad(m, GPA), -EINVAL);
    m = good;
    m.pci = (struct acpi_pci){.ecam = 0xe0000000};
    ck_assert_int_eq(build_bad(m, GPA), -EINVAL);
    m.pci = (struct acpi_pci){.ecam = 0xe0000000, .window = 0xf0000000, .window_size = 0x10000001};
    ck_assert_int_eq(build_bad(m, GPA), -EINVAL);
    m.pci.window_size--;
    ck_assert_int_eq(build_bad(m, GPA), 0);
}
END_TEST

static void dump_table(const char *machine, const char *name, const uint8_t *table)
{
    dump_file(table, rd32(table + 4), "%s/%s.dat", machine, name);
}

/* A test too, since the walk asserts, which Check allows nowhere else. */
START_TEST(dump_machine)
{
    struct tables t = build(&acpi_machines[_i].machine, GPA);
    char dir[2048];

    snprintf(dir, sizeof(dir), "%s/%s", dump_dir, acpi_machines[_i].name);
    ck_assert_msg(mkdir(dir, 0777) == 0, "%s: %s", dir, strerror(errno));
    dump_table(acpi_machines[_i].name, "xsdt", t.xsdt);
    dump_table(acpi_machines[_i].name, "facp", t.fadt);
    dump_table(acpi_machines[_i].name, "apic", t.madt);
    dump_table(acpi_machines[_i].name, "dsdt", t.dsdt);
    if (t.mcfg)
        dump_table(acpi_machines[_i].name, "mcfg", t.mcfg);
    guarded_free(&t.g);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("firmware/acpi");
    TCase *t = tcase_create("acpi");

    suite_add_tcase(s, t);
    if (dump_dir) {
        tcase_add_loop_test(t, dump_machine, 0, ACPI_MACHINES);
        return s;
    }
    tcase_add_loop_test(t, fadt_says_hardware_reduced_and_where_power_is, 0, ACPI_MACHINES);
    tcase_add_loop_test(t, madt_lists_each_cpu_once_for_every_count, 1, 255);
    tcase_add_loop_test(t, dsdt_has_what_the_machine_has, 0, ACPI_MACHINES);
    tcase_add_test(t, port_devices_carry_port_and_interrupt);
    tcase_add_test(t, pci_has_a_bridge_a_window_and_reserved_configuration_space);
    tcase_add_test(t, event_method_reads_once_and_notifies_the_button);
    tcase_add_test(t, tables_above_4_gib_point_with_64_bits);
    tcase_add_loop_test(t, every_short_buffer_is_refused, 0, ACPI_MACHINES);
    tcase_add_test(t, what_cannot_be_expressed_is_refused);
    return s;
}

int main(int argc, char **argv)
{
    return dump_main(argc, argv, suite);
}
