/* The log: levels, one line a message, and the limit on what a guest may provoke. */
#include "devices/core/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/loop.h"
#include "devices/test/fake.h"

static char last[2048];
static unsigned lines;
static enum log_level last_level;

static void keep(void *opaque, enum log_level level, const char *line)
{
    (void)opaque;
    lines++;
    last_level = level;
    ck_assert_uint_lt(strlen(line), sizeof(last));
    strcpy(last, line);
}

static void set_up(void)
{
    lines = 0;
    log_set_sink(keep, NULL);
}

static void tear_down(void)
{
    log_set_sink(NULL, NULL);
    log_set_level(LOG_INFO);
}

START_TEST(message_above_the_level_is_dropped)
{
    log_debug("no");
    ck_assert_uint_eq(lines, 0);
    log_info("yes");
    ck_assert_uint_eq(lines, 1);
    log_set_level(LOG_ERROR);
    log_warn("no");
    ck_assert_uint_eq(lines, 1);
    log_error("code %d", 7);
    ck_assert_str_eq(last, "code 7");
    ck_assert_int_eq(last_level, LOG_ERROR);
}
END_TEST

START_TEST(control_characters_are_defused)
{
    log_info("a\nb\x1b[2Jc\x7f \xc3\xa9");
    ck_assert_str_eq(last, "a?b?[2Jc? \xc3\xa9");
}
END_TEST

START_TEST(endless_message_is_cut)
{
    static char text[5000];

    memset(text, 'x', sizeof(text) - 1);
    log_info("%s", text);
    ck_assert_uint_ge(strlen(last), 500);
    ck_assert_uint_lt(strlen(last), 1024);
}
END_TEST

START_TEST(errno_survives_a_message)
{
    errno = EXDEV;
    log_info("%s", "anything");
    ck_assert_int_eq(errno, EXDEV);
}
END_TEST

START_TEST(stderr_gets_one_prefixed_line)
{
    int fds[2], saved = dup(STDERR_FILENO);
    char buf[64] = {0};

    ck_assert_int_eq(pipe(fds), 0);
    log_set_sink(NULL, NULL);
    dup2(fds[1], STDERR_FILENO);
    log_info("hello");
    dup2(saved, STDERR_FILENO);
    ck_assert_int_eq(read(fds[0], buf, sizeof(buf) - 1), 10);
    ck_assert_str_eq(buf, "hv: hello\n");
    close(fds[0]);
    close(fds[1]);
    close(saved);
}
END_TEST

START_TEST(full_stderr_loses_the_line_and_little_time)
{
    int fds[2], saved = dup(STDERR_FILENO);
    char block[4096] = {0};
    uint64_t start;

    ck_assert_int_eq(pipe(fds), 0);
    fcntl(fds[1], F_SETFL, O_NONBLOCK);
    while (write(fds[1], block, sizeof(block)) > 0)
        ;
    fcntl(fds[1], F_SETFL, 0); /* as stderr is: a write would wait for ever */
    log_set_sink(NULL, NULL);
    dup2(fds[1], STDERR_FILENO);
    start = loop_now_ns();
    log_info("nobody reads this");
    dup2(saved, STDERR_FILENO);
    ck_assert_uint_lt(loop_now_ns() - start, UINT64_C(10000000000));
    close(fds[0]);
    close(fds[1]);
    close(saved);
}
END_TEST

START_TEST(guest_storm_is_five_lines_a_window)
{
    struct log_limit limit = {0};
    unsigned allowed = 0;

    for (unsigned i = 0; i < 1000; i++)
        allowed += log_allowed(&limit);
    ck_assert_uint_eq(allowed, LOG_BURST);
    ck_assert_uint_eq(lines, 0);
    /* As if the window had passed: what was left out is told first. */
    __atomic_store_n(&limit.window_start_ms, 1, __ATOMIC_RELAXED);
    ck_assert(log_allowed(&limit));
    ck_assert_uint_eq(lines, 1);
    ck_assert_ptr_nonnull(strstr(last, "995"));
}
END_TEST

START_TEST(each_call_site_has_its_own_limit)
{
    for (unsigned i = 0; i < 100; i++) {
        log_guest("one %u", i);
        log_guest("two %u", i);
    }
    ck_assert_uint_eq(lines, 2 * LOG_BURST);
    ck_assert_str_eq(last, "guest: two 4");
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("log");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, message_above_the_level_is_dropped);
    tcase_add_test(tc, control_characters_are_defused);
    tcase_add_test(tc, endless_message_is_cut);
    tcase_add_test(tc, errno_survives_a_message);
    tcase_add_test(tc, stderr_gets_one_prefixed_line);
    tcase_add_test(tc, full_stderr_loses_the_line_and_little_time);
    tcase_add_test(tc, guest_storm_is_five_lines_a_window);
    tcase_add_test(tc, each_call_site_has_its_own_limit);
    return fake_run(tc);
}
