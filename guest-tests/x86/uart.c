/*
 * The 16550A as a driver uses it: registers, divisor latch, loopback with FIFO, interrupt
 * identification, and transmit interrupts through the I/O APIC.
 */
#include "guest-tests/lib/uart.h"
#include "guest-tests/lib/apic.h"
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/idt.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/ioapic.h"
#include "guest-tests/lib/string.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/wait.h"

const char guest_name[] = "uart";

static uint8_t get(unsigned reg)
{
    return in8((uint16_t)(PORT_UART + reg));
}

static void set(unsigned reg, uint8_t value)
{
    out8((uint16_t)(PORT_UART + reg), value);
}

/* The divisor latch hides data and IER; nothing can be printed while it does. */
static void test_divisor_latch(void)
{
    uint8_t lcr, low, high;

    set(UART_LCR, LCR_DLAB | LCR_8N1);
    lcr = get(UART_LCR);
    set(UART_DATA, 0x34);
    set(UART_IER, 0x12);
    low = get(UART_DATA);
    high = get(UART_IER);
    set(UART_DATA, 1);
    set(UART_IER, 0);
    set(UART_LCR, LCR_8N1);
    check_equal(lcr, LCR_DLAB | LCR_8N1, "LCR reads back");
    check_equal(low, 0x34, "divisor latch, low");
    check_equal(high, 0x12, "divisor latch, high");
    check_equal(get(UART_IER), 0, "IER is another register than the divisor");
}

static void test_registers(void)
{
    group_begin("registers");
    set(UART_SCRATCH, 0xa5);
    check_equal(get(UART_SCRATCH), 0xa5, "scratch keeps a value");
    set(UART_SCRATCH, 0x5a);
    check_equal(get(UART_SCRATCH), 0x5a, "scratch keeps its opposite");
    test_divisor_latch();
    set(UART_IER, 0xff);
    check_equal(get(UART_IER), 0x0f, "IER has four bits");
    set(UART_IER, 0);
    set(UART_FCR, FCR_ENABLE);
    check_equal(get(UART_IIR) & IIR_FIFO, IIR_FIFO, "IIR says FIFO");
    check_equal(get(UART_LSR) & (LSR_TX_IDLE | LSR_TX_DONE), LSR_TX_IDLE | LSR_TX_DONE,
                "LSR: transmitter empty");
    group_end();
}

/* In loopback the modem outputs drive the modem inputs. */
static void test_modem_loopback(void)
{
    static const struct {
        uint8_t output, input;
        const char *name;
    } wires[] = {{MCR_DTR, MSR_DSR, "DTR drives DSR"},
                 {MCR_RTS, MSR_CTS, "RTS drives CTS"},
                 {MCR_OUT1, MSR_RI, "OUT1 drives RI"},
                 {MCR_OUT2, MSR_DCD, "OUT2 drives DCD"}};

    group_begin("modem lines in loopback");
    for (unsigned i = 0; i < 4; i++) {
        uint8_t inputs;

        set(UART_MCR, MCR_LOOP | wires[i].output);
        inputs = get(UART_MSR) & 0xf0;
        set(UART_MCR, MCR_DTR | MCR_RTS);
        check_equal(inputs, wires[i].input, "%s", wires[i].name);
    }
    group_end();
}

/* Nothing may be printed while the transmitter is connected to the receiver: results first. */
static void test_data_loopback(void)
{
    unsigned in_order = 0;
    uint8_t before, after, overrun, overrun_again;

    set(UART_FCR, FCR_ENABLE | FCR_CLEAR_RX | FCR_CLEAR_TX);
    set(UART_MCR, MCR_LOOP);
    before = get(UART_LSR);
    for (unsigned i = 0; i < UART_FIFO; i++)
        set(UART_DATA, (uint8_t)(0x30 + i));
    for (unsigned i = 0; i < UART_FIFO; i++)
        in_order += (get(UART_LSR) & LSR_DATA) && get(UART_DATA) == 0x30 + i;
    after = get(UART_LSR);
    for (unsigned i = 0; i < UART_FIFO + 1; i++)
        set(UART_DATA, (uint8_t)i);
    overrun = get(UART_LSR);
    overrun_again = get(UART_LSR);
    set(UART_FCR, FCR_ENABLE | FCR_CLEAR_RX);
    in_order += get(UART_LSR) & LSR_DATA ? 100 : 0;
    set(UART_MCR, MCR_DTR | MCR_RTS);

    group_begin("data in loopback");
    check((before & LSR_DATA) == 0, "no data before");
    check_equal(in_order, UART_FIFO, "16 bytes come back in order, FCR clears the rest");
    check((after & LSR_DATA) == 0, "no data afterwards");
    check(overrun & LSR_OVERRUN, "a 17th byte is an overrun");
    check((overrun_again & LSR_OVERRUN) == 0, "reading LSR clears it");
    group_end();
}

/* Highest priority first: line status, received data, transmitter, modem (data sheet, table 5). */
static void test_priorities(void)
{
    uint8_t line, data, tx, modem, none;

    set(UART_FCR, FCR_ENABLE | FCR_CLEAR_RX | FCR_CLEAR_TX | FCR_TRIGGER_14);
    set(UART_MCR, MCR_LOOP);
    get(UART_MSR);
    set(UART_IER, IER_RX | IER_TX | IER_LINE | IER_MODEM);
    for (unsigned i = 0; i < UART_FIFO + 1; i++)
        set(UART_DATA, 1);
    set(UART_MCR, MCR_LOOP | MCR_DTR);
    line = get(UART_IIR) & IIR_ID;
    get(UART_LSR);
    data = get(UART_IIR) & IIR_ID;
    set(UART_FCR, FCR_ENABLE | FCR_CLEAR_RX | FCR_TRIGGER_14);
    tx = get(UART_IIR) & IIR_ID; /* reading it acknowledges it */
    modem = get(UART_IIR) & IIR_ID;
    get(UART_MSR);
    none = get(UART_IIR) & IIR_ID;
    set(UART_IER, 0);
    set(UART_MCR, MCR_DTR | MCR_RTS);

    group_begin("interrupt identification");
    check_equal(line, IIR_LINE, "line status (overrun) comes first");
    check(data == IIR_RX || data == IIR_TIMEOUT, "then received data");
    check_equal(tx, IIR_TX, "then the empty transmitter");
    if (on_qemu())
        check_xfail(modem == IIR_MODEM, "QEMU sees no change of the lines in loopback",
                    "then the modem lines");
    else
        check_equal(modem, IIR_MODEM, "then the modem lines");
    check_equal(none, IIR_NONE, "then none");
    group_end();
}

/* Fewer bytes than the trigger level are announced too, after a pause of four characters. */
static void test_receive_timeout(void)
{
    uint8_t id = IIR_NONE;
    uint64_t start = rdtsc();

    set(UART_FCR, FCR_ENABLE | FCR_CLEAR_RX | FCR_CLEAR_TX | FCR_TRIGGER_14);
    set(UART_MCR, MCR_LOOP);
    set(UART_IER, IER_RX);
    set(UART_DATA, 'x');
    while (id != IIR_TIMEOUT && rdtsc() - start < WAIT_CYCLES)
        id = get(UART_IIR) & IIR_ID;
    get(UART_DATA);
    set(UART_IER, 0);
    set(UART_MCR, MCR_DTR | MCR_RTS);
    check_equal(id, IIR_TIMEOUT, "one byte below the trigger level: character timeout");
}

static const char *message = "sixteen bytes at a time, each burst by an interrupt\n";
static size_t message_left;
static volatile uint32_t interrupts, done, spurious;

/* The one after the last burst finds nothing left to send. */
static void on_uart(struct trap_frame *frame)
{
    (void)frame;
    interrupts++;
    if ((get(UART_IIR) & IIR_ID) != IIR_TX)
        spurious++;
    if (!message_left) {
        set(UART_IER, 0);
        done = 1;
    }
    for (unsigned i = 0; i < UART_FIFO && message_left; i++, message_left--)
        set(UART_DATA, (uint8_t)*message++);
    apic_eoi();
}

/*
 * The line is edge triggered: the UART must lower it when the cause is served and raise it anew for
 * the next one, or the driver waits for ever.
 */
static void test_interrupts(void)
{
    size_t len = strlen(message);

    apic_enable(false);
    trap_set_handler(VECTOR_UART, on_uart);
    ioapic_route(GSI_UART, VECTOR_UART, apic_id());
    message_left = len;
    set(UART_FCR, FCR_ENABLE);
    set(UART_MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
    set(UART_IER, IER_TX); /* the transmitter is empty: this alone raises the first one */
    halt_until(&done, 1);
    ioapic_mask(GSI_UART);
    set(UART_MCR, MCR_DTR | MCR_RTS);

    group_begin("transmit interrupts");
    check_equal(interrupts, (len + UART_FIFO - 1) / UART_FIFO + 1, "one a burst, one at the end");
    check_equal(spurious, 0, "IIR names the transmitter each time");
    check_equal(trap_unexpected, 0, "no other interrupt");
    group_end();
}

void guest_main(void)
{
    test_registers();
    test_modem_loopback();
    test_data_loopback();
    test_priorities();
    test_receive_timeout();
    test_interrupts();
}
