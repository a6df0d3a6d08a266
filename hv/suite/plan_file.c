/*
 * Plans are read by inih. Its handler is told neither the line nor where a section starts, and it
 * cuts long names short; so the reader that hands it one line at a time, counts them, and looks at
 * the headings itself. Called by plan.c.
 */
#include "hv/suite/plan_file.h"

#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/log.h"
#include "hv/command/text_file.h"

#define WHITE_SPACE " \t\r\n"
#define MARK        "\xef\xbb\xbf" /* of UTF-8, where an editor leaves one */

struct parser {
    struct plan_file *file;
    plan_entry_check *check;
    const char *next, *end;     /* of the text */
    unsigned line;              /* the one that inih looks at */
    struct plan_stanza *stanza; /* the one it is in; NULL: before the first */
    int err;                    /* after a message; nothing more is read */
};

static bool name_is_good(const char *name, size_t len)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-";

    return len > 0 && len <= PLAN_NAME_MAX && strspn(name, good) >= len && *name != '.' &&
           *name != '-';
}

static int out_of_memory(struct parser *p)
{
    log_error("%s: out of memory", p->file->path);
    return -ENOMEM;
}

/* The array doubles when its length is a power of two. */
static void *grown(void *array, unsigned count, size_t size)
{
    if (count & (count - 1))
        return array;
    return realloc(array, (count ? 2 * (size_t)count : 1) * size);
}

static int new_stanza(struct parser *p, const char *name, size_t len)
{
    struct plan_file *file = p->file;
    struct plan_stanza *stanzas, *s;

    for (unsigned i = 0; i < file->count; i++)
        if (strlen(file->stanzas[i].name) == len && memcmp(file->stanzas[i].name, name, len) == 0) {
            log_error("%s:%u: [%.*s] stands in line %u already; give one of them another name",
                      file->path, p->line, (int)len, name, file->stanzas[i].line);
            return -EEXIST;
        }
    if (file->count >= PLAN_STANZAS_MAX) {
        log_error("%s:%u: more than %d stanzas", file->path, p->line, PLAN_STANZAS_MAX);
        return -E2BIG;
    }
    stanzas = grown(file->stanzas, file->count, sizeof(*stanzas));
    if (!stanzas)
        return out_of_memory(p);
    file->stanzas = stanzas;
    s = &stanzas[file->count];
    *s = (struct plan_stanza){.name = strndup(name, len), .line = p->line};
    if (!s->name)
        return out_of_memory(p);
    file->count++;
    p->stanza = s;
    return 0;
}

static int new_defaults(struct parser *p)
{
    struct plan_stanza *s = &p->file->defaults;

    if (s->line) {
        log_error("%s:%u: [defaults] stands in line %u already", p->file->path, p->line, s->line);
        return -EEXIST;
    }
    s->line = p->line;
    s->name = strdup("defaults");
    p->stanza = s;
    return s->name ? 0 : out_of_memory(p);
}

/* "[NAME]", at `text`. */
static int take_heading(struct parser *p, const char *text, size_t len)
{
    const char *close = memchr(text, ']', len);
    const char *rest = close ? close + 1 : text + len;
    size_t name_len = close ? (size_t)(close - text) - 1 : 0;

    while (rest < text + len && strchr(WHITE_SPACE, *rest))
        rest++;
    if (!close || (rest < text + len && *rest != '#' && *rest != ';')) {
        log_error("%s:%u: not [NAME] alone in its line", p->file->path, p->line);
        return -EINVAL;
    }
    if (!name_is_good(text + 1, name_len)) {
        log_error("%s:%u: [%.*s]: a name has 1 to %d letters, digits and . _ + -, and starts with "
                  "none of . and -",
                  p->file->path, p->line, (int)(name_len < 80 ? name_len : 80), text + 1,
                  PLAN_NAME_MAX);
        return -EINVAL;
    }
    if (name_len == strlen("defaults") && memcmp(text + 1, "defaults", name_len) == 0)
        return new_defaults(p);
    return new_stanza(p, text + 1, name_len);
}

/* What a text has no use for, and a log or a terminal would stumble over. */
static int check_characters(struct parser *p, const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)line[i];

        if ((c < 0x20 && !strchr(WHITE_SPACE, c)) || c == 0 || c == 0x7f) {
            log_error("%s:%u: not a text: byte %zu is 0x%02x", p->file->path, p->line, i, c);
            return -EINVAL;
        }
    }
    return 0;
}

static int look_at_line(struct parser *p, const char *line, size_t len)
{
    int err;

    if (len > PLAN_LINE_MAX) {
        log_error("%s:%u: longer than %d bytes", p->file->path, p->line, PLAN_LINE_MAX);
        return -E2BIG;
    }
    err = check_characters(p, line, len);
    if (err)
        return err;
    if (p->line == 1 && len >= strlen(MARK) && memcmp(line, MARK, strlen(MARK)) == 0) {
        line += strlen(MARK);
        len -= strlen(MARK);
    }
    while (len && strchr(WHITE_SPACE, *line)) {
        line++;
        len--;
    }
    return len && *line == '[' ? take_heading(p, line, len) : 0;
}

/* inih asks for its next line; NULL ends it. */
static char *read_line(char *buf, int cap, void *opaque)
{
    struct parser *p = opaque;
    const char *newline = memchr(p->next, '\n', (size_t)(p->end - p->next));
    const char *line = p->next;
    size_t len = (size_t)((newline ? newline : p->end) - line);

    if (p->err || line == p->end)
        return NULL;
    p->next = newline ? newline + 1 : p->end;
    p->line++;
    p->err = look_at_line(p, line, len);
    if (p->err || len + 2 > (size_t)cap)
        return NULL;
    memcpy(buf, line, len);
    buf[len] = '\n';
    buf[len + 1] = '\0';
    return buf;
}

static int add_entry(struct parser *p, const char *key, const char *value)
{
    struct plan_stanza *s = p->stanza;
    struct plan_entry *entries;

    if (!s) {
        log_error("%s:%u: %.80s: stands before the first [NAME]", p->file->path, p->line, key);
        return -EINVAL;
    }
    if (s->count >= PLAN_ENTRIES_MAX) {
        log_error("%s:%u: more than %d keys in [%s]", p->file->path, p->line, PLAN_ENTRIES_MAX,
                  s->name);
        return -E2BIG;
    }
    entries = grown(s->entries, s->count, sizeof(*entries));
    if (!entries)
        return out_of_memory(p);
    s->entries = entries;
    entries += s->count++;
    *entries = (struct plan_entry){strdup(key), strdup(value), p->line};
    if (!entries->key || !entries->value)
        return out_of_memory(p);
    return p->check(p->file->path, s, entries);
}

/* inih's handler: 0 is an error. `section` may be cut short, and is not used. */
static int handle(void *opaque, const char *section, const char *key, const char *value)
{
    struct parser *p = opaque;

    (void)section;
    if (!p->err)
        p->err = add_entry(p, key, value);
    return !p->err;
}

/*
 * Values end where their line does: a ";" may stand in a command, and a line that is indented is
 * not part of the one before.
 */
static int parse(struct parser *p)
{
    int bad;

    ini_allow_inline_comments = false;
    ini_allow_multiline = false;
    ini_stop_on_first_error = true;
    ini_use_stack = false;
    ini_allow_realloc = false;
    ini_max_line = ini_initial_alloc = PLAN_LINE_MAX + 3;
    bad = ini_parse_stream(read_line, p, handle, p);
    if (p->err)
        return p->err;
    if (bad < 0)
        return out_of_memory(p);
    if (bad > 0) {
        log_error("%s:%d: neither [NAME] nor KEY = VALUE", p->file->path, bad);
        return -EINVAL;
    }
    if (p->file->count == 0) {
        log_error("%s: holds no test (one is: [NAME], then kernel = FILE in the next line)",
                  p->file->path);
        return -EINVAL;
    }
    return 0;
}

int plan_file_read(struct plan_file *file, const char *path, plan_entry_check *check)
{
    struct parser p = {.file = file, .check = check};
    char *text;
    size_t len;
    int err;

    *file = (struct plan_file){.path = path};
    err = text_file_read(*path == '/' ? "" : ".", path, &text, &len);
    if (err) {
        log_error("%s: %s", path, err == -EINVAL ? "not a regular file" : strerrordesc_np(-err));
        return err;
    }
    if (len > PLAN_FILE_MAX) {
        log_error("%s: too large for a plan (at most 1M)", path);
        err = -EFBIG;
    } else {
        p.next = text;
        p.end = text + len;
        err = parse(&p);
    }
    free(text);
    return err;
}

static void stanza_free(struct plan_stanza *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        free(s->entries[i].key);
        free(s->entries[i].value);
    }
    free(s->entries);
    free(s->name);
}

void plan_file_free(struct plan_file *file)
{
    stanza_free(&file->defaults);
    for (unsigned i = 0; i < file->count; i++)
        stanza_free(&file->stanzas[i]);
    free(file->stanzas);
    memset(file, 0, sizeof(*file));
}
