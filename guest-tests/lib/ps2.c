/* Access to the keyboard controller; see ps2.h. Every wait has an end. */
#include "guest-tests/lib/ps2.h"

#include "guest-tests/lib/io.h"
#include "guest-tests/lib/wait.h"

#define PORT_DATA   0x60
#define PORT_STATUS 0x64
#define OUTPUT_FULL 0x01 /* a byte waits for us */
#define INPUT_FULL  0x02 /* ours has not been taken yet */
#define POLLS       20000
#define DRAIN_MAX   100

static bool wait_status(uint8_t mask, uint8_t value)
{
    for (unsigned i = 0; i < POLLS; i++) {
        if ((in8(PORT_STATUS) & mask) == value)
            return true;
        delay_us(1);
    }
    return false;
}

bool ps2_drain(void)
{
    for (unsigned i = 0; i < DRAIN_MAX; i++) {
        if (!(in8(PORT_STATUS) & OUTPUT_FULL))
            return true;
        in8(PORT_DATA);
    }
    return false;
}

int ps2_read(void)
{
    return wait_status(OUTPUT_FULL, OUTPUT_FULL) ? in8(PORT_DATA) : -1;
}

bool ps2_command(uint8_t command)
{
    if (!wait_status(INPUT_FULL, 0))
        return false;
    out8(PORT_STATUS, command);
    return true;
}

bool ps2_write(uint8_t value)
{
    if (!wait_status(INPUT_FULL, 0))
        return false;
    out8(PORT_DATA, value);
    return true;
}
