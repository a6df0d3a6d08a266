/* Words for a shell: see reproduce.h. Called by job.c. */
#include "hv/suite/reproduce.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_quoted(FILE *out, const char *word)
{
    const char *s = word;

    while (isalnum((unsigned char)*s) || (*s && strchr("/._-+=,:@%", *s)))
        s++;
    if (*word && !*s) {
        fputs(word, out);
        return;
    }
    fputc('\'', out);
    for (; *word; word++) {
        if (*word == '\'')
            fputs("'\\''", out);
        else
            fputc(*word, out);
    }
    fputc('\'', out);
}

char *reproduce_text(const char *dir, const char *hv, char *const *words)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    fputs("cd ", out);
    put_quoted(out, dir);
    fputs(" && ", out);
    put_quoted(out, hv);
    for (; *words; words++) {
        fputc(' ', out);
        put_quoted(out, *words);
    }
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}
