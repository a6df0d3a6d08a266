/*
 * The verbs. Each cmd_<verb>.c has one function, which gets the command line from its verb on
 * (argv[0] is the verb) and returns the exit status of hv. The table is in cmd_help.c.
 */
#ifndef HV_CMD_H
#define HV_CMD_H

#include <stdio.h>

#include "hv/outcome.h"

int cmd_run(int argc, char **argv);
int cmd_exec(int argc, char **argv);
int cmd_test(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_help(int argc, char **argv);
int cmd_version(int argc, char **argv);

struct verb {
    const char *name;
    const char *help; /* one line */
    int (*run)(int argc, char **argv);
    void (*print_help)(FILE *out);
};

extern const struct verb verbs[];
extern const unsigned verb_count;

/* `hv help exec` (cmd_exec.c). */
void exec_print_help(FILE *out);

/* `hv help test` (cmd_test.c); does not return unless hv-test is missing. */
void test_print_help(FILE *out);

/* A caller may have closed 0, 1 or 2; what is opened next must not land on them (cmd_run.c). */
void occupy_standard_fds(void);

/* The row called `name`, or NULL. */
const struct verb *verb_find(const char *name);

/* One error line for a word that is no verb, with the nearest one; returns STATUS_HV_FAILED. */
int verb_unknown(const char *word);

/* What `hv` without arguments says. */
void help_print_usage(FILE *out);

#endif
