/* What becomes of a boot's output: lines, bounded logs, last words, what is shown of them. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "hv/suite/lines.h"
#include "hv/suite/logfile.h"
#include "hv/suite/progress.h"
#include "hv/suite/reproduce.h"
#include "hv/suite/tail.h"
#include "hv/test/run_suite.h"

/* Lines: what came, each with its length, as text. */
static char seen[4096];
static size_t longest;

static void note(void *opaque, const char *line, size_t len)
{
    size_t at = strlen(seen);

    (void)opaque;
    longest = len > longest ? len : longest;
    snprintf(seen + at, sizeof(seen) - at, "%zu:%.*s|", len, (int)(len < 20 ? len : 20), line);
}

static void lines_are(const char *text, size_t len, size_t chunk, const char *wanted)
{
    struct lines lines;

    seen[0] = '\0';
    ck_assert_int_eq(lines_init(&lines, note, NULL), 0);
    for (size_t i = 0; i < len; i += chunk)
        lines_feed(&lines, text + i, len - i < chunk ? len - i : chunk);
    lines_finish(&lines);
    lines_destroy(&lines);
    ck_assert_str_eq(seen, wanted);
}

START_TEST(lines_are_cut_wherever_the_reads_end)
{
    static const char text[] = "one\r\n\ntwo\rtwo\nthree";

    for (size_t chunk = 1; chunk < sizeof(text); chunk++)
        lines_are(text, strlen(text), chunk, "3:one|0:|7:two\rtwo|5:three|");
    lines_are("a\0b\nc\n", 6, 2, "3:a|1:c|");
    lines_are("", 0, 1, "");
}
END_TEST

START_TEST(a_long_line_is_cut_short_and_the_next_is_whole)
{
    static char chunk[100000];
    struct lines lines;

    longest = 0;
    seen[0] = '\0';
    memset(chunk, 'x', sizeof(chunk));
    ck_assert_int_eq(lines_init(&lines, note, NULL), 0);
    for (int i = 0; i < 50; i++)
        lines_feed(&lines, chunk, sizeof(chunk));
    lines_feed(&lines, "\nnext\n", 6);
    ck_assert_uint_eq(longest, LINES_MAX);
    ck_assert_ptr_nonnull(strstr(seen, "|4:next|"));
    chunk[sizeof(chunk) - 1] = '\n';
    lines_feed(&lines, chunk, sizeof(chunk)); /* one that comes whole */
    ck_assert_uint_eq(longest, LINES_MAX);
    lines_destroy(&lines);
}
END_TEST

/* Logs. */

static char directory[] = "/tmp/hv-test-log-XXXXXX";
static struct logfile logfile;
static char content[1 << 17];

static void log_start(uint64_t limit)
{
    int fd;

    strcpy(directory, "/tmp/hv-test-log-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    fd = open(directory, O_RDONLY | O_DIRECTORY);
    ck_assert_int_eq(logfile_open(&logfile, fd, "log", limit), 0);
}

/* Closes it; `content` is what it holds. Returns what is missing. */
static uint64_t log_finish(void)
{
    uint64_t missing = logfile_close(&logfile);
    int fd = openat(logfile.dir_fd, "log", O_RDONLY);
    ssize_t n = read(fd, content, sizeof(content) - 1);

    ck_assert_int_ge(n, 0);
    content[n] = '\0';
    close(fd);
    unlinkat(logfile.dir_fd, "log", 0);
    close(logfile.dir_fd);
    ck_assert_int_eq(rmdir(directory), 0); /* nothing else was left there */
    return missing;
}

START_TEST(a_log_within_its_limit_is_whole)
{
    log_start(4096);
    for (int i = 0; i < 64; i++)
        logfile_put(&logfile, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n",
                    64);
    ck_assert_uint_eq(log_finish(), 0);
    ck_assert_uint_eq(strlen(content), 4096);
    ck_assert_int_eq(strncmp(content + 4032, "0123456789", 10), 0);
}
END_TEST

/* Whatever the sizes of the pieces: each byte is in the first half, counted, or in the last. */
START_TEST(a_log_keeps_its_first_and_last_half)
{
    static const size_t pieces[] = {1, 7, 100, 2048, 5000, 20000};

    for (size_t p = 0; p < ARRAY_SIZE(pieces); p++) {
        static char text[60000];
        const char *rest;

        for (size_t i = 0; i < sizeof(text); i++)
            text[i] = (char)('a' + i % 23);
        log_start(4096);
        for (size_t i = 0; i < sizeof(text); i += pieces[p])
            logfile_put(&logfile, text + i,
                        sizeof(text) - i < pieces[p] ? sizeof(text) - i : pieces[p]);
        ck_assert_uint_eq(log_finish(), sizeof(text) - 4096);
        ck_assert_int_eq(memcmp(content, text, 2048), 0);
        rest = content + 2048;
        ck_assert_int_eq(strncmp(rest, "\n--- hv test: 55904 bytes are missing here",
                                 strlen("\n--- hv test: 55904 bytes are missing here")),
                         0);
        rest = strchr(rest + 1, '\n') + 1;
        ck_assert_uint_eq(strlen(rest), 2048);
        ck_assert_int_eq(memcmp(rest, text + sizeof(text) - 2048, 2048), 0);
    }
}
END_TEST

START_TEST(a_log_that_cannot_grow_says_so)
{
    struct rlimit limit = {.rlim_cur = 1000, .rlim_max = RLIM_INFINITY};
    static char text[3000];

    signal(SIGXFSZ, SIG_IGN);
    log_start(1 << 20);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    logfile_put(&logfile, text, sizeof(text));
    ck_assert_int_eq(logfile.err, 0); /* it waits in the buffer */
    logfile_flush(&logfile);
    ck_assert_int_eq(logfile.err, -EFBIG);
    logfile_put(&logfile, text, sizeof(text));
    log_finish();
    ck_assert_int_eq(logfile.err, -EFBIG);
}
END_TEST

START_TEST(a_log_takes_the_place_of_a_link_not_of_its_target)
{
    char path[64], target[64];

    log_start(4096);
    logfile_close(&logfile);
    snprintf(path, sizeof(path), "%s/log", directory);
    snprintf(target, sizeof(target), "%s/target", directory);
    ck_assert_int_eq(rename(path, target), 0);
    ck_assert_int_eq(symlink("target", path), 0);
    ck_assert_int_eq(logfile_open(&logfile, logfile.dir_fd, "log", 4096), 0);
    logfile_put(&logfile, "x", 1);
    logfile_flush(&logfile);
    ck_assert_int_eq(truncate(target, 0), 0);
    ck_assert_int_eq(unlink(target), 0);
    ck_assert_uint_eq(log_finish(), 0);
    ck_assert_str_eq(content, "x");
}
END_TEST

/* Last words. */

START_TEST(the_tail_is_the_last_lines)
{
    static struct tail tail;
    char line[300], *text;

    ck_assert_str_eq(tail_last(&tail), "");
    ck_assert_ptr_null(tail_text(&tail));
    tail_put(&tail, "a\0b", 3);
    tail_put(&tail, "", 0);
    ck_assert_str_eq(tail_last(&tail), "a b");
    for (int i = 0; i < 100; i++)
        tail_put(&tail, line, (size_t)snprintf(line, sizeof(line), "line %d", i));
    text = tail_text(&tail);
    ck_assert_int_eq(strncmp(text, "line 60\nline 61\n", 16), 0);
    ck_assert_str_eq(text + strlen(text) - 8, "line 99\n");
    free(text);
    memset(line, 'y', sizeof(line));
    tail_put(&tail, line, sizeof(line));
    ck_assert_uint_eq(strlen(tail_last(&tail)), TAIL_WIDTH);
}
END_TEST

/* What is shown. */

static void shown(const char *text, unsigned columns, const char *wanted)
{
    char out[64];

    progress_clean(text, columns, out, sizeof(out));
    ck_assert_str_eq(out, wanted);
}

START_TEST(a_terminal_gets_plain_characters)
{
    shown("plain", 80, "plain");
    shown("plain", 3, "pla");
    shown("a\033[31mb\007\tc\177d", 80, "a[31mbcd");
    shown("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 80, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    shown("\xc3\xa4z", 2, "\xc3\xa4");
    shown("a\xc3\xa4z", 2, "a"); /* may be two columns wide */
    shown("\xc2\x9b"
          "31m",
          80, "31m");
    shown("\xff\xc0\xaf\xed\xa0\x80\xc3", 80, "???????");
    shown("\xf4\x90\x80\x80", 80, "????");
    shown("0123456789012345678901234567890123456789012345678901234567890123456789", 200,
          "012345678901234567890123456789012345678901234567890123456789012");
}
END_TEST

START_TEST(a_reproducer_is_quoted_for_the_shell)
{
    char *words[] = {(char *)"run",  (char *)"--kernel=a b", (char *)"",
                     (char *)"it's", (char *)"$x;`y`\n",     NULL};
    char *text = reproduce_text("/d/e", "/b/hv", words);

    ck_assert_str_eq(text, "cd /d/e && /b/hv run '--kernel=a b' '' 'it'\\''s' '$x;`y`\n'");
    free(text);
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(lines_are_cut_wherever_the_reads_end),
        CASE(a_long_line_is_cut_short_and_the_next_is_whole),
        CASE(a_log_within_its_limit_is_whole),
        CASE(a_log_keeps_its_first_and_last_half),
        CASE(a_log_that_cannot_grow_says_so),
        CASE(a_log_takes_the_place_of_a_link_not_of_its_target),
        CASE(the_tail_is_the_last_lines),
        CASE(a_terminal_gets_plain_characters),
        CASE(a_reproducer_is_quoted_for_the_shell),
    };

    return run_suite("suite_output", cases, ARRAY_SIZE(cases));
}
