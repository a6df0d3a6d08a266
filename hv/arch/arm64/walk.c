/*
 * Virtual addresses and frames of a stopped guest: KVM_TRANSLATE does not exist on arm64, so the
 * tables are walked here, in guest memory that the guest wrote (Arm ARM, D8.2 and D8.3). Stage 1 of
 * EL1 and EL0 with output addresses below 2^48, which is all that a guest of KVM has.
 */
#include "devices/core/gmem.h"
#include "devices/core/util.h"
#include "hv/arch/arch.h"
#include "hv/arch/arm64/arm64.h"

#define ENTRY_VALID  1u
#define ENTRY_TABLE  2u /* in the last level: a page */
#define ADDRESS_MASK UINT64_C(0x0000fffffffff000)
#define TTBR_MASK    UINT64_C(0x0000ffffffffffc0)
#define LEVELS_MAX   5
#define HIGH_HALF    (UINT64_C(1) << 55)
#define POINTER_BITS 48
#define FRAME_ALIGN  16

/* log2 of the page size; the two halves encode it differently. 0: reserved. */
static unsigned page_shift(uint64_t tcr, bool high)
{
    static const uint8_t low_half[] = {12, 16, 14, 0}, high_half[] = {0, 14, 12, 16};

    return high ? high_half[tcr >> 30 & 3] : low_half[tcr >> 14 & 3];
}

static bool read_entry(const struct gmem *mem, uint64_t gpa, uint64_t *entry)
{
    uint8_t bytes[8];

    if (gmem_read(mem, gpa, bytes, sizeof(bytes)))
        return false;
    *entry = load_le64(bytes);
    return true;
}

bool arm64_translate(const struct gmem *mem, const struct arm64_mmu *mmu, uint64_t va,
                     uint64_t *gpa)
{
    bool high = va & HIGH_HALF;
    unsigned page = page_shift(mmu->tcr, high), bits = 64 - (mmu->tcr >> (high ? 16 : 0) & 63);
    uint64_t table = (high ? mmu->ttbr1 : mmu->ttbr0) & TTBR_MASK, entry;

    *gpa = va;
    if (!(mmu->sctlr & ARM64_SCTLR_MMU))
        return true;
    if (!page || bits <= page || bits > 52)
        return false;
    va &= (UINT64_C(1) << bits) - 1;
    for (unsigned level = (bits - page - 1) / (page - 3); level < LEVELS_MAX; level--) {
        unsigned shift = page + level * (page - 3);
        uint64_t offset = (UINT64_C(1) << shift) - 1, index = va >> shift;

        if (!read_entry(mem, table + index * 8, &entry) || !(entry & ENTRY_VALID) ||
            (level == 0 && !(entry & ENTRY_TABLE)))
            return false;
        if (level == 0 || !(entry & ENTRY_TABLE)) {
            *gpa = (entry & ADDRESS_MASK & ~offset) | (va & offset);
            return true;
        }
        table = entry & ADDRESS_MASK & ~((UINT64_C(1) << page) - 1);
        va &= offset;
    }
    return false;
}

/* An address without the code that signs it (pointer authentication), which lies in the bits above.
 */
uint64_t arm64_unsigned_address(uint64_t address)
{
    uint64_t above = ~UINT64_C(0) << POINTER_BITS;

    return address & HIGH_HALF ? address | above : address & ~above;
}

/* Two words of the guest's stack; one record may not lie across two pages. */
static bool read_record(const struct gmem *mem, const struct arm64_mmu *mmu, uint64_t at,
                        uint64_t record[2])
{
    uint8_t bytes[16];
    uint64_t gpa;

    if (at == 0 || at % FRAME_ALIGN || !arm64_translate(mem, mmu, at, &gpa) ||
        gmem_read(mem, gpa, bytes, sizeof(bytes)))
        return false;
    record[0] = load_le64(bytes);
    record[1] = load_le64(bytes + 8);
    return true;
}

unsigned arm64_walk_frames(const struct gmem *mem, const struct arm64_mmu *mmu, uint64_t x29,
                           struct arch_frame *frame, unsigned max)
{
    uint64_t record[2];
    unsigned n = 0;

    /* A chain that leads back to itself ends at `max`; stacks may change in either direction. */
    while (n < max && read_record(mem, mmu, x29, record) && record[1]) {
        frame[n++] = (struct arch_frame){.address = arm64_unsigned_address(record[1])};
        x29 = record[0];
    }
    return n;
}
