/*
 * The description of a command for the guest: records of firmware/init/wire.h. Called when the
 * session starts.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "firmware/init/wire.h"
#include "hv/command/plan.h"
#include "hv/command/root.h"
#include "hv/config.h"

/* What a command gets that nothing else is said of. */
static const char *const defaults[] = {
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root"};

static size_t name_len(const char *entry)
{
    return strcspn(entry, "=");
}

static bool same_name(const char *a, const char *b)
{
    return name_len(a) == name_len(b) && memcmp(a, b, name_len(a)) == 0;
}

/* --env has the last word. */
static bool set_by_user(const struct vm_config *config, const char *entry, unsigned from)
{
    for (unsigned i = from; i < config->env_count; i++)
        if (same_name(config->env[i], entry))
            return true;
    return false;
}

/* This machine's home is of use only where its files are. */
static bool passed(const char *entry, bool own_root)
{
    return same_name(entry, "PATH") || same_name(entry, "TERM") || same_name(entry, "LANG") ||
           strncmp(entry, "LC_", 3) == 0 || (own_root && same_name(entry, "HOME"));
}

static void put(FILE *out, char what, const char *text)
{
    fputc(what, out);
    fwrite(text, 1, strlen(text) + 1, out);
}

/* NAME alone means the value that it has here, if any. */
static void put_users(FILE *out, const char *entry)
{
    const char *value;

    if (strchr(entry, '=')) {
        put(out, 'e', entry);
    } else if ((value = getenv(entry))) {
        fprintf(out, "e%s=", entry);
        fwrite(value, 1, strlen(value) + 1, out);
    }
}

static void put_environment(FILE *out, const struct vm_config *config)
{
    bool own_root = root_is_own(config), have[ARRAY_SIZE(defaults)] = {false};

    for (char **entry = environ; entry && *entry; entry++) {
        if (!passed(*entry, own_root) || set_by_user(config, *entry, 0))
            continue;
        for (unsigned i = 0; i < ARRAY_SIZE(defaults); i++)
            have[i] = have[i] || same_name(*entry, defaults[i]);
        put(out, 'e', *entry);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(defaults); i++)
        if (!have[i] && !set_by_user(config, defaults[i], 0))
            put(out, 'e', defaults[i]);
    for (unsigned i = 0; i < config->env_count; i++)
        if (!set_by_user(config, config->env[i], i + 1))
            put_users(out, config->env[i]);
}

static void put_directory(FILE *out, const struct vm_config *config)
{
    char *here = config->cwd || !root_is_own(config) ? NULL : getcwd(NULL, 0);

    if (config->cwd)
        put(out, 'd', config->cwd);
    else /* Linux says "(unreachable)..." of a directory that is not below the root. */
        put(out, 'd', here && *here == '/' ? here : "/");
    free(here);
}

int command_spec(const struct vm_config *config, bool terminal, unsigned rows, unsigned columns,
                 char **out, size_t *len)
{
    FILE *stream = open_memstream(out, len);

    if (!stream) {
        log_error("out of memory");
        return -ENOMEM;
    }
    for (unsigned i = 0; i < config->command_count; i++)
        put(stream, 'a', config->command[i]);
    put_environment(stream, config);
    put_directory(stream, config);
    if (terminal) {
        fprintf(stream, "t%ux%u", rows, columns);
        fputc('\0', stream);
    }
    if (fclose(stream)) {
        log_error("out of memory");
        free(*out);
        *out = NULL;
        return -ENOMEM;
    }
    if (*len <= WIRE_SPEC_MAX)
        return 0;
    log_error("-- %.60s ...: the command and its environment are too long (%zu bytes, at most %d)",
              config->command[0], *len, WIRE_SPEC_MAX);
    free(*out);
    *out = NULL;
    return -E2BIG;
}
