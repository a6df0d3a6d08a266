/* Names for the addresses in reports: see splat_names.h. Called by job.c. */
#include "hv/suite/splat_names.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/symbols.h"

#define ADDRESS_DIGITS 16
#define MOVED          "Kernel Offset: " /* kernel/panic.c and its like: "0x1c000000 from ..." */

/* False when no report tells. */
static bool find_offset(const struct splat *splats, unsigned count, uint64_t *offset)
{
    for (unsigned i = 0; i < count; i++) {
        const char *at = strstr(splats[i].text, MOVED);

        if (!at)
            continue;
        at += strlen(MOVED);
        *offset = strncmp(at, "0x", 2) == 0 ? strtoull(at, NULL, 16) : 0;
        return *offset || strncmp(at, "disabled", strlen("disabled")) == 0;
    }
    return false;
}

/* Whether an address of a kernel begins at `at`, in a text that begins at `start`. */
static bool is_address(const char *start, const char *at)
{
    size_t digits = strspn(at, "0123456789abcdef");

    if (digits != ADDRESS_DIGITS || strncmp(at, "ffff", 4) != 0 ||
        isalnum((unsigned char)at[digits]))
        return false;
    return at == start || !isalnum((unsigned char)at[-1]) ||
           (at - start >= 2 && strncmp(at - 2, "0x", 2) == 0);
}

/* Copies one line, its end included, and returns what follows it. */
static const char *name_line(FILE *out, const char *line, const struct symbols *symbols)
{
    const char *end = line + strcspn(line, "\n");
    char name[SYMBOL_TEXT_MAX] = "";

    for (const char *at = line; at < end;) {
        bool here = !*name && is_address(line, at);
        size_t len = here ? ADDRESS_DIGITS + strspn(at + ADDRESS_DIGITS, ">]") : 1;

        fwrite(at, 1, len, out);
        if (here) {
            /* All others are addresses that a call returns to. */
            const char *rip = memmem(line, (size_t)(at - line), "RIP", 3);

            fputs(symbols_describe(symbols, strtoull(at, NULL, 16), !rip, name), out);
        }
        at += len;
    }
    if (*end)
        fputc('\n', out);
    return *end ? end + 1 : end;
}

static void name_text(struct splat *splat, const struct symbols *symbols)
{
    const char *line = splat->text;
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return;
    while (*line)
        line = name_line(out, line, symbols);
    if (fclose(out) != 0) {
        free(text);
        return;
    }
    free(splat->text);
    splat->text = text;
}

void splat_names_add(struct splat *splats, unsigned count, struct symbols *symbols, bool fixed)
{
    uint64_t offset = 0;

    if (!find_offset(splats, count, &offset) && !fixed)
        return;
    symbols->offset = offset;
    symbols->located = true;
    for (unsigned i = 0; i < count; i++)
        name_text(&splats[i], symbols);
}
