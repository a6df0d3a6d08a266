/*
 * Registers of a 16550A (TI TL16C550C data sheet, section "Principles of operation"), as offsets
 * from its first port.
 */
#ifndef GUEST_UART_H
#define GUEST_UART_H

#define UART_DATA      0 /* read: received byte; write: byte to send; divisor low while DLAB is 1 */
#define UART_IER       1 /* interrupt enable; divisor high while DLAB is 1 */
#define UART_IIR       2 /* read: which interrupt */
#define UART_FCR       2 /* write: FIFO control */
#define UART_LCR       3
#define UART_MCR       4
#define UART_LSR       5
#define UART_MSR       6
#define UART_SCRATCH   7

#define IER_RX         0x01
#define IER_TX         0x02
#define IER_LINE       0x04
#define IER_MODEM      0x08

#define IIR_NONE       0x01
#define IIR_ID         0x0f
#define IIR_MODEM      0x00
#define IIR_TX         0x02
#define IIR_RX         0x04
#define IIR_LINE       0x06
#define IIR_TIMEOUT    0x0c
#define IIR_FIFO       0xc0

#define FCR_ENABLE     0x01
#define FCR_CLEAR_RX   0x02
#define FCR_CLEAR_TX   0x04
#define FCR_TRIGGER_14 0xc0

#define LCR_8N1        0x03
#define LCR_DLAB       0x80

#define MCR_DTR        0x01
#define MCR_RTS        0x02
#define MCR_OUT1       0x04
#define MCR_OUT2       0x08 /* gates the interrupt line on a PC */
#define MCR_LOOP       0x10

#define LSR_DATA       0x01
#define LSR_OVERRUN    0x02
#define LSR_TX_IDLE    0x20 /* the transmit FIFO is empty */
#define LSR_TX_DONE    0x40 /* and so is the shift register */

#define MSR_CTS        0x10
#define MSR_DSR        0x20
#define MSR_RI         0x40
#define MSR_DCD        0x80

#define UART_FIFO      16 /* bytes */

#endif
