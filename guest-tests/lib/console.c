/* The serial console. Called by everything that prints. */
#include "guest-tests/lib/console.h"

#include "guest-tests/lib/io.h"
#include "guest-tests/lib/uart.h"

void console_init(void)
{
    out8(PORT_UART + UART_IER, 0); /* no interrupts: we ask */
    out8(PORT_UART + UART_LCR, LCR_DLAB | LCR_8N1);
    out8(PORT_UART + UART_DATA, 1); /* 115200 / 1 bits per second */
    out8(PORT_UART + UART_IER, 0);  /* while DLAB is set: the divisor's high byte */
    out8(PORT_UART + UART_LCR, LCR_8N1);
    out8(PORT_UART + UART_FCR, FCR_ENABLE | FCR_CLEAR_RX | FCR_CLEAR_TX);
    /* "Here I am, send": lines that a terminal at the other end may wait for. */
    out8(PORT_UART + UART_MCR, MCR_DTR | MCR_RTS);
}

/* An empty FIFO takes a whole burst, so the status is read once for 16 bytes. */
void console_write(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (i % UART_FIFO == 0)
            while (!(in8(PORT_UART + UART_LSR) & LSR_TX_IDLE))
                cpu_pause();
        out8(PORT_UART + UART_DATA, (uint8_t)text[i]);
    }
}
