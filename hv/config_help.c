/*
 * The option table for people: `hv help run` and the man page's option list. Main thread; write
 * errors stay in the stream for the caller.
 */
#include <stdio.h>
#include <string.h>

#include "hv/config_table.h"

#define TEXT_COLUMN 8
#define WIDTH       80

static const char *const group_titles[GROUP_COUNT] = {
    [GROUP_BOOT] = "What to boot",
    [GROUP_COMMAND] = "A command in the guest",
    [GROUP_MACHINE] = "The machine",
    [GROUP_DEVICES] = "Virtio devices (hv help devices lists their keys)",
    [GROUP_CONSOLE] = "Console, deadline, result",
    [GROUP_OTHER] = "Other",
};

/* Breaks `text` at spaces and continues it in TEXT_COLUMN. */
static void print_wrapped(FILE *out, const char *text)
{
    size_t column = 0;

    while (*text) {
        size_t word = strcspn(text, " ");

        if (column == 0 || column + 1 + word > WIDTH) {
            fprintf(out, "%s%*s", column ? "\n" : "", TEXT_COLUMN, "");
            column = TEXT_COLUMN;
        } else {
            fputc(' ', out);
            column++;
        }
        fwrite(text, 1, word, out);
        column += word;
        text += word;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

/* The option on a line of its own: the longest would leave no room beside it. */
static void print_row(FILE *out, const struct option_row *row)
{
    char text[512];

    fputs("  ", out);
    if (row->letter)
        fprintf(out, "-%c, ", row->letter);
    fprintf(out, "--%s%s%s\n", option_word(row), row->arg ? " " : "", row->arg ? row->arg : "");
    snprintf(text, sizeof(text), "%s%s%s%s", row->help, row->initial ? " Default: " : "",
             row->initial ? row->initial : "", row->initial ? "." : "");
    print_wrapped(out, text);
}

/* Examples stand first: they answer most questions. */
void config_print_help(FILE *out)
{
    fputs("Boots a kernel in a new virtual machine and stays until it ends.\n"
          "\n"
          "Examples:\n"
          "  hv run -k /boot/vmlinuz -- uname -a\n"
          "  hv run -k bzImage --share build:/build:rw --cwd /build -- make check\n"
          "  hv run -k /boot/vmlinuz -i /boot/initrd.img -m 1G -c 2\n"
          "  hv run -k bzImage -i test.cpio -a \"panic=-1\" --timeout 60 --result r.json\n"
          "  hv run -k vmlinux --console boot.log < /dev/null\n"
          "  hv run -k bzImage -i initrd -d file=root.img -n user -a root=/dev/vda\n"
          "  hv run -k bzImage -m 2G --print-config > vm.json; hv run --config vm.json\n"
          "\n"
          "Usage: hv run -k KERNEL [OPTION]... [-- CMD [ARG]...]\n"
          "       hv run --config FILE [OPTION]...\n",
          out);
    for (unsigned group = 0; group < GROUP_COUNT; group++) {
        fprintf(out, "\n%s:\n", group_titles[group]);
        for (unsigned i = 0; i < option_row_count; i++)
            if (option_rows[i].group == group)
                print_row(out, &option_rows[i]);
    }
    fputs("\nOn a terminal Ctrl-A x ends the run, Ctrl-A h lists the keys.\n"
          "The exit status says how the run ended: hv help exit-status.\n",
          out);
}

/* groff(7): a backslash starts an escape, "-" would become a hyphen, a leading "." or "'" a
 * request. */
static void print_roff(FILE *out, const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", out);
    for (; *text; text++) {
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else
            fputc(*text, out);
    }
}

static void print_row_roff(FILE *out, const struct option_row *row)
{
    fputs(".TP\n", out);
    if (row->letter)
        fprintf(out, "\\fB\\-%c\\fR, ", row->letter);
    fputs("\\fB\\-\\-", out);
    print_roff(out, option_word(row));
    fputs("\\fR", out);
    if (row->arg) {
        fputs(" \\fI", out);
        print_roff(out, row->arg);
        fputs("\\fR", out);
    }
    fputc('\n', out);
    print_roff(out, row->help);
    if (row->initial) {
        fputs("\nDefault: ", out);
        print_roff(out, row->initial);
        fputc('.', out);
    }
    fputc('\n', out);
    if (row->key) {
        fputs("In a configuration file: \\fB", out);
        fputs(row->key, out);
        fputs("\\fR.\n", out);
    }
}

void config_print_options_roff(FILE *out)
{
    for (unsigned group = 0; group < GROUP_COUNT; group++) {
        fprintf(out, ".SS %s\n", group_titles[group]);
        for (unsigned i = 0; i < option_row_count; i++)
            if (option_rows[i].group == group)
                print_row_roff(out, &option_rows[i]);
    }
}

void config_print_options_plain(FILE *out)
{
    for (unsigned i = 0; i < option_row_count; i++) {
        const struct option_row *row = &option_rows[i];
        const char *arg = row->arg ? row->arg : "";

        fprintf(out, "--%s %s\n", option_word(row), arg);
        if (row->letter)
            fprintf(out, "-%c %s\n", row->letter, arg);
    }
}
