/*
 * The options of a command in the guest: the type of its words, of which there may be as many as
 * the guest can be told, and the rules that its options keep. Main thread, at start-up.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "firmware/init/wire.h"
#include "hv/command/share.h"
#include "hv/config_table.h"

/* The array doubles when its length is a power of two, so it needs no capacity of its own. */
static int grow(struct vm_config *config)
{
    unsigned count = config->command_count;
    char **words;

    if (count & (count - 1))
        return 0;
    words = realloc(config->command, (count ? 2 * (size_t)count : 1) * sizeof(*words));
    if (!words)
        return -ENOMEM;
    config->command = words;
    return 0;
}

static int words_set(const struct option_row *row, struct vm_config *config, const char *text,
                     struct why *why)
{
    size_t size = strlen(text) + 1;
    char *copy;

    (void)row;
    if (config->command_count == 0 && !*text)
        return why_set(why, "the command must not be empty");
    /* Each is a record with a byte in front. */
    if (config->command_size + config->command_count + size >= WIRE_SPEC_MAX)
        return why_set(why, "the command is too long (at most %d bytes in all)", WIRE_SPEC_MAX);
    copy = grow(config) ? NULL : strdup(text);
    if (!copy) {
        why_set(why, "out of memory");
        return -ENOMEM;
    }
    config->command[config->command_count++] = copy;
    config->command_size += size;
    return 0;
}

static const char *words_format(const struct option_row *row, const struct vm_config *config,
                                unsigned index, char *buf)
{
    (void)row;
    (void)buf;
    return index < config->command_count ? config->command[index] : NULL;
}

static void words_clear(const struct option_row *row, struct vm_config *config)
{
    (void)row;
    while (config->command_count)
        free(config->command[--config->command_count]);
    free(config->command);
    config->command = NULL;
    config->command_size = 0;
}

const struct option_type type_words = {
    .json = JSON_FORM_LIST, .set = words_set, .format = words_format, .clear = words_clear};

int check_env(const char *text, struct why *why)
{
    if (*text == '\0' || *text == '=')
        return why_set(why, "not NAME=VALUE or NAME");
    return 0;
}

int check_cwd(const char *text, struct why *why)
{
    if (*text == '/')
        return 0;
    return why_set(why, "not an absolute path (it is one of the guest)");
}

static int lonely(const char *option, const char *value)
{
    log_error("--%s %s: is for a command, and none is given (add -- CMD)", option, value);
    return -EINVAL;
}

/* Without a command GUEST is a mount tag, which may be any word. */
static int check_places(const struct vm_config *config)
{
    for (unsigned i = 0; i < config->share_count; i++) {
        struct share_value share;
        char why[200];
        int err = share_parse(config->share[i], &share, why, sizeof(why));

        if (!err && (share.guest[0] != '/' || share.guest[strspn(share.guest, "/")] == '\0')) {
            log_error("--share %s: %s: with a command this is where the directory is mounted: an "
                      "absolute path other than /",
                      config->share[i], share.guest);
            err = -EINVAL;
        } else if (err) {
            log_error("--share %s: %s", config->share[i], why);
        }
        share_free(&share);
        if (err)
            return err;
    }
    return 0;
}

int check_command(const struct vm_config *config)
{
    if (config->command_count)
        return check_places(config);
    if (config->rootfs)
        return lonely("rootfs", config->rootfs);
    if (config->cwd)
        return lonely("cwd", config->cwd);
    if (config->env_count)
        return lonely("env", config->env[0]);
    if (config->modules)
        return lonely("modules", config->modules);
    return 0;
}
