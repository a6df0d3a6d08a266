/*
 * Helper programs that do part of a device's work (passt, virtiofsd): finding them, and what their
 * process does between fork and exec.
 *
 * A helper has one socket, as descriptor HELPER_FD, beside standard input, output and error. It
 * ends when hv ends, however hv ends: by PR_SET_PDEATHSIG, which a helper that changes its user
 * loses, and because its socket closes. Its last line of standard error explains its end.
 */
#ifndef HV_CORE_HELPER_H
#define HV_CORE_HELPER_H

#include <stdbool.h>
#include <stddef.h>

#define HELPER_FD  3
#define HELPER_WHY 160

/* The first executable `name` in $PATH, else the first of `places` (full paths, NULL-ended; may be
 * NULL). False: there is none. */
bool helper_find(const char *name, const char *const *places, char *path, size_t cap);

/* After fork; these use system calls only: no heap, no stdio, no log. */

/* A session of its own, so that Ctrl-C at the terminal is for hv alone; no signal blocked or
 * ignored. */
void helper_detach(void);

/* Executes with `sock`, `out` and `err` as HELPER_FD and standard output and error, and no other
 * descriptor. Does not return. */
void helper_exec(const char *path, char *const argv[], int sock, int out, int err)
    __attribute__((noreturn));

/* The last line that is not empty, without what a terminal would act on. */
struct helper_line {
    char text[HELPER_WHY]; /* "": none */
    size_t len;            /* of the line that is being read */
    bool ended;
};

/* Reads once from `err`. False: it has ended, or has nothing. */
bool helper_read(struct helper_line *line, int err);

#endif
