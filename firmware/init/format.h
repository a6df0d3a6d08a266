/* Formatted text without a C library's printf, which would be a quarter of the guest's program. */
#ifndef FIRMWARE_INIT_FORMAT_H
#define FIRMWARE_INIT_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

/*
 * Writes what fits in `size` bytes (not 0) and a NUL, and returns the length without it. Knows %s,
 * %d, %u and %%, without widths and the like; anything else is written as it stands in `format`
 * and takes no argument.
 */
size_t text_format(char *to, size_t size, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
size_t text_print(char *to, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
