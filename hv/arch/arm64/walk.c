/*
 * Virtual addresses of a stopped guest: KVM_TRANSLATE does not exist on arm64, so the tables are
 * walked here, in guest memory that the guest wrote (Arm ARM, D8.2 and D8.3). Stage 1 of EL1 and
 * EL0 with output addresses below 2^48, which is all that a guest of KVM has.
 */
#include "devices/core/gmem.h"
#include "devices/core/util.h"
#include "hv/arch/arm64/arm64.h"

#define ENTRY_VALID  1u
#define ENTRY_TABLE  2u /* in the last level: a page */
#define ADDRESS_MASK UINT64_C(0x0000fffffffff000)
#define TTBR_MASK    UINT64_C(0x0000ffffffffffc0)
#define LEVELS_MAX   5
#define HIGH_HALF    (UINT64_C(1) << 55)

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
