/*
 * What it costs to leave the guest, by kind. Guests of ours and of Linux do these all the time:
 *
 *   exit-bench: port ns 1200 min 1180 max 1420         (medians of batches)
 *
 * port: a write that no device takes. port-read: the serial port's scratch register. mmio: a
 * register of a virtio device. notify: a virtio device's bell, with nothing in its queue. wake: how
 * late HLT ends after the timer was due. ipi: to another CPU that sleeps, and back.
 *
 * The first four run in ring 3. Command line: batch=N exits (1000).
 */
#include "guest-tests/lib/apic.h"
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/idt.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/kvmclock.h"
#include "guest-tests/lib/mmio.h"
#include "guest-tests/lib/smp.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/uart.h"
#include "guest-tests/lib/user.h"
#include "guest-tests/lib/virtio_rng.h"
#include "guest-tests/lib/wait.h"

const char guest_name[] = "exits";

#define BATCHES    9
#define PORT_NONE  0x80
#define WAKE_US    200 /* asleep that long, so that the host really sleeps */
#define WAKE_SHARE 10  /* fewer of those in a batch: each takes so long */

static struct virtio_rng rng;
static uint64_t tsc_khz;
static uint32_t batch;
static volatile uint32_t timer_interrupts, replies;
static uint64_t cycles; /* of the batch that just ran */

static void on_timer(struct trap_frame *frame)
{
    (void)frame;
    timer_interrupts++;
    apic_eoi();
}

static void on_ipi(struct trap_frame *frame)
{
    (void)frame;
    apic_eoi();
    apic_send(0, ICR_FIXED | VECTOR_REPLY);
}

static void on_reply(struct trap_frame *frame)
{
    (void)frame;
    replies++;
    apic_eoi();
}

static void sleep_and_serve(uint32_t id)
{
    (void)id; /* what an AP does whose main returns */
}

static void write_port(void)
{
    uint64_t start = rdtsc();

    for (uint32_t i = 0; i < batch; i++)
        out8(PORT_NONE, 0);
    cycles = rdtsc() - start;
}

static void read_port(void)
{
    uint64_t start = rdtsc();

    for (uint32_t i = 0; i < batch; i++)
        (void)in8(PORT_UART + UART_SCRATCH);
    cycles = rdtsc() - start;
}

static void read_register(void)
{
    uint64_t start = rdtsc();

    for (uint32_t i = 0; i < batch; i++)
        (void)mmio_read32(rng.dev.regs);
    cycles = rdtsc() - start;
}

static void notify(void)
{
    uint64_t start = rdtsc();

    for (uint32_t i = 0; i < batch; i++)
        rng.dev.transport->notify(&rng.dev, 0);
    cycles = rdtsc() - start;
}

/* Only what comes after the moment when the interrupt was due. */
static void wake(void)
{
    uint64_t late = 0, ahead = WAKE_US * tsc_khz / 1000;

    for (uint32_t i = 0; i < batch / WAKE_SHARE; i++) {
        uint64_t due = rdtsc() + ahead;

        timer_interrupts = 0;
        apic_write(APIC_TIMER_INITIAL, WAKE_US * 1000); /* KVM's runs at 1 GHz */
        halt_until(&timer_interrupts, 1);
        late += rdtsc() > due ? rdtsc() - due : 0;
    }
    cycles = late * WAKE_SHARE;
}

static void there_and_back(void)
{
    uint64_t start = rdtsc();

    replies = 0;
    for (uint32_t i = 1; i <= batch / WAKE_SHARE; i++) {
        apic_send(1, ICR_FIXED | VECTOR_IPI);
        halt_until(&replies, i);
    }
    cycles = (rdtsc() - start) * WAKE_SHARE;
}

/* The batches' figures in order; insertion sort, for there are nine. */
static void measure(const char *kind, void (*run)(void), bool in_ring_3)
{
    uint64_t ns[BATCHES];

    for (unsigned i = 0; i < BATCHES; i++) {
        uint64_t figure;
        unsigned at = i;

        if (in_ring_3)
            user_run(run);
        else
            run();
        figure = cycles * 1000000 / tsc_khz / batch;
        for (; at > 0 && ns[at - 1] > figure; at--)
            ns[at] = ns[at - 1];
        ns[at] = figure;
    }
    printf("exit-bench: %s ns %u min %u max %u\n", kind, (unsigned)ns[BATCHES / 2], (unsigned)ns[0],
           (unsigned)ns[BATCHES - 1]);
    check(ns[0] > 0, "%s takes time", kind);
}

void guest_main(void)
{
    if (!kvmclock_start(0))
        skip("no KVM clock, so the counter's frequency is not known");
    tsc_khz = kvmclock_tsc_khz(0);
    batch = (uint32_t)cmdline_number("batch", 1000);
    batch = batch < WAKE_SHARE ? WAKE_SHARE : batch;
    trap_set_handler(VECTOR_TIMER, on_timer);
    trap_set_handler(VECTOR_IPI, on_ipi);
    trap_set_handler(VECTOR_REPLY, on_reply);
    apic_enable(false);
    apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
    measure("port", write_port, true);
    measure("port-read", read_port, true);
    if (check(virtio_rng_open(&rng, 0), "a virtio device on mmio")) {
        measure("mmio", read_register, true);
        measure("notify", notify, true);
    }
    measure("wake", wake, false);
    if (check(smp_start(1, false, sleep_and_serve), "a second CPU"))
        measure("ipi", there_and_back, false);
}
