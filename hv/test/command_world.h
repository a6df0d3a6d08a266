/*
 * What the tests of a command's preparation share: a temporary directory with files in it, kernels
 * that are kernels as far as their release goes, and the last message. Header only.
 */
#ifndef HV_TEST_COMMAND_WORLD_H
#define HV_TEST_COMMAND_WORLD_H

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/util.h"

struct command_world {
    char dir[32];
    char message[1024]; /* the last line above LOG_DEBUG; "" for none */
    unsigned messages;
};

static inline void command_world_log(void *opaque, enum log_level level, const char *line)
{
    struct command_world *w = opaque;

    if (level == LOG_DEBUG)
        return;
    snprintf(w->message, sizeof(w->message), "%s", line);
    w->messages++;
}

static inline void command_world_start(struct command_world *w)
{
    memset(w, 0, sizeof(*w));
    strcpy(w->dir, "/tmp/hv-test-command-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(w->dir));
    log_set_sink(command_world_log, w);
}

static inline int command_world_remove(const char *path, const struct stat *st, int type,
                                       struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void command_world_end(struct command_world *w)
{
    log_set_sink(NULL, NULL);
    nftw(w->dir, command_world_remove, 8, FTW_DEPTH | FTW_PHYS);
}

/* DIR/NAME; one of a few texts that are used in turn. */
static inline const char *command_world_path(const struct command_world *w, const char *name)
{
    static char path[8][256];
    static unsigned turn;

    turn = (turn + 1) % ARRAY_SIZE(path);
    snprintf(path[turn], sizeof(path[turn]), "%s/%s", w->dir, name);
    return path[turn];
}

/* Makes the file with the directories that it lies in. */
static inline const char *command_world_file(const struct command_world *w, const char *name,
                                             const void *data, size_t len)
{
    const char *path = command_world_path(w, name);
    char part[256];
    FILE *out;

    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
        mkdir(part, 0755);
    }
    out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(fwrite(data, 1, len, out), len);
    fclose(out);
    return path;
}

static inline const char *command_world_text(const struct command_world *w, const char *name,
                                             const char *text)
{
    return command_world_file(w, name, text, strlen(text));
}

/* A setup header (boot.rst) whose kernel_version points at `version`; `sects` sectors behind the
 * boot sector. */
static inline const char *command_world_bzimage(const struct command_world *w, const char *name,
                                                const char *version, unsigned sects, unsigned at)
{
    static uint8_t data[8192];

    memset(data, 0, sizeof(data));
    data[0x1f1] = (uint8_t)sects;
    memcpy(data + 0x202, "HdrS", 4);
    store_le16(data + 0x206, 0x20f);
    store_le16(data + 0x20e, (uint16_t)at);
    if (at + 512 + strlen(version) < sizeof(data))
        memcpy(data + at + 512, version, strlen(version));
    return command_world_file(w, name, data, sizeof(data));
}

#endif
