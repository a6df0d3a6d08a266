/*
 * The reader of the kernel's reports. One report is open at a time; what ends it depends on its
 * first lines. Reports of two processors that print at once become one of mixed lines, as they are
 * on the console.
 */
#include "hv/suite/splat.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/util.h"
#include "hv/kernel_reports.h"

enum {
    TITLE_MAX = 240,
    HEAD_MAX = 60,         /* lines before a backtrace */
    FRAMED_HEAD_MAX = 400, /* the same, of lockdep, which first shows all the locks */
};

#define CUT_HERE       "------------[ cut here ]------------"
#define END_TRACE      "---[ end trace"
#define END_PANIC_LINE "---[ end Kernel panic"

enum kind {
    NOTHING, /* no report is open */
    PANIC,   /* to "---[ end Kernel panic" */
    OOPS,    /* to "---[ end trace"; other oops lines belong to it */
    FRAMED,  /* to a line of "=" */
    TRACE,   /* to the end of its backtrace */
    ONE_LINE,
};

/* A line's parts. */
struct message {
    const char *text; /* behind time stamp and caller */
    size_t len;
    bool stamped;
};

struct splats {
    struct splat list[SPLAT_MAX];
    unsigned count;
    bool stamps, linux_seen;

    /* The open report. */
    enum kind kind;
    bool titled, in_trace;
    unsigned lines, head_max;
    char title[TITLE_MAX];
    char text[SPLAT_TEXT_MAX];
    size_t len, first_len; /* first_len: of its first lines up to the title */

    char frame[128]; /* a line of "=" that may belong to the next report */
    size_t frame_len;
};

struct splats *splats_create(void)
{
    return calloc(1, sizeof(struct splats));
}

void splats_destroy(struct splats *splats)
{
    for (unsigned i = 0; splats && i < splats->count; i++) {
        free(splats->list[i].title);
        free(splats->list[i].text);
    }
    free(splats);
}

static bool starts(const struct message *m, const char *word)
{
    size_t len = strlen(word);

    return m->len >= len && !memcmp(m->text, word, len);
}

static void skip(struct message *m, size_t n)
{
    m->text += n;
    m->len -= n;
}

/* Length of "[" blanks BODY "]", where BODY is digits and `also`; 0 when it is not one. */
static size_t bracket(const struct message *m, const char *also, bool *zero)
{
    size_t i = 1;

    if (!m->len || m->text[0] != '[')
        return 0;
    while (i < m->len && m->text[i] == ' ')
        i++;
    *zero = true;
    for (; i < m->len && (isdigit((unsigned char)m->text[i]) || strchr(also, m->text[i])) &&
           m->text[i];
         i++)
        *zero &= m->text[i] == '0' || m->text[i] == '.';
    return i > 2 && i < m->len && m->text[i] == ']' ? i + 1 : 0;
}

/* Cuts "<6>", "[    1.234567] " and "[    T1] " off. */
static struct message message_of(struct splats *splats, const char *line, size_t len)
{
    struct message m = {.text = line, .len = len};
    bool zero = false, unused;
    size_t n, before;

    if (m.len >= 3 && m.text[0] == '<' && isdigit((unsigned char)m.text[1]) && m.text[2] == '>')
        skip(&m, 3);
    before = m.len;
    n = bracket(&m, ".", &zero);
    if (n && memchr(m.text, '.', n)) {
        m.stamped = true;
        splats->stamps |= zero;
        skip(&m, n);
    }
    n = bracket(&m, "TC", &unused);
    if (n && (memchr(m.text, 'T', n) || memchr(m.text, 'C', n)))
        skip(&m, n);
    if (m.len < before && m.len && m.text[0] == ' ')
        skip(&m, 1);
    return m;
}

/* Where the kernel begins to print in a line that a program has left open, such as a prompt. */
static const char *find_stamp(struct splats *splats, const char *line, size_t len)
{
    const char *end = line + len;

    while ((line = memchr(line, '[', (size_t)(end - line)))) {
        if (message_of(splats, line, (size_t)(end - line)).stamped)
            break;
        line++;
    }
    return line;
}

static void add_text(struct splats *splats, const char *line, size_t len)
{
    size_t room = sizeof(splats->text) - splats->len;

    if (room < 2)
        return;
    len = len < room - 2 ? len : room - 2;
    for (size_t i = 0; i < len; i++)
        splats->text[splats->len++] = line[i] ? line[i] : '?';
    splats->text[splats->len++] = '\n';
}

static void set_title(struct splats *splats, const struct message *m)
{
    size_t len = m->len < TITLE_MAX ? m->len : TITLE_MAX - 1;

    for (size_t i = 0; i < len; i++)
        splats->title[i] =
            (unsigned char)m->text[i] < 0x20 || m->text[i] == 0x7f ? ' ' : m->text[i];
    splats->title[len] = '\0';
}

/* Puts the open report into the list, or adds to the count of its like. */
static void close_report(struct splats *splats)
{
    static const char others[] = "more reports, with other titles";
    bool last = splats->count >= SPLAT_MAX - 1;
    struct splat made = {.count = 1};
    unsigned i;

    if (splats->kind == NOTHING)
        return;
    splats->kind = NOTHING;
    for (i = 0; i < splats->count; i++)
        if (!strcmp(splats->list[i].title, splats->title) || i == SPLAT_MAX - 1) {
            splats->list[i].count++;
            return;
        }
    made.title = strdup(last ? others : splats->title);
    made.text = strndup(splats->text, last ? 0 : splats->len);
    if (made.title && made.text) {
        splats->list[splats->count++] = made;
        return;
    }
    free(made.title);
    free(made.text);
}

static void open_report(struct splats *splats, enum kind kind, const struct message *m)
{
    close_report(splats);
    splats->kind = kind;
    splats->titled = false;
    splats->in_trace = false;
    splats->lines = 0;
    splats->head_max = splats->frame_len ? FRAMED_HEAD_MAX : HEAD_MAX;
    splats->len = 0;
    splats->first_len = 0;
    set_title(splats, m);
    if (splats->frame_len)
        add_text(splats, splats->frame, splats->frame_len);
    splats->frame_len = 0;
}

static bool is_oops(const struct message *m)
{
    static const char *const words[] = {
        "BUG: unable to handle", "BUG: kernel NULL pointer", "Oops",           "kernel BUG at",
        "general protection",    "invalid opcode:",          "divide error:",  "stack segment:",
        "double fault:",         "Unable to handle kernel",  "Internal error:"};

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
        if (starts(m, words[i]))
            return true;
    return false;
}

static bool is_sanitizer(const struct message *m)
{
    return starts(m, "BUG: KASAN:") || starts(m, "BUG: KCSAN:") || starts(m, "BUG: KFENCE:") ||
           starts(m, "BUG: KMSAN:") || starts(m, "UBSAN:") || starts(m, "KASAN:") ||
           starts(m, "KFENCE:");
}

static bool is_frame(const struct message *m)
{
    size_t i = 0;

    while (i < m->len && m->text[i] == '=')
        i++;
    return i >= 10 && i == m->len;
}

static enum kind kind_of(const struct splats *splats, const struct message *m)
{
    if (starts(m, KERNEL_PANIC))
        return PANIC;
    if (is_oops(m))
        return OOPS;
    if (splats->frame_len && is_sanitizer(m))
        return FRAMED;
    if (starts(m, "unchecked MSR access error"))
        return TRACE;
    /* A warning without frame and cut mark has no backtrace either. */
    return !splats->frame_len && starts(m, "WARNING:") && !starts(m, "WARNING: CPU:") ? ONE_LINE
                                                                                      : TRACE;
}

/* Lines that come in or behind a backtrace: indented ones, registers, "CPU: ...", "NMI ...". */
static bool is_trace_line(const struct message *m)
{
    static const char *const words[] = {"Call Trace:",     "Call trace:", "Modules linked in:",
                                        "Hardware name:",  "Workqueue:",  "NMI backtrace",
                                        "Sending NMI",     "Task dump",   "rcu:",
                                        "Code:",           "task:",       "stack backtrace:",
                                        "irq event stamp", "Tainted",     "Kernel Offset"};
    size_t upper = 0;

    if (!m->len || m->text[0] == ' ' || m->text[0] == '\t')
        return m->len > 0;
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
        if (starts(m, words[i]))
            return true;
    while (upper < m->len &&
           (isupper((unsigned char)m->text[upper]) || isdigit((unsigned char)m->text[upper])))
        upper++;
    return upper >= 2 && upper <= 6 && upper < m->len && m->text[upper] == ':';
}

static bool is_trace_head(const struct message *m)
{
    return starts(m, "Call Trace:") || starts(m, "Call trace:") || starts(m, "Backtrace:");
}

/* Does the first line of a report belong to the one that is open? */
static bool continues(const struct splats *splats, const struct message *m)
{
    if (splats->kind == NOTHING || starts(m, KERNEL_PANIC))
        return false;
    if (splats->kind == FRAMED)
        return !starts(m, "WARNING:") && !is_oops(m);
    /* After a cut mark the first such line names the report; more of an oops follow. */
    return splats->kind == OOPS && (!splats->titled || is_oops(m));
}

/* True when the line ended what was open, or could not belong to it. */
static bool ends(struct splats *splats, const struct message *m, bool *belongs)
{
    *belongs = true;
    switch (splats->kind) {
    case PANIC:
        return starts(m, END_PANIC_LINE);
    case OOPS:
        return starts(m, END_TRACE);
    case FRAMED:
        return is_frame(m);
    case TRACE:
        splats->in_trace |= is_trace_head(m);
        if (starts(m, END_TRACE))
            return true;
        *belongs = !is_frame(m) &&
                   (splats->in_trace ? is_trace_line(m) : splats->lines < splats->head_max);
        if (!splats->in_trace && splats->lines >= splats->head_max)
            splats->len = splats->first_len;
        return !*belongs;
    case NOTHING:
    case ONE_LINE:
        break;
    }
    return true;
}

static void begin(struct splats *splats, const struct message *m, const char *line, size_t len)
{
    if (!continues(splats, m))
        open_report(splats, kind_of(splats, m), m);
    if (!splats->titled)
        set_title(splats, m);
    splats->titled = true;
    add_text(splats, line, len);
    splats->lines++;
    if (!splats->first_len)
        splats->first_len = splats->len;
    if (splats->kind == ONE_LINE)
        close_report(splats);
}

/* True when the open report, if there was one, took the line. */
static bool go_on(struct splats *splats, const struct message *m, const char *line, size_t len)
{
    bool belongs, over;

    if (splats->kind == NOTHING)
        return false;
    over = ends(splats, m, &belongs);
    /* Until a better one comes, what follows a cut mark names the report. */
    if (!splats->titled && splats->lines == 0)
        set_title(splats, m);
    splats->lines++;
    if (belongs)
        add_text(splats, line, len);
    if (over)
        close_report(splats);
    return belongs;
}

void splats_feed(struct splats *splats, const char *line, size_t len)
{
    struct message m;

    if (len && line[len - 1] == '\r')
        len--;
    m = message_of(splats, line, len);
    if (splats->stamps && !m.stamped) {
        const char *kernel = find_stamp(splats, line, len);

        if (!kernel)
            return;
        len -= (size_t)(kernel - line);
        line = kernel;
        m = message_of(splats, line, len);
    }
    splats->linux_seen |= starts(&m, "Linux version ");
    if (starts(&m, CUT_HERE)) {
        open_report(splats, OOPS, &m);
        add_text(splats, line, len);
        splats->first_len = splats->len;
    } else if (kernel_report_begins(m.text, m.len)) {
        begin(splats, &m, line, len);
    } else if (!go_on(splats, &m, line, len) && is_frame(&m)) {
        splats->frame_len = len < sizeof(splats->frame) ? len : sizeof(splats->frame);
        memcpy(splats->frame, line, splats->frame_len);
        return;
    }
    splats->frame_len = 0;
}

bool splats_saw_linux(const struct splats *splats)
{
    return splats->linux_seen;
}

struct splat *splats_finish(struct splats *splats, unsigned *count)
{
    struct splat *list;

    close_report(splats);
    list = calloc(splats->count ? splats->count : 1, sizeof(*list));
    *count = list ? splats->count : 0;
    if (!list)
        return NULL;
    memcpy(list, splats->list, splats->count * sizeof(*list));
    splats->count = 0;
    return list;
}

void splats_free(struct splat *splats, unsigned count)
{
    for (unsigned i = 0; splats && i < count; i++) {
        free(splats[i].title);
        free(splats[i].text);
    }
    free(splats);
}
