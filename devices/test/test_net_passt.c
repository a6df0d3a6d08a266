/*
 * The user-mode network: hv's side, the keeper process, and what happens when passt is missing,
 * fails or dies. A script plays passt: frames that it gets, it sends back.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/net/hostfwd.h"
#include "devices/test/fake.h"
#include "devices/test/fake_net.h"

static struct loop *loop;
static struct fake_end end;
static char dir[] = "/tmp/hv-passt-XXXXXX", tool[64], notes[64];
static char real_path[1024]; /* $PATH before the tests changed it */

/* Notes its process and arguments, then does `body`. */
static void install(const char *body)
{
    FILE *f = fopen(tool, "w");

    ck_assert_ptr_nonnull(f);
    fprintf(f, "#!/bin/sh\necho \"$$ $*\" >>%s\n%s\n", notes, body);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_int_eq(chmod(tool, 0755), 0);
}

#define ECHO "echo ready; exec /bin/cat <&3 >&3"

static void set_up(void)
{
    memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(tool, sizeof(tool), "%s/passt", dir);
    snprintf(notes, sizeof(notes), "%s/notes", dir);
    setenv("PATH", dir, 1);
    loop = loop_create();
    memset(&end, 0, sizeof(end));
    fake_log_start();
}

static void tear_down(void)
{
    fake_end_close(&end);
    loop_destroy(loop);
    unlink(tool);
    unlink(notes);
    ck_assert_int_eq(rmdir(dir), 0);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
}

static unsigned read_notes(char *last, size_t cap)
{
    FILE *f = fopen(notes, "r");
    unsigned lines = 0;

    last[0] = '\0';
    while (f && fgets(last, (int)cap, f))
        lines++;
    if (f)
        fclose(f);
    return lines;
}

static pid_t helper_pid(void)
{
    char last[512];

    ck_assert_uint_gt(read_notes(last, sizeof(last)), 0);
    return (pid_t)atoi(last);
}

static bool gone(pid_t pid)
{
    for (int i = 0; i < 2000 && kill(pid, 0) == 0; i++)
        usleep(1000);
    return kill(pid, 0) < 0;
}

static void expect_refused(const char *text, const char *words)
{
    ck_assert_int_lt(fake_end_open(&end, text, loop), 0);
    ck_assert_uint_eq(fake_log_count, 1);
    ck_assert_msg(strstr(fake_log_line, words) != NULL, "%s", fake_log_line);
}

START_TEST(frames_go_to_passt_and_come_back)
{
    static const size_t sizes[] = {14, 60, 1514, NET_FRAME_MAX};

    install(ECHO);
    ck_assert_int_eq(fake_end_open(&end, "user", loop), 0);
    ck_assert(net_link_up(end.net));
    ck_assert_uint_eq(net_offloads(end.net), 0);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(fake_end_send(&end, sizes[i], (uint8_t)i), 0);
        ck_assert(fake_until(loop, &end.got, i + 1, 2000));
        ck_assert(fake_end_has(&end, sizes[i], (uint8_t)i));
    }
}
END_TEST

START_TEST(forwards_become_options_of_passt)
{
    char last[512];

    install(ECHO);
    ck_assert_int_eq(fake_end_open(&end,
                                   "user,hostfwd=tcp:127.0.0.1:0018080-:80,hostfwd=tcp::18081-:22,"
                                   "hostfwd=udp:[::1]:18053-:53",
                                   loop),
                     0);
    read_notes(last, sizeof(last));
    ck_assert_ptr_nonnull(strstr(last, "--foreground --quiet --stderr --fd 3 --pid "));
    ck_assert_ptr_nonnull(strstr(last, " -t 127.0.0.1/18080:80 -t 18081:22 -u ::1/18053:53\n"));
}
END_TEST

START_TEST(tcp_forwards_alone_forward_no_udp)
{
    char last[512];

    install(ECHO);
    ck_assert_int_eq(fake_end_open(&end, "user,hostfwd=tcp::18080-:80", loop), 0);
    read_notes(last, sizeof(last));
    ck_assert_ptr_nonnull(strstr(last, " -t 18080:80 -u none\n"));
}
END_TEST

START_TEST(missing_passt_names_the_package)
{
    expect_refused("user", "apt install passt");
}
END_TEST

START_TEST(passt_that_fails_at_once_is_quoted)
{
    install("echo first >&2; echo >&2; echo 'No route to anywhere' >&2; exit 1");
    expect_refused("user", "passt does not start: No route to anywhere");
}
END_TEST

START_TEST(passt_that_fails_silently_is_reported)
{
    install("exit 1");
    expect_refused("user", "ended without a message");
}
END_TEST

START_TEST(passt_that_is_no_program_is_reported)
{
    FILE *f = fopen(tool, "w");

    fputs("not a program", f);
    fclose(f);
    chmod(tool, 0755);
    expect_refused("user", "cannot be executed");
}
END_TEST

START_TEST(errors_cannot_carry_terminal_codes)
{
    install("printf 'a\\033[31mb\\n' >&2; exit 1");
    expect_refused("user", "start: a?[31mb");
}
END_TEST

START_TEST(endless_error_output_is_bounded)
{
    install("i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; "
            "i=$((i+1)); done >&2; printf %0500d 7 >&2; exit 1");
    expect_refused("user", "0000");
    ck_assert_uint_lt(strlen(fake_log_line), 256);
}
END_TEST

START_TEST(port_in_use_is_named)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof(addr);
    char text[96], words[64];

    install(ECHO);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, len), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    snprintf(text, sizeof(text), "user,hostfwd=tcp:127.0.0.1:%u-:80", ntohs(addr.sin_port));
    snprintf(words, sizeof(words), "tcp port %u of 127.0.0.1 is in use", ntohs(addr.sin_port));
    expect_refused(text, words);
    snprintf(text, sizeof(text), "user,hostfwd=tcp::%u-:80", ntohs(addr.sin_port));
    fake_log_start();
    snprintf(words, sizeof(words), "tcp port %u of * is in use", ntohs(addr.sin_port));
    expect_refused(text, words);
    close(fd);
}
END_TEST

START_TEST(address_of_another_host_is_named)
{
    install(ECHO);
    expect_refused("user,hostfwd=tcp:192.0.2.77:18080-:80", "192.0.2.77 is no address");
}
END_TEST

START_TEST(malformed_forwards_are_refused)
{
    static const char *const texts[] = {
        "",
        "tcp",
        "sctp::1-:1",
        "tcp::0-:80",
        "tcp::65536-:80",
        "tcp::80",
        "tcp::80-",
        "tcp::80-80",
        "tcp::80-:",
        "tcp::80-:0",
        "tcp::80-:x",
        "tcp::80-:80x",
        "tcp:1.2.3:1-:1",
        "tcp:[::1:1-:1",
        "tcp:[]:1-:1",
        "tcp:::1:1-:1",
        "tcp::-1-:1",
        "tcp:host:1-:1",
        "tcp::80-1.2.3.4:80",
        "udp:[1.2.3.4]:1-:1",
        "tcp:00000000000000000000000000000000000000000000000000000:1-:1",
    };
    struct hostfwd fwd;
    char why[256];

    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        why[0] = '\0';
        ck_assert_msg(hostfwd_parse(texts[i], &fwd, why, sizeof(why)) == -EINVAL, "%s", texts[i]);
        ck_assert_ptr_nonnull(strstr(why, "hostfwd="));
    }
}
END_TEST

START_TEST(passt_that_dies_takes_the_link_down_and_is_started_again)
{
    char last[512];

    install(ECHO);
    ck_assert_int_eq(fake_end_open(&end, "user", loop), 0);
    ck_assert_int_eq(kill(helper_pid(), SIGKILL), 0);
    ck_assert(fake_until_link(loop, &end, false, 2000));
    ck_assert_int_eq(fake_end_send(&end, 60, 1), 0); /* lost */
    ck_assert(fake_until_link(loop, &end, true, 2000));
    ck_assert_ptr_nonnull(strstr(fake_log_line, "killed by a signal"));
    ck_assert_uint_eq(fake_log_count, 1);
    ck_assert_uint_eq(read_notes(last, sizeof(last)), 2);
    ck_assert_int_eq(fake_end_send(&end, 60, 2), 0);
    ck_assert(fake_until(loop, &end.got, 1, 2000));
    ck_assert(fake_end_has(&end, 60, 2));
}
END_TEST

START_TEST(passt_that_keeps_dying_is_started_less_and_less_often)
{
    char last[512];

    install(ECHO);
    ck_assert_int_eq(fake_end_open(&end, "user", loop), 0);
    install("echo broken >&2; exit 1");
    kill(helper_pid(), SIGKILL);
    fake_run_ms(loop, 1000);
    /* After 100, 300 and 700 ms. */
    ck_assert_uint_ge(read_notes(last, sizeof(last)), 3);
    ck_assert_uint_le(read_notes(last, sizeof(last)), 4);
    ck_assert(!net_link_up(end.net));
    ck_assert_ptr_nonnull(strstr(fake_log_line, "broken"));
    install(ECHO);
    ck_assert(fake_until_link(loop, &end, true, 4000));
}
END_TEST

START_TEST(close_ends_passt)
{
    pid_t pid;

    install("trap '' HUP INT TERM; " ECHO);
    ck_assert_int_eq(fake_end_open(&end, "user", loop), 0);
    pid = helper_pid();
    ck_assert_int_eq(kill(pid, 0), 0);
    fake_end_close(&end);
    ck_assert(gone(pid));
}
END_TEST

START_TEST(hv_that_is_killed_takes_passt_with_it)
{
    pid_t hv, helper;
    char last[512];
    int i;

    install("trap '' HUP INT TERM; echo ready; while :; do /bin/sleep 1; done");
    hv = fork();
    if (hv == 0) {
        ck_assert_int_eq(fake_end_open(&end, "user", loop), 0);
        pause();
    }
    for (i = 0; i < 2000 && read_notes(last, sizeof(last)) == 0; i++)
        usleep(1000);
    usleep(20000);
    helper = helper_pid();
    kill(hv, SIGKILL);
    waitpid(hv, NULL, 0);
    ck_assert(gone(helper));
}
END_TEST

START_TEST(helpers_see_no_other_descriptor)
{
    char last[512];
    int extra = dup(0), fd;

    install("echo /proc/self/fd/* >&2; exit 1");
    fd = fcntl(extra, F_DUPFD, 100); /* inheritable */
    expect_refused("user", "start: ");
    ck_assert_ptr_null(strstr(fake_log_line, "/100"));
    read_notes(last, sizeof(last));
    close(fd);
    close(extra);
}
END_TEST

START_TEST(killed_keeper_leaves_the_link_down_and_hv_alive)
{
    char children[64] = "", name[64];
    FILE *f;

    install(ECHO);
    ck_assert_int_eq(fake_end_open(&end, "user", loop), 0);
    snprintf(name, sizeof(name), "/proc/self/task/%d/children", (int)getpid());
    f = fopen(name, "r");
    if (!f || !fgets(children, sizeof(children), f)) {
        printf("# killed_keeper: skipped, the kernel does not list children\n");
        if (f)
            fclose(f);
        return;
    }
    fclose(f);
    kill(atoi(children), SIGKILL);
    ck_assert(fake_until_link(loop, &end, false, 2000));
    fake_run_ms(loop, 50);
    ck_assert_ptr_nonnull(strstr(fake_log_line, "keeps passt"));
    ck_assert_uint_eq(fake_log_count, 1);
    ck_assert_int_eq(fake_end_send(&end, 60, 1), 0);
}
END_TEST

static bool is_installed(void)
{
    char *copy = strdup(real_path), *save = NULL, name[256];
    bool found = false;

    for (char *at = strtok_r(copy, ":", &save); at && !found; at = strtok_r(NULL, ":", &save)) {
        snprintf(name, sizeof(name), "%s/passt", at);
        found = access(name, X_OK) == 0;
    }
    free(copy);
    return found;
}

/* Who has this address? passt answers for every address but the guest's. */
static void ask_for_address(void)
{
    static const uint8_t question[NET_HEADER_BYTES + 42] = {
        [12] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0,    1,    2,  3, 8, 6,
        0,           1,    8,    0,    6,    4,    0,    1,    0x52, 0x54, 0,  1, 2, 3,
        10,          9,    8,    7,    0,    0,    0,    0,    0,    0,    10, 9, 8, 1};
    struct iovec iov = {(void *)(uintptr_t)question, sizeof(question)};

    ck_assert_int_eq(net_send(end.net, 0, &iov, 1), 0);
}

START_TEST(real_passt_answers_frames_and_forwards_a_port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof(addr);
    char text[96];

    if (!is_installed()) {
        printf("# real_passt: skipped, passt is not installed\n");
        close(fd);
        return;
    }
    /* A port that was free a moment ago. */
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, len), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    close(fd);
    setenv("PATH", real_path, 1);
    snprintf(text, sizeof(text), "user,hostfwd=tcp:127.0.0.1:%u-:80", ntohs(addr.sin_port));
    if (fake_end_open(&end, text, loop) != 0) {
        printf("# real_passt: skipped: %s\n", fake_log_line);
        return;
    }
    ask_for_address();
    ck_assert(fake_until(loop, &end.got, 1, 2000));
    ck_assert_uint_ge(end.last_len, NET_HEADER_BYTES + 42);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, len), 0); /* passt listens there */
    close(fd);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("passt");
    const char *path = getenv("PATH");

    snprintf(real_path, sizeof(real_path), "%s", path ? path : "");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, frames_go_to_passt_and_come_back);
    tcase_add_test(tc, forwards_become_options_of_passt);
    tcase_add_test(tc, tcp_forwards_alone_forward_no_udp);
    tcase_add_test(tc, missing_passt_names_the_package);
    tcase_add_test(tc, passt_that_fails_at_once_is_quoted);
    tcase_add_test(tc, passt_that_fails_silently_is_reported);
    tcase_add_test(tc, passt_that_is_no_program_is_reported);
    tcase_add_test(tc, errors_cannot_carry_terminal_codes);
    tcase_add_test(tc, endless_error_output_is_bounded);
    tcase_add_test(tc, port_in_use_is_named);
    tcase_add_test(tc, address_of_another_host_is_named);
    tcase_add_test(tc, malformed_forwards_are_refused);
    tcase_add_test(tc, passt_that_dies_takes_the_link_down_and_is_started_again);
    tcase_add_test(tc, passt_that_keeps_dying_is_started_less_and_less_often);
    tcase_add_test(tc, close_ends_passt);
    tcase_add_test(tc, hv_that_is_killed_takes_passt_with_it);
    tcase_add_test(tc, helpers_see_no_other_descriptor);
    tcase_add_test(tc, killed_keeper_leaves_the_link_down_and_hv_alive);
    tcase_add_test(tc, real_passt_answers_frames_and_forwards_a_port);
    return fake_run(tc);
}
