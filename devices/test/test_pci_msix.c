/* MSI-X of a function: table, masks, pending bits, and what reaches the port. */
#include <errno.h>
#include <string.h>

#include "devices/core/util.h"
#include "devices/pci/msix.h"
#include "devices/test/fake.h"

#define VECTORS 4
#define CONTROL 2 /* message control, from the capability on */

static struct {
    struct pci_function f;
    struct msix msix;
    bool on[VECTORS];
    uint64_t address[VECTORS];
    uint32_t data[VECTORS];
    unsigned sets, sent[VECTORS];
    int refuse;
} w;

static int port_set(void *opaque, unsigned vector, bool on, uint64_t address, uint32_t data)
{
    (void)opaque;
    ck_assert_uint_lt(vector, VECTORS);
    w.sets++;
    w.on[vector] = on;
    if (!on)
        return 0;
    if (w.refuse)
        return w.refuse;
    w.address[vector] = address;
    w.data[vector] = data;
    return 0;
}

static void port_send(void *opaque, unsigned vector)
{
    (void)opaque;
    ck_assert_uint_lt(vector, VECTORS);
    ck_assert(w.on[vector]);
    w.sent[vector]++;
}

static void config_written(struct pci_function *f, unsigned offset, unsigned size)
{
    (void)f;
    (void)offset;
    (void)size;
    msix_config_written(&w.msix);
}

static void save(struct dev *dev, struct state_writer *writer)
{
    (void)dev;
    pci_function_save(&w.f, writer);
    msix_save(&w.msix, writer);
}

static int load(struct dev *dev, struct state_reader *r, uint16_t version)
{
    (void)dev;
    (void)version;
    return pci_function_load(&w.f, r) ? -EINVAL : msix_load(&w.msix, r);
}

static const struct pci_function_ops ops = {.config_written = config_written};
static const struct dev_ops dev_ops = {.tag = "msix", .version = 1, .save = save, .load = load};

static void setup(void)
{
    const struct pci_id id = {.vendor = 1};
    const struct msi_port port = {port_set, port_send, NULL};
    const struct msix_place place = {.bar = 2, .table = 0x4000, .pending = 0x5000};

    memset(&w, 0, sizeof(w));
    pci_function_init(&w.f, &dev_ops, &ops, &id);
    msix_init(&w.msix, &w.f, VECTORS, &place, &port);
    memcpy(w.f.initial, w.f.config, sizeof(w.f.initial));
}

static void teardown(void)
{
    pci_function_fini(&w.f);
}

static void control(uint16_t value)
{
    pci_config_write(&w.f, w.msix.cap + CONTROL, 2, value);
}

/* Writes an entry as drivers do: the message, then the mask. */
static void entry(unsigned vector, uint64_t address, uint32_t data, bool masked)
{
    msix_table_write(&w.msix, vector * 16, 8, address);
    msix_table_write(&w.msix, vector * 16 + 8, 4, data);
    msix_table_write(&w.msix, vector * 16 + 12, 4, masked);
}

START_TEST(capability_names_size_table_and_pending_bits)
{
    const uint8_t *cap = w.f.config + w.msix.cap;

    ck_assert_uint_eq(cap[0], 0x11);
    ck_assert_uint_eq(load_le16(cap + 2), VECTORS - 1);
    ck_assert_uint_eq(load_le32(cap + 4), 0x4002);
    ck_assert_uint_eq(load_le32(cap + 8), 0x5002);
    control(0xffff);
    ck_assert_uint_eq(load_le16(cap + 2), 0xc000 | (VECTORS - 1));
}
END_TEST

START_TEST(vectors_start_masked_and_unmasking_tells_the_port_the_message)
{
    for (unsigned i = 0; i < VECTORS; i++)
        ck_assert_uint_eq(msix_table_read(&w.msix, i * 16 + 12, 4), 1);
    control(0x8000);
    ck_assert_uint_eq(w.sets, 0);
    entry(1, 0x1fee00000, 0x4031, false);
    ck_assert(w.on[1] && !w.on[0]);
    ck_assert_uint_eq(w.address[1], 0x1fee00000);
    ck_assert_uint_eq(w.data[1], 0x4031);
    msix_send(&w.msix, 1);
    ck_assert_uint_eq(w.sent[1], 1);
}
END_TEST

START_TEST(a_masked_vector_is_pending_until_unmasked_and_sent_once)
{
    control(0x8000);
    entry(2, 0xfee00000, 5, true);
    msix_send(&w.msix, 2);
    msix_send(&w.msix, 2);
    ck_assert_uint_eq(w.sent[2], 0);
    ck_assert_uint_eq(msix_pending_read(&w.msix, 0, 8), 4);
    msix_table_write(&w.msix, 2 * 16 + 12, 4, 0);
    ck_assert_uint_eq(w.sent[2], 1);
    ck_assert_uint_eq(msix_pending_read(&w.msix, 0, 8), 0);
    msix_table_write(&w.msix, 2 * 16 + 12, 4, 1);
    ck_assert(!w.on[2]);
}
END_TEST

START_TEST(function_mask_holds_all_vectors_back)
{
    control(0x8000);
    entry(0, 0xfee00000, 5, false);
    entry(3, 0xfee00000, 6, false);
    control(0xc000);
    ck_assert(!w.on[0] && !w.on[3]);
    msix_send(&w.msix, 0);
    msix_send(&w.msix, 3);
    ck_assert_uint_eq(msix_pending_read(&w.msix, 0, 1), 9);
    control(0x8000);
    ck_assert_uint_eq(w.sent[0] + w.sent[3], 2);
}
END_TEST

START_TEST(disabled_msix_sends_nothing_and_keeps_nothing)
{
    entry(0, 0xfee00000, 5, false);
    msix_send(&w.msix, 0);
    control(0x8000);
    ck_assert(w.on[0]);
    ck_assert_uint_eq(w.sent[0], 0);
    control(0);
    ck_assert(!w.on[0]);
    msix_send(&w.msix, 0);
    ck_assert_uint_eq(w.sent[0], 0);
}
END_TEST

START_TEST(vector_beyond_table_is_ignored)
{
    control(0x8000);
    msix_send(&w.msix, VECTORS);
    msix_send(&w.msix, 0xffff);
    ck_assert_uint_eq(msix_pending_read(&w.msix, 0, 8), 0);
}
END_TEST

START_TEST(table_access_straddling_the_end_keeps_what_is_inside)
{
    uint64_t last = VECTORS * 16 - 4;

    control(0x8000);
    msix_table_write(&w.msix, last, 8, 0xffffffff00000000);
    ck_assert(w.on[3]);
    ck_assert_uint_eq(msix_table_read(&w.msix, last, 8), 0);
    msix_table_write(&w.msix, last + 4, 8, UINT64_MAX);
    msix_table_write(&w.msix, 0xff8, 8, UINT64_MAX);
    ck_assert_uint_eq(msix_table_read(&w.msix, last + 4, 8), 0);
    ck_assert_uint_eq(msix_table_read(&w.msix, 0xff8, 8), 0);
}
END_TEST

START_TEST(reserved_bits_of_vector_control_read_zero)
{
    msix_table_write(&w.msix, 12, 4, 0xffffffff);
    ck_assert_uint_eq(msix_table_read(&w.msix, 12, 4), 1);
    msix_table_write(&w.msix, 12, 4, 0xfffffffe);
    ck_assert_uint_eq(msix_table_read(&w.msix, 12, 4), 0);
}
END_TEST

START_TEST(any_width_and_alignment_writes_the_bytes_it_covers)
{
    uint64_t seed = 3;
    uint8_t want[VECTORS * 16] = {0};

    control(0x8000);
    for (unsigned i = 0; i < VECTORS; i++)
        want[i * 16 + 12] = 1;
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t r = fake_random(&seed), value = fake_random(&seed);
        unsigned size = 1u << (r & 3), at = (unsigned)(r >> 8) % (VECTORS * 16 + 8);

        msix_table_write(&w.msix, at, size, value);
        for (unsigned b = 0; b < size && at + b < sizeof(want); b++) {
            unsigned within = (at + b) % 16;
            uint8_t byte = (uint8_t)(value >> (8 * b));

            want[at + b] = within == 12 ? byte & 1 : within > 12 ? 0 : byte;
        }
        ck_assert_mem_eq(w.msix.table, want, sizeof(want));
        for (unsigned v = 0; v < VECTORS; v++) {
            ck_assert_int_eq(w.on[v], !want[v * 16 + 12]);
            if (w.on[v])
                ck_assert_uint_eq(w.data[v], load_le32(want + v * 16 + 8));
        }
    }
}
END_TEST

START_TEST(pending_bits_read_at_any_offset_and_behind_their_end)
{
    control(0x8000);
    msix_send(&w.msix, 3);
    ck_assert_uint_eq(msix_pending_read(&w.msix, 0, 8), 8);
    ck_assert_uint_eq(msix_pending_read(&w.msix, 1, 8), 0);
    ck_assert_uint_eq(msix_pending_read(&w.msix, 7, 8), 0);
    ck_assert_uint_eq(msix_pending_read(&w.msix, 8, 8), 0);
    ck_assert_uint_eq(msix_pending_read(&w.msix, 0xff8, 8), 0);
}
END_TEST

START_TEST(a_message_that_the_host_refuses_loses_that_vector_only)
{
    control(0x8000);
    entry(0, 0xfee00000, 1, false);
    w.refuse = -EINVAL;
    entry(1, 0xfee00000, 2, false);
    w.refuse = 0;
    w.on[1] = false; /* so that a send would be noticed */
    msix_send(&w.msix, 1);
    msix_send(&w.msix, 0);
    ck_assert_uint_eq(w.sent[0], 1);
    ck_assert_uint_eq(w.sent[1], 0);
    entry(1, 0xfee00000, 3, false);
    ck_assert_uint_eq(w.sent[1], 1); /* it had been pending */
}
END_TEST

START_TEST(reset_masks_and_forgets)
{
    control(0x8000);
    entry(0, 0xfee00000, 1, false);
    msix_send(&w.msix, 1);
    pci_function_reset(&w.f);
    msix_reset(&w.msix);
    ck_assert(!w.on[0]);
    ck_assert_uint_eq(msix_pending_read(&w.msix, 0, 8), 0);
    ck_assert_uint_eq(msix_table_read(&w.msix, 0, 8), 0);
    ck_assert_uint_eq(msix_table_read(&w.msix, 12, 4), 1);
    ck_assert_uint_eq(w.f.config[w.msix.cap + CONTROL + 1], 0);
}
END_TEST

START_TEST(saved_state_brings_back_messages_masks_and_pending_bits)
{
    struct state_writer writer = {0};
    struct state_reader r;

    control(0x8000);
    entry(0, 0xfee01000, 1, false);
    entry(1, 0xfee02000, 2, true);
    msix_send(&w.msix, 1);
    dev_save(&w.f.dev, &writer);
    teardown();
    setup();
    state_reader_init(&r, writer.data, writer.len);
    ck_assert_int_eq(dev_load(&w.f.dev, &r), 0);
    ck_assert(w.on[0] && !w.on[1]);
    ck_assert_uint_eq(w.address[0], 0xfee01000);
    msix_table_write(&w.msix, 16 + 12, 4, 0);
    ck_assert_uint_eq(w.sent[1], 1);
    state_writer_free(&writer);
}
END_TEST

START_TEST(hostile_state_is_refused_or_harmless)
{
    control(0x8000);
    entry(0, 0xfee01000, 1, false);
    fake_hostile_states(&w.f.dev, 0);
    fake_expect_refused(&w.f.dev, 256, VECTORS + 1);           /* another number of vectors */
    fake_expect_refused(&w.f.dev, 257 + 13, 1);                /* reserved control bits */
    fake_expect_refused(&w.f.dev, 257 + VECTORS * 16, 1 << 4); /* a pending bit of no vector */
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("msix");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, capability_names_size_table_and_pending_bits);
    tcase_add_test(tc, vectors_start_masked_and_unmasking_tells_the_port_the_message);
    tcase_add_test(tc, a_masked_vector_is_pending_until_unmasked_and_sent_once);
    tcase_add_test(tc, function_mask_holds_all_vectors_back);
    tcase_add_test(tc, disabled_msix_sends_nothing_and_keeps_nothing);
    tcase_add_test(tc, vector_beyond_table_is_ignored);
    tcase_add_test(tc, table_access_straddling_the_end_keeps_what_is_inside);
    tcase_add_test(tc, reserved_bits_of_vector_control_read_zero);
    tcase_add_test(tc, any_width_and_alignment_writes_the_bytes_it_covers);
    tcase_add_test(tc, pending_bits_read_at_any_offset_and_behind_their_end);
    tcase_add_test(tc, a_message_that_the_host_refuses_loses_that_vector_only);
    tcase_add_test(tc, reset_masks_and_forgets);
    tcase_add_test(tc, saved_state_brings_back_messages_masks_and_pending_bits);
    tcase_add_test(tc, hostile_state_is_refused_or_harmless);
    return fake_run(tc);
}
