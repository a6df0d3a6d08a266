/*
 * The guest's console: the first serial port (16550A), polled. Usable from the first C function on,
 * by one CPU at a time.
 */
#ifndef GUEST_CONSOLE_H
#define GUEST_CONSOLE_H

#include <stdarg.h>
#include <stddef.h>

void console_init(void);
void console_write(const char *text, size_t len);

/* Formats as printf of the C library; knows %c %s %d %u %x %p %%, with `-`, `0`, a width, `l`,
 * `ll`.
 */
__attribute__((format(printf, 1, 2))) void printf(const char *format, ...);
__attribute__((format(printf, 1, 0))) void vprintf(const char *format, va_list args);

#endif
