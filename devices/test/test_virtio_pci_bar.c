/*
 * The PCI transport of virtio: notifications and doorbells, device configuration, accesses through
 * configuration space, MSI-X, hostile rings, saved state. Section numbers: virtio 1.2.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/util.h"
#include "devices/test/pci_guest.h"

START_TEST(notification_of_any_width_rings_the_queue_of_its_address)
{
    pg_start(0);
    for (unsigned size = 1; size <= 8; size *= 2) {
        pg.toy->kicks = 0;
        pg_poke(pg_notify_address(1), size, UINT64_MAX);
        driver_run(&pg.d);
        ck_assert_uint_eq(pg.toy->kicks, 1);
    }
}
END_TEST

START_TEST(notification_of_nonexistent_queue_is_ignored)
{
    pg_start(0);
    for (unsigned at = 4 * PG_QUEUES; at < 0x1000; at += 2)
        pg_poke(pg_cap_address(2) + at, 2, at);
    driver_run(&pg.d);
    ck_assert_uint_eq(pg.toy->kicks, 0);
    ck_assert_uint_eq(pg_peek(pg_cap_address(2), 4), 0);
}
END_TEST

START_TEST(notification_before_driver_ok_or_with_decode_off_is_ignored)
{
    uint64_t at;

    pg_negotiate(0);
    pg_set_queue(0, 16);
    at = pg_notify_address(0);
    pg_poke(at, 2, 0);
    driver_run(&pg.d);
    ck_assert_uint_eq(pg.toy->kicks, 0);
    pg_start(0);
    pg_cfg_set(PCI_COMMAND, 2, 0);
    pg_poke(at, 2, 0);
    driver_run(&pg.d);
    ck_assert_uint_eq(pg.toy->kicks, 0);
    pg_cfg_set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    pg_echo(0);
}
END_TEST

START_TEST(doorbells_follow_the_bar_and_the_decoding)
{
    uint64_t old = pg.bar;

    ck_assert_uint_eq(pg.bells, 0);
    pg_start(0);
    ck_assert_uint_eq(pg.bells, PG_QUEUES);
    ck_assert_uint_eq(pg.bell[1].addr, pg_notify_address(1));
    pg_cfg_set(PCI_BAR0, 4, old + 0x100000);
    pg.bar = old + 0x100000;
    ck_assert_uint_eq(pg.bells, PG_QUEUES);
    ck_assert_uint_eq(pg.adds, 2 * PG_QUEUES);
    for (unsigned i = 0; i < PG_QUEUES; i++)
        ck_assert_uint_ge(pg.bell[i].addr, pg.bar);
    pg_echo(0);
    pg_cfg_set(PCI_COMMAND, 2, 0);
    ck_assert_uint_eq(pg.bells, 0);
    pg_cfg_set(PCI_BAR0, 4, 0x100000); /* onto RAM */
    pg_cfg_set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    ck_assert_uint_eq(pg.bells, 0);
    pg_cfg_set(PCI_BAR0, 4, old);
    pg.bar = old;
    ck_assert_uint_eq(pg.bells, PG_QUEUES);
    pg_echo(1);
}
END_TEST

START_TEST(a_doorbell_rings_without_an_exit)
{
    const uint64_t one = 1;

    pg_start(0);
    ck_assert_int_eq(write(pg.bell[0].fd, &one, sizeof(one)), sizeof(one));
    driver_run(&pg.d);
    ck_assert_uint_eq(pg.toy->kicks, 1);
}
END_TEST

START_TEST(refused_doorbells_leave_notifications_by_exit)
{
    pg.bell_error = _i ? -ENOTSUP : -ENOSPC;
    pg_start(0);
    ck_assert_uint_eq(pg.bells, 0);
    pg_echo(0);
}
END_TEST

START_TEST(device_configuration_reads_in_every_width_and_ends_with_zeros)
{
    uint64_t at = pg_cap_address(4);

    for (unsigned size = 1; size <= 8; size *= 2) {
        for (unsigned offset = 0; offset < 32; offset++) {
            uint64_t want = 0;

            for (unsigned i = 0; i < size && offset + i < PG_TOY_CFG; i++)
                want |= (uint64_t)(0x10 + offset + i) << (8 * i);
            ck_assert_uint_eq(pg_peek(at + offset, size), want);
        }
    }
    ck_assert_uint_eq(pg_peek(at + 0xffc, 8), 0);
}
END_TEST

START_TEST(device_configuration_is_writable_only_where_the_device_says)
{
    uint64_t at = pg_cap_address(4);

    pg_poke(at, 4, 0xdeadbeef);
    ck_assert_uint_eq(pg_peek(at, 4), 0xdeadbeef);
    pg_poke(at + 4, 8, UINT64_MAX);
    ck_assert_uint_eq(pg_peek(at + 4, 8), UINT64_C(0x1b1a191817161514));
    pg_poke(at + PG_TOY_CFG - 1, 2, 0xffff);
    pg_poke(at + PG_TOY_CFG, 8, 0xffff);
    pg_poke(at + 0xfff, 8, 0xffff);
    ck_assert_uint_eq(pg_peek(at + PG_TOY_CFG - 1, 2), 0x1b);
}
END_TEST

START_TEST(every_byte_of_the_bar_takes_every_width)
{
    uint64_t seed = 5;

    for (unsigned at = 0; at < 0x8000; at++) {
        for (unsigned size = 1; size <= 8; size *= 2) {
            pg_peek(pg.bar + at, size);
            pg_poke(pg.bar + at, size, at % 0x1000 > 64 ? fake_random(&seed) : 0);
        }
    }
    pg_cc_set(PG_STATUS, 1, 0);
    driver_run(&pg.d);
    pg_start(0);
    pg_echo(0);
}
END_TEST

/* 4.1.4.9: an access through configuration space. */
static void access_set(unsigned bar, uint64_t offset, unsigned length)
{
    unsigned cap = pg_find_cap(5);

    pg_cfg_set(cap + 4, 1, bar);
    pg_cfg_set(cap + 8, 4, offset);
    pg_cfg_set(cap + 12, 4, length);
}

START_TEST(configuration_access_capability_reads_and_writes_the_bar)
{
    unsigned data = pg_find_cap(5) + 16;

    access_set(0, pg_cfg(pg_find_cap(1) + 8, 4) + PG_NQ, 2);
    ck_assert_uint_eq(pg_cfg(data, 4), PG_QUEUES);
    access_set(0, pg_cfg(pg_find_cap(1) + 8, 4) + PG_STATUS, 1);
    pg_cfg_set(data, 1, 1);
    ck_assert_uint_eq(pg_cc(PG_STATUS, 1), 1);
    ck_assert_uint_eq(pg_cfg(data, 1), 1);
    access_set(0, pg_cfg(pg_find_cap(4) + 8, 4), 4);
    pg_cfg_set(data, 4, 0x01020304);
    ck_assert_uint_eq(pg_peek(pg_cap_address(4), 4), 0x01020304);
    /* It works where the BAR itself does not answer. */
    pg_cfg_set(PCI_COMMAND, 2, 0);
    ck_assert_uint_eq(pg_cfg(data, 4), 0x01020304);
}
END_TEST

START_TEST(configuration_access_with_bad_bar_offset_or_length_is_ignored)
{
    static const struct {
        unsigned bar, length;
        uint32_t offset;
    } bad[] = {
        {0, 0, 0x2000},     {0, 3, 0x2000},           {0, 8, 0x2000},     {0, UINT32_MAX, 0x2000},
        {7, 4, 0x2000},     {1, 4, 0x2000},           {255, 4, 0x2000},   {0, 4, 0x2001},
        {0, 2, 0x2001},     {0, 4, 0x8000},           {0, 4, 0x7ffe},     {0, 1, 0xffffffff},
        {0, 4, 0xfffffffc}, {0, UINT32_MAX - 3, 0x8}, {0, 2, 0xfffffffe},
    };
    unsigned data = pg_find_cap(5) + 16;
    uint64_t before = pg_peek(pg_cap_address(4), 8);

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        access_set(bad[i].bar, bad[i].offset, bad[i].length);
        pg_cfg_set(data, 4, 0x5a5a5a5a);
        ck_assert_uint_eq(pg_cfg(data, 4), 0);
        ck_assert_uint_eq(pg_peek(pg_cap_address(4), 8), before);
    }
}
END_TEST

START_TEST(bad_ring_needs_reset_and_other_writes_keep_working)
{
    uint8_t *ring;

    pg_start(0);
    pg_enable_messages();
    ring = driver_ptr(&pg.d, pg.d.q[0].avail);
    store_le16(ring + 2, 9); /* nine heads that were never written */
    store_le16(ring + 4, 99);
    pg_poke(pg_notify_address(0), 2, 0);
    driver_run(&pg.d);
    ck_assert(pg_cc(PG_STATUS, 1) & VIRTIO_STATUS_NEEDS_RESET);
    ck_assert_uint_eq(pg.sent[0], 1);
    pg_start(0);
    pg_echo(0);
}
END_TEST

START_TEST(ring_or_buffer_inside_the_own_bar_is_refused_without_re_entry)
{
    struct driver_buf buf = {pg.bar + 0x3000, 32, true};

    pg_start(0);
    driver_add(&pg.d, 0, &buf, 1);
    pg_poke(pg_notify_address(0), 2, 0);
    driver_run(&pg.d);
    ck_assert(pg_cc(PG_STATUS, 1) & VIRTIO_STATUS_NEEDS_RESET);
    pg_negotiate(0);
    pg_set_queue(0, 16);
    pg_cc_set(PG_STATUS, 1, 0);
    pg_negotiate(0);
    pg_cc_set(PG_QSEL, 2, 0);
    pg_cc_set(PG_QDESC, 8, pg.bar);
    pg_cc_set(PG_QDRIVER, 8, pg.bar + 0x1000);
    pg_cc_set(PG_QDEVICE, 8, pg.bar + 0x2000);
    pg_cc_set(PG_QEN, 2, 1);
    pg_cc_set(PG_STATUS, 1, 0x0f);
    ck_assert(pg_cc(PG_STATUS, 1) & VIRTIO_STATUS_NEEDS_RESET);
}
END_TEST

START_TEST(msix_table_and_pending_bits_are_reached_through_the_bar)
{
    unsigned cap = pg_find_msix();
    uint64_t table = pg.bar + (pg_cfg(cap + 4, 4) & ~7u),
             bits = pg.bar + (pg_cfg(cap + 8, 4) & ~7u);

    pg_cfg_set(cap + 2, 2, 0x8000);
    pg_start(0);
    pg_cc_set(PG_QSEL, 2, 0);
    pg_cc_set(PG_QVEC, 2, 2);
    pg_echo(0);
    ck_assert_uint_eq(pg_peek(bits, 8), 4); /* masked: pending */
    pg_poke(bits, 8, 0);
    ck_assert_uint_eq(pg_peek(bits, 8), 4); /* writes are ignored */
    pg_poke(table + 2 * 16 + 12, 4, 0);
    ck_assert_uint_eq(pg.sent[2], 1);
    ck_assert_uint_eq(pg_peek(bits, 8), 0);
    pg_poke(table + 16 * PG_VECTORS - 4, 8, UINT64_MAX); /* over its end */
    ck_assert_uint_eq(pg_peek(table + 16 * PG_VECTORS - 4, 8), 1);
}
END_TEST

/* Where a random guest looks: configuration space, the BAR where it is or was, its registers. */
static uint64_t random_address(uint64_t *seed)
{
    uint64_t r = fake_random(seed);

    switch (r & 3) {
    case 0:
        return PG_ECAM + 0x8000 + (r >> 8) % 0x108;
    case 1:
        return pg.bar + (r >> 8) % 64;
    case 2:
        return pg.bar + (r >> 8) % 0x8008;
    default:
        return PG_WINDOW + (r >> 8) % 0x20000;
    }
}

/* Often what has a meaning: small numbers, guest memory. */
static uint64_t random_value(uint64_t *seed)
{
    uint64_t r = fake_random(seed);

    return r & 1 ? r >> 8 & 0x1f : r & 2 ? DRIVER_GPA + (r >> 8 & 0x3ff0) : fake_random(seed);
}

START_TEST(random_guest_hurts_nobody_and_the_device_starts_afterwards)
{
    uint64_t seed = 77 + (uint64_t)_i;

    pg_start(_i % 2 ? VIRTIO_F_RING_PACKED : VIRTIO_F_RING_RESET);
    pg_enable_messages();
    for (unsigned i = 0; i < 30000; i++) {
        uint64_t at = random_address(&seed), r = fake_random(&seed);

        if (r & 7)
            pg_poke(at, 1u << (r >> 8 & 3), random_value(&seed));
        else
            pg_peek(at, 1u << (r >> 8 & 3));
        if (r >> 16 & 1) /* keep it reachable, most of the time */
            pg_cfg_set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
        if ((r >> 20 & 31) == 0)
            pg_cfg_set(PCI_BAR0, 8, pg.bar);
        if ((r >> 32 & 63) == 0)
            driver_run(&pg.d);
    }
    pg_cfg_set(PCI_BAR0, 8, pg.bar);
    pg_cfg_set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    pg_start(0);
    pg_enable_messages();
    pg_echo(0);
    ck_assert_uint_eq(pg.bells, PG_QUEUES);
}
END_TEST

START_TEST(saved_device_continues_with_rings_vectors_and_doorbells)
{
    struct state_writer s = {0};
    struct state_reader r;

    pg_start(VIRTIO_F_RING_PACKED);
    pg_enable_messages();
    pg_echo(0);
    dev_save(pg.dev, &s);
    dev_destroy(pg.dev);
    dev_destroy(pci_host_window(pg.host));
    memset(&pg.mmio, 0, sizeof(pg.mmio));
    memset(pg.sent, 0, sizeof(pg.sent));
    ck_assert_uint_eq(pg.bells, 0);
    ck_assert_int_eq(pci_host_create(PG_WINDOW, PG_SIZE, &pg.host), 0);
    ck_assert_int_eq(bus_add(&pg.mmio, PG_WINDOW, PG_SIZE, pci_host_window(pg.host)), 0);
    ck_assert_int_eq(bus_add(&pg.mmio, PG_ECAM, PCI_ECAM_SIZE, pci_host_ecam(pg.host)), 0);
    pg_attach(0);
    state_reader_init(&r, s.data, s.len);
    ck_assert_int_eq(dev_load(pg.dev, &r), 0);
    state_writer_free(&s);
    ck_assert_uint_eq(pg_cc(PG_STATUS, 1), 0x0f);
    ck_assert_uint_eq(pg.bells, PG_QUEUES);
    pg_echo(0);
    pg_echo(1);
    ck_assert_uint_eq(pg.sent[1], 1);
    ck_assert_uint_eq(pg.sent[2], 1);
}
END_TEST

START_TEST(hostile_state_is_refused_or_harmless)
{
    pg_start(0);
    pg_enable_messages();
    fake_hostile_states(pg.dev, 0);
    pg_echo(0);
}
END_TEST

START_TEST(reset_of_the_machine_leaves_a_device_that_can_start)
{
    pg_start(0);
    pg_enable_messages();
    dev_reset(pg.dev);
    ck_assert_uint_eq(pg.bells, 0);
    ck_assert(!pg.on[0] && !pg.on[1] && !pg.on[2]);
    pg_cfg_set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    ck_assert_uint_eq(pg_cc(PG_STATUS, 1), 0);
    pg_start(0);
    pg_echo(0);
}
END_TEST

START_TEST(device_on_a_full_bus_is_enospc_and_freed)
{
    struct dev *more[PCI_SLOTS], *first = pg.dev;
    unsigned count = 0;

    while (count < PCI_SLOTS - 2) {
        pg_attach(0);
        more[count++] = pg.dev;
    }
    pg_attach(-ENOSPC);
    while (count)
        dev_destroy(more[--count]);
    pg.dev = first;
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("virtio-pci-bar");

    tcase_add_checked_fixture(tc, pg_setup, pg_teardown);
    tcase_add_test(tc, notification_of_any_width_rings_the_queue_of_its_address);
    tcase_add_test(tc, notification_of_nonexistent_queue_is_ignored);
    tcase_add_test(tc, notification_before_driver_ok_or_with_decode_off_is_ignored);
    tcase_add_test(tc, doorbells_follow_the_bar_and_the_decoding);
    tcase_add_test(tc, a_doorbell_rings_without_an_exit);
    tcase_add_loop_test(tc, refused_doorbells_leave_notifications_by_exit, 0, 2);
    tcase_add_test(tc, device_configuration_reads_in_every_width_and_ends_with_zeros);
    tcase_add_test(tc, device_configuration_is_writable_only_where_the_device_says);
    tcase_add_test(tc, every_byte_of_the_bar_takes_every_width);
    tcase_add_test(tc, configuration_access_capability_reads_and_writes_the_bar);
    tcase_add_test(tc, configuration_access_with_bad_bar_offset_or_length_is_ignored);
    tcase_add_test(tc, bad_ring_needs_reset_and_other_writes_keep_working);
    tcase_add_test(tc, ring_or_buffer_inside_the_own_bar_is_refused_without_re_entry);
    tcase_add_test(tc, msix_table_and_pending_bits_are_reached_through_the_bar);
    tcase_add_loop_test(tc, random_guest_hurts_nobody_and_the_device_starts_afterwards, 0, 4);
    tcase_add_test(tc, saved_device_continues_with_rings_vectors_and_doorbells);
    tcase_add_test(tc, hostile_state_is_refused_or_harmless);
    tcase_add_test(tc, reset_of_the_machine_leaves_a_device_that_can_start);
    tcase_add_test(tc, device_on_a_full_bus_is_enospc_and_freed);
    return fake_run(tc);
}
