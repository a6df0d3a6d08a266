/* A small formatter. See format.h. */
#include "firmware/init/format.h"

struct text {
    char *to;
    size_t len, room; /* room: without the NUL */
};

static void put(struct text *t, char c)
{
    if (t->len < t->room)
        t->to[t->len++] = c;
}

static void put_string(struct text *t, const char *s)
{
    while (*s)
        put(t, *s++);
}

static void put_number(struct text *t, unsigned n)
{
    char digits[3 * sizeof(n)];
    size_t count = 0;

    do {
        digits[count++] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    while (count)
        put(t, digits[--count]);
}

static void put_signed(struct text *t, int n)
{
    if (n < 0)
        put(t, '-');
    put_number(t, n < 0 ? 0U - (unsigned)n : (unsigned)n);
}

size_t text_format(char *to, size_t size, const char *format, va_list args)
{
    struct text t = {to, 0, size - 1};

    for (const char *p = format; *p; p++) {
        if (p[0] != '%') {
            put(&t, *p);
            continue;
        }
        switch (p[1]) {
        case 's':
            put_string(&t, va_arg(args, const char *));
            break;
        case 'd':
            put_signed(&t, va_arg(args, int));
            break;
        case 'u':
            put_number(&t, va_arg(args, unsigned));
            break;
        case '%':
            put(&t, '%');
            break;
        default:
            put(&t, '%');
            continue;
        }
        p++;
    }
    to[t.len] = '\0';
    return t.len;
}

size_t text_print(char *to, size_t size, const char *format, ...)
{
    va_list args;
    size_t len;

    va_start(args, format);
    len = text_format(to, size, format, args);
    va_end(args);
    return len;
}
