/* What the tests of plans share: a plan from text, and the message it caused. Header only. */
#ifndef HV_TEST_PLAN_WORLD_H
#define HV_TEST_PLAN_WORLD_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "hv/suite/plan.h"

struct plan_world {
    struct plan plan;
    char path[40];
    char message[1024]; /* the last line logged, without the plan's path; "" for none */
    unsigned messages;
};

static inline void plan_log(void *opaque, enum log_level level, const char *line)
{
    struct plan_world *w = opaque;
    size_t skip = strncmp(line, w->path, strlen(w->path)) == 0 ? strlen(w->path) : 0;

    (void)level;
    snprintf(w->message, sizeof(w->message), "%s", line + skip);
    w->messages++;
}

/* Reads `len` bytes as a plan. */
static inline int plan_bytes(struct plan_world *w, const void *bytes, size_t len, unsigned scale)
{
    int fd, err;

    memset(w, 0, sizeof(*w));
    strcpy(w->path, "/tmp/hv-test-plan-XXXXXX");
    fd = mkstemp(w->path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
    close(fd);
    log_set_sink(plan_log, w);
    err = plan_read(&w->plan, w->path, scale);
    unlink(w->path);
    return err;
}

static inline void plan_end(struct plan_world *w)
{
    plan_free(&w->plan);
    log_set_sink(NULL, NULL);
}

/* A plan that is good. */
static inline void plan_good(struct plan_world *w, const char *text)
{
    int err = plan_bytes(w, text, strlen(text), 1);

    ck_assert_msg(err == 0, "refused: %s", w->message);
    ck_assert_uint_eq(w->messages, 0);
}

/* One that is refused with one line, of which this is a part. */
static inline void plan_refused(const char *text, const char *part)
{
    struct plan_world w;
    int err = plan_bytes(&w, text, strlen(text), 1);

    ck_assert_msg(err < 0, "not refused: %s", part);
    ck_assert_uint_eq(w.messages, 1);
    ck_assert_msg(strstr(w.message, part) != NULL, "\"%s\" lacks \"%s\"", w.message, part);
    plan_end(&w);
}

/* The words behind "run", with a space between them; the caller frees it. */
static inline char *plan_words(const struct boot_spec *spec)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    ck_assert_str_eq(spec->run[0], "run");
    for (char **word = spec->run + 1; *word; word++)
        fprintf(f, "%s%s", word == spec->run + 1 ? "" : " ", *word);
    fclose(f);
    return text;
}

#endif
