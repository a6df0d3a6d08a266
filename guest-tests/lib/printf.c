/*
 * printf. It formats into a buffer on the stack and hands that to the console: a line that is
 * written in one piece costs fewer exits, and does not mix with another CPU's as easily.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "guest-tests/lib/console.h"
#include "guest-tests/lib/string.h"

#define BUFFER_SIZE 256

struct output {
    char text[BUFFER_SIZE];
    size_t len;
};

/* One conversion: what stands between % and its letter. */
struct spec {
    bool left, zero;
    unsigned width;
    unsigned longs;
};

static void flush(struct output *out)
{
    console_write(out->text, out->len);
    out->len = 0;
}

static void put(struct output *out, char c)
{
    if (out->len == BUFFER_SIZE)
        flush(out);
    out->text[out->len++] = c;
}

static void put_padded(struct output *out, const struct spec *spec, const char *text, size_t len)
{
    size_t pad = spec->width > len ? spec->width - len : 0;

    if (!spec->left)
        for (; pad; pad--)
            put(out, spec->zero ? '0' : ' ');
    for (size_t i = 0; i < len; i++)
        put(out, text[i]);
    for (; pad; pad--)
        put(out, ' ');
}

/*
 * Divides by a small number and returns the remainder, 16 bits at a time as on paper. Plain `/` on
 * 64 bits would need the compiler's run-time library in 32-bit guests.
 */
static unsigned divide(uint64_t *value, unsigned by)
{
    uint64_t quotient = 0;
    uint32_t rest = 0;

    for (int shift = 48; shift >= 0; shift -= 16) {
        uint32_t part = rest << 16 | (uint16_t)(*value >> shift);

        quotient = quotient << 16 | part / by;
        rest = part % by;
    }
    *value = quotient;
    return rest;
}

static void put_number(struct output *out, const struct spec *spec, uint64_t value, unsigned base,
                       bool negative)
{
    char digits[21]; /* 2^64 has 20 decimal digits, and there may be a sign */
    size_t at = sizeof(digits);

    do
        digits[--at] = "0123456789abcdef"[divide(&value, base)];
    while (value);
    if (negative)
        digits[--at] = '-';
    put_padded(out, spec, digits + at, sizeof(digits) - at);
}

/* va_arg must name the type that was passed: reading an int as 64 bits takes half of it from the
 * next argument. */
static uint64_t get_unsigned(const struct spec *spec, va_list *args)
{
    if (spec->longs == 0)
        return va_arg(*args, unsigned);
    return spec->longs == 1 ? va_arg(*args, unsigned long) : va_arg(*args, unsigned long long);
}

static int64_t get_signed(const struct spec *spec, va_list *args)
{
    if (spec->longs == 0)
        return va_arg(*args, int);
    return spec->longs == 1 ? va_arg(*args, long) : va_arg(*args, long long);
}

/* Reads flags, width and length after the %; returns where the conversion's letter stands. */
static const char *parse(const char *format, struct spec *spec)
{
    *spec = (struct spec){.width = 0};
    for (;; format++) {
        if (*format == '-')
            spec->left = true;
        else if (*format == '0')
            spec->zero = true;
        else
            break;
    }
    for (; *format >= '0' && *format <= '9'; format++)
        spec->width = spec->width * 10 + (unsigned)(*format - '0');
    for (; *format == 'l'; format++)
        spec->longs++;
    return format;
}

static void convert(struct output *out, const struct spec *spec, char letter, va_list *args)
{
    const char *text;
    int64_t number;
    char c;

    switch (letter) {
    case 'c':
        c = (char)va_arg(*args, int);
        put_padded(out, spec, &c, 1);
        break;
    case 's':
        text = va_arg(*args, const char *);
        put_padded(out, spec, text, strlen(text));
        break;
    case 'd':
        number = get_signed(spec, args);
        put_number(out, spec, number < 0 ? -(uint64_t)number : (uint64_t)number, 10, number < 0);
        break;
    case 'u':
        put_number(out, spec, get_unsigned(spec, args), 10, false);
        break;
    case 'x':
        put_number(out, spec, get_unsigned(spec, args), 16, false);
        break;
    case 'p':
        put_number(out, spec, (uintptr_t)va_arg(*args, void *), 16, false);
        break;
    default:
        put(out, letter);
    }
}

void vprintf(const char *format, va_list args)
{
    struct output out;
    struct spec spec;
    va_list list;

    out.len = 0;
    va_copy(list, args); /* a va_list parameter may be an array: this one can be pointed to */
    while (*format) {
        if (*format != '%') {
            put(&out, *format++);
            continue;
        }
        format = parse(format + 1, &spec);
        if (!*format)
            break;
        convert(&out, &spec, *format++, &list);
    }
    va_end(list);
    flush(&out);
}

void printf(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vprintf(format, args);
    va_end(args);
}
