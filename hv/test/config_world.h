/*
 * What the configuration's tests share: a configuration that starts from the defaults, the messages
 * it caused, and files with a given content. Header only, so that only these tests carry it.
 */
#ifndef HV_TEST_CONFIG_WORLD_H
#define HV_TEST_CONFIG_WORLD_H

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "hv/config.h"

#define WORLD_ARGS 64

struct config_world {
    struct vm_config config;
    char message[1024]; /* the last line logged; "" for none */
    unsigned messages;
    char path[40]; /* of the file world_file made; "" for none */
};

static inline void world_log(void *opaque, enum log_level level, const char *line)
{
    struct config_world *w = opaque;

    (void)level;
    snprintf(w->message, sizeof(w->message), "%s", line);
    w->messages++;
}

static inline void world_start(struct config_world *w)
{
    memset(w, 0, sizeof(*w));
    config_init(&w->config);
    log_set_sink(world_log, w);
}

static inline void world_end(struct config_world *w)
{
    log_set_sink(NULL, NULL);
    config_free(&w->config);
    if (w->path[0])
        unlink(w->path);
}

/* Parses "run" and the words given, which NULL ends, into a fresh configuration. */
static inline int world_parse(struct config_world *w, const char *const *words)
{
    char *argv[WORLD_ARGS] = {(char *)"run"};
    int argc = 1;

    for (; *words; words++) {
        ck_assert_int_lt(argc, WORLD_ARGS - 1);
        argv[argc++] = (char *)*words;
    }
    config_free(&w->config);
    config_init(&w->config);
    w->message[0] = '\0';
    w->messages = 0;
    return config_parse_run(&w->config, argc, argv);
}

#define PARSE(w, ...) world_parse(w, (const char *const[]){__VA_ARGS__, NULL})

/* Every refusal is one line, and this is a part of it. */
#define REFUSED(w, part, ...)                                                                      \
    do {                                                                                           \
        ck_assert_int_lt(PARSE(w, __VA_ARGS__), 0);                                                \
        ck_assert_uint_eq((w)->messages, 1);                                                       \
        ck_assert_msg(strstr((w)->message, part) != NULL, "\"%s\" lacks \"%s\"", (w)->message,     \
                      part);                                                                       \
    } while (0)

/* A temporary file that holds `len` bytes; one a world, replaced by the next call. */
static inline const char *world_file(struct config_world *w, const void *data, size_t len)
{
    int fd;

    if (!w->path[0]) {
        strcpy(w->path, "/tmp/hv-test-config-XXXXXX");
        fd = mkstemp(w->path);
    } else {
        fd = open(w->path, O_WRONLY | O_TRUNC);
    }
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, len), (ssize_t)len);
    close(fd);
    return w->path;
}

/* The configuration as text; the caller frees it. Equal texts are equal configurations, up to the
 * name and UUID that were made up. */
static inline char *world_json(const struct vm_config *config)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    ck_assert_int_eq(config_write_json(config, out), 0);
    fclose(out);
    return text;
}

#endif
