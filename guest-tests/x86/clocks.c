/*
 * The machine's clocks beside each other: the TSC, the local APIC's timer, its TSC deadline, KVM's
 * clock and the RTC's seconds must agree on how fast time goes; and time read on one CPU never lies
 * before what another CPU read earlier.
 *
 * Command line: turns=N of the CPUs at reading (500), cpus=N (2), rtc: look at the
 * seconds, too; kvmclock: it has to be there.
 */
#include "guest-tests/lib/apic.h"
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/idt.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/kvmclock.h"
#include "guest-tests/lib/smp.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/wait.h"

const char guest_name[] = "clocks";

#define SPAN_CYCLES   100000000u /* how long clocks are compared: tens of milliseconds */
#define TOLERANCE     20         /* one part in so many: hosts are busy */
#define DEADLINES     20
#define LATE_CYCLES   2000000000u /* a deadline may be late on a busy host, but not for ever */
#define RTC_SECONDS   0
#define FULL_COUNT    0xffffffffu
#define TURNS_DEFAULT 500

static volatile uint32_t timer_interrupts;
static bool have_kvmclock;

/* The CPUs' turns: whose it is, and the latest time that anyone has seen. */
static volatile uint32_t turn, cpus, ready;
static volatile uint64_t last_tsc, last_ns;
static volatile uint32_t tsc_back, ns_back, turns_taken;
static uint32_t turns;

static void on_timer(struct trap_frame *frame)
{
    (void)frame;
    timer_interrupts++;
    apic_eoi();
}

/* One look at every clock. The APIC's counts down. */
struct look {
    uint64_t tsc, ns;
    uint32_t apic;
};

static struct look look_at_clocks(void)
{
    struct look look = {.tsc = rdtsc(), .apic = FULL_COUNT - apic_read(APIC_TIMER_CURRENT)};

    if (have_kvmclock)
        look.ns = kvmclock_now(0);
    return look;
}

static void wait_cycles(uint64_t cycles)
{
    for (uint64_t start = rdtsc(); rdtsc() - start < cycles;)
        cpu_pause();
}

static struct look measure(void)
{
    struct look begin = look_at_clocks(), end;

    wait_cycles(SPAN_CYCLES);
    end = look_at_clocks();
    return (struct look){end.tsc - begin.tsc, end.ns - begin.ns, end.apic - begin.apic};
}

/* a1 : b1 as a2 : b2, by cross-multiplication; all of them well below 2^32. */
static bool same_ratio(uint64_t a1, uint64_t b1, uint64_t a2, uint64_t b2)
{
    uint64_t left = a1 * b2, right = a2 * b1;
    uint64_t apart = left > right ? left - right : right - left;

    return apart < right / TOLERANCE;
}

/* Whatever a tick is, there are as many in a cycle now as there were before. */
static void test_rates(void)
{
    struct look one, two;

    apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
    apic_write(APIC_LVT_TIMER, LVT_MASKED);
    apic_write(APIC_TIMER_INITIAL, FULL_COUNT);
    one = measure();
    two = measure();
    printf("%llu cycles: APIC %u ticks, KVM's clock %llu ns\n", (unsigned long long)one.tsc,
           one.apic, (unsigned long long)one.ns);
    check(one.apic != 0, "the APIC's timer counts");
    check(same_ratio(one.apic, one.tsc, two.apic, two.tsc), "TSC and APIC timer keep their ratio");
    if (!have_kvmclock)
        return;
    check(same_ratio(one.ns, one.tsc, two.ns, two.tsc), "TSC and KVM's clock keep their ratio");
    check(same_ratio(one.tsc * 1000000 / kvmclock_tsc_khz(0), 1, one.ns, 1),
          "the TSC's frequency is what KVM's clock says");
    /* KVM's APIC timer runs at 1 GHz: a tick is a nanosecond. */
    check(same_ratio(one.apic, 1, one.ns, 1), "the APIC's timer runs at 1 GHz");
}

/* Never early; how late is the host's affair, within reason. */
static void test_deadlines(void)
{
    unsigned early = 0, late = 0;

    if (!apic_has_tsc_deadline())
        return;
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER | LVT_TSC_DEADLINE);
    for (uint32_t i = 1; i <= DEADLINES; i++) {
        uint64_t due = rdtsc() + 200000 * i;

        wrmsr(MSR_TSC_DEADLINE, due);
        halt_until(&timer_interrupts, i);
        early += rdtsc() < due;
        late += rdtsc() - due > LATE_CYCLES;
    }
    apic_write(APIC_LVT_TIMER, LVT_MASKED);
    check_equal(early, 0, "TSC deadlines that came early");
    check_equal(late, 0, "TSC deadlines that came much too late");
    check_equal(timer_interrupts, DEADLINES, "one interrupt for each");
}

static uint8_t rtc_seconds(void)
{
    out8(PORT_RTC_INDEX, RTC_SECONDS);
    return in8(PORT_RTC_DATA);
}

/* Until the seconds change. False: they do not. */
static bool wait_for_second(void)
{
    uint8_t now = rtc_seconds();

    for (uint64_t start = rdtsc(); rdtsc() - start < WAIT_CYCLES;)
        if (rtc_seconds() != now)
            return true;
    return false;
}

/* Time of day goes on while the TSC does: from one change of the seconds to the next. */
static void test_rtc(void)
{
    uint64_t start, cycles;

    if (!check(wait_for_second(), "the RTC's seconds change"))
        return;
    start = rdtsc();
    check(wait_for_second(), "and change again");
    cycles = rdtsc() - start;
    printf("a second of the RTC: %llu cycles\n", (unsigned long long)cycles);
    if (have_kvmclock)
        check(same_ratio(cycles / 1000, 1, kvmclock_tsc_khz(0), 1), "a second of it is a second");
}

/* The CPU whose turn it is reads both clocks, compares them with the latest ones, passes on. */
static void take_turns(uint32_t id)
{
    while (turns_taken < turns) {
        uint64_t tsc, ns;

        if (turn != id) {
            cpu_pause();
            continue;
        }
        tsc = rdtsc();
        ns = have_kvmclock ? kvmclock_now(id) : 0;
        tsc_back += tsc < last_tsc;
        ns_back += ns < last_ns;
        last_tsc = tsc;
        last_ns = ns;
        turns_taken++;
        turn = (id + 1) % cpus; /* x86 keeps stores in order: the next one sees all of these */
    }
    __atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
}

static void ap_main(uint32_t id)
{
    if (have_kvmclock)
        kvmclock_start(id);
    take_turns(id);
}

static void test_monotonic(void)
{
    cpus = (uint32_t)cmdline_number("cpus", 2);
    turns = (uint32_t)cmdline_number("turns", TURNS_DEFAULT);
    group_begin("read in turns");
    turn = cpus; /* nobody's, until all are there */
    for (uint32_t id = 1; id < cpus; id++)
        if (!check(smp_start(id, false, ap_main), "CPU %u runs", id))
            return;
    turn = 0;
    take_turns(0);
    check(wait_until(&ready, cpus), "every CPU ends");
    check(turns_taken >= turns, "%u turns", turns_taken);
    check_equal(tsc_back, 0, "times that the TSC went back");
    if (have_kvmclock)
        check_equal(ns_back, 0, "times that KVM's clock went back");
    group_end();
}

void guest_main(void)
{
    trap_set_handler(VECTOR_TIMER, on_timer);
    apic_enable(false);
    have_kvmclock = kvmclock_start(0);
    check(have_kvmclock || !cmdline_has("kvmclock"), "KVM's clock is there");
    test_rates();
    test_deadlines();
    if (cmdline_has("rtc"))
        test_rtc();
    test_monotonic();
}
