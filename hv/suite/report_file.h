/* A report that a reader sees whole or not at all: see report.h. */
#ifndef HV_SUITE_REPORT_FILE_H
#define HV_SUITE_REPORT_FILE_H

#include <stdio.h>

struct report_file {
    const char *path;
    char *temporary; /* NULL: written directly, since it is no regular file */
    FILE *out;
};

/* `path` must outlive it. 0, or -errno after one message. */
int report_file_open(struct report_file *file, const char *path);

/* Closes it, and puts it in its place. 0, or -errno after one message; nothing is left then. */
int report_file_close(struct report_file *file);

#endif
