/*
 * Tries in a directory what programs expect of a file system: `fs-cases DIR`. Runs in a guest on a
 * directory that the host shares (guest-tests/linux-share), and just as well on any other. One line
 * a case, "ok NAME" or "not ok NAME: what was wrong"; the last is "fs-cases: N passed, N failed".
 * As `fs-cases --exit N` it is a program that ends with that status.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest-tests/images/fs-cases/cases.h"

const char *problem;
static unsigned passed, failed;

void put(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    EXPECT(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    EXPECT(close(fd) == 0);
}

const char *get(const char *name)
{
    static char text[256];
    int fd = open(name, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    close(fd);
    text[n < 0 ? 0 : n] = '\0';
    return n < 0 ? "(cannot be read)" : text;
}

struct stat info(const char *name)
{
    struct stat st = {0};

    EXPECT(lstat(name, &st) == 0);
    return st;
}

bool there(const char *name)
{
    struct stat st;

    return lstat(name, &st) == 0;
}

/* In a fresh directory, which is left for who wants to look at it when the case fails. */
static void run_case(const struct fs_case *c)
{
    problem = NULL;
    if (mkdir(c->name, 0755) < 0 || chdir(c->name) < 0) {
        problem = strerror(errno);
    } else {
        c->run();
        if (chdir("..") < 0)
            exit(1);
    }
    if (problem) {
        failed++;
        printf("not ok %s: %s\n", c->name, problem);
    } else {
        passed++;
        printf("ok %s\n", c->name);
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const struct fs_case *const subjects[] = {names_cases, directories_cases, data_cases,
                                                     attr_cases, locks_cases};

    if (argc == 3 && strcmp(argv[1], "--exit") == 0)
        return atoi(argv[2]);
    if (argc != 2 || chdir(argv[1]) < 0) {
        fprintf(stderr, "usage: fs-cases DIR\n");
        return 2;
    }
    for (unsigned i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++)
        for (const struct fs_case *c = subjects[i]; c->name; c++)
            run_case(c);
    printf("fs-cases: %u passed, %u failed\n", passed, failed);
    return failed > 0;
}
