/* The walk of an arm64 guest's page tables, which are the guest's to write. */
#include <string.h>

#include "devices/core/gmem.h"
#include "devices/core/util.h"
#include "devices/test/fake.h"
#include "hv/arch/arch.h"
#include "hv/arch/arm64/arm64.h"
#include "hv/test/run_suite.h"

#define RAM   UINT64_C(0x40000000)
#define SIZE  (2 * MIB)
#define BLOCK 0x401u /* accessed, valid */
#define TABLE 3u
#define PAGE  0x403u
#define T(n)  (RAM + (n)*UINT64_C(0x10000)) /* room for a table of any page size */

/* TCR: T0SZ, T1SZ; TG0 and TG1 as the Arm ARM encodes them. */
#define TCR(t0, tg0, t1, tg1)                                                                      \
    ((uint64_t)(t0) | (uint64_t)(tg0) << 14 | (uint64_t)(t1) << 16 | (uint64_t)(tg1) << 30)
#define TG0_4K  0
#define TG0_64K 1
#define TG0_16K 2
#define TG1_16K 1
#define TG1_4K  2
#define TG1_64K 3

static struct fake_ram ram;
static struct gmem mem;

static void setup(void)
{
    fake_ram_create(&ram, SIZE);
    memset(&mem, 0, sizeof(mem));
    ck_assert_int_eq(gmem_add(&mem, RAM, SIZE, ram.host), 0);
}

static void entry(uint64_t table, unsigned index, uint64_t value)
{
    store_le64(ram.host + (table - RAM) + (size_t)index * 8, value);
}

/* Where `va` is; UINT64_MAX: nowhere. */
static uint64_t walk(const struct arm64_mmu *mmu, uint64_t va)
{
    uint64_t gpa;

    return arm64_translate(&mem, mmu, va, &gpa) ? gpa : UINT64_MAX;
}

START_TEST(without_an_mmu_addresses_are_what_they_are)
{
    struct arm64_mmu mmu = {.tcr = UINT64_MAX};

    setup();
    ck_assert_uint_eq(walk(&mmu, 0xffff000012345678), 0xffff000012345678);
    fake_ram_destroy(&ram);
}
END_TEST

START_TEST(blocks_and_pages_of_4k_tables_in_both_halves)
{
    struct arm64_mmu mmu = {.ttbr0 = T(0),
                            .ttbr1 = T(1) | 1, /* a flag, not an address */
                            .tcr = TCR(25, TG0_4K, 16, TG1_4K),
                            .sctlr = ARM64_SCTLR_MMU};

    setup();
    entry(T(0), 1, 0x40000000 | BLOCK); /* level 1: 1 GiB */
    ck_assert_uint_eq(walk(&mmu, 0x52345678), 0x52345678);
    entry(T(1), 0x100, T(2) | TABLE); /* levels 0 to 3 */
    entry(T(2), 2, T(3) | TABLE);
    entry(T(3), 5, T(4) | TABLE);
    entry(T(3), 6, 0x77200000 | BLOCK); /* level 2: 2 MiB */
    entry(T(4), 9, 0x0060000045678000 | PAGE);
    ck_assert_uint_eq(walk(&mmu, 0xffff800080a09123), 0x45678123);
    ck_assert_uint_eq(walk(&mmu, 0xffff800080c09123), 0x77209123);
    ck_assert_uint_eq(walk(&mmu, 0xffff800080a0a123), UINT64_MAX);
    entry(T(4), 9, 0x45678000 | BLOCK); /* not what a page's entry looks like */
    ck_assert_uint_eq(walk(&mmu, 0xffff800080a09123), UINT64_MAX);
    fake_ram_destroy(&ram);
}
END_TEST

START_TEST(larger_pages_have_fewer_levels)
{
    struct arm64_mmu mmu = {.ttbr0 = T(0),
                            .ttbr1 = T(1),
                            .tcr = TCR(22, TG0_64K, 17, TG1_16K),
                            .sctlr = ARM64_SCTLR_MMU};

    setup();
    entry(T(0), 0, T(2) | TABLE); /* 42 bits: levels 2 and 3 */
    entry(T(2), 3, 0x40050000 | PAGE);
    ck_assert_uint_eq(walk(&mmu, 0x34567), 0x40054567);
    entry(T(1), 0, T(3) | TABLE); /* 47 bits: levels 1 to 3 */
    entry(T(3), 0, T(4) | TABLE);
    entry(T(4), 7, 0x40084000 | PAGE);
    ck_assert_uint_eq(walk(&mmu, 0xffff80000001e001), 0x40086001);
    mmu.tcr = TCR(22, 3, 22, 0); /* reserved */
    ck_assert_uint_eq(walk(&mmu, 0x34567), UINT64_MAX);
    ck_assert_uint_eq(walk(&mmu, 0xffff80000001e001), UINT64_MAX);
    fake_ram_destroy(&ram);
}
END_TEST

START_TEST(hostile_tables_lead_nowhere)
{
    struct arm64_mmu mmu = {
        .ttbr0 = T(0), .tcr = TCR(16, TG0_4K, 16, TG1_4K), .sctlr = ARM64_SCTLR_MMU};
    uint64_t seed = 1;

    setup();
    for (unsigned i = 0; i < 512; i++)
        entry(T(0), i, T(0) | TABLE); /* it ends at a page: that table */
    ck_assert_uint_eq(walk(&mmu, 0x123), T(0) + 0x123);
    entry(T(0), 0, UINT64_C(0xfffffffff000) | TABLE);
    ck_assert_uint_eq(walk(&mmu, 0), UINT64_MAX);
    mmu.ttbr0 = UINT64_MAX;
    ck_assert_uint_eq(walk(&mmu, 0), UINT64_MAX);
    for (unsigned i = 0; i < 20000; i++) {
        for (unsigned j = 0; j < 8; j++)
            entry(T(0), (unsigned)fake_random(&seed) % 512, fake_random(&seed) % SIZE + RAM);
        mmu = (struct arm64_mmu){.ttbr0 = T(0),
                                 .ttbr1 = fake_random(&seed) % SIZE + RAM,
                                 .tcr = fake_random(&seed),
                                 .sctlr = ARM64_SCTLR_MMU};
        walk(&mmu, fake_random(&seed));
    }
    fake_ram_destroy(&ram);
}
END_TEST

/* A frame record: the caller's x29, and where to return. */
static void record(uint64_t at, uint64_t x29, uint64_t returns)
{
    store_le64(ram.host + (at - RAM), x29);
    store_le64(ram.host + (at - RAM) + 8, returns);
}

START_TEST(frame_records_are_followed_to_their_end)
{
    struct arm64_mmu mmu = {.sctlr = 0};
    struct arch_frame frame[4];

    setup();
    record(RAM + 0x100, RAM + 0x80, 0xffff800012345678); /* another stack lies below */
    record(RAM + 0x80, RAM + 0x200, 0x004a000000401000); /* signed, of a program */
    record(RAM + 0x200, 0, 0xb5ff800012340000);          /* signed, of the kernel */
    ck_assert_uint_eq(arm64_walk_frames(&mem, &mmu, RAM + 0x100, frame, 4), 3);
    ck_assert_uint_eq(frame[0].address, 0xffff800012345678);
    ck_assert_uint_eq(frame[1].address, 0x401000);
    ck_assert_uint_eq(frame[2].address, 0xffff800012340000);
    ck_assert(!frame[0].guessed);
    ck_assert_uint_eq(arm64_walk_frames(&mem, &mmu, RAM + 0x100, frame, 2), 2);
    fake_ram_destroy(&ram);
}
END_TEST

START_TEST(hostile_frame_records_end_the_walk)
{
    struct arm64_mmu mmu = {.sctlr = 0};
    struct arch_frame frame[4];

    setup();
    record(RAM + 0x100, RAM + 0x100, 0x1000); /* it leads to itself */
    ck_assert_uint_eq(arm64_walk_frames(&mem, &mmu, RAM + 0x100, frame, 4), 4);
    ck_assert_uint_eq(arm64_walk_frames(&mem, &mmu, RAM + 0x101, frame, 4), 0);
    ck_assert_uint_eq(arm64_walk_frames(&mem, &mmu, RAM + SIZE - 8, frame, 4), 0);
    ck_assert_uint_eq(arm64_walk_frames(&mem, &mmu, UINT64_MAX - 7, frame, 4), 0);
    ck_assert_uint_eq(arm64_walk_frames(&mem, &mmu, RAM + 0x300, frame, 4), 0);
    fake_ram_destroy(&ram);
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(without_an_mmu_addresses_are_what_they_are),
        CASE(blocks_and_pages_of_4k_tables_in_both_halves),
        CASE(larger_pages_have_fewer_levels),
        CASE(hostile_tables_lead_nowhere),
        CASE(frame_records_are_followed_to_their_end),
        CASE(hostile_frame_records_end_the_walk),
    };

    return run_suite("arm64 walk", cases, sizeof(cases) / sizeof(cases[0]));
}
