/* Finding, starting and ending the program behind virtio-fs; scripts play it. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/core/loop.h"
#include "devices/test/fake.h"
#include "devices/test/fake_net.h"
#include "devices/virtio/models.h"
#include "devices/virtio/virtiofsd.h"

static char dir[] = "/tmp/hv-fsd-XXXXXX", tool[64], shared[64], mark[80], notes[64];
static struct virtiofsd d;
static int link_fd;

static void install_as(const char *path, const char *body)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    fprintf(file, "#!/bin/sh\nPATH=/usr/bin:/bin\n%s\n", body);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(path, 0755), 0);
}

static void install(const char *body)
{
    install_as(tool, body);
}

static void set_up(void)
{
    memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(tool, sizeof(tool), "%s/virtiofsd", dir);
    snprintf(notes, sizeof(notes), "%s/notes", dir);
    snprintf(shared, sizeof(shared), "%s/shared", dir);
    snprintf(mark, sizeof(mark), "%s/mark", shared);
    ck_assert_int_eq(mkdir(shared, 0755), 0);
    setenv("PATH", dir, 1);
    setenv("TMPDIR", dir, 1);
    fake_log_start();
}

static void tear_down(void)
{
    unlink(tool);
    unlink(notes);
    unlink(mark);
    ck_assert_int_eq(rmdir(shared), 0);
    ck_assert_int_eq(rmdir(dir), 0);                  /* no socket is left */
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* and no child */
}

static void start(bool writable)
{
    ck_assert_int_eq(virtiofsd_start(&d, shared, writable, &link_fd), 0);
}

/* Reads what it says until it ends. */
static const char *last_words(void)
{
    close(link_fd);
    while (helper_read(&d.line, d.err) || errno == EAGAIN) {
        errno = 0;
        usleep(1000);
    }
    return d.line.text;
}

START_TEST(gets_the_directory_and_a_socket)
{
    char wanted[128];

    install("[ -S /proc/self/fd/3 ] && [ ! -e /proc/self/fd/4 ] && echo \"$*\" >&2");
    start(true);
    snprintf(wanted, sizeof(wanted), "--fd=3 -o source=%s -o cache=auto -o sandbox=namespace",
             shared);
    ck_assert_str_eq(last_words(), wanted);
    virtiofsd_stop(&d);
    ck_assert_uint_eq(fake_log_count, 0);
}
END_TEST

START_TEST(may_write_only_where_the_guest_may)
{
    char body[128];
    struct stat st;

    snprintf(body, sizeof(body), "echo x >%s; echo $? >&2", mark);
    install(body);
    /* Where no namespace is to be had, it does not start. */
    start(false);
    ck_assert_str_ne(last_words(), "0");
    ck_assert_int_ne(stat(mark, &st), 0);
    virtiofsd_stop(&d);
    start(true);
    ck_assert_str_eq(last_words(), "0");
    ck_assert_int_eq(stat(mark, &st), 0);
    virtiofsd_stop(&d);
}
END_TEST

/* With whatever it has started. */
START_TEST(is_killed)
{
    uint64_t before = loop_now_ns();
    char c;

    install("trap '' TERM; sleep 100 <&3 & echo ready >&2; wait");
    start(true);
    while (strcmp(d.line.text, "ready") != 0)
        virtiofsd_listen(&d);
    virtiofsd_kill(&d);
    ck_assert_int_eq(read(d.err, &c, 1), 0); /* nobody has it any more */
    ck_assert_uint_lt(loop_now_ns() - before, UINT64_C(900000000));
    close(link_fd);
    virtiofsd_stop(&d);
    virtiofsd_stop(&d);
}
END_TEST

static void fails(const char *option, const char *part)
{
    struct loop *loop = loop_create();
    struct virtio *v = NULL;

    fake_log_start();
    ck_assert_int_lt(virtio_share_create(option, loop, &v), 0);
    ck_assert_ptr_null(v);
    ck_assert_uint_eq(fake_log_count, 1);
    ck_assert_msg(strstr(fake_log_line, part) != NULL, "%s", fake_log_line);
    loop_destroy(loop);
}

START_TEST(bad_start_is_told_in_its_words)
{
    char option[128], comma[64];

    snprintf(option, sizeof(option), "%s:tag:rw,via=virtiofs", shared);
    install("echo 'first line' >&2; echo 'too little of everything' >&2");
    fails(option, "/shared: virtiofsd does not start: too little of everything");
    install("exec <&3 3<&-; exit 1");
    fails(option, "/shared: virtiofsd ended");
    snprintf(option, sizeof(option), "\"%s/a,b:tag\",via=virtiofs", dir);
    snprintf(comma, sizeof(comma), "%s/a,b", dir);
    ck_assert_int_eq(mkdir(comma, 0755), 0);
    fails(option, "virtiofsd takes no path with a comma");
    ck_assert_int_eq(rmdir(comma), 0);
}
END_TEST

START_TEST(found_in_path_or_elsewhere)
{
    const char *const places[] = {"/nonexistent/virtiofsd", notes, NULL};
    char path[64];

    ck_assert(!helper_find("virtiofsd", NULL, path, sizeof(path)));
    ck_assert(!helper_find("virtiofsd", places, path, sizeof(path)));
    install_as(notes, "");
    ck_assert(helper_find("virtiofsd", places, path, sizeof(path)));
    ck_assert_str_eq(path, notes);
    install("");
    ck_assert(helper_find("virtiofsd", places, path, sizeof(path)));
    ck_assert_str_eq(path, tool);
    ck_assert(!helper_find("virtiofsd", NULL, path, 8));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("virtiofsd");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, gets_the_directory_and_a_socket);
    tcase_add_test(tc, may_write_only_where_the_guest_may);
    tcase_add_test(tc, is_killed);
    tcase_add_test(tc, bad_start_is_told_in_its_words);
    tcase_add_test(tc, found_in_path_or_elsewhere);
    return fake_run(tc);
}
