/*
 * What programs expect of a file system: the cases, by subject. Each starts in an empty directory
 * of its own. Static, without anything but libc; see main.c.
 */
#ifndef GUEST_TESTS_FS_CASES_H
#define GUEST_TESTS_FS_CASES_H

#include <stdbool.h>

struct stat;

struct fs_case {
    const char *name; /* NULL: the end of the table */
    void (*run)(void);
};

extern const struct fs_case names_cases[], directories_cases[], data_cases[], attr_cases[],
    locks_cases[];

#define CASE(name)                                                                                 \
    {                                                                                              \
#name, name                                                                                \
    }

/* The first expectation of the case that did not hold; NULL: none so far. */
extern const char *problem;

/* Notes an expectation that does not hold; the case goes on. */
#define EXPECT(holds)                                                                              \
    do {                                                                                           \
        if (!(holds) && !problem)                                                                  \
            problem = #holds;                                                                      \
    } while (0)
#define FAILS(call, number) EXPECT((call) < 0 && errno == (number))

void put(const char *name, const char *text); /* makes the file, or replaces its content */
const char *get(const char *name);            /* up to 255 bytes of its content; static */
struct stat info(const char *name);           /* lstat */
bool there(const char *name);

#endif
