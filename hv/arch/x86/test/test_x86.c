/* x86 entry state, its rules, --set-reg and CPUID: pure functions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hv/arch/arch.h"
#include "hv/arch/x86/layout.h"
#include "hv/arch/x86/x86.h"
#include "hv/kvm.h"
#include "hv/test/run_suite.h"

static struct x86_entry entry_of(enum boot_protocol protocol)
{
    struct kernel kernel = {.protocol = protocol, .entry = 0x1000200};
    struct x86_entry entry;

    memset(&entry, 0, sizeof(entry));
    x86_entry_state(&kernel, LAYOUT_BOOT_INFO, &entry);
    return entry;
}

START_TEST(entry_state_of_every_protocol_is_consistent_but_for_the_idt)
{
    for (int p = BOOT_LINUX64; p <= BOOT_MULTIBOOT; p++) {
        struct x86_entry e = entry_of((enum boot_protocol)p);
        const char *rule = x86_state_rule(&e.regs, &e.sregs);

        /* No interrupt table is loaded, which is the last rule of all. */
        ck_assert_ptr_nonnull(rule);
        ck_assert_msg(strstr(rule, "interrupt table"), "%s", rule);
        e.sregs.idt.limit = 0xfff;
        ck_assert_ptr_null(x86_state_rule(&e.regs, &e.sregs));
        ck_assert_uint_eq(e.regs.rip, 0x1000200);
    }
}
END_TEST

START_TEST(information_goes_into_the_register_of_the_protocol)
{
    ck_assert_uint_eq(entry_of(BOOT_LINUX64).regs.rsi, LAYOUT_BOOT_INFO);
    ck_assert_uint_eq(entry_of(BOOT_LINUX32).regs.rsi, LAYOUT_BOOT_INFO);
    ck_assert_uint_eq(entry_of(BOOT_PVH).regs.rbx, LAYOUT_BOOT_INFO);
    ck_assert_uint_eq(entry_of(BOOT_MULTIBOOT).regs.rbx, LAYOUT_BOOT_INFO);
    ck_assert_uint_eq(entry_of(BOOT_MULTIBOOT).regs.rax, 0x2badb002);
}
END_TEST

START_TEST(each_broken_rule_is_named)
{
    static const struct {
        const char *set, *says;
    } rows[] = {
        {"cr0=0x80000010", "needs protected mode"},
        {"cr4=0", "needs PAE"},
        {"efer=0x100", "EFER.LMA"},
        {"cs.db=1", "both L (64-bit) and D"},
        {"cs.present=0", "CS is not present"},
        {"cs.type=3", "not a code segment"},
        {"rflags=0", "RFLAGS"},
        {"rip=0x800000000000", "canonical"},
        {"cr0=0x1a0000011", "CR0"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct x86_entry e = entry_of(BOOT_LINUX64);
        const char *rule;

        ck_assert_int_eq(x86_set_reg(&e, rows[i].set), 0);
        rule = x86_state_rule(&e.regs, &e.sregs);
        ck_assert_ptr_nonnull(rule);
        ck_assert_msg(strstr(rule, rows[i].says), "%s: %s", rows[i].set, rule);
    }
}
END_TEST

START_TEST(set_reg_changes_that_register_only)
{
    struct x86_entry e = entry_of(BOOT_LINUX64), before = e;

    ck_assert_int_eq(x86_set_reg(&e, "r15=0x1122334455667788"), 0);
    ck_assert_uint_eq(e.regs.r15, 0x1122334455667788);
    e.regs.r15 = before.regs.r15;
    ck_assert_int_eq(memcmp(&e, &before, sizeof(e)), 0);
    ck_assert_int_eq(x86_set_reg(&e, "ss.limit=4294967295"), 0);
    ck_assert_int_eq(x86_set_reg(&e, "ds.dpl=3"), 0);
    ck_assert_uint_eq(e.sregs.ds.dpl, 3);
}
END_TEST

START_TEST(set_reg_refuses_what_it_does_not_know)
{
    static const char *const bad[] = {
        "",       "rip",  "rip=",     "=1",         "xyz=1",     "rip=1x",
        "rip=-1", "cs=1", "cs.foo=1", "foo.base=1", "cs.db=256", "rip=99999999999999999999",
        "rip= 1", "cs.=1"};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        ck_assert_msg(!arch_set_reg_known(bad[i]), "%s", bad[i]);
}
END_TEST

/* A table such as KVM gives: leaves 1, 4, 0xb.0, 0xb.1, 0x80000008, 0x8000001d, 0x8000001e. */
static struct kvm_cpuid2 *sample(void)
{
    static const struct kvm_cpuid_entry2 leaves[] = {
        {.function = 1, .ebx = 0x07100800, .ecx = 0, .edx = 1u << 28},
        {.function = 4, .index = 0, .eax = 0x1c004121},
        {.function = 4, .index = 3, .eax = 0x1c03c163},
        {.function = 0xb, .index = 0, .edx = 7},
        {.function = 0xb, .index = 1, .edx = 7},
        {.function = 0x80000008, .eax = 0x3030, .ecx = 0x700f},
        {.function = 0x8000001d, .index = 3, .eax = 0x1c163},
        {.function = 0x8000001e, .eax = 7, .ebx = 0x103, .ecx = 0x300},
    };
    struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + sizeof(leaves));

    c->nent = ARRAY_SIZE(leaves);
    memcpy(c->entries, leaves, sizeof(leaves));
    return c;
}

START_TEST(cpuid_tells_the_same_apic_id_everywhere)
{
    for (unsigned id = 0; id < 254; id++) {
        struct kvm_cpuid2 *c = sample();

        x86_fix_cpuid(c, id, 254, true);
        ck_assert_uint_eq(c->entries[0].ebx >> 24, id);
        ck_assert_uint_eq(c->entries[3].edx, id);
        ck_assert_uint_eq(c->entries[4].edx, id);
        ck_assert_uint_eq(c->entries[7].eax, id);
        free(c);
    }
}
END_TEST

START_TEST(cpuid_topology_counts_every_vcpu_as_a_core)
{
    static const unsigned counts[] = {1, 2, 3, 4, 5, 64, 128, 254};

    for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
        struct kvm_cpuid2 *c = sample();
        unsigned n = counts[i], width;

        x86_fix_cpuid(c, 0, n, true);
        width = c->entries[4].eax;
        ck_assert_uint_ge(1u << width, n);
        ck_assert(width == 0 || 1u << (width - 1) < n);
        ck_assert_uint_eq(c->entries[3].ebx, 1);
        ck_assert_uint_eq(c->entries[3].ecx, 0x100);
        ck_assert_uint_eq(c->entries[4].ebx, n);
        ck_assert_uint_eq(c->entries[4].ecx, 0x201);
        ck_assert_uint_eq(c->entries[5].ecx & 0xff, n - 1);
        ck_assert_uint_eq(c->entries[6].eax >> 14 & 0xfff, n - 1);
        ck_assert_uint_eq(c->entries[0].edx >> 28 & 1, n > 1);
        free(c);
    }
}
END_TEST

START_TEST(cpuid_has_hypervisor_x2apic_and_deadline_bits)
{
    struct kvm_cpuid2 *c = sample();

    x86_fix_cpuid(c, 0, 1, true);
    ck_assert_uint_eq(c->entries[0].ecx, 1u << 31 | 1u << 24 | 1u << 21);
    x86_fix_cpuid(c, 0, 1, false);
    ck_assert_uint_eq(c->entries[0].ecx, 1u << 31 | 1u << 21);
    free(c);
}
END_TEST

START_TEST(kvm_open_of_what_is_no_kvm_fails_with_advice)
{
    struct kvm kvm;

    ck_assert_int_eq(kvm_open(&kvm, "/nonexistent/kvm"), -ENOENT);
    ck_assert_int_eq(kvm_open(&kvm, "/dev/null"), -ENODEV);
    ck_assert_int_eq(kvm.fd, -1);
    ck_assert(strstr(kvm_advice(-EACCES), "usermod"));
    ck_assert(strstr(kvm_advice(-EBUSY), "another hypervisor"));
    ck_assert(strstr(kvm_advice(-EMFILE), "ulimit"));
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(entry_state_of_every_protocol_is_consistent_but_for_the_idt),
        CASE(information_goes_into_the_register_of_the_protocol),
        CASE(each_broken_rule_is_named),
        CASE(set_reg_changes_that_register_only),
        CASE(set_reg_refuses_what_it_does_not_know),
        CASE(cpuid_tells_the_same_apic_id_everywhere),
        CASE(cpuid_topology_counts_every_vcpu_as_a_core),
        CASE(cpuid_has_hypervisor_x2apic_and_deadline_bits),
        CASE(kvm_open_of_what_is_no_kvm_fails_with_advice),
    };

    return run_suite("x86", cases, ARRAY_SIZE(cases));
}
