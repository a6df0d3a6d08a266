/* Other CPUs: PSCI starts them once each, they have their numbers, and interrupts reach them. */
#include "guest-tests/arm64/lib/exception.h"
#include "guest-tests/arm64/lib/gic.h"
#include "guest-tests/arm64/lib/psci.h"
#include "guest-tests/arm64/lib/start.h"
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/wait.h"

const char guest_name[] = "smp";

#define CPUS_MAX  64
#define STACK     4096
#define SGI_PING  1
#define AFFINITY  UINT64_C(0xff00ffffff)
#define ARGUMENT  UINT64_C(0x1122334455667700)
#define STATE_OFF 1

static uint8_t stacks[CPUS_MAX][STACK] __attribute__((aligned(16)));
static struct cpu_start starts[CPUS_MAX];
static volatile uint32_t running[CPUS_MAX], pings[CPUS_MAX];
static volatile uint64_t mpidr[CPUS_MAX];

/* As KVM numbers them: 16 to a cluster. */
static uint64_t mpidr_of(unsigned cpu)
{
    return (cpu & 15) | (uint64_t)(cpu >> 4) << 8;
}

static void pinged(void)
{
    uint64_t me = read_sysreg("mpidr_el1");

    pings[(me & 15) + (me >> 8 & 0xff) * 16]++;
}

static void run(uint64_t argument)
{
    unsigned cpu = (unsigned)(argument - ARGUMENT);

    mpidr[cpu] = read_sysreg("mpidr_el1") & AFFINITY;
    running[cpu] = gic_cpu_init(cpu) ? 1 : 2;
    wait_until(&pings[cpu], 1);
    running[cpu] = 3;
    psci(PSCI_CPU_OFF, 0, 0, 0);
}

static void start(unsigned cpu)
{
    starts[cpu] = (struct cpu_start){(uintptr_t)stacks[cpu] + STACK, run, ARGUMENT + cpu};
    check_equal(
        (uint64_t)psci(PSCI_CPU_ON, mpidr_of(cpu), (uintptr_t)cpu_entry, (uintptr_t)&starts[cpu]),
        PSCI_OK, "CPU_ON of CPU %u", cpu);
    if (!check(wait_until(&running[cpu], 1), "it runs"))
        return;
    check_equal(mpidr[cpu], mpidr_of(cpu), "its affinity");
    check_equal((uint64_t)psci(PSCI_CPU_ON, mpidr_of(cpu), (uintptr_t)cpu_entry, 0),
                (uint64_t)PSCI_ALREADY_ON, "it cannot be started twice");
    gic_send(SGI_PING, mpidr_of(cpu));
    check(wait_until(&running[cpu], 3), "an interrupt reaches it");
}

static bool goes_off(unsigned cpu)
{
    uint64_t begin = rdtsc();

    while (rdtsc() - begin < WAIT_CYCLES)
        if (psci(PSCI_AFFINITY_INFO, mpidr_of(cpu), 0, 0) == STATE_OFF)
            return true;
    return false;
}

void guest_main(void)
{
    unsigned cpus = (unsigned)cmdline_number("cpus", 1);

    check(psci(PSCI_VERSION, 0, 0, 0) >= 2, "PSCI 0.2 or later");
    check_equal((uint64_t)psci(PSCI_CPU_ON, mpidr_of(cpus), (uintptr_t)cpu_entry, 0),
                (uint64_t)PSCI_INVALID, "CPU_ON of a CPU that there is not");
    check_equal((uint64_t)(int32_t)psci(UINT64_C(0x84001234), 0, 0, 0),
                (uint64_t)PSCI_NOT_SUPPORTED, "an unknown call");
    interrupt_handle(SGI_PING, pinged);
    for (unsigned cpu = 1; cpu < cpus && cpu < CPUS_MAX; cpu++)
        start(cpu);
    for (unsigned cpu = 1; cpu < cpus && cpu < CPUS_MAX; cpu++)
        check(goes_off(cpu), "CPU %u is off", cpu);
    gic_send(SGI_PING, 0);
    check(wait_until(&pings[0], 1), "this CPU interrupts itself");
}
