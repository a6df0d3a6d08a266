/* The 8254; see pit.h. Section names are those of Intel's data sheet 231164. */
#include "guest-tests/lib/pit.h"

#include "guest-tests/lib/io.h"

#define PORT_COUNTER  0x40 /* and the two behind it */
#define PORT_CONTROL  0x43
#define PORT_GATE     0x61 /* of the PC, not of the chip: bit 0 gate, bit 5 output of counter 2 */

#define ACCESS_BOTH   0x30 /* low byte, then high byte */
#define READ_BACK     0xc0 /* "Read-Back Command": bits 5 and 4 say what is NOT latched */
#define NO_COUNT      0x20
#define GATE          0x01
#define SPEAKER       0x02
#define GATE_OUTPUT   0x20
#define GATE_WRITABLE 0x0f

void pit_start(unsigned counter, unsigned mode, uint16_t count)
{
    out8(PORT_CONTROL, (uint8_t)(counter << 6 | ACCESS_BOTH | mode << 1));
    out8((uint16_t)(PORT_COUNTER + counter), (uint8_t)count);
    out8((uint16_t)(PORT_COUNTER + counter), (uint8_t)(count >> 8));
}

uint16_t pit_count(unsigned counter)
{
    uint8_t low;

    out8(PORT_CONTROL, (uint8_t)(counter << 6)); /* "Counter Latch Command" */
    low = in8((uint16_t)(PORT_COUNTER + counter));
    return (uint16_t)(low | in8((uint16_t)(PORT_COUNTER + counter)) << 8);
}

uint8_t pit_status(unsigned counter)
{
    out8(PORT_CONTROL, (uint8_t)(READ_BACK | NO_COUNT | 2u << counter));
    return in8((uint16_t)(PORT_COUNTER + counter));
}

void pit_gate(bool open)
{
    uint8_t value = in8(PORT_GATE) & GATE_WRITABLE & (uint8_t) ~(GATE | SPEAKER);

    out8(PORT_GATE, value | (open ? GATE : 0));
}

bool pit_output(void)
{
    return in8(PORT_GATE) & GATE_OUTPUT;
}
