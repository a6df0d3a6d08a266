/* The list of cases. */
#include "hv/suite/ktap_cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/suite/ktap.h"

enum { ALL_LOGS_MAX = 2 << 20 };

static char printable(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f ? '?' : c;
}

void ktap_text_add(struct ktap_text *text, const char *line, size_t len)
{
    if (text->len + 2 > sizeof(text->text))
        return;
    if (len > sizeof(text->text) - text->len - 2)
        len = sizeof(text->text) - text->len - 2;
    for (size_t i = 0; i < len; i++)
        text->text[text->len++] = printable(line[i]);
    text->text[text->len++] = '\n';
}

void ktap_text_move(struct ktap_text *to, struct ktap_text *from)
{
    size_t room = sizeof(to->text) - to->len;
    size_t len = from->len < room ? from->len : room;

    memcpy(to->text + to->len, from->text, len);
    to->len += len;
    from->len = 0;
}

void ktap_name_copy(char out[KTAP_NAME_MAX], const char *name, size_t len)
{
    len = len < KTAP_NAME_MAX ? len : KTAP_NAME_MAX - 1;
    for (size_t i = 0; i < len; i++)
        out[i] = printable(name[i]);
    out[len] = '\0';
}

void ktap_path_add(char path[KTAP_PATH_MAX], const char *name)
{
    size_t len = strlen(path);

    snprintf(path + len, KTAP_PATH_MAX - len, "%s%s", len ? "." : "", name);
}

static bool make_room(struct ktap_cases *cases)
{
    unsigned room = cases->room ? cases->room * 2 : 64;
    struct ktap_case *list;

    if (cases->count < cases->room)
        return true;
    if (cases->count == KTAP_MAX_CASES)
        return false;
    room = room < KTAP_MAX_CASES ? room : KTAP_MAX_CASES;
    list = realloc(cases->list, room * sizeof(*list));
    if (!list)
        return false;
    cases->list = list;
    cases->room = room;
    return true;
}

void ktap_cases_add(struct ktap_cases *cases, const char *path, enum ktap_status status,
                    const struct ktap_text *log)
{
    bool keep = log && log->len && status != KTAP_PASSED && status != KTAP_SKIPPED &&
                cases->log_bytes + log->len < ALL_LOGS_MAX;
    char *name = make_room(cases) ? strdup(path) : NULL;

    if (!name) {
        cases->unlisted++;
        return;
    }
    cases->list[cases->count] = (struct ktap_case){
        .name = name,
        .status = status,
        .log = keep ? strndup(log->text, log->len) : NULL,
    };
    if (keep)
        cases->log_bytes += log->len;
    cases->count++;
}

void ktap_cases_insert(struct ktap_cases *cases, unsigned first, size_t at, const char *name)
{
    for (unsigned i = first; i < cases->count; i++) {
        char *old = cases->list[i].name;
        char path[KTAP_PATH_MAX];
        char *made;

        if (strlen(old) < at)
            continue;
        snprintf(path, sizeof(path), "%.*s%s.%s", (int)at, old, name, old + at);
        made = strdup(path);
        if (!made)
            continue;
        free(old);
        cases->list[i].name = made;
    }
}
