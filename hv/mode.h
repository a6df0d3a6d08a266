/*
 * The kinds of machine (--mode). A mode is a list of devices (a bit that rows of the device table
 * carry) plus a default command line; not conditions spread over the code.
 */
#ifndef HV_MODE_H
#define HV_MODE_H

struct mode {
    const char *name;    /* --mode NAME */
    const char *help;    /* one line */
    unsigned devices;    /* MODE_* bit of devices/table.h */
    const char *cmdline; /* what the kernel gets unless --cmdline replaces it; -a adds to it */
};

extern const struct mode modes[];
extern const unsigned mode_count;

/* The row called `name`, or NULL. */
const struct mode *mode_find(const char *name);

#endif
