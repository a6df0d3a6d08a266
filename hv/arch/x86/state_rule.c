/*
 * Consistency of processor state, as a table of rules: what a processor checks when it enters a
 * guest, and what makes the first exception a triple fault. Used to say why a guest died.
 */
#include <stddef.h>

#include "devices/core/util.h"
#include "hv/arch/x86/x86.h"

struct state {
    const struct kvm_regs *r;
    const struct kvm_sregs *s;
};

static bool has(uint64_t value, uint64_t bits)
{
    return (value & bits) == bits;
}

/* Bits 63 to 47 must all be equal with four-level paging (APM volume 2, 5.3.1). */
static bool canonical(uint64_t address)
{
    int64_t top = (int64_t)address >> 47;

    return top == 0 || top == -1;
}

static bool paging_without_protection(const struct state *st)
{
    return has(st->s->cr0, CR0_PG) && !has(st->s->cr0, CR0_PE);
}

static bool write_through_without_cache_disable(const struct state *st)
{
    return has(st->s->cr0, CR0_NW) && !has(st->s->cr0, CR0_CD);
}

static bool long_mode_without_pae(const struct state *st)
{
    return has(st->s->efer, EFER_LME) && has(st->s->cr0, CR0_PG) && !has(st->s->cr4, CR4_PAE);
}

static bool lma_is_not_lme_and_pg(const struct state *st)
{
    return has(st->s->efer, EFER_LMA) != (has(st->s->efer, EFER_LME) && has(st->s->cr0, CR0_PG));
}

static bool code_64_and_32(const struct state *st)
{
    return has(st->s->efer, EFER_LMA) && st->s->cs.l && st->s->cs.db;
}

static bool code_64_without_long_mode(const struct state *st)
{
    return !has(st->s->efer, EFER_LMA) && st->s->cs.l;
}

static bool rip_beyond_4g(const struct state *st)
{
    return !(has(st->s->efer, EFER_LMA) && st->s->cs.l) && st->r->rip >> 32;
}

static bool rip_not_canonical(const struct state *st)
{
    return !canonical(st->r->rip);
}

static bool rflags_reserved(const struct state *st)
{
    /* Bit 1 is always one; 3, 5, 15 and 22 to 63 always zero (SDM volume 1, 3.4.3). */
    return !has(st->r->rflags, 2) || (st->r->rflags & ~UINT64_C(0x3f7fd7)) != 0;
}

static bool cr0_high(const struct state *st)
{
    return st->s->cr0 >> 32;
}

static bool code_not_present(const struct state *st)
{
    return has(st->s->cr0, CR0_PE) && (!st->s->cs.present || st->s->cs.unusable);
}

static bool code_is_not_code(const struct state *st)
{
    return has(st->s->cr0, CR0_PE) && (!st->s->cs.s || !(st->s->cs.type & 8));
}

static bool no_interrupt_table(const struct state *st)
{
    /* Vector 8, the double fault, must be within the table's limit: 8 bytes a gate, 16 in long
     * mode, 4 in real mode. */
    unsigned gate = has(st->s->efer, EFER_LMA) ? 16 : has(st->s->cr0, CR0_PE) ? 8 : 4;

    return st->s->idt.limit < gate * 9 - 1;
}

static const struct {
    bool (*broken)(const struct state *st);
    const char *text;
} rules[] = {
    {paging_without_protection, "CR0.PG is set but CR0.PE is not: paging needs protected mode"},
    {write_through_without_cache_disable, "CR0.NW is set but CR0.CD is not"},
    {cr0_high, "CR0 has bits above 31 set, which are reserved"},
    {long_mode_without_pae, "EFER.LME and CR0.PG are set but CR4.PAE is not: long mode needs PAE"},
    {lma_is_not_lme_and_pg, "EFER.LMA must be set exactly when EFER.LME and CR0.PG both are"},
    {code_64_and_32, "CS has both L (64-bit) and D (32-bit) set in long mode"},
    {code_64_without_long_mode, "CS.L (64-bit code) is set outside long mode"},
    {code_not_present, "CS is not present"},
    {code_is_not_code, "CS is not a code segment"},
    {rflags_reserved, "RFLAGS has a reserved bit wrong (bit 1 is one, 3, 5, 15 and 22-63 zero)"},
    {rip_beyond_4g, "RIP is above 4 GiB outside 64-bit code"},
    {rip_not_canonical, "RIP is not canonical (bits 63 to 47 differ)"},
    {no_interrupt_table,
     "the interrupt table is too short to hold the double fault: any exception is a triple fault"},
};

const char *x86_state_rule(const struct kvm_regs *regs, const struct kvm_sregs *sregs)
{
    const struct state st = {regs, sregs};

    for (unsigned i = 0; i < ARRAY_SIZE(rules); i++)
        if (rules[i].broken(&st))
            return rules[i].text;
    return NULL;
}
