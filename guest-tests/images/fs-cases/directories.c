/* Directories: making, listing, removing and standing in them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest-tests/images/fs-cases/cases.h"

static void directory_is_empty_or_not(void)
{
    EXPECT(mkdir("d", 0755) == 0);
    FAILS(mkdir("d", 0755), EEXIST);
    put("d/f", "x");
    EXPECT(rmdir("d") < 0 && (errno == ENOTEMPTY || errno == EEXIST));
    EXPECT(unlink("d/f") == 0 && rmdir("d") == 0 && !there("d"));
    FAILS(rmdir("d"), ENOENT);
}

static void directory_link_count(void)
{
    nlink_t before = info(".").st_nlink;

    EXPECT(mkdir("d", 0755) == 0);
    EXPECT(info(".").st_nlink >= before);
    EXPECT(S_ISDIR(info("d").st_mode));
}

static void deep_directories(void)
{
    int depth = 0, top = open(".", O_RDONLY | O_DIRECTORY);

    while (depth < 40 && mkdir("deeper", 0755) == 0 && chdir("deeper") == 0)
        depth++;
    EXPECT(depth == 40);
    put("bottom", "x");
    EXPECT(strcmp(get("bottom"), "x") == 0);
    EXPECT(fchdir(top) == 0);
    close(top);
}

static void list_of_many_entries(void)
{
    static bool seen[600];
    unsigned found = 0, n;
    char name[16];
    DIR *dir;

    memset(seen, 0, sizeof(seen));
    for (unsigned i = 0; i < 600; i++) {
        snprintf(name, sizeof(name), "e%u", i);
        EXPECT(mknod(name, S_IFREG | 0644, 0) == 0);
    }
    dir = opendir(".");
    for (struct dirent *e; (e = readdir(dir));)
        if (sscanf(e->d_name, "e%u", &n) == 1 && n < 600 && !seen[n]) {
            seen[n] = true;
            found++;
            EXPECT(e->d_type == DT_REG || e->d_type == DT_UNKNOWN);
        }
    closedir(dir);
    EXPECT(found == 600);
}

static void list_while_removing(void)
{
    char name[16];
    unsigned removed = 0;
    DIR *dir;

    for (unsigned i = 0; i < 150; i++) {
        snprintf(name, sizeof(name), "e%u", i);
        put(name, "");
    }
    dir = opendir(".");
    for (struct dirent *e; (e = readdir(dir));)
        removed += e->d_name[0] == 'e' && unlink(e->d_name) == 0;
    closedir(dir);
    EXPECT(removed == 150);
}

static void list_rewound(void)
{
    unsigned first = 0, second = 0;
    DIR *dir;

    put("a", "");
    put("b", "");
    dir = opendir(".");
    while (readdir(dir))
        first++;
    put("c", "");
    rewinddir(dir);
    while (readdir(dir))
        second++;
    closedir(dir);
    EXPECT(first == 4 && second == 5);
}

static void directory_link_counts_are_exact(void)
{
    nlink_t empty;

    EXPECT(mkdir("d", 0755) == 0);
    empty = info("d").st_nlink;
    EXPECT(empty == 2 || empty == 1); /* 1: a file system that does not count */
    EXPECT(mkdir("d/e", 0755) == 0 && info("d").st_nlink == (empty == 1 ? 1 : 3));
    put("d/f", "x");
    EXPECT(rmdir("d/e") == 0 && info("d").st_nlink == empty);
}

static void directory_cannot_be_read_or_mapped(void)
{
    char c;
    int fd;

    EXPECT(mkdir("d", 0755) == 0);
    fd = open("d", O_RDONLY);
    FAILS(read(fd, &c, 1), EISDIR);
    EXPECT(mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED && errno == ENODEV);
    FAILS(ftruncate(fd, 0), EINVAL);
    close(fd);
}

static void directory_that_is_removed_while_open(void)
{
    struct stat st;
    int fd;

    EXPECT(mkdir("d", 0755) == 0);
    fd = open("d", O_RDONLY | O_DIRECTORY);
    EXPECT(rmdir("d") == 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode));
    FAILS(openat(fd, "f", O_WRONLY | O_CREAT, 0644), ENOENT);
    FAILS(mkdirat(fd, "e", 0755), ENOENT);
    close(fd);
}

static void current_directory_that_is_removed(void)
{
    char path[4096];
    int top = open(".", O_RDONLY | O_DIRECTORY);

    EXPECT(mkdir("d", 0755) == 0 && chdir("d") == 0 && rmdir("../d") == 0);
    EXPECT(getcwd(path, sizeof(path)) == NULL && errno == ENOENT);
    FAILS(open("f", O_WRONLY | O_CREAT, 0644), ENOENT);
    EXPECT(fchdir(top) == 0 && !there("d"));
    close(top);
}

static void current_directory_that_is_renamed(void)
{
    int top = open(".", O_RDONLY | O_DIRECTORY);

    EXPECT(mkdir("d", 0755) == 0 && mkdir("e", 0755) == 0 && chdir("d") == 0);
    EXPECT(rename("../d", "../e/moved") == 0);
    put("f", "x");
    EXPECT(strcmp(get("../moved/f"), "x") == 0);
    EXPECT(fchdir(top) == 0 && strcmp(get("e/moved/f"), "x") == 0);
    close(top);
}

static void names_relative_to_a_descriptor(void)
{
    struct stat st;
    int dir, fd;

    EXPECT(mkdir("d", 0755) == 0);
    dir = open("d", O_RDONLY | O_DIRECTORY);
    fd = openat(dir, "f", O_WRONLY | O_CREAT, 0644);
    EXPECT(fd >= 0 && close(fd) == 0);
    EXPECT(renameat(dir, "f", AT_FDCWD, "g") == 0 && fstatat(dir, "../g", &st, 0) == 0);
    EXPECT(mkdirat(dir, "e", 0755) == 0 && unlinkat(dir, "e", AT_REMOVEDIR) == 0);
    EXPECT(symlinkat("x", dir, "l") == 0 && unlinkat(dir, "l", 0) == 0);
    close(dir);
}

static void list_goes_on_where_it_was_told(void)
{
    char name[16], third[256];
    long place = 0;
    struct dirent *e;
    DIR *dir;

    for (unsigned i = 0; i < 50; i++) {
        snprintf(name, sizeof(name), "e%u", i);
        put(name, "");
    }
    dir = opendir(".");
    for (unsigned i = 0; i < 20; i++) {
        place = telldir(dir);
        e = readdir(dir);
        snprintf(third, sizeof(third), "%s", e ? e->d_name : "");
    }
    while (readdir(dir))
        ;
    seekdir(dir, place);
    e = readdir(dir);
    EXPECT(e && strcmp(e->d_name, third) == 0);
    closedir(dir);
}

static void list_tells_kinds_and_numbers(void)
{
    unsigned found = 0;
    DIR *dir;

    put("f", "");
    EXPECT(mkdir("d", 0755) == 0 && symlink("f", "l") == 0 && mkfifo("p", 0644) == 0);
    dir = opendir(".");
    for (struct dirent *e; (e = readdir(dir));) {
        unsigned char want = e->d_name[0] == 'f'   ? DT_REG
                             : e->d_name[0] == 'l' ? DT_LNK
                             : e->d_name[0] == 'p' ? DT_FIFO
                                                   : DT_DIR;

        found++;
        EXPECT(e->d_type == want || e->d_type == DT_UNKNOWN);
        if (e->d_name[0] != '.')
            EXPECT(e->d_ino == info(e->d_name).st_ino);
    }
    closedir(dir);
    EXPECT(found == 6);
}

const struct fs_case directories_cases[] = {CASE(directory_is_empty_or_not),
                                            CASE(directory_link_count),
                                            CASE(deep_directories),
                                            CASE(list_of_many_entries),
                                            CASE(list_while_removing),
                                            CASE(list_rewound),
                                            CASE(directory_link_counts_are_exact),
                                            CASE(directory_cannot_be_read_or_mapped),
                                            CASE(directory_that_is_removed_while_open),
                                            CASE(current_directory_that_is_removed),
                                            CASE(current_directory_that_is_renamed),
                                            CASE(names_relative_to_a_descriptor),
                                            CASE(list_goes_on_where_it_was_told),
                                            CASE(list_tells_kinds_and_numbers),
                                            {NULL, NULL}};
