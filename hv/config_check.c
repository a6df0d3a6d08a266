/*
 * The life of a configuration and the rules that its values keep, wherever they came from.
 * Called by config_value.c while values are read and by `hv run` before anything is built.
 */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "hv/arch/arch.h"
#include "hv/config_table.h"

#define NAME_MAX_CHARS 64

int check_not_empty(const char *text, struct why *why)
{
    return *text ? 0 : why_set(why, "must not be empty");
}

/* The kernel would take a line break as a space and log half a line: nobody means that. */
int check_cmdline(const char *text, struct why *why)
{
    for (const char *s = text; *s; s++)
        if (iscntrl((unsigned char)*s) && *s != '\t')
            return why_set(why, "holds a control character (0x%02x, at byte %zu)",
                           (unsigned)(unsigned char)*s, (size_t)(s - text));
    return 0;
}

/* The name becomes part of paths and of other programs' options. */
int check_name(const char *text, struct why *why)
{
    size_t len = strlen(text);

    if (len == 0 || len > NAME_MAX_CHARS)
        return why_set(why, "must have 1 to %d characters", NAME_MAX_CHARS);
    if (*text == '.' || *text == '-')
        return why_set(why, "must not start with \"%c\"", *text);
    for (const char *s = text; *s; s++)
        if (!(isascii((unsigned char)*s) && isalnum((unsigned char)*s)) && !strchr("._-", *s))
            return why_set(why, "only letters, digits and . _ - may stand in a name");
    return 0;
}

int check_set_reg(const char *text, struct why *why)
{
    if (arch_set_reg_known(text))
        return 0;
    return why_set(why, "not NAME=VALUE with a register of this machine (like rip=0x100000)");
}

int check_dump_dtb(const char *text, struct why *why)
{
    if (!arch_has_device_tree)
        return why_set(why, "a machine of this architecture has no device tree");
    return check_not_empty(text, why);
}

/* Version 4 (RFC 4122, section 4.4). Uniqueness is all that is asked of it, so a kernel that has no
 * random bytes yet may not hold up the start. */
static void make_uuid(uint8_t uuid[16])
{
    struct timespec now;

    if (getrandom(uuid, 16, GRND_NONBLOCK) != 16) {
        clock_gettime(CLOCK_REALTIME, &now);
        memcpy(uuid, &now.tv_nsec, 4);
        memcpy(uuid + 4, &now.tv_sec, 8);
        memcpy(uuid + 12, &(pid_t){getpid()}, 4);
    }
    uuid[6] = (uint8_t)(0x40 | (uuid[6] & 0x0f));
    uuid[8] = (uint8_t)(0x80 | (uuid[8] & 0x3f));
}

/* Defaults are set from their text in the table, where help finds them too. */
void config_init(struct vm_config *config)
{
    char name[32];
    struct why why;

    memset(config, 0, sizeof(*config));
    for (unsigned i = 0; i < option_row_count; i++)
        if (option_rows[i].initial) {
            /* Failing for want of memory leaves NULL, which config_validate reports. */
            int err =
                option_rows[i].type->set(&option_rows[i], config, option_rows[i].initial, &why);

            assert(err == 0 || err == -ENOMEM);
            (void)err;
        }
    snprintf(name, sizeof(name), "hv-%d", (int)getpid());
    config->name = strdup(name);
    make_uuid(config->uuid);
}

void config_free(struct vm_config *config)
{
    for (unsigned i = 0; i < option_row_count; i++)
        option_clear(&option_rows[i], config);
    memset(config, 0, sizeof(*config));
}

/* The letter is what people type, so it is what the hint names. */
static int missing(const struct option_row *row)
{
    if (row->letter)
        log_error("--%s: not given (add -%c %s; see hv help run)", row->name, row->letter,
                  row->arg);
    else
        log_error("--%s: has no value", row->name);
    return -EINVAL;
}

/* A value is good when its text can be set again: one set of rules for every source. */
static int check_row(const struct option_row *row, const struct vm_config *config)
{
    struct vm_config scratch = {0};
    char buf[OPTION_TEXT_MAX];
    struct why why;
    const char *text;
    int err = 0;

    if (row->required && !row->type->format(row, config, 0, buf))
        return missing(row);
    for (unsigned i = 0; !err && (text = row->type->format(row, config, i, buf)); i++) {
        err = row->type->set(row, &scratch, text, &why);
        if (err)
            log_error("--%s %s: %s", option_word(row), text, why.text);
    }
    option_clear(row, &scratch);
    return err;
}

int config_validate(const struct vm_config *config)
{
    int err = 0;

    for (unsigned i = 0; !err && i < option_row_count; i++)
        if (option_rows[i].type)
            err = check_row(&option_rows[i], config);
    if (!err)
        err = check_stdin_once(config);
    return err ? err : check_command(config);
}

bool config_given(const struct vm_config *config, const char *option)
{
    const struct option_row *row = option_by_name(option, strlen(option));

    return row && option_given(row, config);
}
