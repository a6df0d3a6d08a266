/* Names: making, opening, renaming, linking and removing files. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest-tests/images/fs-cases/cases.h"

static void create_exclusive(void)
{
    int fd = open("f", O_RDWR | O_CREAT | O_EXCL, 0600);

    EXPECT(fd >= 0);
    close(fd);
    FAILS(open("f", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
    EXPECT((info("f").st_mode & 07777) == 0600);
}

static void open_missing(void)
{
    FAILS(open("none", O_RDONLY), ENOENT);
    FAILS(open("none/below", O_RDONLY), ENOENT);
    put("f", "x");
    FAILS(open("f/below", O_RDONLY), ENOTDIR);
}

static void open_directory_to_write(void)
{
    EXPECT(mkdir("d", 0755) == 0);
    FAILS(open("d", O_WRONLY), EISDIR);
    FAILS(open("d", O_RDWR | O_CREAT, 0644), EISDIR);
}

static void unlink_while_open(void)
{
    char text[8] = "";
    struct stat st;
    int fd;

    put("f", "alive");
    fd = open("f", O_RDWR);
    EXPECT(unlink("f") == 0 && !there("f"));
    EXPECT(fstat(fd, &st) == 0 && st.st_size == 5);
    EXPECT(pread(fd, text, 5, 0) == 5 && strcmp(text, "alive") == 0);
    EXPECT(pwrite(fd, "A", 1, 0) == 1 && pread(fd, text, 1, 0) == 1 && text[0] == 'A');
    close(fd);
}

static void unlink_and_create_again_while_open(void)
{
    char text[8] = "";
    int fd;

    put("f", "old");
    fd = open("f", O_RDONLY);
    EXPECT(unlink("f") == 0);
    put("f", "new");
    EXPECT(pread(fd, text, 3, 0) == 3 && strcmp(text, "old") == 0);
    EXPECT(strcmp(get("f"), "new") == 0);
    close(fd);
}

static void unlink_errors(void)
{
    FAILS(unlink("none"), ENOENT);
    EXPECT(mkdir("d", 0755) == 0);
    FAILS(unlink("d"), EISDIR);
    put("f", "x");
    FAILS(rmdir("f"), ENOTDIR);
}

static void rename_to_a_new_name(void)
{
    put("a", "x");
    EXPECT(rename("a", "b") == 0 && !there("a") && strcmp(get("b"), "x") == 0);
    FAILS(rename("a", "c"), ENOENT);
}

static void rename_over_a_file(void)
{
    ino_t number;

    put("a", "new");
    put("b", "old");
    number = info("a").st_ino;
    EXPECT(rename("a", "b") == 0 && !there("a"));
    EXPECT(strcmp(get("b"), "new") == 0 && info("b").st_ino == number);
}

static void rename_over_a_file_that_is_open(void)
{
    char text[8] = "";
    int fd;

    put("a", "new");
    put("b", "old");
    fd = open("b", O_RDONLY);
    EXPECT(rename("a", "b") == 0);
    EXPECT(read(fd, text, 3) == 3 && strcmp(text, "old") == 0);
    close(fd);
}

static void rename_between_directories(void)
{
    EXPECT(mkdir("d", 0755) == 0 && mkdir("e", 0755) == 0);
    put("d/f", "x");
    EXPECT(rename("d/f", "e/g") == 0 && !there("d/f") && strcmp(get("e/g"), "x") == 0);
}

static void rename_of_directories(void)
{
    EXPECT(mkdir("d", 0755) == 0 && mkdir("e", 0755) == 0);
    put("d/f", "x");
    EXPECT(rename("d", "e") == 0 && strcmp(get("e/f"), "x") == 0);
    EXPECT(mkdir("g", 0755) == 0);
    put("g/full", "x");
    EXPECT(rename("e", "g") < 0 && (errno == ENOTEMPTY || errno == EEXIST));
    FAILS(rename("g", "g/inside"), EINVAL);
    put("file", "x");
    FAILS(rename("g", "file"), ENOTDIR);
    FAILS(rename("file", "g"), EISDIR);
}

static void rename_of_an_open_file(void)
{
    int fd;

    put("a", "x");
    fd = open("a", O_RDWR);
    EXPECT(rename("a", "b") == 0);
    EXPECT(pwrite(fd, "y", 1, 0) == 1);
    close(fd);
    EXPECT(strcmp(get("b"), "y") == 0);
}

static void lookups_of_dot_dot(void)
{
    EXPECT(mkdir("d", 0755) == 0 && mkdir("d/e", 0755) == 0);
    put("f", "x");
    EXPECT(strcmp(get("d/e/../../f"), "x") == 0);
    EXPECT(info("d/e/..").st_ino == info("d").st_ino);
}

static void names_of_every_byte(void)
{
    char name[4] = "x?y";

    for (int byte = 1; byte < 256; byte++) {
        if (byte == '/')
            continue;
        name[1] = (char)byte;
        EXPECT(mknod(name, S_IFREG | 0644, 0) == 0 && unlink(name) == 0);
    }
}

static void names_of_255_bytes(void)
{
    char name[257];

    memset(name, 'n', 256);
    name[256] = '\0';
    FAILS(open(name, O_WRONLY | O_CREAT, 0644), ENAMETOOLONG);
    name[255] = '\0';
    put(name, "x");
    EXPECT(strcmp(get(name), "x") == 0);
}

static void symbolic_links(void)
{
    char text[32] = "";

    EXPECT(symlink("target", "l") == 0 && S_ISLNK(info("l").st_mode));
    EXPECT(readlink("l", text, sizeof(text)) == 6 && strcmp(text, "target") == 0);
    FAILS(open("l", O_RDONLY), ENOENT);
    put("target", "x");
    EXPECT(strcmp(get("l"), "x") == 0);
    FAILS(symlink("other", "l"), EEXIST);
    FAILS(open("l", O_RDONLY | O_NOFOLLOW), ELOOP);
    EXPECT(unlink("l") == 0 && there("target"));
    FAILS(readlink("target", text, sizeof(text)), EINVAL);
}

static void symbolic_link_loop(void)
{
    EXPECT(symlink("b", "a") == 0 && symlink("a", "b") == 0);
    FAILS(open("a", O_RDONLY), ELOOP);
}

static void symbolic_link_to_a_directory(void)
{
    EXPECT(mkdir("d", 0755) == 0 && symlink("d", "l") == 0);
    put("l/f", "x");
    EXPECT(strcmp(get("d/f"), "x") == 0);
}

static void hard_links(void)
{
    put("a", "x");
    EXPECT(link("a", "b") == 0 && info("a").st_nlink == 2);
    EXPECT(info("a").st_ino == info("b").st_ino);
    put("b", "y");
    EXPECT(strcmp(get("a"), "y") == 0);
    FAILS(link("a", "b"), EEXIST);
    EXPECT(unlink("a") == 0 && info("b").st_nlink == 1 && strcmp(get("b"), "y") == 0);
    EXPECT(mkdir("d", 0755) == 0);
    FAILS(link("d", "e"), EPERM);
}

static void fifos_and_sockets(void)
{
    int status;
    pid_t child;
    char c = 0;

    EXPECT(mkfifo("p", 0644) == 0 && S_ISFIFO(info("p").st_mode));
    child = fork();
    if (child == 0) {
        int fd = open("p", O_WRONLY);

        _exit(write(fd, "!", 1) != 1);
    }
    int fd = open("p", O_RDONLY);
    EXPECT(read(fd, &c, 1) == 1 && c == '!');
    close(fd);
    waitpid(child, &status, 0);
    EXPECT(status == 0);
}

static void exclusive_create_does_not_follow_links(void)
{
    EXPECT(symlink("target", "l") == 0);
    FAILS(open("l", O_RDWR | O_CREAT | O_EXCL, 0644), EEXIST);
    EXPECT(!there("target"));
    put("l", "x");
    EXPECT(strcmp(get("target"), "x") == 0);
}

static void open_asks_for_a_directory(void)
{
    int fd;

    put("f", "x");
    FAILS(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR);
    EXPECT(mkdir("d", 0755) == 0 && symlink("d", "l") == 0);
    fd = open("l", O_RDONLY | O_DIRECTORY);
    EXPECT(fd >= 0 && close(fd) == 0);
    FAILS(open("l", O_RDONLY | O_DIRECTORY | O_NOFOLLOW), ENOTDIR);
}

static void slashes_at_the_end_mean_directories(void)
{
    put("f", "x");
    FAILS(open("f/", O_RDONLY), ENOTDIR);
    FAILS(unlink("f/"), ENOTDIR);
    FAILS(rename("f", "g/"), ENOTDIR);
    EXPECT(mkdir("d/", 0755) == 0 && S_ISDIR(info("d//").st_mode) && rmdir("d/") == 0);
}

static void dots_are_no_names_to_change(void)
{
    FAILS(mkdir(".", 0755), EEXIST);
    FAILS(mkdir("..", 0755), EEXIST);
    FAILS(rmdir("."), EINVAL);
    FAILS(rmdir(".."), ENOTEMPTY);
    EXPECT(rename(".", "x") < 0 && (errno == EBUSY || errno == EINVAL));
    FAILS(unlink("."), EISDIR);
    FAILS(open("", O_RDONLY), ENOENT);
}

static void paths_that_are_too_long(void)
{
    static char path[5000];

    for (size_t i = 0; i + 2 < sizeof(path); i += 2)
        memcpy(path + i, "./", 2);
    FAILS(open(path, O_RDONLY), ENAMETOOLONG);
    path[3000] = '\0';
    EXPECT(S_ISDIR(info(path).st_mode));
}

static void names_differ_in_case_and_spelling(void)
{
    put("a", "small");
    put("A", "large");
    put("\xc3\xa4", "composed");
    put("a\xcc\x88", "decomposed");
    EXPECT(strcmp(get("a"), "small") == 0 && strcmp(get("A"), "large") == 0);
    EXPECT(strcmp(get("\xc3\xa4"), "composed") == 0 && strcmp(get("a\xcc\x88"), "decomposed") == 0);
}

static void rename_onto_itself(void)
{
    put("a", "x");
    EXPECT(rename("a", "a") == 0 && strcmp(get("a"), "x") == 0);
    EXPECT(mkdir("d", 0755) == 0 && rename("d", "d") == 0 && there("d"));
}

/* Two names of one file: nothing happens, and both stay. */
static void rename_onto_another_name_of_itself(void)
{
    put("a", "x");
    EXPECT(link("a", "b") == 0 && rename("a", "b") == 0);
    EXPECT(there("a") && there("b") && info("a").st_nlink == 2);
}

static void rename_over_an_empty_directory(void)
{
    EXPECT(mkdir("d", 0755) == 0 && mkdir("e", 0755) == 0);
    put("d/f", "x");
    EXPECT(rename("d", "e") == 0 && !there("d") && strcmp(get("e/f"), "x") == 0);
}

static void rename_into_its_own_child(void)
{
    EXPECT(mkdir("d", 0755) == 0 && mkdir("d/e", 0755) == 0);
    FAILS(rename("d", "d/e/f"), EINVAL);
    FAILS(rename("d", "d/e"), EINVAL);
    EXPECT(rename("d/e", "d") < 0 && (errno == ENOTEMPTY || errno == EEXIST));
}

static void rename_above_an_open_file(void)
{
    int fd;

    EXPECT(mkdir("d", 0755) == 0);
    put("d/f", "x");
    fd = open("d/f", O_RDWR);
    EXPECT(rename("d", "e") == 0 && pwrite(fd, "y", 1, 0) == 1);
    close(fd);
    EXPECT(strcmp(get("e/f"), "y") == 0 && unlink("e/f") == 0 && rmdir("e") == 0);
}

static void rename_of_a_link_moves_the_link(void)
{
    EXPECT(symlink("nowhere", "l") == 0 && rename("l", "m") == 0);
    EXPECT(S_ISLNK(info("m").st_mode) && !there("l"));
}

static void rename_without_replacing(void)
{
    put("a", "a");
    put("b", "b");
    EXPECT(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE) < 0 &&
           (errno == EEXIST || errno == EINVAL));
    EXPECT(strcmp(get("a"), "a") == 0 && strcmp(get("b"), "b") == 0);
}

static void unlink_one_of_two_links_while_open(void)
{
    struct stat st;
    int fd;

    put("a", "x");
    EXPECT(link("a", "b") == 0);
    fd = open("a", O_RDONLY);
    EXPECT(unlink("a") == 0 && fstat(fd, &st) == 0 && st.st_nlink == 1);
    EXPECT(unlink("b") == 0 && fstat(fd, &st) == 0 && st.st_nlink == 0);
    close(fd);
}

static void hard_link_of_a_symbolic_link(void)
{
    EXPECT(symlink("nowhere", "l") == 0);
    EXPECT(linkat(AT_FDCWD, "l", AT_FDCWD, "m", 0) == 0 && S_ISLNK(info("m").st_mode));
    EXPECT(info("l").st_ino == info("m").st_ino);
}

static void hard_links_between_directories(void)
{
    EXPECT(mkdir("d", 0755) == 0 && mkdir("e", 0755) == 0);
    put("d/f", "x");
    EXPECT(link("d/f", "e/g") == 0 && unlink("d/f") == 0 && strcmp(get("e/g"), "x") == 0);
    FAILS(link("none", "h"), ENOENT);
}

static void symbolic_links_of_any_length(void)
{
    static char target[4097], back[4097];

    memset(target, 't', sizeof(target));
    target[4096] = '\0';
    FAILS(symlink(target, "l"), ENAMETOOLONG);
    FAILS(symlink("", "l"), ENOENT);
    for (unsigned len = 1; len <= 4095; len += 91) {
        target[len] = '\0';
        EXPECT(symlink(target, "l") == 0 && info("l").st_size == len);
        EXPECT(readlink("l", back, sizeof(back)) == len && memcmp(back, target, len) == 0);
        EXPECT(readlink("l", back, 1) == 1);
        EXPECT(unlink("l") == 0);
        target[len] = 't';
    }
}

static void symbolic_links_in_a_chain(void)
{
    char name[8], next[8];

    put("l0", "x");
    for (unsigned i = 0; i < 45; i++) {
        snprintf(name, sizeof(name), "l%u", i + 1);
        snprintf(next, sizeof(next), "l%u", i);
        EXPECT(symlink(next, name) == 0);
    }
    EXPECT(strcmp(get("l40"), "x") == 0);
    FAILS(open("l41", O_RDONLY), ELOOP); /* path_resolution(7): 40 at most */
}

static void kinds_of_files(void)
{
    EXPECT(mknod("s", S_IFSOCK | 0644, 0) == 0 && S_ISSOCK(info("s").st_mode));
    EXPECT(mknod("p", S_IFIFO | 0644, 0) == 0 && S_ISFIFO(info("p").st_mode));
    EXPECT(mknod("f", S_IFREG | 0644, 0) == 0 && S_ISREG(info("f").st_mode));
    FAILS(mknod("f", S_IFREG | 0644, 0), EEXIST);
    FAILS(open("s", O_RDONLY), ENXIO);
    /* A device of the host is nothing for a guest; on a disk of one's own it may be made. */
    EXPECT(mknod("c", S_IFCHR | 0644, 0x103) == 0 || errno == EPERM);
}

static void opening_by_proc(void)
{
    char path[32], text[8] = "";
    int fd, again;

    put("f", "x");
    fd = open("f", O_RDONLY);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    again = open(path, O_RDWR);
    EXPECT(again >= 0 && pwrite(again, "y", 1, 0) == 1);
    EXPECT(pread(fd, text, 1, 0) == 1 && text[0] == 'y');
    close(again);
    close(fd);
}

const struct fs_case names_cases[] = {CASE(create_exclusive),
                                      CASE(open_missing),
                                      CASE(open_directory_to_write),
                                      CASE(unlink_while_open),
                                      CASE(unlink_and_create_again_while_open),
                                      CASE(unlink_errors),
                                      CASE(rename_to_a_new_name),
                                      CASE(rename_over_a_file),
                                      CASE(rename_over_a_file_that_is_open),
                                      CASE(rename_between_directories),
                                      CASE(rename_of_directories),
                                      CASE(rename_of_an_open_file),
                                      CASE(lookups_of_dot_dot),
                                      CASE(names_of_every_byte),
                                      CASE(names_of_255_bytes),
                                      CASE(symbolic_links),
                                      CASE(symbolic_link_loop),
                                      CASE(symbolic_link_to_a_directory),
                                      CASE(hard_links),
                                      CASE(fifos_and_sockets),
                                      CASE(exclusive_create_does_not_follow_links),
                                      CASE(open_asks_for_a_directory),
                                      CASE(slashes_at_the_end_mean_directories),
                                      CASE(dots_are_no_names_to_change),
                                      CASE(paths_that_are_too_long),
                                      CASE(names_differ_in_case_and_spelling),
                                      CASE(rename_onto_itself),
                                      CASE(rename_onto_another_name_of_itself),
                                      CASE(rename_over_an_empty_directory),
                                      CASE(rename_into_its_own_child),
                                      CASE(rename_above_an_open_file),
                                      CASE(rename_of_a_link_moves_the_link),
                                      CASE(rename_without_replacing),
                                      CASE(unlink_one_of_two_links_while_open),
                                      CASE(hard_link_of_a_symbolic_link),
                                      CASE(hard_links_between_directories),
                                      CASE(symbolic_links_of_any_length),
                                      CASE(symbolic_links_in_a_chain),
                                      CASE(kinds_of_files),
                                      CASE(opening_by_proc),
                                      {NULL, NULL}};
