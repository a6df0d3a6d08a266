/* Scaled numbers as text: see number.h. */
#include "devices/core/number.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "devices/core/util.h"

/* Names are compared without regard to case in their first letter only: 1g is common, 1gIB is a
 * mistake. */
static const struct number_unit size_units[] = {
    {"B", 1},
    {"K", KIB},
    {"M", MIB},
    {"G", GIB},
    {"T", GIB *KIB},
    {"KiB", KIB},
    {"MiB", MIB},
    {"GiB", GIB},
    {"TiB", GIB *KIB},
    {"KB", 1000},
    {"MB", 1000000},
    {"GB", 1000000000},
    {"TB", UINT64_C(1000000000000)},
};

static bool unit_is(const char *text, const char *name)
{
    return toupper((unsigned char)text[0]) == toupper((unsigned char)name[0]) &&
           (!*name || strcmp(text + 1, name + 1) == 0);
}

/* Decimal digits only: strtoull would take "-1", " 1" and "0x1". */
int number_digits(const char **text, uint64_t *value)
{
    const char *s = *text;

    if (!isdigit((unsigned char)*s))
        return -EINVAL;
    for (*value = 0; isdigit((unsigned char)*s); s++)
        if (__builtin_mul_overflow(*value, 10, value) ||
            __builtin_add_overflow(*value, (uint64_t)(*s - '0'), value))
            return -ERANGE;
    *text = s;
    return 0;
}

int number_scaled(const char *text, const struct number_unit *units, size_t count, uint64_t *value)
{
    uint64_t number;
    int err = number_digits(&text, &number);

    for (size_t i = 0; !err && i < count; i++)
        if (unit_is(text, units[i].name))
            return __builtin_mul_overflow(number, units[i].factor, value) ? -ERANGE : 0;
    return err ? err : -EINVAL;
}

int number_size(const char *text, uint64_t bare, uint64_t *bytes)
{
    const struct number_unit none = {"", bare};
    int err = number_scaled(text, &none, 1, bytes);

    /* -ERANGE may be a number too long for 64 bits, with or without a unit: both say the same. */
    return err == -EINVAL ? number_scaled(text, size_units, ARRAY_SIZE(size_units), bytes) : err;
}

/* Exact before short: what is written must read back to the same number of bytes. */
void number_format_size(uint64_t bytes, char *buf, size_t len)
{
    static const char *const names[] = {"B", "K", "M", "G", "T"};
    unsigned unit = 0;

    for (; bytes && unit < ARRAY_SIZE(names) - 1 && bytes % 1024 == 0; unit++)
        bytes /= 1024;
    snprintf(buf, len, "%" PRIu64 "%s", bytes, bytes ? names[unit] : "");
}
