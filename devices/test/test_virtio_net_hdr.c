/* The header of a frame: what a guest or a host may claim, and what is dropped. */
#include <errno.h>
#include <string.h>

#include "devices/core/util.h"
#include "devices/test/fake.h"
#include "devices/virtio/net_card.h"

#define ALL (~UINT64_C(0))

struct hdr {
    uint8_t flags, type;
    uint16_t hdr_len, gso_size, csum_start, csum_offset, buffers;
};

static void pack(const struct hdr *h, uint8_t raw[NET_HEADER_BYTES])
{
    raw[0] = h->flags;
    raw[1] = h->type;
    store_le16(raw + 2, h->hdr_len);
    store_le16(raw + 4, h->gso_size);
    store_le16(raw + 6, h->csum_start);
    store_le16(raw + 8, h->csum_offset);
    store_le16(raw + 10, h->buffers);
}

static int from_guest(struct hdr h, uint64_t len, uint64_t acked)
{
    uint8_t raw[NET_HEADER_BYTES];

    pack(&h, raw);
    return net_hdr_from_guest(raw, len, acked);
}

static int to_guest(struct hdr h, size_t len, uint64_t acked)
{
    uint8_t raw[NET_HEADER_BYTES];

    pack(&h, raw);
    return net_hdr_to_guest(raw, len, acked);
}

static const struct hdr tso = {1, 1, 54, 1448, 34, 16, 0};

START_TEST(plain_frame_passes_without_any_feature)
{
    ck_assert_int_eq(from_guest((struct hdr){0}, 14, 0), 0);
    ck_assert_int_eq(to_guest((struct hdr){0}, 14, 0), 0);
}
END_TEST

START_TEST(checksum_must_be_negotiated)
{
    struct hdr h = {.flags = 1, .csum_start = 34, .csum_offset = 16};

    ck_assert_int_eq(from_guest(h, 60, NET_F_CSUM), 0);
    ck_assert_int_eq(from_guest(h, 60, ALL & ~NET_F_CSUM), -EINVAL);
    ck_assert_int_eq(to_guest(h, 60, NET_F_GUEST_CSUM), 0);
    ck_assert_int_eq(to_guest(h, 60, ALL & ~NET_F_GUEST_CSUM), -EINVAL);
}
END_TEST

START_TEST(checksum_beyond_the_frame_is_refused)
{
    struct hdr h = {.flags = 1, .csum_start = 34, .csum_offset = 16};

    ck_assert_int_eq(from_guest(h, 52, ALL), 0);
    ck_assert_int_eq(from_guest(h, 51, ALL), -EINVAL);
    h.csum_start = h.csum_offset = 0xffff;
    ck_assert_int_eq(from_guest(h, NET_FRAME_MAX, ALL), -EINVAL);
    h.csum_start = 0;
    ck_assert_int_eq(from_guest(h, NET_FRAME_MAX, ALL), 0);
    ck_assert_int_eq(from_guest(h, 0xffff, ALL), -EINVAL);
}
END_TEST

START_TEST(each_gso_type_needs_its_feature)
{
    static const struct {
        uint8_t type;
        uint64_t host, guest;
    } rows[] = {
        {1, NET_F_HOST_TSO4, NET_F_GUEST_TSO4},
        {4, NET_F_HOST_TSO6, NET_F_GUEST_TSO6},
        {3, NET_F_HOST_UFO, NET_F_GUEST_UFO},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct hdr h = tso;

        h.type = rows[i].type;
        ck_assert_int_eq(from_guest(h, 3000, NET_F_CSUM | rows[i].host), 0);
        ck_assert_int_eq(from_guest(h, 3000, ALL & ~rows[i].host), -EINVAL);
        ck_assert_int_eq(to_guest(h, 3000, NET_F_GUEST_CSUM | rows[i].guest), 0);
        ck_assert_int_eq(to_guest(h, 3000, ALL & ~rows[i].guest), -EINVAL);
    }
}
END_TEST

START_TEST(ecn_needs_its_feature)
{
    struct hdr h = tso;

    h.type |= 0x80;
    ck_assert_int_eq(from_guest(h, 3000, ALL), 0);
    ck_assert_int_eq(from_guest(h, 3000, ALL & ~NET_F_HOST_ECN), -EINVAL);
    ck_assert_int_eq(to_guest(h, 3000, ALL & ~NET_F_GUEST_ECN), -EINVAL);
    h.type = 0x80;
    ck_assert_int_eq(from_guest(h, 3000, ALL), -EINVAL);
}
END_TEST

START_TEST(all_256_gso_types_with_all_features_pass_only_when_known)
{
    for (unsigned type = 0; type < 256; type++) {
        struct hdr h = tso;
        unsigned kind = type & 0x7f;
        bool known = type == 0 || kind == 1 || kind == 3 || kind == 4;

        h.type = (uint8_t)type;
        ck_assert_int_eq(from_guest(h, 3000, ALL), known ? 0 : -EINVAL);
        ck_assert_int_eq(to_guest(h, 3000, ALL), known ? 0 : -EINVAL);
    }
}
END_TEST

START_TEST(gso_size_0_is_refused)
{
    struct hdr h = tso;

    h.gso_size = 0;
    ck_assert_int_eq(from_guest(h, 3000, ALL), -EINVAL);
    ck_assert_int_eq(to_guest(h, 3000, ALL), -EINVAL);
}
END_TEST

START_TEST(gso_without_checksum_is_refused)
{
    struct hdr h = tso;

    h.flags = 0;
    ck_assert_int_eq(from_guest(h, 3000, ALL), -EINVAL);
    ck_assert_int_eq(to_guest(h, 3000, ALL), -EINVAL);
}
END_TEST

START_TEST(hdr_len_beyond_the_frame_is_refused)
{
    struct hdr h = tso;

    h.hdr_len = 3001;
    ck_assert_int_eq(from_guest(h, 3000, ALL), -EINVAL);
    h.hdr_len = 3000;
    ck_assert_int_eq(from_guest(h, 3000, ALL), 0);
    /* Headers only, then a small payload (2., row 61). */
    h = tso;
    ck_assert_int_eq(from_guest(h, 53, ALL), -EINVAL);
}
END_TEST

START_TEST(fields_that_mean_nothing_are_cleared_before_the_host_sees_them)
{
    static const uint8_t zero[NET_HEADER_BYTES];
    uint8_t raw[NET_HEADER_BYTES];
    struct hdr h = {0xfe, 0, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff};

    pack(&h, raw);
    ck_assert_int_eq(net_hdr_from_guest(raw, 14, 0), 0);
    ck_assert_mem_eq(raw, zero, sizeof(raw));
    h = tso;
    h.flags |= 0xfe;
    h.buffers = 7;
    pack(&h, raw);
    ck_assert_int_eq(net_hdr_from_guest(raw, 3000, ALL), 0);
    ck_assert_uint_eq(raw[0], 1);
    ck_assert_uint_eq(load_le16(raw + 10), 0);
    ck_assert_uint_eq(load_le16(raw + 4), 1448);
}
END_TEST

START_TEST(valid_checksum_is_told_only_to_who_asked)
{
    uint8_t raw[NET_HEADER_BYTES] = {2};

    ck_assert_int_eq(net_hdr_to_guest(raw, 60, NET_F_GUEST_CSUM), 0);
    ck_assert_uint_eq(raw[0], 2);
    ck_assert_int_eq(net_hdr_to_guest(raw, 60, 0), 0);
    ck_assert_uint_eq(raw[0], 0);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("net-hdr");

    tcase_add_test(tc, plain_frame_passes_without_any_feature);
    tcase_add_test(tc, checksum_must_be_negotiated);
    tcase_add_test(tc, checksum_beyond_the_frame_is_refused);
    tcase_add_test(tc, each_gso_type_needs_its_feature);
    tcase_add_test(tc, ecn_needs_its_feature);
    tcase_add_test(tc, all_256_gso_types_with_all_features_pass_only_when_known);
    tcase_add_test(tc, gso_size_0_is_refused);
    tcase_add_test(tc, gso_without_checksum_is_refused);
    tcase_add_test(tc, hdr_len_beyond_the_frame_is_refused);
    tcase_add_test(tc, fields_that_mean_nothing_are_cleared_before_the_host_sees_them);
    tcase_add_test(tc, valid_checksum_is_told_only_to_who_asked);
    return fake_run(tc);
}
