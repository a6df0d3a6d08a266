/*
 * Interrupts, counted: each one that is sent arrives once, on the CPU and the vector it was sent
 * to, and none arrives that nobody sent. To oneself, to another CPU and back, and from the serial
 * port.
 *
 * Command line: count=N to oneself (100000), ipis=N there and back (10000), x2apic. Two CPUs.
 */
#include "guest-tests/lib/apic.h"
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/idt.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/ioapic.h"
#include "guest-tests/lib/smp.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/uart.h"
#include "guest-tests/lib/wait.h"

const char guest_name[] = "interrupts";

#define SELF          0x40000 /* destination shorthand of the ICR (SDM volume 3, 11.6.1) */
#define VECTOR_HIGHER 0x90    /* of a higher priority class than VECTOR_IPI */
#define UART_COUNT    1000

static volatile uint32_t to_self, higher, at_ap, replies, from_uart;
static volatile uint32_t wrong_cpu;
static volatile uint32_t higher_inside; /* arrived while the lower one was being handled */
static volatile bool in_handler;

static void on_self(struct trap_frame *frame)
{
    (void)frame;
    to_self++;
    apic_eoi();
}

static void on_ipi(struct trap_frame *frame)
{
    (void)frame;
    at_ap++;
    wrong_cpu += apic_id() != 1;
    apic_eoi();
    apic_send(0, ICR_FIXED | VECTOR_REPLY);
}

static void on_reply(struct trap_frame *frame)
{
    (void)frame;
    replies++;
    wrong_cpu += apic_id() != 0;
    apic_eoi();
}

static void on_higher(struct trap_frame *frame)
{
    (void)frame;
    higher++;
    higher_inside += in_handler;
    apic_eoi();
}

/* Sends one of its own class and one of a higher: only that may come before the EOI. */
static void on_nesting(struct trap_frame *frame)
{
    (void)frame;
    in_handler = true;
    apic_send(0, ICR_FIXED | SELF | VECTOR_HIGHER);
    apic_send(0, ICR_FIXED | SELF | VECTOR_REPLY);
    interrupts_on();
    delay_us(100);
    interrupts_off();
    in_handler = false;
    higher_inside += replies == 0 ? 0 : 100; /* a reply inside would be one too early */
    apic_eoi();
}

static void on_uart(struct trap_frame *frame)
{
    (void)frame;
    from_uart += (in8(PORT_UART + UART_IIR) & IIR_ID) == IIR_TX;
    apic_eoi();
}

/* Nobody else sends, so after each one the count is known exactly. */
static void test_self(uint32_t count)
{
    uint32_t sent = 0;

    group_begin("to oneself");
    interrupts_on();
    while (sent < count && to_self == sent) {
        apic_send(0, ICR_FIXED | SELF | VECTOR_IPI);
        for (uint64_t start = rdtsc(); to_self == sent && rdtsc() - start < WAIT_CYCLES;)
            cpu_pause();
        sent++;
    }
    interrupts_off();
    check_equal(sent, count, "sent");
    check_equal(to_self, count, "arrived, each before the next was sent");
    group_end();
}

/* What is sent twice before it is taken is one: a vector has one bit (11.8.4). */
static void test_merged(void)
{
    uint32_t before = to_self;

    for (unsigned i = 0; i < 10; i++)
        apic_send(0, ICR_FIXED | SELF | VECTOR_IPI);
    interrupts_on();
    delay_us(100);
    interrupts_off();
    check_equal(to_self - before, 1, "ten while interrupts are off arrive as one");
}

static void test_priority(void)
{
    replies = 0;
    trap_set_handler(VECTOR_IPI, on_nesting);
    apic_send(0, ICR_FIXED | SELF | VECTOR_IPI);
    interrupts_on();
    delay_us(100);
    interrupts_off();
    check_equal(higher_inside, 1, "a higher class interrupts a handler, the same class does not");
    check_equal(replies, 1, "the same class comes after the EOI");
}

static void stay(uint32_t id)
{
    (void)id; /* and serve IPIs: what an AP does whose main returns */
}

static void test_ipis(uint32_t count, bool x2apic)
{
    uint32_t sent = 0;

    group_begin("to another CPU and back");
    replies = 0;
    trap_set_handler(VECTOR_IPI, on_ipi);
    if (!check(smp_start(1, x2apic, stay), "the other CPU runs"))
        return;
    while (sent < count && replies == sent) {
        apic_send(1, ICR_FIXED | VECTOR_IPI);
        wait_until(&replies, ++sent);
    }
    check_equal(sent, count, "sent");
    check_equal(at_ap, count, "arrived there");
    check_equal(replies, count, "came back");
    check_equal(wrong_cpu, 0, "arrived on another CPU than was meant");
    group_end();
}

/* Switching the transmit interrupt on while the FIFO is empty asks for one, each time. */
static void test_uart(void)
{
    group_begin("from the serial port");
    ioapic_route(GSI_UART, VECTOR_UART, 0);
    out8(PORT_UART + UART_MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
    for (uint32_t i = 1; i <= UART_COUNT; i++) {
        out8(PORT_UART + UART_IER, IER_TX);
        if (!wait_until(&from_uart, i))
            break;
        out8(PORT_UART + UART_IER, 0);
    }
    out8(PORT_UART + UART_IER, 0);
    ioapic_mask(GSI_UART);
    check_equal(from_uart, UART_COUNT, "one for each time it was asked for");
    group_end();
}

void guest_main(void)
{
    bool x2apic = cmdline_has("x2apic");

    if (x2apic && !apic_has_x2apic())
        skip("CPUID says that there is no x2APIC");
    apic_enable(x2apic);
    trap_set_handler(VECTOR_IPI, on_self);
    trap_set_handler(VECTOR_REPLY, on_reply);
    trap_set_handler(VECTOR_HIGHER, on_higher);
    trap_set_handler(VECTOR_UART, on_uart);
    test_self((uint32_t)cmdline_number("count", 100000));
    test_merged();
    test_priority();
    test_ipis((uint32_t)cmdline_number("ipis", 10000), x2apic);
    test_uart();
    check_equal(trap_unexpected, 0, "interrupts that nobody sent");
}
