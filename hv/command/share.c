/* --share values: see share.h. The rules of quoting are those of devices/core/params.h. */
#include "hv/command/share.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The first item's value, quotes and doubled commas resolved, into `out`, which has room for all of
 * the text. Returns where it ends: a comma or the end; NULL: a quote is never closed.
 */
static const char *unquote(const char *at, char *out)
{
    char end = *at == '"' ? '"' : ',';

    if (end == '"')
        at++;
    for (; *at; *out++ = *at++) {
        if (*at != end)
            continue;
        if (at[1] != end)
            break;
        at++;
    }
    *out = '\0';
    if (end == ',')
        return at;
    return *at ? at + 1 : NULL;
}

static int refuse(char *why, size_t cap, const char *what)
{
    snprintf(why, cap, "%s", what);
    return -EINVAL;
}

int share_parse(const char *text, struct share_value *out, char *why, size_t cap)
{
    const char *value = strncmp(text, "dir=", 4) == 0 ? text + 4 : text;
    char *colon;

    memset(out, 0, sizeof(*out));
    out->host = malloc(strlen(text) + 1);
    if (!out->host) {
        refuse(why, cap, "out of memory");
        return -ENOMEM;
    }
    out->rest = unquote(value, out->host);
    if (!out->rest || (*out->rest && *out->rest != ','))
        return refuse(why, cap, "the quotes do not match");
    out->has_via = strstr(out->rest, ",via=") != NULL;
    colon = strrchr(out->host, ':');
    out->writable = colon && strcmp(colon, ":rw") == 0;
    if (colon && (out->writable || strcmp(colon, ":ro") == 0)) {
        *colon = '\0';
        colon = strrchr(out->host, ':');
    }
    if (!colon || colon == out->host || !colon[1])
        return refuse(why, cap,
                      "HOST:GUEST is asked for, and :rw behind it if the guest may write");
    *colon = '\0';
    out->guest = strdup(colon + 1);
    if (out->guest)
        return 0;
    refuse(why, cap, "out of memory");
    return -ENOMEM;
}

void share_free(struct share_value *share)
{
    free(share->host);
    free(share->guest);
    memset(share, 0, sizeof(*share));
}

char *share_text(const char *host, const char *tag, bool writable, const char *rest)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return NULL;
    /* In quotes, so that only quotes need doubling. */
    fputs("dir=\"", out);
    for (; *host; host++) {
        if (*host == '"')
            fputc('"', out);
        fputc(*host, out);
    }
    fprintf(out, ":%s%s\"%s", tag, writable ? ":rw" : "", rest);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
