/* The PCI transport of virtio: what is announced, the common configuration, queues and vectors.
 * Section numbers: virtio 1.2. */
#include <pthread.h>

#include "devices/core/util.h"
#include "devices/test/pci_guest.h"

START_TEST(ids_are_those_of_a_non_transitional_device)
{
    ck_assert_uint_eq(pg_cfg(0, 2), 0x1af4);
    ck_assert_uint_eq(pg_cfg(2, 2), 0x1040 + PG_TOY_ID);
    ck_assert_uint_ge(pg_cfg(8, 1), 1);
    ck_assert_uint_ge(pg_cfg(0x2e, 2), 0x40);
    ck_assert_uint_eq(pg_cfg(0x0b, 1), 1); /* a block device is storage */
    ck_assert_uint_eq(pg_cfg(0x3d, 1), 0); /* no interrupt pin */
}
END_TEST

START_TEST(capabilities_for_all_structures_lie_in_the_bar)
{
    static const unsigned least[] = {[1] = 56, [2] = 4 * PG_QUEUES - 2, [3] = 1, [4] = PG_TOY_CFG};

    for (unsigned type = 1; type <= 4; type++) {
        unsigned cap = pg_find_cap(type);

        ck_assert_uint_ne(cap, 0);
        ck_assert_uint_ge(pg_cfg(cap + 2, 1), type == 2 ? 20 : 16);
        ck_assert_uint_eq(pg_cfg(cap + 4, 1), 0);
        ck_assert_uint_eq(pg_cfg(cap + 8, 4) % 4, 0);
        ck_assert_uint_ge(pg_cfg(cap + 12, 4), least[type]);
        ck_assert_uint_le(pg_cfg(cap + 8, 4) + pg_cfg(cap + 12, 4), 0x8000);
    }
    ck_assert_uint_eq(pg_cfg(pg_find_cap(2) + 16, 4), 4); /* notify_off_multiplier */
    ck_assert_uint_ge(pg_cfg(pg_find_cap(5) + 2, 1), 20);
    ck_assert_uint_eq(pg_cfg(pg_find_msix() + 2, 2) & 0x7ff, PG_VECTORS - 1);
}
END_TEST

START_TEST(split_and_packed_queues_serve_buffers_and_send_their_vector)
{
    pg_enable_messages();
    pg_start(_i ? VIRTIO_F_RING_PACKED : 0);
    ck_assert_uint_eq(pg.toy->activated, 1);
    pg_enable_messages(); /* the reset in pg_start() has unmapped the vectors */
    pg_echo(0);
    ck_assert_uint_eq(pg.sent[1], 1);
    pg_echo(1);
    ck_assert_uint_eq(pg.sent[2], 1);
    ck_assert_uint_eq(pg.sent[0], 0);
    ck_assert_uint_eq(pg_peek(pg_cap_address(3), 1), 1);
    ck_assert_uint_eq(pg_peek(pg_cap_address(3), 1), 0); /* reading clears */
}
END_TEST

START_TEST(configuration_change_sets_isr_and_sends_its_vector)
{
    pg_start(0);
    pg_enable_messages();
    pthread_mutex_lock(&pg.dev->lock);
    virtio_config_changed(&pg.toy->v);
    pthread_mutex_unlock(&pg.dev->lock);
    ck_assert_uint_eq(pg.sent[0], 1);
    ck_assert_uint_eq(pg_peek(pg_cap_address(3), 4), 2);
    ck_assert_uint_eq(pg_peek(pg_cap_address(3), 4), 0);
}
END_TEST

START_TEST(configuration_change_without_vector_sends_nothing)
{
    pg_start(0);
    pg_enable_messages();
    pg_cc_set(PG_CFGVEC, 2, PG_NO);
    pthread_mutex_lock(&pg.dev->lock);
    virtio_config_changed(&pg.toy->v);
    pthread_mutex_unlock(&pg.dev->lock);
    ck_assert_uint_eq(pg.sent[0] + pg.sent[1] + pg.sent[2], 0);
}
END_TEST

START_TEST(features_are_offered_and_mirrored_by_selector)
{
    for (uint32_t select = 0; select < 70; select++) {
        uint64_t want = select < 2 ? pg.toy->v.offered >> (32 * select) & 0xffffffff : 0;

        pg_cc_set(PG_DFSEL, 4, select);
        ck_assert_uint_eq(pg_cc(PG_DF, 4), want);
        pg_cc_set(PG_GFSEL, 4, select);
        pg_cc_set(PG_GF, 4, want);
        ck_assert_uint_eq(pg_cc(PG_GF, 4), want);
    }
    pg_cc_set(PG_DFSEL, 4, UINT32_MAX);
    ck_assert_uint_eq(pg_cc(PG_DF, 4), 0);
    pg_cc_set(PG_GFSEL, 4, 0);
    ck_assert_uint_eq(pg_cc(PG_GF, 4), pg.toy->v.offered & 0xffffffff);
}
END_TEST

START_TEST(common_registers_read_the_same_in_every_width)
{
    pg_negotiate(0);
    pg_set_queue(1, 8);
    for (unsigned size = 1; size <= 8; size *= 2) {
        for (unsigned offset = 0; offset < 80; offset++) {
            uint64_t want = 0;

            for (unsigned i = 0; i < size; i++)
                want |= pg_cc(offset + i, 1) << (8 * i);
            ck_assert_uint_eq(pg_cc(offset, size), want);
        }
    }
    ck_assert_uint_eq(pg_cc(PG_NQ, 2), PG_QUEUES);
    ck_assert_uint_eq(pg_cc(60, 8), 0);
    ck_assert_uint_eq(pg_cc(0xff8, 8), 0);
}
END_TEST

START_TEST(partial_and_wide_writes_change_the_bytes_they_cover)
{
    pg_cc_set(PG_GFSEL, 4, 0x11223344);
    pg_cc_set(PG_GFSEL + 1, 1, 0xaa);
    ck_assert_uint_eq(pg_cc(PG_GFSEL, 4), 0x1122aa44);
    pg_cc_set(PG_QSEL, 2, 1);
    pg_cc_set(PG_QDESC + 2, 8, UINT64_C(0x8877665544332211));
    ck_assert_uint_eq(pg_cc(PG_QDESC, 8), UINT64_C(0x6655443322110000));
    ck_assert_uint_eq(pg_cc(PG_QDRIVER, 8), 0x8877);
    pg_cc_set(PG_STATUS, 4, 0x00010001); /* status 1, queue select 1 */
    ck_assert_uint_eq(pg_cc(PG_STATUS, 1), 1);
    ck_assert_uint_eq(pg_cc(PG_QSEL, 2), 1);
}
END_TEST

START_TEST(write_to_read_only_common_fields_is_ignored)
{
    pg_cc_set(PG_DFSEL, 4, 1);
    pg_cc_set(PG_DF, 4, 0);
    ck_assert_uint_ne(pg_cc(PG_DF, 4), 0);
    pg_cc_set(PG_NQ, 2, 77);
    ck_assert_uint_eq(pg_cc(PG_NQ, 2), PG_QUEUES);
    pg_cc_set(PG_GEN, 1, 9);
    ck_assert_uint_eq(pg_cc(PG_GEN, 1), 0);
    pg_cc_set(PG_QSEL, 2, 1);
    pg_cc_set(PG_QOFF, 2, 9);
    ck_assert_uint_eq(pg_cc(PG_QOFF, 2), 1);
    pg_poke(pg_cap_address(3), 4, UINT64_MAX);
    ck_assert_uint_eq(pg_peek(pg_cap_address(3), 4), 0);
}
END_TEST

START_TEST(queue_select_out_of_range_reads_zero_and_ignores_writes)
{
    static const uint16_t bad[] = {PG_QUEUES, 255, 0xffff};
    static const unsigned fields[] = {PG_QSIZE,   PG_QEN,     PG_QOFF,  PG_QDESC,
                                      PG_QDRIVER, PG_QDEVICE, PG_QRESET};

    pg_negotiate(VIRTIO_F_RING_RESET);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        pg_cc_set(PG_QSEL, 2, bad[i]);
        for (unsigned f = 0; f < ARRAY_SIZE(fields); f++) {
            pg_cc_set(fields[f], 2, 1);
            ck_assert_uint_eq(pg_cc(fields[f], 2), 0);
        }
        pg_cc_set(PG_QVEC, 2, 0);
        ck_assert_uint_eq(pg_cc(PG_QVEC, 2), PG_NO);
    }
}
END_TEST

START_TEST(vector_beyond_the_table_reads_back_no_vector)
{
    pg_cc_set(PG_QSEL, 2, 0);
    for (unsigned v = PG_VECTORS; v < 0x10000; v += 97) {
        pg_cc_set(PG_QVEC, 2, 0);
        pg_cc_set(PG_QVEC, 2, v);
        ck_assert_uint_eq(pg_cc(PG_QVEC, 2), PG_NO);
        pg_cc_set(PG_CFGVEC, 2, v);
        ck_assert_uint_eq(pg_cc(PG_CFGVEC, 2), PG_NO);
    }
    pg_enable_messages();
    pg_cc_set(PG_QSEL, 2, 0);
    pg_cc_set(PG_QVEC, 2, PG_NO);
    ck_assert_uint_eq(pg_cc(PG_QVEC, 2), PG_NO);
}
END_TEST

START_TEST(queue_without_vector_sends_nothing)
{
    pg_start(0);
    pg_enable_messages();
    pg_cc_set(PG_QSEL, 2, 0);
    pg_cc_set(PG_QVEC, 2, PG_NO);
    pg_echo(0);
    ck_assert_uint_eq(pg.sent[0] + pg.sent[1] + pg.sent[2], 0);
}
END_TEST

START_TEST(queue_size_beyond_maximum_or_not_a_power_of_two_is_not_taken)
{
    static const uint16_t bad[] = {65, 0xffff, 3, 48, 63};

    pg_negotiate(0);
    pg_cc_set(PG_QSEL, 2, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        pg_cc_set(PG_QSIZE, 2, bad[i]);
        ck_assert_uint_eq(pg_cc(PG_QSIZE, 2), 64);
    }
    pg_cc_set(PG_QSIZE, 2, 32);
    ck_assert_uint_eq(pg_cc(PG_QSIZE, 2), 32);
    pg_negotiate(VIRTIO_F_RING_PACKED);
    pg_cc_set(PG_QSIZE, 2, 48);
    ck_assert_uint_eq(pg_cc(PG_QSIZE, 2), 48);
}
END_TEST

START_TEST(queue_size_zero_refuses_enable)
{
    pg_negotiate(0);
    pg_cc_set(PG_QSEL, 2, 0);
    pg_cc_set(PG_QSIZE, 2, 0);
    pg_cc_set(PG_QEN, 2, 1);
    ck_assert_uint_eq(pg_cc(PG_QEN, 2), 0);
    pg_cc_set(PG_STATUS, 1, 0x0f);
    ck_assert(!pg.toy->v.queue[0].active);
    ck_assert(!(pg_cc(PG_STATUS, 1) & VIRTIO_STATUS_NEEDS_RESET));
}
END_TEST

START_TEST(queue_enable_written_twice_or_with_zero_changes_nothing)
{
    pg_start(0);
    pg_cc_set(PG_QSEL, 2, 0);
    pg_cc_set(PG_QEN, 2, 1);
    pg_cc_set(PG_QEN, 2, 0);
    ck_assert_uint_eq(pg_cc(PG_QEN, 2), 1);
    pg_echo(0);
}
END_TEST

START_TEST(queue_registers_are_fixed_after_enable)
{
    uint64_t desc;

    pg_start(VIRTIO_F_RING_RESET);
    pg_cc_set(PG_QSEL, 2, 0);
    desc = pg_cc(PG_QDESC, 8);
    pg_cc_set(PG_QDESC, 8, 0x1000);
    pg_cc_set(PG_QSIZE, 2, 4);
    ck_assert_uint_eq(pg_cc(PG_QDESC, 8), desc);
    ck_assert_uint_eq(pg_cc(PG_QSIZE, 2), 16);
    pg_echo(0);
}
END_TEST

START_TEST(queue_reset_disables_one_queue_until_enabled_elsewhere)
{
    pg_start(VIRTIO_F_RING_RESET);
    pg_enable_messages();
    pg_cc_set(PG_QSEL, 2, 0);
    pg_cc_set(PG_QRESET, 2, 1);
    ck_assert_uint_eq(pg_cc(PG_QRESET, 2), 0);
    ck_assert_uint_eq(pg_cc(PG_QEN, 2), 0);
    ck_assert_uint_eq(pg_cc(PG_QSIZE, 2), 64);
    ck_assert_uint_eq(pg_cc(PG_QVEC, 2), PG_NO);
    ck_assert_uint_eq(pg.bells, 1);
    pg_echo(1);
    pg_set_queue(0, 8);
    ck_assert_uint_eq(pg_cc(PG_QEN, 2), 1);
    ck_assert_uint_eq(pg_cc(PG_QRESET, 2), 0);
    pg_echo(0);
    ck_assert_uint_eq(pg.bells, 2);
}
END_TEST

START_TEST(queue_reset_without_the_feature_is_ignored)
{
    pg_start(0);
    pg_cc_set(PG_QSEL, 2, 0);
    pg_cc_set(PG_QRESET, 2, 1);
    ck_assert_uint_eq(pg_cc(PG_QEN, 2), 1);
    pg_echo(0);
}
END_TEST

START_TEST(device_reset_unmaps_vectors_and_clears_queues_and_isr)
{
    pg_start(0);
    pg_enable_messages();
    pg_echo(0);
    pg_cc_set(PG_STATUS, 1, 0);
    ck_assert_uint_eq(pg_cc(PG_STATUS, 1), 0);
    ck_assert_uint_eq(pg_cc(PG_CFGVEC, 2), PG_NO);
    for (unsigned i = 0; i < PG_QUEUES; i++) {
        pg_cc_set(PG_QSEL, 2, i);
        ck_assert_uint_eq(pg_cc(PG_QVEC, 2), PG_NO);
        ck_assert_uint_eq(pg_cc(PG_QEN, 2), 0);
        ck_assert_uint_eq(pg_cc(PG_QRESET, 2), 0);
        ck_assert_uint_eq(pg_cc(PG_QSIZE, 2), 64);
    }
    ck_assert_uint_eq(pg_peek(pg_cap_address(3), 1), 0);
    ck_assert_uint_eq(pg.bells, 0);
    pg_start(0);
    pg_echo(1);
}
END_TEST

/* The spec's own hint: an 8-bit count of changes would come round. */
START_TEST(generation_changes_once_a_change_was_read_even_after_256)
{
    uint64_t before;

    pg_start(0);
    pg_peek(pg_cap_address(4), 4);
    before = pg_cc(PG_GEN, 1);
    pg_peek(pg_cap_address(4), 4);
    ck_assert_uint_eq(pg_cc(PG_GEN, 1), before);
    pthread_mutex_lock(&pg.dev->lock);
    for (unsigned i = 0; i < 256; i++)
        virtio_config_changed(&pg.toy->v);
    pthread_mutex_unlock(&pg.dev->lock);
    pg_peek(pg_cap_address(4), 4);
    ck_assert_uint_ne(pg_cc(PG_GEN, 1), before);
}
END_TEST

START_TEST(without_msix_isr_and_pci_status_show_the_interrupt)
{
    pg_start(0);
    ck_assert_uint_eq(pg_cfg(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, 0);
    pg_echo(0);
    ck_assert_uint_eq(pg_cfg(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, PCI_STATUS_INTERRUPT);
    ck_assert_uint_eq(pg_peek(pg_cap_address(3), 1), 1);
    ck_assert_uint_eq(pg_cfg(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, 0);
    ck_assert_uint_eq(pg.sent[0] + pg.sent[1] + pg.sent[2], 0);
}
END_TEST

START_TEST(all_events_may_share_one_vector)
{
    pg_start(0);
    pg_enable_messages();
    for (unsigned i = 0; i < PG_QUEUES; i++) {
        pg_cc_set(PG_QSEL, 2, i);
        pg_cc_set(PG_QVEC, 2, 0);
        pg_echo(i);
        ck_assert_uint_eq(pg.sent[0], i + 1);
    }
}
END_TEST

/* Another vCPU's register write, which waits for the host. */
struct slow_write {
    pthread_t thread;
    unsigned offset, size;
    uint64_t value;
};

static void *write_slowly(void *opaque)
{
    const struct slow_write *s = opaque;

    pg_cc_set(s->offset, s->size, s->value);
    return NULL;
}

/* A request of queue 0 stays with the host; then the register is written. */
static void begin_slow_write(struct slow_write *s)
{
    struct driver_buf buf = {driver_alloc(&pg.d, 32), 32, true};

    pg_start(VIRTIO_F_RING_RESET);
    pg.toy->hold = true;
    driver_add(&pg.d, 0, &buf, 1);
    pg_poke(pg_notify_address(0), 2, 0);
    driver_run(&pg.d);
    ck_assert_int_eq(pthread_create(&s->thread, NULL, write_slowly, s), 0);
}

static void end_slow_write(const struct slow_write *s)
{
    pthread_mutex_lock(&pg.dev->lock);
    virtio_done(&pg.toy->v, 0);
    pthread_mutex_unlock(&pg.dev->lock);
    pthread_join(s->thread, NULL);
}

START_TEST(queue_reset_reads_1_until_the_host_is_done)
{
    struct slow_write s = {.offset = PG_QRESET, .size = 2, .value = 1};

    begin_slow_write(&s);
    /* This vCPU's accesses go on, to the same function and to the bus. */
    while (pg_cc(PG_QRESET, 2) == 0)
        ;
    ck_assert_uint_eq(pg_cfg(0, 2), 0x1af4);
    ck_assert_uint_eq(pg_cc(PG_QRESET, 2), 1);
    end_slow_write(&s);
    ck_assert_uint_eq(pg_cc(PG_QRESET, 2), 0);
    ck_assert_uint_eq(pg_cc(PG_QEN, 2), 0);
}
END_TEST

START_TEST(device_reset_reads_0_only_when_the_host_is_done)
{
    struct slow_write s = {.offset = PG_STATUS, .size = 1, .value = 0};

    begin_slow_write(&s);
    for (unsigned i = 0; i < 1000; i++)
        ck_assert_uint_ne(pg_cc(PG_STATUS, 1), 0);
    end_slow_write(&s);
    ck_assert_uint_eq(pg_cc(PG_STATUS, 1), 0);
    ck_assert_uint_eq(pg_cc(PG_QEN, 2), 0);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("virtio-pci");

    tcase_add_checked_fixture(tc, pg_setup, pg_teardown);
    tcase_add_test(tc, ids_are_those_of_a_non_transitional_device);
    tcase_add_test(tc, capabilities_for_all_structures_lie_in_the_bar);
    tcase_add_loop_test(tc, split_and_packed_queues_serve_buffers_and_send_their_vector, 0, 2);
    tcase_add_test(tc, configuration_change_sets_isr_and_sends_its_vector);
    tcase_add_test(tc, configuration_change_without_vector_sends_nothing);
    tcase_add_test(tc, features_are_offered_and_mirrored_by_selector);
    tcase_add_test(tc, common_registers_read_the_same_in_every_width);
    tcase_add_test(tc, partial_and_wide_writes_change_the_bytes_they_cover);
    tcase_add_test(tc, write_to_read_only_common_fields_is_ignored);
    tcase_add_test(tc, queue_select_out_of_range_reads_zero_and_ignores_writes);
    tcase_add_test(tc, vector_beyond_the_table_reads_back_no_vector);
    tcase_add_test(tc, queue_without_vector_sends_nothing);
    tcase_add_test(tc, queue_size_beyond_maximum_or_not_a_power_of_two_is_not_taken);
    tcase_add_test(tc, queue_size_zero_refuses_enable);
    tcase_add_test(tc, generation_changes_once_a_change_was_read_even_after_256);
    tcase_add_test(tc, without_msix_isr_and_pci_status_show_the_interrupt);
    tcase_add_test(tc, all_events_may_share_one_vector);
    tcase_add_test(tc, queue_reset_reads_1_until_the_host_is_done);
    tcase_add_test(tc, device_reset_reads_0_only_when_the_host_is_done);
    tcase_add_test(tc, queue_enable_written_twice_or_with_zero_changes_nothing);
    tcase_add_test(tc, queue_registers_are_fixed_after_enable);
    tcase_add_test(tc, queue_reset_disables_one_queue_until_enabled_elsewhere);
    tcase_add_test(tc, queue_reset_without_the_feature_is_ignored);
    tcase_add_test(tc, device_reset_unmaps_vectors_and_clears_queues_and_isr);
    return fake_run(tc);
}
