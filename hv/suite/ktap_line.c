/* The forms of KTAP's lines. Text is only ever looked at by position and length. */
#include "hv/suite/ktap_line.h"

#include <string.h>

#include "devices/core/util.h"

/* A part of a line, eaten from its start. */
struct rest {
    const char *p, *end;
};

/* What Python, which sets the rules here, takes for white space in ASCII. */
static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool eat(struct rest *r, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(r->end - r->p) < len || memcmp(r->p, word, len) != 0)
        return false;
    r->p += len;
    return true;
}

static void eat_space(struct rest *r)
{
    while (r->p < r->end && is_space(*r->p))
        r->p++;
}

static bool eat_number(struct rest *r, uint64_t *number)
{
    const char *start = r->p;

    *number = 0;
    for (; r->p < r->end && is_digit(*r->p); r->p++)
        if (__builtin_mul_overflow(*number, 10, number) ||
            __builtin_add_overflow(*number, (uint64_t)(*r->p - '0'), number)) {
            while (r->p < r->end && is_digit(*r->p))
                r->p++;
            *number = UINT64_MAX;
            return true;
        }
    return r->p > start;
}

size_t ktap_line_trim(const char *line, size_t len)
{
    while (len && is_space(line[len - 1]))
        len--;
    return len;
}

bool ktap_line_starts_stream(const char *line, size_t len, const char *what, size_t *prefix)
{
    const char *at = memmem(line, len, what, strlen(what));
    size_t digits = len;

    while (digits && is_digit(line[digits - 1]))
        digits--;
    if (!at || digits == len || digits <= strlen(what) || line[digits - 1] != ' ')
        return false;
    *prefix = (size_t)(at - line);
    return !memcmp(line + digits - 1 - strlen(what), what, strlen(what));
}

bool ktap_line_ends_stream(const char *line, size_t len)
{
    static const char *const ends[] = {
        "List of all partitions:", "Kernel panic - not syncing: VFS:", "reboot: System halted"};

    for (unsigned i = 0; i < ARRAY_SIZE(ends); i++)
        if (memmem(line, len, ends[i], strlen(ends[i])))
            return true;
    return false;
}

/* The name between a result's number and `end`: one space and one hyphen before it are not its. */
static void name_between(struct rest r, const char *end, const char **name, size_t *len)
{
    r.end = end;
    eat(&r, " ");
    eat(&r, "- ");
    *name = r.p;
    *len = (size_t)(r.end - r.p);
}

/* The last " # SKIP", or NULL. */
static const char *find_skip(struct rest r)
{
    static const char word[] = " # SKIP";
    const char *found = NULL, *next;

    while ((next = memmem(r.p, (size_t)(r.end - r.p), word, sizeof(word) - 1))) {
        found = next;
        r.p = next + 1;
    }
    return found;
}

/* Behind "ok N" or "not ok N". A '#' that begins no directive makes the line no result at all. */
static bool read_result(struct rest r, struct ktap_line *out)
{
    const char *hash = memchr(r.p, '#', (size_t)(r.end - r.p));
    const char *skip;

    if (hash && (hash == r.p || hash[-1] != ' ' || hash + 1 == r.end || hash[1] != ' '))
        return false;
    name_between(r, hash ? hash - 1 : r.end, &out->match, &out->match_len);
    out->name = out->match;
    out->name_len = out->match_len;
    skip = find_skip(r);
    if (!skip)
        return true;
    out->skip = true;
    name_between(r, skip, &out->name, &out->name_len);
    if (!out->name_len) {
        r.p = skip + strlen(" # SKIP");
        eat(&r, " ");
        out->name = r.p;
        out->name_len = (size_t)(r.end - r.p);
    }
    return true;
}

static bool read_version(struct rest r, const char *what, struct ktap_line *out)
{
    return eat(&r, what) && eat_number(&r, &out->number) && r.p == r.end;
}

struct ktap_line ktap_line_read(const char *line, size_t len)
{
    struct ktap_line out = {.kind = KTAP_LINE_OTHER};
    struct rest r = {line, line + len};
    bool not_ok;

    eat_space(&r);
    if (read_version(r, "KTAP version ", &out)) {
        out.kind = KTAP_LINE_KTAP;
    } else if (read_version(r, "TAP version ", &out)) {
        out.kind = KTAP_LINE_TAP;
    } else if (eat(&r, "# Subtest: ")) {
        out.kind = KTAP_LINE_SUBTEST;
        out.name = r.p;
        out.name_len = (size_t)(r.end - r.p);
    } else if (eat(&r, "1..")) {
        out.kind = eat_number(&r, &out.number) ? KTAP_LINE_PLAN : KTAP_LINE_OTHER;
    } else {
        not_ok = eat(&r, "not ");
        out.ok = !not_ok;
        if (eat(&r, "ok ") && eat_number(&r, &out.number) && read_result(r, &out))
            out.kind = KTAP_LINE_RESULT;
    }
    return out;
}
