/* Guest text for reports. */
#include "hv/suite/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/*
 * Length of the character of two to four bytes at `s` (RFC 3629), NUL-ended; 0 when there is none,
 * or when XML 1.0 or a terminal cannot have it.
 */
static unsigned wide(const unsigned char *s)
{
    static const uint32_t least[] = {0, 0, 0xa0, 0x800, 0x10000};
    unsigned len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc0 ? 2 : 0;
    uint32_t code;

    if (!len || s[0] >= 0xf8)
        return 0;
    code = s[0] & (0xffu >> (len + 1));
    for (unsigned i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (s[i] & 0x3f);
    }
    if (code < least[len] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ||
        code == 0xfffe || code == 0xffff)
        return 0;
    return len;
}

static char *clean(const char *text, bool one_line)
{
    char *copy = text ? strdup(text) : NULL;
    unsigned char *p = (unsigned char *)copy;

    while (p && *p) {
        unsigned len = wide(p);

        if (len) {
            p += len;
            continue;
        }
        if (*p == '\n' || *p == '\t')
            *p = one_line ? ' ' : *p;
        else if (*p < 0x20 || *p >= 0x7f)
            *p = '?';
        p++;
    }
    return copy;
}

char *text_clean(const char *text)
{
    return clean(text, false);
}

char *text_clean_line(const char *text)
{
    return clean(text, true);
}

static void print_escaped(FILE *out, char *text)
{
    for (const char *p = text; p && *p; p++)
        switch (*p) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc(*p, out);
        }
    free(text);
}

void text_print_xml(FILE *out, const char *text)
{
    print_escaped(out, text_clean(text));
}

void text_print_attribute(FILE *out, const char *text)
{
    print_escaped(out, text_clean_line(text));
}
