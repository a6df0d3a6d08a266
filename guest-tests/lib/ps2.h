/*
 * The PC's keyboard: the 8042 controller at ports 0x60 and 0x64, and the keyboard behind it (IBM
 * PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller").
 */
#ifndef GUEST_PS2_H
#define GUEST_PS2_H

#include <stdbool.h>
#include <stdint.h>

#define PS2_READ_CONFIG     0x20
#define PS2_WRITE_CONFIG    0x60
#define PS2_TEST_SELF       0xaa /* answer 0x55 */
#define PS2_TEST_PORT       0xab /* answer 0 */
#define PS2_DISABLE         0xad
#define PS2_ENABLE          0xae
#define PS2_AS_IF_TYPED     0xd2 /* the next byte arrives as if the keyboard had sent it */

#define PS2_CONFIG_IRQ      0x01
#define PS2_CONFIG_DISABLED 0x10
#define PS2_CONFIG_OLD_CODE 0x40 /* scan codes translated to those of the first PC */

#define KEYBOARD_ECHO       0xee /* answer 0xee */
#define KEYBOARD_IDENTIFY   0xf2
#define KEYBOARD_RESET      0xff
#define KEYBOARD_ACK        0xfa
#define KEYBOARD_PASSED     0xaa

/* Reads away what waits. False: it never ends, so that there is no controller. */
bool ps2_drain(void);

/* The next byte that waits, within some milliseconds; -1: none. */
int ps2_read(void);

/* To the controller; to the keyboard, or as the byte that a command takes. False: not accepted. */
bool ps2_command(uint8_t command);
bool ps2_write(uint8_t value);

#endif
