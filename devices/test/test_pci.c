/*
 * The PCI host bridge and configuration space, driven as a guest drives them: by ports, by ECAM and
 * in the window, through the buses.
 */
#include <errno.h>
#include <string.h>

#include "devices/core/bus.h"
#include "devices/core/util.h"
#include "devices/pci/pci.h"
#include "devices/test/fake.h"

#define ECAM   0xe0000000u
#define WINDOW 0xc0000000u
#define SIZE   0x10000000u
#define BAR    0x1000u /* bytes of a test function's BAR */
#define WIDE   0x8000u

/* A function that remembers its last access. */
struct toy {
    struct pci_function f;
    unsigned reads, writes, bar, size, written;
    uint64_t offset, value;
};

static uint64_t toy_read(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size)
{
    struct toy *t = container_of(f, struct toy, f);

    t->reads++;
    t->bar = bar;
    t->offset = offset;
    t->size = size;
    return t->value & size_mask(size);
}

static void toy_write(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size,
                      uint64_t value)
{
    struct toy *t = container_of(f, struct toy, f);

    t->writes++;
    t->bar = bar;
    t->offset = offset;
    t->size = size;
    t->value = value;
}

static void toy_config(struct pci_function *f, unsigned offset, unsigned size)
{
    (void)offset;
    (void)size;
    container_of(f, struct toy, f)->written++;
}

static const struct pci_function_ops toy_ops = {
    .bar_read = toy_read, .bar_write = toy_write, .config_written = toy_config};

static void toy_save(struct dev *dev, struct state_writer *w)
{
    pci_function_save(container_of(dev, struct pci_function, dev), w);
}

static int toy_load(struct dev *dev, struct state_reader *r, uint16_t version)
{
    (void)version;
    return pci_function_load(container_of(dev, struct pci_function, dev), r);
}

static void toy_reset(struct dev *dev)
{
    pci_function_reset(container_of(dev, struct pci_function, dev));
}

static const struct dev_ops toy_dev_ops = {
    .tag = "toy", .version = 1, .reset = toy_reset, .save = toy_save, .load = toy_load};
static const struct pci_id toy_id = {.vendor = 0x1234,
                                     .device = 0x5678,
                                     .subsystem_vendor = 0x9abc,
                                     .subsystem = 0xdef0,
                                     .class_code = 0x010203,
                                     .revision = 4};

/* Two functions: `a` at device 1 with BAR 0 of 32 bits, `b` at device 2 with BAR 2 of 64 bits. */
struct world {
    struct bus port, mmio;
    struct pci_host *host;
    struct toy a, b;
};

static struct world w;

static void toy_add(struct toy *t, unsigned bar, uint32_t size, bool wide)
{
    pci_function_init(&t->f, &toy_dev_ops, &toy_ops, &toy_id);
    pci_add_bar(&t->f, bar, size, wide);
    ck_assert_int_eq(pci_host_add(w.host, &t->f), 0);
}

static void setup(void)
{
    memset(&w, 0, sizeof(w));
    ck_assert_int_eq(pci_host_create(WINDOW, SIZE, &w.host), 0);
    toy_add(&w.a, 0, BAR, false);
    toy_add(&w.b, 2, WIDE, true);
    ck_assert_int_eq(bus_add(&w.port, PCI_PORTS, PCI_PORTS_SIZE, pci_host_ports(w.host)), 0);
    ck_assert_int_eq(bus_add(&w.mmio, WINDOW, SIZE, pci_host_window(w.host)), 0);
    ck_assert_int_eq(bus_add(&w.mmio, ECAM, PCI_ECAM_SIZE, pci_host_ecam(w.host)), 0);
}

static void teardown(void)
{
    pci_function_fini(&w.a.f);
    pci_function_fini(&w.b.f);
    dev_destroy(pci_host_window(w.host));
}

static uint64_t peek(struct bus *bus, uint64_t addr, unsigned size)
{
    uint8_t data[8] = {0};

    bus_read(bus, addr, size, data);
    return load_le64(data);
}

static void poke(struct bus *bus, uint64_t addr, unsigned size, uint64_t value)
{
    uint8_t data[8];

    store_le64(data, value);
    bus_write(bus, addr, size, data);
}

static uint64_t ecam_at(unsigned device, unsigned offset)
{
    return ECAM + (device << 15) + offset;
}

static uint64_t cfg(unsigned device, unsigned offset, unsigned size)
{
    return peek(&w.mmio, ecam_at(device, offset), size);
}

static void cfg_set(unsigned device, unsigned offset, unsigned size, uint64_t value)
{
    poke(&w.mmio, ecam_at(device, offset), size, value);
}

static void decode(unsigned device, bool on)
{
    cfg_set(device, PCI_COMMAND, 2, on ? PCI_COMMAND_MEMORY : 0);
}

/* By ports; `size` bytes at a register, from byte 0xcfc + (offset & 3) on. */
static uint64_t port_cfg(unsigned bus, unsigned device, unsigned offset, unsigned size)
{
    poke(&w.port, 0xcf8, 4, 0x80000000 | bus << 16 | device << 11 | (offset & 0xfc));
    return peek(&w.port, 0xcfc + (offset & 3), size);
}

START_TEST(ports_and_ecam_show_the_same_header)
{
    ck_assert_uint_eq(cfg(0, 0, 4), 0x00081b36);
    ck_assert_uint_eq(cfg(0, 8, 4), 0x06000000);
    ck_assert_uint_eq(cfg(1, 0, 4), 0x56781234);
    ck_assert_uint_eq(cfg(1, 8, 4), 0x01020304);
    ck_assert_uint_eq(cfg(1, PCI_SUBSYSTEM, 4), 0xdef09abc);
    ck_assert_uint_eq(cfg(1, PCI_INTERRUPT_LINE, 2), 0); /* no pin */
    for (unsigned device = 0; device < 3; device++)
        for (unsigned offset = 0; offset < 256; offset++)
            ck_assert_uint_eq(port_cfg(0, device, offset, 1), cfg(device, offset, 1));
}
END_TEST

START_TEST(every_width_and_alignment_reads_the_same_bytes)
{
    for (unsigned size = 1; size <= 8; size *= 2) {
        for (unsigned offset = 0; offset + size <= 300; offset++) {
            uint64_t want = 0;

            for (unsigned i = 0; i < size; i++)
                want |= cfg(2, offset + i, 1) << (8 * i);
            ck_assert_uint_eq(cfg(2, offset, size), want);
        }
    }
}
END_TEST

START_TEST(absent_functions_devices_and_buses_read_all_ones)
{
    ck_assert_uint_eq(cfg(3, 0, 4), 0xffffffff);
    ck_assert_uint_eq(cfg(31, 0, 2), 0xffff);
    ck_assert_uint_eq(peek(&w.mmio, ecam_at(1, 0) + 0x1000, 4), 0xffffffff); /* function 1 */
    ck_assert_uint_eq(peek(&w.mmio, ecam_at(1, 0) + 0x7100, 4), 0xffffffff);
    ck_assert_uint_eq(port_cfg(1, 0, 0, 4), 0xffffffff);
    ck_assert_uint_eq(port_cfg(255, 1, 0, 4), 0xffffffff);
    cfg_set(3, PCI_COMMAND, 2, 0xffff);
    ck_assert_uint_eq(cfg(3, PCI_COMMAND, 2), 0xffff);
}
END_TEST

START_TEST(ecam_past_its_end_reads_all_ones)
{
    ck_assert_uint_eq(peek(&w.mmio, ECAM + PCI_ECAM_SIZE, 4), 0xffffffff);
    ck_assert_uint_eq(peek(&w.mmio, ECAM + PCI_ECAM_SIZE - 2, 8), UINT64_MAX);
    poke(&w.mmio, ECAM + PCI_ECAM_SIZE - 2, 8, 0);
}
END_TEST

START_TEST(extended_configuration_space_is_empty)
{
    ck_assert_uint_eq(cfg(1, 0x100, 4), 0);
    ck_assert_uint_eq(cfg(1, 0xffc, 4), 0);
    /* From the last bytes of one function into the next, which is not there. */
    ck_assert_uint_eq(cfg(1, 0xffc, 8), 0xffffffff00000000);
    cfg_set(1, 0x104, 4, 0xffffffff);
    ck_assert_uint_eq(cfg(1, 0x104, 4), 0);
    ck_assert_uint_eq(cfg(1, PCI_COMMAND, 2), 0);
}
END_TEST

START_TEST(config_address_takes_4_bytes_only_and_data_needs_its_enable_bit)
{
    poke(&w.port, 0xcf8, 4, 0xffffffff);
    ck_assert_uint_eq(peek(&w.port, 0xcf8, 4), 0x80fffffc);
    poke(&w.port, 0xcf8, 2, 0);
    poke(&w.port, 0xcf8, 1, 0);
    poke(&w.port, 0xcfb, 1, 0);
    ck_assert_uint_eq(peek(&w.port, 0xcf8, 4), 0x80fffffc);
    ck_assert_uint_eq(peek(&w.port, 0xcf8, 2), 0xffff);
    ck_assert_uint_eq(peek(&w.port, 0xcfb, 1), 0xff);

    poke(&w.port, 0xcf8, 4, 0x00000800); /* device 1, not enabled */
    ck_assert_uint_eq(peek(&w.port, 0xcfc, 4), 0xffffffff);
    poke(&w.port, 0xcfc, 4, 0);
    poke(&w.port, 0xcf8, 4, 0x80000800);
    ck_assert_uint_eq(peek(&w.port, 0xcfc, 4), 0x56781234);
    ck_assert_uint_eq(peek(&w.port, 0xcfe, 2), 0x5678);
    ck_assert_uint_eq(peek(&w.port, 0xcfe, 4), 0xffff5678); /* over the end of the ports */
    ck_assert_uint_eq(peek(&w.port, 0xcfa, 4), 0xffffffff); /* over the start of data */
}
END_TEST

START_TEST(writes_by_ports_reach_the_function)
{
    poke(&w.port, 0xcf8, 4, 0x80000804);
    poke(&w.port, 0xcfc, 2, 0xffff);
    ck_assert_uint_eq(cfg(1, PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    poke(&w.port, 0xcf8, 4, 0x8000083c);
    poke(&w.port, 0xcfc, 1, 0x5a);
    ck_assert_uint_eq(cfg(1, PCI_INTERRUPT_LINE, 2), 0x5a);
}
END_TEST

START_TEST(write_to_read_only_ids_and_header_is_ignored)
{
    uint8_t before[PCI_CONFIG_SIZE];

    for (unsigned i = 0; i < sizeof(before); i++)
        before[i] = (uint8_t)cfg(1, i, 1);
    for (unsigned i = 0; i < 256; i++)
        if (i != 0x04 && i != 0x0c && (i < 0x10 || i >= 0x14) && i != PCI_INTERRUPT_LINE)
            cfg_set(1, i, 1, 0xff);
    for (unsigned i = 0; i < sizeof(before); i++)
        ck_assert_uint_eq(cfg(1, i, 1), before[i]);
}
END_TEST

START_TEST(bar_sizing_write_reads_back_the_size_and_is_restored)
{
    uint64_t bar = cfg(1, PCI_BAR0, 4);

    decode(1, true);
    cfg_set(1, PCI_BAR0, 4, 0xffffffff);
    ck_assert_uint_eq(cfg(1, PCI_BAR0, 4), ~(uint64_t)(BAR - 1) & 0xffffffff);
    peek(&w.mmio, bar, 4);
    ck_assert_uint_eq(w.a.reads, 0); /* it lies elsewhere meanwhile */
    cfg_set(1, PCI_BAR0, 4, bar);
    peek(&w.mmio, bar + 8, 4);
    ck_assert_uint_eq(w.a.reads, 1);
    ck_assert_uint_eq(w.a.offset, 8);
    cfg_set(1, PCI_BAR0 + 4, 4, 0xffffffff); /* no such BAR */
    ck_assert_uint_eq(cfg(1, PCI_BAR0 + 4, 4), 0);
}
END_TEST

START_TEST(wide_bar_half_written_answers_nowhere_until_restored)
{
    unsigned low = PCI_BAR0 + 8, high = low + 4;
    uint64_t bar = cfg(2, low, 8) & ~UINT64_C(15);

    decode(2, true);
    ck_assert_uint_eq(cfg(2, low, 4) & 15, 4); /* 64 bits, memory, not prefetchable */
    cfg_set(2, low, 4, 0xffffffff);
    ck_assert_uint_eq(cfg(2, low, 4), 0xffff8004);
    cfg_set(2, high, 4, 0xffffffff);
    ck_assert_uint_eq(cfg(2, high, 4), 0xffffffff);
    cfg_set(2, low, 4, bar);
    peek(&w.mmio, bar, 4);
    ck_assert_uint_eq(w.b.reads, 0);
    cfg_set(2, high, 4, 0);
    peek(&w.mmio, bar, 4);
    ck_assert_uint_eq(w.b.reads, 1);
    ck_assert_uint_eq(w.b.bar, 2);
}
END_TEST

START_TEST(bars_have_addresses_from_the_start_that_do_not_overlap)
{
    uint64_t a = cfg(1, PCI_BAR0, 4), b = cfg(2, PCI_BAR0 + 8, 8) & ~UINT64_C(15);

    ck_assert_uint_eq(a, WINDOW);
    ck_assert_uint_eq(b, WINDOW + WIDE);
    ck_assert_uint_eq(cfg(1, PCI_COMMAND, 2), 0);
}
END_TEST

START_TEST(decode_off_unmaps_this_function_only)
{
    decode(1, true);
    decode(2, true);
    poke(&w.mmio, WINDOW + 4, 4, 7);
    ck_assert_uint_eq(w.a.writes, 1);
    decode(1, false);
    poke(&w.mmio, WINDOW + 4, 4, 7);
    ck_assert_uint_eq(peek(&w.mmio, WINDOW + 4, 4), 0xffffffff);
    ck_assert_uint_eq(w.a.writes, 1);
    poke(&w.mmio, WINDOW + WIDE + 12, 8, 9);
    ck_assert_uint_eq(w.b.writes, 1);
    ck_assert_uint_eq(w.b.offset, 12);
    ck_assert_uint_eq(w.b.size, 8);
}
END_TEST

START_TEST(bar_moved_answers_at_its_new_place_only)
{
    decode(1, true);
    cfg_set(1, PCI_BAR0, 4, WINDOW + 0x700000);
    peek(&w.mmio, WINDOW, 4);
    ck_assert_uint_eq(w.a.reads, 0);
    peek(&w.mmio, WINDOW + 0x700ffc, 4);
    ck_assert_uint_eq(w.a.offset, 0xffc);
    ck_assert_uint_eq(w.a.reads, 1);
}
END_TEST

START_TEST(bar_moved_onto_another_bar_gives_the_lower_device_the_answer)
{
    decode(1, true);
    decode(2, true);
    cfg_set(1, PCI_BAR0, 4, WINDOW + WIDE);
    peek(&w.mmio, WINDOW + WIDE, 4);
    ck_assert_uint_eq(w.a.reads, 1);
    ck_assert_uint_eq(w.b.reads, 0);
    /* Over the end of the first one: each byte by itself. */
    poke(&w.mmio, WINDOW + WIDE + BAR - 1, 2, 0x1122);
    ck_assert_uint_eq(w.a.writes, 0); /* the second holds all of it */
    ck_assert_uint_eq(w.b.writes, 1);
    cfg_set(1, PCI_BAR0, 4, WINDOW);
    peek(&w.mmio, WINDOW + WIDE, 4);
    ck_assert_uint_eq(w.b.reads, 1);
}
END_TEST

START_TEST(bar_moved_onto_ram_lapic_or_ecam_answers_nowhere)
{
    static const uint32_t place[] = {0, 0x100000, 0xfee00000, ECAM, WINDOW - BAR, WINDOW + SIZE};

    decode(1, true);
    for (unsigned i = 0; i < ARRAY_SIZE(place); i++) {
        cfg_set(1, PCI_BAR0, 4, place[i]);
        ck_assert(!w.a.f.bar[0].mapped);
        peek(&w.mmio, place[i], 4);
        peek(&w.mmio, WINDOW, 4);
    }
    ck_assert_uint_eq(w.a.reads, 0);
    ck_assert_uint_eq(cfg(1, 0, 4), 0x56781234);
}
END_TEST

START_TEST(access_over_the_end_of_a_bar_is_split_into_bytes)
{
    decode(1, true);
    w.a.value = 0x11;
    ck_assert_uint_eq(peek(&w.mmio, WINDOW + BAR - 2, 4), 0xffff1111);
    ck_assert_uint_eq(w.a.reads, 2);
    poke(&w.mmio, WINDOW + BAR - 1, 8, 0x8877665544332255);
    ck_assert_uint_eq(w.a.writes, 1);
    ck_assert_uint_eq(w.a.value, 0x55);
    /* The end of the window itself. */
    ck_assert_uint_eq(peek(&w.mmio, WINDOW + SIZE - 4, 8), UINT64_MAX);
}
END_TEST

START_TEST(capabilities_form_a_chain_in_the_order_of_adding)
{
    struct pci_function f = {.ops = NULL};
    unsigned first, second;

    pci_function_init(&f, &toy_dev_ops, &toy_ops, &toy_id);
    ck_assert_uint_eq(f.config[PCI_STATUS] & PCI_STATUS_CAPS, 0);
    first = pci_add_capability(&f, 9, 15);
    second = pci_add_capability(&f, 0x11, 12);
    ck_assert_uint_eq(f.config[PCI_CAPABILITIES], first);
    ck_assert_uint_eq(f.config[first], 9);
    ck_assert_uint_eq(f.config[first + 1], second);
    ck_assert_uint_eq(f.config[second], 0x11);
    ck_assert_uint_eq(f.config[second + 1], 0);
    ck_assert_uint_eq(second, first + 16);
    ck_assert_uint_eq(f.config[PCI_STATUS], PCI_STATUS_CAPS);
    pci_function_fini(&f);
}
END_TEST

START_TEST(more_functions_than_slots_or_window_are_enospc)
{
    struct toy more[PCI_SLOTS], big = {.reads = 0};
    unsigned added = 0;

    pci_function_init(&big.f, &toy_dev_ops, &toy_ops, &toy_id);
    pci_add_bar(&big.f, 0, SIZE, false);
    ck_assert_int_eq(pci_host_add(w.host, &big.f), -ENOSPC);
    memset(more, 0, sizeof(more));
    for (unsigned i = 0; i < PCI_SLOTS; i++) {
        pci_function_init(&more[i].f, &toy_dev_ops, &toy_ops, &toy_id);
        added += pci_host_add(w.host, &more[i].f) == 0;
    }
    ck_assert_uint_eq(added, PCI_SLOTS - 3);
    ck_assert_uint_eq(cfg(31, 0, 4), 0x56781234);
}
END_TEST

START_TEST(reset_restores_addresses_and_turns_decoding_off)
{
    decode(1, true);
    cfg_set(1, PCI_BAR0, 4, WINDOW + 0x100000);
    poke(&w.port, 0xcf8, 4, 0x80000800);
    dev_reset(&w.a.f.dev);
    dev_reset(pci_host_window(w.host));
    ck_assert_uint_eq(cfg(1, PCI_BAR0, 4), WINDOW);
    ck_assert_uint_eq(cfg(1, PCI_COMMAND, 2), 0);
    ck_assert_uint_eq(peek(&w.port, 0xcf8, 4), 0);
    peek(&w.mmio, WINDOW, 4);
    ck_assert_uint_eq(w.a.reads, 0);
}
END_TEST

START_TEST(saved_state_brings_back_address_register_and_bars)
{
    struct pci_host *other;
    struct toy to = {.reads = 0};

    poke(&w.port, 0xcf8, 4, 0x80001234);
    decode(1, true);
    cfg_set(1, PCI_BAR0, 4, WINDOW + 0x30000);
    ck_assert_int_eq(pci_host_create(WINDOW, SIZE, &other), 0);
    ck_assert_int_eq(fake_transfer(pci_host_window(w.host), pci_host_window(other)), 0);
    ck_assert_uint_eq(fake_read(pci_host_ports(other), 0, 4), 0x80001234);
    pci_function_init(&to.f, &toy_dev_ops, &toy_ops, &toy_id);
    pci_add_bar(&to.f, 0, BAR, false);
    ck_assert_int_eq(pci_host_add(other, &to.f), 0);
    ck_assert_int_eq(fake_transfer(&w.a.f.dev, &to.f.dev), 0);
    ck_assert(to.f.bar[0].mapped);
    ck_assert_uint_eq(to.f.bar[0].base, WINDOW + 0x30000);
    ck_assert_uint_eq(to.written, 0); /* nothing was written by a guest */
    /* Another function's state: a BAR of another size. */
    ck_assert_int_eq(fake_transfer(&w.b.f.dev, &to.f.dev), -EINVAL);
    pci_function_fini(&to.f);
    dev_destroy(pci_host_window(other));
}
END_TEST

START_TEST(hostile_state_is_refused_or_harmless)
{
    fake_hostile_states(pci_host_window(w.host), 64);
    fake_hostile_states(&w.a.f.dev, 0);
    fake_expect_refused(pci_host_window(w.host), 0, 0x03); /* address bits that do not exist */
    fake_expect_refused(&w.a.f.dev, 0, 0xff);              /* vendor */
}
END_TEST

START_TEST(random_accesses_to_config_space_and_window_touch_nothing_else)
{
    uint64_t seed = 11;

    for (unsigned i = 0; i < 100000; i++) {
        uint64_t r = fake_random(&seed), base = r & 1 ? ECAM - 8 : WINDOW;
        unsigned size = 1u << (r >> 1 & 3);
        uint64_t addr = base + (r >> 8 & 0x1ffff);

        if (r >> 3 & 1)
            poke(&w.mmio, addr, size, fake_random(&seed));
        else
            peek(&w.mmio, addr, size);
    }
    ck_assert_uint_eq(cfg(0, 0, 4), 0x00081b36);
    ck_assert_uint_eq(cfg(2, 0, 4), 0x56781234);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("pci");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, ports_and_ecam_show_the_same_header);
    tcase_add_test(tc, every_width_and_alignment_reads_the_same_bytes);
    tcase_add_test(tc, absent_functions_devices_and_buses_read_all_ones);
    tcase_add_test(tc, ecam_past_its_end_reads_all_ones);
    tcase_add_test(tc, extended_configuration_space_is_empty);
    tcase_add_test(tc, config_address_takes_4_bytes_only_and_data_needs_its_enable_bit);
    tcase_add_test(tc, writes_by_ports_reach_the_function);
    tcase_add_test(tc, write_to_read_only_ids_and_header_is_ignored);
    tcase_add_test(tc, bar_sizing_write_reads_back_the_size_and_is_restored);
    tcase_add_test(tc, wide_bar_half_written_answers_nowhere_until_restored);
    tcase_add_test(tc, bars_have_addresses_from_the_start_that_do_not_overlap);
    tcase_add_test(tc, decode_off_unmaps_this_function_only);
    tcase_add_test(tc, bar_moved_answers_at_its_new_place_only);
    tcase_add_test(tc, bar_moved_onto_another_bar_gives_the_lower_device_the_answer);
    tcase_add_test(tc, bar_moved_onto_ram_lapic_or_ecam_answers_nowhere);
    tcase_add_test(tc, access_over_the_end_of_a_bar_is_split_into_bytes);
    tcase_add_test(tc, capabilities_form_a_chain_in_the_order_of_adding);
    tcase_add_test(tc, more_functions_than_slots_or_window_are_enospc);
    tcase_add_test(tc, reset_restores_addresses_and_turns_decoding_off);
    tcase_add_test(tc, saved_state_brings_back_address_register_and_bars);
    tcase_add_test(tc, hostile_state_is_refused_or_harmless);
    tcase_add_test(tc, random_accesses_to_config_space_and_window_touch_nothing_else);
    return fake_run(tc);
}
