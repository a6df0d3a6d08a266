/* The display: see progress.h. Called by schedule.c. */
#include "hv/suite/progress.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "hv/suite/job.h"

#define ERASE_BELOW "\033[J"
#define NAME_WIDTH  32

/* How many bytes the character at `s` has, 0 when it is no valid UTF-8 (RFC 3629). */
static unsigned utf8_length(const unsigned char *s)
{
    unsigned n = s[0] < 0x80   ? 1
                 : s[0] < 0xc2 ? 0
                 : s[0] < 0xe0 ? 2
                 : s[0] < 0xf0 ? 3
                 : s[0] < 0xf5 ? 4
                               : 0;

    for (unsigned i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90))
        return 0;
    return n;
}

/* C0, DEL and C1. */
static bool is_control(const unsigned char *s)
{
    return s[0] < 0x20 || s[0] == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0);
}

void progress_clean(const char *text, unsigned columns, char *out, size_t cap)
{
    const unsigned char *s = (const unsigned char *)text;
    unsigned used = 0;
    size_t len = 0;

    while (*s) {
        unsigned n = utf8_length(s), width = n > 1 ? 2 : 1;

        if (n && is_control(s)) {
            s += n;
            continue;
        }
        if (used + width > columns || len + (n ? n : 1) >= cap)
            break;
        if (n)
            memcpy(out + len, s, n);
        else
            out[len] = '?';
        len += n ? n : 1;
        s += n ? n : 1;
        used += width;
    }
    out[len] = '\0';
}

void progress_init(struct progress *progress, FILE *out, unsigned total)
{
    const char *term = getenv("TERM");

    *progress = (struct progress){.out = out, .total = total};
    progress->live = isatty(fileno(out)) && term && strcmp(term, "dumb") != 0;
}

static void erase(struct progress *progress)
{
    if (progress->drawn)
        fprintf(progress->out, "\033[%uA\r" ERASE_BELOW, progress->drawn);
    progress->drawn = 0;
}

/* "ok" for a pass, else the verdict in capitals. */
static void verdict_word(enum verdict verdict, char word[16])
{
    snprintf(word, 16, "%s", verdict == VERDICT_PASS ? "ok" : verdict_name(verdict));
    for (char *s = word; verdict != VERDICT_PASS && *s; s++)
        *s = (char)toupper((unsigned char)*s);
}

void progress_ended(struct progress *progress, const struct boot_record *record)
{
    char word[16], name[300], reason[SUITE_REASON_MAX];

    progress->done++;
    progress->count[record->verdict]++;
    if (record->verdict == VERDICT_NOT_RUN && record->total_ms < 0)
        return; /* it was never started, like all behind it */
    if (progress->quiet)
        return;
    verdict_word(record->verdict, word);
    progress_clean(record->spec->name, sizeof(name), name, sizeof(name));
    progress_clean(record->reason, sizeof(reason), reason, sizeof(reason));
    erase(progress);
    fprintf(progress->out, "%s %s", word, name);
    if (record->total_ms >= 0)
        fprintf(progress->out, " %.1f s", record->total_ms / 1000);
    fprintf(progress->out, "%s%s\n", *reason ? " " : "", reason);
    fflush(progress->out);
}

static void draw_job(struct progress *progress, const struct job *job, unsigned columns)
{
    const struct boot_record *record = job_record(job);
    double seconds = (double)(loop_now_ns() - job_started_ns(job)) / 1e9;
    char name[NAME_WIDTH + 1], line[512], text[600], clean[1200];

    progress_clean(record->spec->name, NAME_WIDTH, name, sizeof(name));
    progress_clean(job_last_line(job), columns, line, sizeof(line));
    snprintf(text, sizeof(text), "%-*s %5.1f s  %s", NAME_WIDTH, name, seconds, line);
    progress_clean(text, columns, clean, sizeof(clean));
    fprintf(progress->out, "%s\n", clean);
    progress->drawn++;
}

static void draw_counts(struct progress *progress, unsigned columns)
{
    char text[300], clean[300];
    int n = snprintf(text, sizeof(text), "%u of %u", progress->done, progress->total);

    for (int v = VERDICT_COUNT - 1; v > VERDICT_NONE; v--)
        if (progress->count[v])
            n += snprintf(text + n, sizeof(text) - (size_t)n, ", %s %u",
                          verdict_name((enum verdict)v), progress->count[v]);
    progress_clean(text, columns, clean, sizeof(clean));
    fprintf(progress->out, "%s\n", clean);
    progress->drawn++;
}

void progress_draw(struct progress *progress, struct job *const *jobs, unsigned slots)
{
    struct winsize size = {0};
    unsigned columns, rows;

    if (!progress->live)
        return;
    ioctl(fileno(progress->out), TIOCGWINSZ, &size);
    columns = size.ws_col > 20 ? size.ws_col - 1u : 79;
    rows = size.ws_row > 4 ? size.ws_row - 2u : 22;
    erase(progress);
    for (unsigned i = 0; i < slots; i++)
        if (jobs[i] && progress->drawn < rows)
            draw_job(progress, jobs[i], columns);
    draw_counts(progress, columns);
    fflush(progress->out);
}

void progress_finish(struct progress *progress)
{
    erase(progress);
    fflush(progress->out);
}
