/*
 * Sends back what it receives on the serial port, up to and including a `q`. Sleeps in between:
 * received bytes come by interrupt.
 */
#include "guest-tests/lib/apic.h"
#include "guest-tests/lib/boot.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/idt.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/ioapic.h"
#include "guest-tests/lib/test.h"
#include "guest-tests/lib/uart.h"
#include "guest-tests/lib/wait.h"

const char guest_name[] = "echo";

static volatile uint32_t finished;
static uint32_t received;

/* Everything there is, because the line is edge triggered: no new interrupt comes for the rest. */
static void on_uart(struct trap_frame *frame)
{
    (void)frame;
    while (in8(PORT_UART + UART_LSR) & LSR_DATA) {
        char c = (char)in8(PORT_UART + UART_DATA);

        received++;
        console_write(&c, 1);
        if (c == 'q')
            finished = 1;
    }
    apic_eoi();
}

void guest_main(void)
{
    printf("echo until q\n");
    apic_enable(false);
    trap_set_handler(VECTOR_UART, on_uart);
    ioapic_route(GSI_UART, VECTOR_UART, apic_id());
    out8(PORT_UART + UART_MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
    out8(PORT_UART + UART_IER, IER_RX);
    halt_until(&finished, 1);
    out8(PORT_UART + UART_IER, 0);
    printf("\n%u bytes\n", received);
}
