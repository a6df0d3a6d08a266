/*
 * Several CPUs: INIT/SIPI start, ids that agree wherever they can be read, and interrupts between
 * CPUs, there and back.
 *
 * Command line: cpus=N (4), x2apic.
 */
#include "guest-tests/lib/smp.h"
#include "guest-tests/lib/apic.h"
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/idt.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/wait.h"

const char guest_name[] = "smp";

struct cpu_report {
    uint32_t apic, leaf1, leafb, leafb_levels;
    uint32_t ipis; /* received; by that CPU alone */
};

static volatile struct cpu_report reports[SMP_MAX_CPUS];
static volatile uint32_t arrived, replies;

/*
 * A CPU's id can be read in three places, by different users of it: its APIC (for interrupts),
 * CPUID leaf 1 (8 bits, old) and leaf 0xb (topology). Linux complains when they disagree.
 */
static void fill_report(uint32_t id)
{
    volatile struct cpu_report *r = &reports[id];
    struct cpuid topology = cpuid(0xb, 0);

    r->apic = apic_id();
    r->leaf1 = cpuid(1, 0).ebx >> 24;
    r->leafb = cpuid(0, 0).eax >= 0xb && topology.ebx ? topology.edx : r->leaf1;
}

static void ap_main(uint32_t id)
{
    fill_report(id);
    /* Atomic, because another CPU may still be counting itself. */
    __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
}

/* On an AP: answers the boot processor. */
static void on_ipi(struct trap_frame *frame)
{
    (void)frame;
    reports[apic_id()].ipis++;
    apic_eoi();
    apic_send(0, ICR_FIXED | VECTOR_REPLY);
}

static void on_reply(struct trap_frame *frame)
{
    (void)frame;
    replies++;
    apic_eoi();
}

static void check_report(uint32_t id)
{
    volatile struct cpu_report *r = &reports[id];

    check(r->apic == id && r->leaf1 == (id & 0xff) && r->leafb == id,
          "cpu %u: APIC id %u, CPUID leaf 1 says %u, leaf 0xb says %u", id, r->apic, r->leaf1,
          r->leafb);
}

/* The CPU is asleep in HLT; the interrupt wakes it, and its answer proves that it came alone. */
static void test_ipi(uint32_t id)
{
    uint32_t before = replies;

    apic_send(id, ICR_FIXED | VECTOR_IPI);
    check(wait_until(&replies, before + 1) && reports[id].ipis == 1, "cpu %u: IPI there and back",
          id);
}

void guest_main(void)
{
    uint32_t cpus = (uint32_t)cmdline_number("cpus", 4), started = 0;
    bool x2apic = cmdline_has("x2apic");

    if (x2apic && !apic_has_x2apic())
        skip("CPUID says that there is no x2APIC");
    apic_enable(x2apic);
    trap_set_handler(VECTOR_IPI, on_ipi);
    trap_set_handler(VECTOR_REPLY, on_reply);
    fill_report(0);
    for (uint32_t id = 1; id < cpus; id++)
        started += smp_start(id, x2apic, ap_main);
    check_equal(started + 1, cpus, "CPUs that run");
    wait_until(&arrived, started);
    check_equal(arrived, started, "CPUs that reported");
    for (uint32_t id = 0; id < cpus; id++)
        check_report(id);
    for (uint32_t id = 1; id < cpus; id++)
        test_ipi(id);
}
