/* From chains to commands: pure, without a disk, a loop or a transport. */
#include <string.h>

#include "devices/core/util.h"
#include "devices/test/fake.h"
#include "devices/virtio/blk.h"

#define DISK (UINT64_C(1) << 20)

static struct blk_limits limits;
static struct virtq_chain chain;
static struct blk_command cmd;
static uint8_t out[4096], in[4096];

static void set_up(void)
{
    limits = (struct blk_limits){.size = DISK, .discard = true, .write_zeroes = true};
    memset(&cmd, 0xee, sizeof(cmd));
    memset(out, 0, sizeof(out));
    memset(in, 0x55, sizeof(in));
}

/* A chain of the first bytes of out and in, each part cut in segments of at most `piece`. */
static void cut(uint64_t out_len, uint64_t in_len, uint64_t piece)
{
    memset(&chain, 0, sizeof(chain));
    for (unsigned part = 0; part < 2; part++) {
        uint64_t left = part ? in_len : out_len;
        uint8_t *at = part ? in : out;

        while (left > 0) {
            uint64_t n = left < piece ? left : piece;

            chain.iov[chain.out_count + chain.in_count] = (struct iovec){at, n};
            if (part)
                chain.in_count++;
            else
                chain.out_count++;
            at += n;
            left -= n;
        }
    }
    chain.out_len = out_len;
    chain.in_len = in_len;
}

static void header(uint32_t type, uint64_t sector)
{
    store_le32(out, type);
    store_le64(out + 8, sector);
}

static void range(unsigned i, uint64_t sector, uint32_t sectors, uint32_t flags)
{
    store_le64(out + 16 + i * 16, sector);
    store_le32(out + 16 + i * 16 + 8, sectors);
    store_le32(out + 16 + i * 16 + 12, flags);
}

static void expect_status(uint8_t status)
{
    ck_assert(blk_parse(&limits, &chain, &cmd));
    ck_assert_int_eq(cmd.action, BLK_ANSWER);
    ck_assert_uint_eq(cmd.status, status);
}

static void expect_io(enum block_op op, uint64_t offset, uint64_t len)
{
    ck_assert(blk_parse(&limits, &chain, &cmd));
    ck_assert_int_eq(cmd.action, BLK_IO);
    ck_assert_int_eq(cmd.op, op);
    ck_assert_uint_eq(cmd.ranges, 1);
    ck_assert_uint_eq(cmd.range[0].offset, offset);
    ck_assert_uint_eq(cmd.range[0].len, len);
}

START_TEST(header_cut_at_any_place_is_understood)
{
    for (uint64_t piece = 8; piece <= 600; piece++) {
        header(BLK_T_OUT, 3);
        cut(16 + 1024, 1, piece);
        expect_io(BLOCK_WRITE, 1536, 1024);
        header(BLK_T_IN, 5);
        cut(16, 513, piece);
        expect_io(BLOCK_READ, 2560, 512);
    }
    header(BLK_T_IN, 5);
    cut(16, 129, 1); /* a descriptor for each byte */
    ck_assert(blk_parse(&limits, &chain, &cmd));
}
END_TEST

START_TEST(chain_without_status_byte_cannot_be_answered)
{
    header(BLK_T_FLUSH, 0);
    cut(16, 0, 64);
    ck_assert(!blk_parse(&limits, &chain, &cmd));
    cut(0, 0, 64);
    ck_assert(!blk_parse(&limits, &chain, &cmd));
}
END_TEST

START_TEST(header_of_0_to_15_bytes_is_an_error)
{
    header(BLK_T_FLUSH, 0);
    for (uint64_t len = 0; len < 16; len++) {
        cut(len, 513, 64);
        expect_status(BLK_S_IOERR);
    }
}
END_TEST

START_TEST(sectors_that_wrap_or_lie_behind_the_end_are_errors)
{
    static const uint64_t bad[] = {
        DISK / 512,       DISK / 512 + 1, UINT64_C(1) << 55, (UINT64_C(1) << 55) - 1,
        UINT64_MAX / 512, UINT64_MAX,     UINT64_MAX - 1};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        header(BLK_T_IN, bad[i]);
        cut(16, 513, 64);
        expect_status(BLK_S_IOERR);
        header(BLK_T_OUT, bad[i]);
        cut(16 + 512, 1, 64);
        expect_status(BLK_S_IOERR);
        for (uint32_t type = BLK_T_DISCARD; type <= BLK_T_WRITE_ZEROES; type += 2) {
            header(type, 0);
            range(0, bad[i], 1, 0);
            cut(32, 1, 64);
            expect_status(BLK_S_IOERR);
        }
    }
}
END_TEST

START_TEST(last_sector_is_inside_and_one_more_is_not)
{
    header(BLK_T_IN, DISK / 512 - 1);
    cut(16, 513, 100);
    expect_io(BLOCK_READ, DISK - 512, 512);
    cut(16, 1025, 100);
    expect_status(BLK_S_IOERR);
    header(BLK_T_OUT, DISK / 512 - 1);
    cut(16 + 1024, 1, 512);
    expect_status(BLK_S_IOERR);
}
END_TEST

START_TEST(data_of_no_whole_sectors_is_an_error)
{
    static const uint64_t bad[] = {0, 1, 511, 513, 1023};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        header(BLK_T_IN, 0);
        cut(16, bad[i] + 1, 4096);
        expect_status(BLK_S_IOERR);
        header(BLK_T_OUT, 0);
        cut(16 + bad[i], 1, 4096);
        expect_status(BLK_S_IOERR);
    }
}
END_TEST

START_TEST(every_unknown_type_is_unsupported)
{
    for (uint32_t type = 0; type < 1000; type++) {
        if (type == BLK_T_IN || type == BLK_T_OUT || type == BLK_T_FLUSH || type == BLK_T_GET_ID ||
            type == BLK_T_DISCARD || type == BLK_T_WRITE_ZEROES)
            continue;
        header(type, 0);
        cut(16 + 512, 513, 64);
        expect_status(BLK_S_UNSUPP);
    }
    header(UINT32_MAX, 0);
    expect_status(BLK_S_UNSUPP);
    header(0x80000000, 0);
    expect_status(BLK_S_UNSUPP);
}
END_TEST

START_TEST(read_only_disk_refuses_all_that_writes)
{
    static const uint32_t types[] = {BLK_T_OUT, BLK_T_DISCARD, BLK_T_WRITE_ZEROES};

    limits.readonly = true;
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        for (unsigned offered = 0; offered < 2; offered++) {
            limits.discard = limits.write_zeroes = offered;
            header(types[i], 0);
            range(0, 0, 8, 0);
            cut(types[i] == BLK_T_OUT ? 16 + 512 : 32, 1, 64);
            expect_status(BLK_S_IOERR);
        }
    }
    header(BLK_T_IN, 0);
    cut(16, 513, 64);
    expect_io(BLOCK_READ, 0, 512);
}
END_TEST

START_TEST(discard_and_zeroes_that_were_not_negotiated_are_unsupported)
{
    limits.discard = limits.write_zeroes = false;
    range(0, 0, 8, 0);
    cut(32, 1, 64);
    header(BLK_T_DISCARD, 0);
    expect_status(BLK_S_UNSUPP);
    header(BLK_T_WRITE_ZEROES, 0);
    expect_status(BLK_S_UNSUPP);
}
END_TEST

START_TEST(flags_of_ranges_are_checked)
{
    for (unsigned bit = 0; bit < 32; bit++) {
        range(0, 0, 8, 1u << bit);
        cut(32, 1, 64);
        header(BLK_T_DISCARD, 0);
        expect_status(BLK_S_UNSUPP);
        header(BLK_T_WRITE_ZEROES, 0);
        if (bit > 0)
            expect_status(BLK_S_UNSUPP);
    }
    range(0, 0, 8, 1);
    expect_io(BLOCK_ZERO, 0, 4096);
    ck_assert(cmd.range[0].unmap);
}
END_TEST

START_TEST(ranges_0_and_max_plus_1_and_halves_are_errors)
{
    static const uint64_t bad[] = {0, 1, 15, 17, 24, (BLK_MAX_SEGMENTS + 1) * 16, 2048};

    header(BLK_T_DISCARD, 0);
    for (unsigned i = 0; i < BLK_MAX_SEGMENTS + 1; i++)
        range(i, i * 8, 8, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        cut(16 + bad[i], 1, 64);
        expect_status(BLK_S_IOERR);
    }
    cut(16 + BLK_MAX_SEGMENTS * 16, 1, 7);
    ck_assert(blk_parse(&limits, &chain, &cmd));
    ck_assert_int_eq(cmd.action, BLK_IO);
    ck_assert_uint_eq(cmd.ranges, BLK_MAX_SEGMENTS);
    ck_assert_uint_eq(cmd.range[BLK_MAX_SEGMENTS - 1].offset, (BLK_MAX_SEGMENTS - 1) * 4096);
    /* One bad range of many: nothing of the request is done. */
    range(3, 0, 0, 0);
    expect_status(BLK_S_IOERR);
    range(3, 0, UINT32_MAX, 0);
    expect_status(BLK_S_IOERR);
}
END_TEST

START_TEST(range_longer_than_the_maximum_is_an_error)
{
    limits.size = UINT64_C(1) << 50;
    header(BLK_T_WRITE_ZEROES, 0);
    cut(32, 1, 64);
    range(0, 0, BLK_MAX_RANGE, 0);
    expect_io(BLOCK_ZERO, 0, (uint64_t)BLK_MAX_RANGE * 512);
    range(0, 0, BLK_MAX_RANGE + 1, 0);
    expect_status(BLK_S_IOERR);
}
END_TEST

START_TEST(flush_ignores_data_and_sector)
{
    header(BLK_T_FLUSH, UINT64_MAX);
    cut(16 + 100, 30, 64);
    ck_assert(blk_parse(&limits, &chain, &cmd));
    ck_assert_int_eq(cmd.action, BLK_IO);
    ck_assert_int_eq(cmd.op, BLOCK_FLUSH);
    ck_assert_uint_eq(cmd.ranges, 0);
}
END_TEST

START_TEST(parsing_changes_no_byte_of_the_guest)
{
    uint8_t before[sizeof(in)];

    memcpy(before, in, sizeof(in));
    for (uint32_t type = 0; type < 16; type++) {
        header(type, type);
        cut(64, 513, 10);
        ck_assert(blk_parse(&limits, &chain, &cmd));
        ck_assert_int_eq(memcmp(in, before, sizeof(in)), 0);
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("virtio-blk parse");

    tcase_add_checked_fixture(tc, set_up, NULL);
    tcase_add_test(tc, header_cut_at_any_place_is_understood);
    tcase_add_test(tc, chain_without_status_byte_cannot_be_answered);
    tcase_add_test(tc, header_of_0_to_15_bytes_is_an_error);
    tcase_add_test(tc, sectors_that_wrap_or_lie_behind_the_end_are_errors);
    tcase_add_test(tc, last_sector_is_inside_and_one_more_is_not);
    tcase_add_test(tc, data_of_no_whole_sectors_is_an_error);
    tcase_add_test(tc, every_unknown_type_is_unsupported);
    tcase_add_test(tc, read_only_disk_refuses_all_that_writes);
    tcase_add_test(tc, discard_and_zeroes_that_were_not_negotiated_are_unsupported);
    tcase_add_test(tc, flags_of_ranges_are_checked);
    tcase_add_test(tc, ranges_0_and_max_plus_1_and_halves_are_errors);
    tcase_add_test(tc, range_longer_than_the_maximum_is_an_error);
    tcase_add_test(tc, flush_ignores_data_and_sector);
    tcase_add_test(tc, parsing_changes_no_byte_of_the_guest);
    return fake_run(tc);
}
