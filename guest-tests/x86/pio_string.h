/* String port I/O, a part of pio.c. */
#ifndef GUEST_X86_PIO_STRING_H
#define GUEST_X86_PIO_STRING_H

void pio_string_test(void);

#endif
