/* String functions, and what compares memory. */
#include "guest-tests/lib/string.h"

/* A loop will do: what is compared here is short. */
int memcmp(const void *a, const void *b, size_t size)
{
    const unsigned char *x = a, *y = b;

    for (; size; size--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

size_t strlen(const char *text)
{
    const char *end = text;

    while (*end)
        end++;
    return (size_t)(end - text);
}

int strncmp(const char *a, const char *b, size_t size)
{
    for (; size; size--, a++, b++)
        if (*a != *b || !*a)
            return (unsigned char)*a - (unsigned char)*b;
    return 0;
}

int strcmp(const char *a, const char *b)
{
    return strncmp(a, b, (size_t)-1);
}

void string_copy(char *to, const char *from, size_t size)
{
    while (size > 1 && *from) {
        *to++ = *from++;
        size--;
    }
    if (size)
        *to = '\0';
}

bool string_starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static unsigned digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10) : 16;
}

uint64_t string_number(const char *text, const char **end)
{
    unsigned base = 10;
    uint64_t value = 0;

    if (string_starts_with(text, "0x")) {
        base = 16;
        text += 2;
    }
    for (; digit(*text) < base; text++)
        value = value * base + digit(*text);
    *end = text;
    return value;
}
