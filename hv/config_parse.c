/*
 * The command line of `hv run`. It is first read as a whole into (row, value) pairs, so that
 * --config can take effect before the options that override it. Main thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/nearest.h"
#include "hv/config_table.h"

#define SEE_HELP "see hv help run"

struct setting {
    const struct option_row *row;
    const char *value; /* borrowed from argv */
};

struct command_line {
    int argc, next;
    char **argv;
    struct setting *settings; /* owned; one option takes at least one byte of one word */
    unsigned count;
    uint64_t seen; /* a bit for each row that may stand there only once */
    const char *config_path;
    bool help;
};

/* `word` is what stands behind the dashes; `len` bytes of it, up to "=", are the name. */
static int unknown_long(const char *word, size_t len)
{
    char name[NEAREST_WORD_MAX + 1] = "";
    struct nearest nearest = {.word = name};

    if (len < sizeof(name))
        memcpy(name, word, len);
    for (unsigned i = 0; i < option_row_count; i++)
        if (option_rows[i].role != ROLE_COMMAND)
            nearest_offer(&nearest, option_rows[i].name);
    if (nearest.best)
        log_error("--%.*s: unknown option (did you mean --%s?); " SEE_HELP, (int)len, word,
                  nearest.best);
    else
        log_error("--%.*s: unknown option; " SEE_HELP, (int)len, word);
    return -EINVAL;
}

/* Called once an option and its value are known. */
static int add(struct command_line *line, const struct option_row *row, const char *value)
{
    uint64_t bit = UINT64_C(1) << (row - option_rows);

    if (row->role == ROLE_HELP) {
        line->help = true;
        return 0;
    }
    /* Which of two kernels was meant cannot be told; said twice, a flag means the same. */
    if (row->arg && row->type != &type_list && line->seen & bit) {
        log_error("--%s %s: given twice; say it once", row->name, value);
        return -EINVAL;
    }
    line->seen |= bit;
    if (row->role == ROLE_CONFIG_FILE)
        line->config_path = value;
    else
        line->settings[line->count++] = (struct setting){row, value};
    return 0;
}

/* The value is `attached` to the option or the next word. */
static int add_with_value(struct command_line *line, const struct option_row *row,
                          const char *attached)
{
    if (!attached && line->next < line->argc)
        attached = line->argv[line->next++];
    if (!attached) {
        log_error("--%s: needs a value, %s; " SEE_HELP, row->name, row->arg);
        return -EINVAL;
    }
    return add(line, row, attached);
}

/* No abbreviations: --con is one option today and may be two tomorrow. */
static int read_long(struct command_line *line, const char *word)
{
    size_t len = strcspn(word, "=");
    const struct option_row *row = option_by_name(word, len);

    if (!row)
        return unknown_long(word, len);
    if (row->arg)
        return add_with_value(line, row, word[len] ? word + len + 1 : NULL);
    if (word[len]) {
        log_error("--%s: takes no value; " SEE_HELP, row->name);
        return -EINVAL;
    }
    return add(line, row, "on");
}

/* -v, -vv, -kFILE, -k FILE, -vkFILE */
static int read_letters(struct command_line *line, const char *letters)
{
    /* Other monitors write -kernel FILE; taking that for -k ernel would only puzzle their users. */
    if (option_by_name(letters, strlen(letters))) {
        log_error("-%s: unknown option (did you mean --%s?); " SEE_HELP, letters, letters);
        return -EINVAL;
    }
    for (const char *s = letters; *s; s++) {
        const struct option_row *row = option_by_letter(*s);
        int err;

        if (!row) {
            log_error("-%c: unknown option; " SEE_HELP, *s);
            return -EINVAL;
        }
        if (row->arg)
            return add_with_value(line, row, s[1] ? s + 1 : NULL);
        err = add(line, row, "on");
        if (err)
            return err;
    }
    return 0;
}

/* What follows is the guest's: nothing of it is an option of hv. */
static int read_command(struct command_line *line)
{
    const struct option_row *row = option_command();

    if (line->next == line->argc) {
        log_error("--: no command follows (add one, like -- ls, or leave out the --)");
        return -EINVAL;
    }
    while (line->next < line->argc)
        line->settings[line->count++] = (struct setting){row, line->argv[line->next++]};
    return 0;
}

/* "-" alone is a word: hv reads no kernel from stdin. */
static int read_word(struct command_line *line, const char *word)
{
    if (strcmp(word, "--") == 0)
        return read_command(line);
    if (strncmp(word, "--", 2) == 0)
        return read_long(line, word + 2);
    if (word[0] == '-' && word[1])
        return read_letters(line, word + 1);
    log_error("\"%s\": not an option (a kernel is given with -k); " SEE_HELP, word);
    return -EINVAL;
}

/* Values are looked at only now: the file's come first, and --help wins over a bad one. */
static int apply(struct vm_config *config, const struct command_line *line)
{
    uint64_t cleared = 0;
    struct why why;

    for (unsigned i = 0; i < line->count; i++) {
        const struct setting *s = &line->settings[i];
        uint64_t bit = UINT64_C(1) << (s->row - option_rows);
        int err;

        /* A list on the command line replaces the one of the file. */
        if (!(cleared & bit))
            option_clear(s->row, config);
        cleared |= bit;
        err = option_set(s->row, config, s->value, &why);
        if (err) {
            log_error("--%s %s: %s", option_word(s->row), s->value, why.text);
            return err;
        }
    }
    return 0;
}

int config_parse_run(struct vm_config *config, int argc, char **argv)
{
    struct command_line line = {.argc = argc, .next = 1, .argv = argv};
    size_t room = 1;
    int err = 0;

    /* -vvv is one word and three settings. */
    for (int i = 1; i < argc; i++)
        room += strlen(argv[i]) + 1;
    line.settings = calloc(room, sizeof(*line.settings));
    if (!line.settings) {
        log_error("out of memory");
        return -ENOMEM;
    }
    while (!err && !line.help && line.next < argc)
        err = read_word(&line, argv[line.next++]);
    if (!err && line.help) {
        config_print_help(stdout);
        err = 1;
    }
    if (!err && line.config_path)
        err = config_read_json(config, line.config_path);
    if (!err)
        err = apply(config, &line);
    free(line.settings);
    return err;
}
